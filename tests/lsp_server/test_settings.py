"""Settings from every source, and the page that lists them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from lsp_server.options import Resolved, from_environment, from_flags, from_mapping, resolve
from lsp_server.settings import Device, Reach, Settings, all_specs


def test_without_any_source_the_settings_are_the_defaults() -> None:
    assert resolve() == Resolved(Settings())


def test_a_later_source_outranks_an_earlier_one() -> None:
    client = from_mapping({"completion": {"top_k": 1, "top_p": 0.5}}, "client")
    environment = from_environment({"FIMBLE_COMPLETION_TOP_K": "2"})
    flags = from_flags({"completion.top_k": "3", "completion.top_p": None})
    resolved = resolve(client, environment, flags)
    completion = resolved.settings.completion
    assert (completion.top_k, completion.top_p) == (3, 0.5)
    assert resolved.values == {"completion.top_k": 3, "completion.top_p": 0.5}
    assert resolved.origins == {"completion.top_k": "command line", "completion.top_p": "client"}
    assert resolved.problems == ()


@pytest.mark.parametrize(
    ("key", "raw", "expected"),
    [
        ("model.device", "cuda", Device.CUDA),
        ("completion.enabled", "off", False),
        ("completion.enabled", True, True),
        ("completion.deadline_ms", 250, 250.0),
        ("completion.deadline_ms", "250.5", 250.5),
        ("completion.num_candidates", 16, 16),
        ("completion.num_candidates", 2.0, 2),
        ("completion.disabled_languages", "python, go,", ("python", "go")),
        ("completion.disabled_languages", ["python"], ("python",)),
        ("server.log_file", "", ""),
    ],
)
def test_a_value_is_read_in_each_form_a_source_may_have(
    key: str, raw: object, expected: object
) -> None:
    options = from_flags({key: raw})
    assert (options.values, options.problems) == ({key: expected}, ())


@pytest.mark.parametrize(
    ("key", "raw"),
    [
        ("model.device", "tpu"),
        ("model.name", ""),
        ("completion.enabled", "perhaps"),
        ("completion.enabled", 1),
        ("completion.num_candidates", 0),
        ("completion.num_candidates", 17),
        ("completion.num_candidates", 2.5),
        ("completion.num_candidates", True),
        ("completion.num_candidates", "x"),
        ("completion.deadline_ms", "nan"),
        ("completion.deadline_ms", float("inf")),
        ("completion.top_k", float("inf")),
        ("completion.top_p", [1]),
        ("completion.disabled_languages", [1]),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(key: str, raw: object) -> None:
    options = from_flags({key: raw})
    (problem,) = options.problems
    assert options.values == {}
    assert problem.is_value
    assert key in problem.message
    assert repr(raw) in problem.message
    assert all_specs()[key].allowed in problem.message


def test_an_unknown_name_is_reported_with_the_nearest_one() -> None:
    options = from_environment({"FIMBLE_MODEL_NAMES": "x", "PATH": "/bin", "FIMBLE_MODEL_NAME": ""})
    (problem,) = options.problems
    assert "FIMBLE_MODEL_NAMES; did you mean FIMBLE_MODEL_NAME?" in problem.message
    assert not problem.is_value
    assert options.values == {}


@pytest.mark.parametrize(
    ("tree", "nearest"),
    [
        ({"top_k": 1}, "completion.top_k"),
        ({"fimble": {"naem": "x"}}, "model.name"),
        ({"model": {"max_num_token": 1}}, "prompt.max_num_tokens"),
        ({"zzz": {"port": 1}}, "http.port"),
    ],
)
def test_a_name_in_no_section_or_a_wrong_one_is_known_by_its_end(
    tree: dict[str, object], nearest: str
) -> None:
    (problem,) = from_mapping(tree, "client").problems
    assert problem.message.endswith(f"; did you mean {nearest}?")


def test_a_name_like_no_other_is_reported_with_all_names() -> None:
    (problem,) = from_mapping({"zzz": 1}, "client").problems
    assert "model.name" in problem.message


def test_the_page_lists_exactly_the_settings_of_the_code(repository: Path) -> None:
    page = (repository / "docs" / "settings.md").read_text()
    rows = re.findall(r"^\| `(\w+\.\w+)` \| (.+?) \| (.+?) \| `(\w+)` \| (.+?) \|$", page, re.M)
    assert rows == [
        (spec.key, spec.shown_default, spec.allowed, spec.variable, spec.rule.meaning)
        for spec in all_specs().values()
    ]


def test_the_page_names_exactly_the_settings_that_need_trust(repository: Path) -> None:
    page = (repository / "docs" / "settings.md").read_text()
    table = page.partition("| setting | without trust |")[2].partition("\n\n")[0]
    guarded = {spec.key for spec in all_specs().values() if spec.rule.reach is Reach.MACHINE}
    assert set(re.findall(r"`(\w+\.\w+)`", table)) == guarded


def test_the_examples_of_the_page_are_valid(repository: Path) -> None:
    page = (repository / "docs" / "settings.md").read_text()
    files = re.findall(r"^```toml\n(.*?)^```", page, re.M | re.S)
    sent = re.findall(r"^```json\n(.*?)^```", page, re.M | re.S)
    assert files
    assert sent
    for tree in (*map(tomllib.loads, files), *map(json.loads, sent)):
        options = from_mapping(tree, "page")
        assert options.values
        assert options.problems == ()
