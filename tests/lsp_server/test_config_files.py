"""Settings files, friendly and hostile, and what of them counts."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server import config_files
from lsp_server.config_files import find_project, read_project_file, read_user_file
from lsp_server.errors import TrustStoreError
from lsp_server.options import Options, from_mapping
from lsp_server.settings import all_specs
from lsp_server.trust import TrustStore
from lsp_server.user_file import user_file_path

NAME = config_files.PROJECT_FILE_NAME


@pytest.fixture
def store(tmp_path: Path) -> TrustStore:
    return TrustStore(tmp_path / "state")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def read_user(path: Path) -> Options:
    return read_user_file({"FIMBLE_CONFIG": str(path)})


def read(project: Path, store: TrustStore, content: str | bytes) -> config_files.ProjectFile:
    raw = content if isinstance(content, bytes) else content.encode()
    (project / NAME).write_bytes(raw)
    file = read_project_file(project, store)
    assert file is not None
    return file


def only_message(options: Options) -> str:
    (problem,) = options.problems
    return problem.message


def test_the_users_file_lies_in_the_users_folder_unless_the_variable_names_another(
    tmp_path: Path,
) -> None:
    assert user_file_path({}).parts[-2:] == ("fimble", "config.toml")
    assert user_file_path({"FIMBLE_CONFIG": "x.toml"}, str(tmp_path)) == tmp_path / "x.toml"


def test_a_file_that_nobody_wrote_is_empty_but_one_that_was_named_is_missed(tmp_path: Path) -> None:
    assert read_user_file({}).problems == ()
    missing = read_user(tmp_path / "none.toml")
    assert "none.toml: there is no such file" in only_message(missing)
    assert "FIMBLE_CONFIG" in only_message(missing)


def test_the_users_file_may_set_anything_and_paths_are_relative_to_it(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[model]\nname = "./m"\ncache_dir = "c"\n[server]\nlog_file = "~/l"\n')
    assert read_user(path).values == {
        "model.name": str(tmp_path / "m"),
        "model.cache_dir": str(tmp_path / "c"),
        "server.log_file": "~/l",
    }


def test_a_user_may_write_rows_of_dots(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"# {'.' * 200}\nmodel.offline = true\n")
    assert read_user(path).values == {"model.offline": True}


def test_a_linked_file_of_the_user_is_read(tmp_path: Path) -> None:
    (tmp_path / "dotfiles.toml").write_text("model.offline = true")
    (tmp_path / "config.toml").symlink_to(tmp_path / "dotfiles.toml")
    assert read_user(tmp_path / "config.toml").values == {"model.offline": True}


def test_the_nearest_projects_file_upwards_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert find_project(inner) is None
    (tmp_path / NAME).touch()
    assert find_project(inner) == tmp_path
    (tmp_path / "a" / NAME).touch()
    assert find_project(inner) == tmp_path / "a"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[model]\nx = \n", "not valid TOML: Invalid value (at line 2, column 5)"),
        (b"\n\n# \xff\n", "line 3 is not UTF-8"),
        (b"a = " + b"[" * 3000, "too deeply nested"),
        (b"a = " + b"{x = " * 3000, "too deeply nested"),
        (b"a = " + b"9" * 5000, "not valid TOML"),
        (b"\n" + b"a." * 16_000 + b"a = 1", "line 2 has more than 100 dots"),
        (b"#" * 40_000, "larger than 32768 bytes"),
        (b"[complition]\ntop_k = 1\n", "complition.top_k; did you mean completion.top_k?"),
        (b"completion.top_k = 0x" + b"f" * 20_000, "completion.top_k is too large; allowed"),
        (b'"a\\u001b[31m" = 1', "unknown setting 'a\\x1b[31m'"),
    ],
)
def test_a_broken_file_is_told_with_its_name_and_the_remedy(
    project: Path, store: TrustStore, content: bytes, told: str
) -> None:
    file = read(project, store, content)
    assert file.options.values == {}
    assert only_message(file.options).startswith(str(project / NAME))
    assert told in only_message(file.options)


def test_a_mistake_leaves_the_rest_of_the_file_in_force(project: Path, store: TrustStore) -> None:
    file = read(project, store, "[completion]\ntop_p = 7\ntop_k = 5\nzzz = 1\n")
    assert file.options.values == {"completion.top_k": 5}
    assert len(file.options.problems) == 2


def test_a_flood_of_mistakes_is_counted_not_listed(project: Path, store: TrustStore) -> None:
    problems = read(project, store, "".join(f"a{n} = 1\n" for n in range(500))).options.problems
    assert len(problems) == 21
    assert "480 more mistakes" in problems[-1].message


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("model.name", '"./weights"'),
        ("model.name", '"somebody/model"'),
        ("model.name", '"/etc"'),
        ("model.cache_dir", '"/var/elsewhere"'),
        ("model.offline", "false"),
        ("model.compile", "true"),
        ("model.num_threads", "1000"),
        ("model.precision", '"float32"'),
        ("prompt.max_num_tokens", "131072"),
        ("engine.cache_mb", "4096"),
        ("completion.max_new_tokens", "4096"),
        ("server.log_file", '"~/.bashrc"'),
        ("server.log_level", '"debug"'),
        ("server.runtime_dir", '"/var/evil"'),
        ("server.nice", "0"),
        ("http.host", '"0.0.0.0"'),
        ("http.port", "80"),
        ("http.token", '"known"'),
        ("http.max_body_mb", "256"),
    ],
)
def test_what_concerns_the_machine_needs_trust(
    project: Path, store: TrustStore, key: str, written: str
) -> None:
    content = f"completion.top_k = 3\n{key} = {written}\n"
    refused = read(project, store, content)
    assert refused.refused == (key,)
    assert refused.options.values == {"completion.top_k": 3}
    message = only_message(refused.options)
    assert str(project / NAME) in message
    assert key in message
    assert f"fimble config trust {project}" in message
    store.trust(project, content.encode())
    trusted = read(project, store, content)
    assert set(trusted.options.values) == {"completion.top_k", key}
    assert (trusted.refused, trusted.options.problems) == ((), ())


@pytest.mark.parametrize(
    "written",
    [
        'model.name = "default"',
        'model.name = "smollm2-135m"',
        "model.offline = true",
        "model.compile = false",
        "prompt.suffix_share = 0.1",
        "engine.retrieval = false",
        'completion.disabled_languages = ["markdown"]',
        "server.wait_for_model = true",
    ],
)
def test_what_concerns_the_project_alone_needs_no_trust(
    project: Path, store: TrustStore, written: str
) -> None:
    file = read(project, store, written)
    assert len(file.options.values) == 1
    assert file.options.problems == ()


def test_a_file_that_changed_or_moved_has_to_be_trusted_anew(
    project: Path, store: TrustStore, tmp_path: Path
) -> None:
    content = b'http.host = "0.0.0.0"\n'
    store.trust(project, content)
    assert read(project, store, content).is_trusted
    assert not read(project, store, content + b"# more\n").is_trusted
    project.rename(tmp_path / "moved")
    (tmp_path / "moved" / NAME).write_bytes(content)
    moved = read_project_file(tmp_path / "moved", store)
    assert moved is not None
    assert moved.refused == ("http.host",)


def test_trust_is_taken_back(project: Path, store: TrustStore) -> None:
    store.trust(project, b"x")
    assert store.untrust(project)
    assert not store.trusts(project, b"x")
    assert not store.untrust(project)


def test_the_record_of_trust_belongs_to_the_user_alone(project: Path, store: TrustStore) -> None:
    store.trust(project, b"x")
    assert store.path.stat().st_mode & 0o077 == 0
    assert store.path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"projects": 1}', b"\xff", b"[" * 100_000])
def test_a_damaged_record_trusts_nothing_and_is_told(
    project: Path, store: TrustStore, content: bytes
) -> None:
    store.path.parent.mkdir()
    store.path.write_bytes(content)
    with pytest.raises(TrustStoreError, match="is damaged; remove it"):
        store.trust(project, b"x")
    file = read(project, store, "completion.top_k = 2\nhttp.port = 1\n")
    assert file.options.values == {"completion.top_k": 2}
    assert any("is damaged" in problem.message for problem in file.options.problems)


@pytest.mark.parametrize("target", ["/dev/zero", "secret", "none"])
def test_a_linked_file_of_a_project_is_never_followed(
    project: Path, store: TrustStore, target: str
) -> None:
    (project / "secret").write_text("completion.top_k = 2")
    (project / NAME).symlink_to(target)
    file = read_project_file(project, store)
    assert file is not None
    assert file.options.values == {}
    assert "a link; put the file itself" in only_message(file.options)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "\ud800"], ids=["zero", "long", "surrogate"])
def test_a_folder_that_cannot_be_is_told(tmp_path: Path, store: TrustStore, name: str) -> None:
    file = read_project_file(tmp_path / name, store)
    assert file is not None
    assert "cannot be read" in only_message(file.options)
    assert only_message(file.options).isprintable()
    assert read_user_file({"FIMBLE_CONFIG": name}, str(tmp_path)).problems
    assert find_project(tmp_path / name) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_folder_in_the_files_place_is_told_at_once(
    project: Path, store: TrustStore, tmp_path: Path
) -> None:
    os.mkfifo(project / NAME)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / NAME).mkdir()
    for folder in (project, tmp_path / "folder"):
        file = read_project_file(folder, store)
        assert file is not None
        assert "regular file" in only_message(file.options) or "cannot be read" in only_message(
            file.options
        )


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners of files")
def test_a_file_of_somebody_else_counts_only_where_it_is_trusted(
    project: Path, store: TrustStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = "completion.top_k = 3\n"
    (project / NAME).write_text(content)
    owner = (project / NAME).stat().st_uid
    monkeypatch.setattr(config_files, "_ROOT_USER", -1)
    monkeypatch.setattr(config_files.os, "getuid", lambda: owner + 1)
    foreign = read_project_file(project, store)
    assert foreign is not None
    assert foreign.options.values == {}
    assert f"belongs to user {owner}" in only_message(foreign.options)
    store.trust(project, content.encode())
    trusted = read_project_file(project, store)
    assert trusted is not None
    assert trusted.options.values == {"completion.top_k": 3}


def test_a_secret_never_stands_in_a_message() -> None:
    options = from_mapping({"http": {"token": ["hunter2"]}}, "file")
    assert "hunter2" not in only_message(options)


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(4000, 6000).map(lambda num_digits: 16**num_digits)
    | st.floats()
    | st.text()
    | st.dates()
    | st.times()
    | st.just(datetime.datetime(1979, 5, 27, tzinfo=datetime.UTC))
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
_NAMES = st.sampled_from([key.split(".")[1] for key in all_specs()]) | st.text()
_SECTIONS = st.sampled_from(["model", "completion", "server", "http", "fimble"]) | st.text()
_TREES = st.dictionaries(
    _SECTIONS, _VALUES | st.dictionaries(_NAMES, _VALUES, max_size=5), max_size=4
)


@given(_TREES)
def test_no_tree_raises_and_every_valid_value_in_it_counts(tree: Mapping[str, Any]) -> None:
    options = from_mapping({"fimble": tree}, "file")
    assert all("\n" not in problem.message for problem in options.problems)
    assert from_mapping({"fimble": {**tree, "prompt": {"suffix_share": 0.125}}}, "file").values == {
        **from_mapping({"fimble": {k: v for k, v in tree.items() if k != "prompt"}}, "file").values,
        "prompt.suffix_share": 0.125,
    }
    for section, values in tree.items():
        for name, value in values.items() if isinstance(values, Mapping) else ():
            alone = from_mapping({"fimble": {section: {name: value}}}, "file").values
            assert alone.items() <= options.values.items()


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_file_raises(content: bytes) -> None:
    options = config_files._parse(content, "file")
    assert isinstance(options, Options)
    json.dumps([problem.message for problem in options.problems])
