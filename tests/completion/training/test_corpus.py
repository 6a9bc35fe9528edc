"""Which files may be learnt from, and that none of them is among those to judge by."""

from __future__ import annotations

from email.message import Message
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest

from completion.training.corpus import held_out_files, is_permissive, training_files


class Described(Distribution):
    """A distribution of metadata alone."""

    def __init__(self, *fields: tuple[str, str]) -> None:
        self._message = Message()
        for name, value in fields:
            self._message[name] = value

    @property
    def metadata(self) -> Any:
        return self._message

    def read_text(self, filename: str) -> str | None:
        return None

    def locate_file(self, path: Any) -> Path:
        return Path(path)


def test_no_file_is_both_learnt_from_and_held_out() -> None:
    training, held_out = training_files(0), held_out_files(0)
    assert len(set(training)) == len(training) > 100
    assert len(set(held_out)) == len(held_out) > 10
    assert set(training).isdisjoint(held_out)


def test_the_same_seed_gives_the_same_files_and_another_one_others() -> None:
    assert training_files(1) == training_files(1)
    assert held_out_files(1) == held_out_files(1)
    assert set(held_out_files(1)) != set(held_out_files(2))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("License-Expression", "MIT"),
        ("License-Expression", "Apache-2.0 OR BSD-3-Clause"),
        ("Classifier", "License :: OSI Approved :: Python Software Foundation License"),
        ("License", "BSD 3-Clause License"),
    ],
)
def test_permissive_licences_are_accepted(field: str, value: str) -> None:
    assert is_permissive(Described((field, value)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("License-Expression", "GPL-3.0-or-later"),
        ("License-Expression", "MIT AND LGPL-2.1-only"),
        ("Classifier", "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)"),
        ("Classifier", "Programming Language :: Python"),
        ("License", "Proprietary"),
        ("License", "MIT is mentioned here " + "in a long text of a licence " * 10),
        ("Name", "says-nothing"),
    ],
)
def test_other_licences_and_none_are_not(field: str, value: str) -> None:
    assert not is_permissive(Described((field, value)))
