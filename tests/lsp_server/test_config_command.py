"""``fimble config``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lsp_server.cli import main
from lsp_server.settings import all_specs


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "user.toml").write_text('completion.top_k = 1\nhttp.token = "hunter2"\n')
    monkeypatch.setenv("FIMBLE_CONFIG", str(tmp_path / "user.toml"))
    monkeypatch.setenv("FIMBLE_COMPLETION_TOP_P", "0.5")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".fimble.toml").write_text("completion.top_k = 2\nhttp.port = 99\n")
    return folder


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, tuple[object, str]]:
    assert main(["config", "show", "--json", *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == 1
    return {row["key"]: (row["value"], row["origin"]) for row in found["settings"]}


def test_show_says_where_each_value_comes_from(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    user = str(project.parent / "user.toml")
    rows = shown(capsys)
    assert list(rows) == list(all_specs())
    assert rows["completion.top_k"] == (1, user)
    assert rows["completion.top_p"] == (0.5, "environment FIMBLE_COMPLETION_TOP_P")
    assert rows["http.port"] == (7417, "default")
    near = shown(capsys, "--for", str(project / "src" / "a.py"))
    assert near["completion.top_k"] == (2, str(project / ".fimble.toml"))
    assert near["http.port"] == (7417, "default")


def test_no_secret_is_shown(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys)["http.token"][0] == "***"
    assert main(["config", "show"]) == 0
    printed = capsys.readouterr().out
    assert "***" in printed
    assert "hunter2" not in printed


def test_show_for_people_has_a_line_for_each_setting_and_tells_what_was_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "show", "--for", str(project)]) == 0
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == list(all_specs())
    assert f"fimble config trust {project}" in printed.err


def test_trust_counts_until_it_is_taken_back_or_the_file_changes(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "trust", str(project)]) == 0
    assert "http.port = 99" in capsys.readouterr().out
    assert shown(capsys, "--for", str(project))["http.port"][0] == 99
    assert main(["config", "untrust", str(project)]) == 0
    assert shown(capsys, "--for", str(project))["http.port"][0] == 7417
    assert main(["config", "untrust", str(project)]) == 1


def test_there_has_to_be_something_to_trust(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "trust", str(project.parent)]) == 2
    assert "there is no such file" in capsys.readouterr().err
    (project / ".fimble.toml").unlink()
    (project / ".fimble.toml").symlink_to("elsewhere")
    assert main(["config", "trust", str(project)]) == 2
    assert "a link" in capsys.readouterr().err


def test_path_prints_the_file_of_the_user_or_of_a_project(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "path"]) == 0
    assert capsys.readouterr().out == f"{project.parent / 'user.toml'}\n"
    assert main(["config", "path", "--for", str(project / "a.py")]) == 0
    assert capsys.readouterr().out == f"{project / '.fimble.toml'}\n"
    assert main(["config", "path", "--for", str(project.parent)]) == 1


def test_a_bad_variable_ends_the_command_and_a_bad_file_does_not(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.parent / "user.toml").write_text("completion.top_k = -1\n")
    assert main(["config", "show"]) == 0
    assert "user.toml: completion.top_k is -1; allowed" in capsys.readouterr().err
    monkeypatch.setenv("FIMBLE_COMPLETION_TOP_K", "-1")
    assert main(["config", "show"]) == 2
