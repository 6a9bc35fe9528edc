"""What a model is called wherever its name is shown or noted."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsp_server.model_names import public_name
from models.registry import DEFAULT_MODEL


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("default", DEFAULT_MODEL),
        (DEFAULT_MODEL, DEFAULT_MODEL),
        ("organisation/name", "organisation/name"),
        ("/srv/models/mine", "mine"),
        ("/srv/models/mine/", "mine"),
        ("no-such-model", "no-such-model"),
        ("/", "/"),
    ],
)
def test_every_setting_of_a_model_has_one_name(name: str, told: str) -> None:
    assert public_name(name) == told


def test_a_folder_is_called_by_its_last_part_however_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert {public_name(name) for name in (str(folder), "models/mine", "./models/mine")} == {"mine"}
