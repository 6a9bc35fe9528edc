from __future__ import annotations

import json
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.llama_server import LlamaServer, infill

STAND_IN = """#!{python}
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    num_asked = 0

    def do_GET(self):
        Handler.num_asked += 1
        self.send_response(503 if Handler.num_asked == 1 else 200)
        self.end_headers()

    def do_POST(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({{"content": json.dumps(sys.argv[1:])}}).encode())

port = int(sys.argv[sys.argv.index("--port") + 1])
HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def executable(folder: Path, source: str) -> Path:
    path = folder / "llama-server"
    path.write_text(source.format(python=sys.executable), encoding="utf-8")
    path.chmod(0o755)
    return path


def test_server_runs_with_the_recommended_flags_until_the_context_ends(tmp_path: Path) -> None:
    binary = executable(tmp_path, STAND_IN)
    with LlamaServer(binary, Path("model.gguf"), 2, seed=7) as server:
        pid = server.pid
        flags = json.loads(infill(server.address, {}).content)
        assert server.cpu_s() > 0
    assert not psutil.pid_exists(pid)
    given = dict(zip(flags[::2], flags[1::2], strict=True))
    assert given.pop("--port") == str(server.address[1])
    assert given == {
        "--model": "model.gguf",
        "--threads": "2",
        "--threads-batch": "2",
        "--batch-size": "1024",
        "--ubatch-size": "1024",
        "--ctx-size": "0",
        "--cache-reuse": "256",
        "--host": "127.0.0.1",
        "--seed": "7",
    }


def test_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    binary = executable(tmp_path, "#!{python}\nraise SystemExit('no such model')\n")
    with (
        pytest.raises(RuntimeError, match="no such model"),
        LlamaServer(binary, Path("model.gguf"), 1),
    ):
        pass
