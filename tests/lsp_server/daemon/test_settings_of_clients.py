"""Which settings count for a client of the daemon, which works in another folder than its client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsp_server.daemon import launch
from lsp_server.daemon.client import ControlClient
from lsp_server.daemon.hello import Hello
from lsp_server.daemon.paths import RuntimePaths
from lsp_server.settings import Settings

StartDaemon = Callable[..., Any]
Complete = Callable[..., Settings]


@pytest.fixture
def complete(
    start_daemon: StartDaemon, paths: RuntimePaths, hello: Callable[..., Hello], service: Any
) -> Complete:
    """Return ``complete(path, **hello)``: the settings of the service that answers for ``path``."""
    chosen: list[Settings] = []

    def build(settings: Settings) -> Any:
        chosen.append(settings)
        return service

    start_daemon(build)

    def ask(path: Path, **fields: Any) -> Settings:
        document = {"uri": path.as_uri(), "path": str(path), "language_id": "python", "text": "x"}
        connection = launch.find(paths, hello(**fields))
        assert connection is not None
        with ControlClient(connection) as client:
            client.request("complete", {"document": document, "offset": 1})
        return chosen[-1]

    return ask


def test_the_projects_file_of_a_document_counts_and_the_callers_variables_outrank_it(
    complete: Complete, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    written = "prompt.max_num_tokens = 512\nprompt.suffix_share = 0.125\nhttp.port = 1\n"
    (project / ".fimble.toml").write_text(written)
    outside = complete(tmp_path / "b.py")
    environment = {"FIMBLE_PROMPT_SUFFIX_SHARE": "0.375"}
    inside = complete(project / "src" / "a.py", environment=environment)
    assert outside == Settings()
    assert (inside.prompt.max_num_tokens, inside.prompt.suffix_share) == (512, 0.375)
    assert inside.http == Settings().http


def test_the_users_file_is_the_one_that_the_caller_names(
    complete: Complete, tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text("[prompt]\nmax_num_tokens = 512\n")
    environment = {"FIMBLE_CONFIG": "mine.toml"}
    settings = complete(tmp_path / "a.py", directory=str(tmp_path), environment=environment)
    assert settings.prompt.max_num_tokens == 512


def test_a_relative_path_is_the_callers(complete: Complete, tmp_path: Path) -> None:
    environment = {"FIMBLE_MODEL_CACHE_DIR": "weights"}
    settings = complete(tmp_path / "a.py", directory=str(tmp_path), environment=environment)
    assert settings.model.cache_dir == str(tmp_path / "weights")
