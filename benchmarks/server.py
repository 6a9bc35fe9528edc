"""The daemon and its clients as processes: start, one completion, and a restart after a kill.

Each figure is what somebody waits for: an editor for the answer to ``initialize``, a script for
``fimble complete``, a person for the next suggestion after the daemon was killed. The floor is an
interpreter that starts and ends; nothing of fimble can be quicker.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.daemon import Daemon, running_daemon
from benchmarks.figures import Figure, bootstrap_bounds, timing_figure
from benchmarks.results import write_result
from lsp_server.daemon import launch
from lsp_server.version import current

FIMBLE = (sys.executable, "-I", "-m", "lsp_server")
SOURCE = "def add(first, second):\n    total = first + second  # {}\n    return \n"
POSITION = {"line": 2, "character": 11}
URI = "file:///bench/add.py"

Environment = dict[str, str]
Measure = Callable[[Environment, Daemon, int], list[Figure]]


class Proxy:
    """``fimble lsp`` as an editor starts it."""

    def __init__(self, environment: Environment) -> None:
        """Start the process; nothing is sent yet."""
        self._process = subprocess.Popen(
            [*FIMBLE, "lsp"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._num_requests = 0

    def ask(self, method: str, params: Any) -> Any:
        """Send a request and return its result."""
        self._num_requests += 1
        self._send({"id": self._num_requests, "method": method, "params": params})
        while True:
            message = self._read()
            if "method" in message and "id" in message:
                self._send({"id": message["id"], "result": None})
            elif message.get("id") == self._num_requests and "method" not in message:
                return message.get("result")

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def initialize(self) -> None:
        """Begin the session and wait for the server's answer."""
        self.ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}})

    def open(self, text: str) -> None:
        """Say that the session has begun and open a document."""
        self.notify("initialized", {})
        item = {"uri": URI, "languageId": "python", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def suggestions(self) -> list[Any]:
        """Ask for ghost text."""
        params = {
            "textDocument": {"uri": URI},
            "position": POSITION,
            "context": {"triggerKind": 1},
        }
        result = self.ask("textDocument/inlineCompletion", params)
        return list(result["items"]) if result else []

    def close(self) -> None:
        """End the session as LSP asks."""
        self.ask("shutdown", None)
        self.notify("exit", None)
        self._process.wait(30)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        num_bytes = 0
        while (line := self._process.stdout.readline()) != b"\r\n":
            if not line:
                raise RuntimeError("the proxy is gone")
            if line.lower().startswith(b"content-length:"):
                num_bytes = int(line.split(b":")[1])
        message: dict[str, Any] = json.loads(self._process.stdout.read(num_bytes))
        return message


def measure_floor(environment: Environment, _daemon: Daemon, num_runs: int) -> list[Figure]:
    """Return the time of an interpreter that does nothing."""
    samples = []
    for _ in range(num_runs):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-I", "-c", "pass"], env=environment, check=True)
        samples.append(_ms_since(started))
    return [timing_figure("python_start_ms", samples)]


def measure_proxy_start(environment: Environment, _daemon: Daemon, num_runs: int) -> list[Figure]:
    """Return the time from exec to the answer to ``initialize``, the daemon being there."""
    samples = []
    for _ in range(num_runs + 1):
        started = time.perf_counter()
        proxy = Proxy(environment)
        proxy.initialize()
        samples.append(_ms_since(started))
        proxy.close()
    samples = samples[1:]  # the first warms the disk
    return [timing_figure("proxy_start_ms", samples), p95_figure("proxy_start_p95_ms", samples)]


def measure_complete(environment: Environment, _daemon: Daemon, num_runs: int) -> list[Figure]:
    """Return the time of ``fimble complete`` without decoding, the model being loaded.

    Each call finds the file edited far from the cursor, so that no suggestion is remembered.
    """
    before_ms, total_ms = [], []
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "add.py"
        for run in range(num_runs + 1):
            path.write_text(SOURCE.format(f"edit {run}"), encoding="utf-8")
            started = time.perf_counter()
            done = subprocess.run(
                [*FIMBLE, "complete", f"{path}:3:12", "--json"],
                env=environment,
                capture_output=True,
                check=True,
            )
            total_ms.append(_ms_since(started))
            decode_ms = json.loads(done.stdout)["timings_ms"]["decode"]
            before_ms.append(total_ms[-1] - decode_ms)
    # The first call loaded the model.
    return [
        timing_figure("complete_before_decoding_ms", before_ms[1:]),
        p95_figure("complete_before_decoding_p95_ms", before_ms[1:]),
        timing_figure("complete_total_ms", total_ms[1:]),
    ]


def measure_restart(environment: Environment, daemon: Daemon, num_runs: int) -> list[Figure]:
    """Return what a person waits for after ``kill -9`` of the daemon.

    First for any answer of the next daemon, which may be that there is nothing yet, then for the
    first suggestion, behind loading the model.
    """
    answer_ms, suggestion_ms = [], []
    for _ in range(num_runs):
        proxy = Proxy(environment)
        proxy.initialize()
        proxy.open(SOURCE.format("restart"))
        while not proxy.suggestions():
            pass
        os.kill(json.loads(daemon.paths.state.read_text())["pid"], signal.SIGKILL)
        while launch.is_running(daemon.paths):
            time.sleep(0.001)
        started = time.perf_counter()
        found = proxy.suggestions()
        answer_ms.append(_ms_since(started))
        while not found:
            time.sleep(0.02)  # as a person's next key, not a busy loop beside the loader
            found = proxy.suggestions()
        suggestion_ms.append(_ms_since(started))
        proxy.close()
    return [
        timing_figure("restart_to_answer_ms", answer_ms),
        timing_figure("restart_to_suggestion_ms", suggestion_ms),
    ]


# What is measured, in this order, and how often for each of `--num-runs`. The restart is last: it
# ends the daemon that the others share.
MEASURES: tuple[tuple[Measure, float], ...] = (
    (measure_floor, 1.0),
    (measure_proxy_start, 1.0),
    (measure_complete, 1.0),
    (measure_restart, 0.15),
)


def p95_figure(name: str, samples: Sequence[float]) -> Figure:
    """Return the 95th percentile with a bootstrap interval."""

    def p95(values: Sequence[float]) -> float:
        return statistics.quantiles(values, n=20, method="inclusive")[-1]

    low, high = bootstrap_bounds(samples, p95)
    median = statistics.median(samples)
    return Figure(name, p95(samples), "ms", len(samples), median, low, high, "bootstrap 95 %")


@contextmanager
def environment_of(daemon: Daemon) -> Iterator[Environment]:
    """Yield variables that lead clients to ``daemon``; ends whatever has taken its place."""
    folder, log = str(daemon.paths.folder), str(daemon.log)
    try:
        yield {
            **os.environ,
            "FIMBLE_SERVER_RUNTIME_DIR": folder,
            "FIMBLE_SERVER_LOG_FILE": log,
            "FIMBLE_MODEL_OFFLINE": "true",
        }
    finally:
        launch.stop(daemon.paths, current())


def _ms_since(started: float) -> float:
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    """Measure and write ``server.json``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--num-runs", type=int, default=40)
    parser.add_argument("--dry-run", action="store_true", help="print, write no result")
    options = parser.parse_args()
    figures: list[Figure] = []
    for measure, share in MEASURES:
        # Each has a daemon of its own, so that none measures what another left behind.
        with started_daemon() as daemon, environment_of(daemon) as environment:
            figures += measure(environment, daemon, max(3, round(options.num_runs * share)))
    for figure in figures:
        print(
            f"{figure.name:34} {figure.value:9.1f} {figure.unit}  [{figure.low:.1f}, {figure.high:.1f}]"
        )
    if not options.dry_run:
        settings = {"num_runs": options.num_runs}
        write_result("server", figures, num_threads=os.cpu_count() or 1, settings=settings)


@contextmanager
def started_daemon() -> Iterator[Daemon]:
    """Yield a running daemon, which may be killed meanwhile."""
    try:
        with running_daemon() as daemon:
            yield daemon
    except RuntimeError as error:
        if not str(error).endswith(f" {-int(signal.SIGKILL)}"):
            raise


if __name__ == "__main__":
    main()
