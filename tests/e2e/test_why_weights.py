"""``fimble why`` after a completion by the real model, in a daemon of the test's own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lsp_server.daemon import launch
from lsp_server.daemon.paths import RuntimePaths
from lsp_server.version import current

pytestmark = [pytest.mark.e2e, pytest.mark.weights]

RunFimble = Callable[..., "subprocess.CompletedProcess[bytes]"]
SOURCE = "def add(a, b):\n    return a + b\n\n\ndef subtract(a, b):\n    return \n"


@pytest.fixture
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    # Not tmp_path: a socket's path may have about 100 bytes, and names of tests are long.
    folder = tmp_path_factory.mktemp("d") / "run"
    log = folder.with_name("daemon.log")
    yield {"FIMBLE_SERVER_RUNTIME_DIR": str(folder), "FIMBLE_SERVER_LOG_FILE": str(log)}
    launch.stop(RuntimePaths(folder), current())


def test_what_the_model_wrote_is_explained_token_by_token(
    run_fimble: RunFimble, tmp_path: Path, env: dict[str, str]
) -> None:
    def ask(text: str) -> bytes:
        (tmp_path / "a.py").write_text(text)
        answered = run_fimble("complete", f"a.py:{text.count(chr(10))}:12", "--json", env=env)
        assert answered.returncode == 0, answered.stderr
        return answered.stdout

    ask(SOURCE)
    answer = json.loads(ask("import os\n" + SOURCE))
    told = json.loads(run_fimble("why", answer["id"], "--json", env=env).stdout)
    assert told["text"] == answer["text"] == "a - b"
    assert "".join(token["text"] for token in told["output"]).strip() == "a - b"
    assert any(token["origin"] != "target" for token in told["output"])  # it was written before
    spans = told["prompt"]["spans"]
    assert {"exact", "new"} <= {span["state"] for span in spans}
    assert "".join(span["text"] for span in spans).startswith("<|fim_prefix|>import os\ndef add")
    told_people = run_fimble("why", env=env)
    assert told_people.returncode == 0, told_people.stderr
    assert answer["id"].encode() in told_people.stdout
    assert b"| a - b" in told_people.stdout


def test_an_answer_from_memory_leads_to_the_request_that_the_model_wrote_it_for(
    run_fimble: RunFimble, tmp_path: Path, env: dict[str, str]
) -> None:
    (tmp_path / "a.py").write_text(SOURCE)

    def ask() -> str:
        answered = run_fimble("complete", f"a.py:{SOURCE.count(chr(10))}:12", "--json", env=env)
        return str(json.loads(answered.stdout)["id"])

    first, second = ask(), ask()
    told = json.loads(run_fimble("why", second, "--json", env=env).stdout)
    assert (told["source"], told["kept_from"]) == ("cache", first)
    assert f"fimble why {first}".encode() in run_fimble("why", second, env=env).stdout
