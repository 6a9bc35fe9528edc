"""What every test may use, and what no test may see of the machine it runs on."""

from __future__ import annotations

import os

import hypothesis
import pytest

# Examples take longer on a busy machine than on a free one: time is no property of the code.
hypothesis.settings.register_profile("fimble", deadline=None)
hypothesis.settings.load_profile("fimble")


@pytest.fixture(autouse=True)
def _without_the_users_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("FIMBLE_"):
            monkeypatch.delenv(name)
