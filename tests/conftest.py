"""What every test may use, and what no test may see of the machine it runs on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

# Examples take longer on a busy machine than on a free one: time is no property of the code.
hypothesis.settings.register_profile("fimble", deadline=None)
hypothesis.settings.load_profile("fimble")


@pytest.fixture(scope="session", autouse=True)
def _away_from_the_users_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give processes that tests start a daemon of their own, which ends with the session."""
    from lsp_server.daemon import launch
    from lsp_server.daemon.paths import runtime_paths
    from lsp_server.version import current

    folder = tmp_path_factory.mktemp("xdg")
    folder.chmod(0o700)
    former = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    yield
    launch.stop(runtime_paths("", os.environ), current())
    if former is None:
        del os.environ["XDG_RUNTIME_DIR"]
    else:
        os.environ["XDG_RUNTIME_DIR"] = former


@pytest.fixture(scope="session", autouse=True)
def _away_from_the_users_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let no test, and no process of one, see or change what this machine's user configured."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield


@pytest.fixture(autouse=True)
def _without_the_users_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("FIMBLE_"):
            monkeypatch.delenv(name)
