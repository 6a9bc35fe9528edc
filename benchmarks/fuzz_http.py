"""Fuzzing of the HTTP door: every input gets one answer that the server's description allows.

    python -m benchmarks.fuzz_http
    python -m benchmarks.fuzz_http --scale 0.01 --seed 7     # a short run with other inputs

Behind the door is the real pipeline around a small random network, so that inputs reach an engine.
What the inputs are is in `fuzz_http_inputs`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import json
import logging
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok

from benchmarks.figures import Figure, share_figure
from benchmarks.fuzz_http_inputs import bodies, raw_requests
from benchmarks.results import ROOT, write_result
from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.service import CompletionService
from lsp_server.host import ModelHost
from lsp_server.http.access import Access
from lsp_server.http.listener import open_listener
from lsp_server.settings import CompletionSettings, Settings

MAX_WAIT_S = 30.0
MAX_NUM_TOKENS = 24  # of a choice: inputs are many
SEED = 20260701
NUM_INPUTS = {"allowed": 5000, "forbidden": 5000, "bodies": 5000, "left": 1000, "raw": 5000}
REFUSALS = frozenset({400, 401, 403, 404, 405, 408, 413, 415, 429})
PROBE = {"prompt": "def probe(value):\n    ", "max_tokens": 12, "user": "probe"}
CHECK_NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)


@dataclass
class Findings:
    """What happened to all inputs so far."""

    num_inputs: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def failed(self, kind: str, problem: object, given: object) -> None:
        """Note a failure, with what it takes to see it again."""
        self.failures.append(f"{kind}: {problem}\n  input: {str(given)[:3000]}")


class FuzzedServer:
    """A server on a loop in a thread of its own, and the client that plays with it."""

    def __init__(self, service: CompletionService) -> None:
        self.findings = Findings()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._host = ModelHost(lambda *_: service)
        settings = Settings(completion=CompletionSettings(max_new_tokens=MAX_NUM_TOKENS))
        opened = open_listener(self._host, settings, Access("127.0.0.1"), 0)
        self._listener = self._run(opened)
        self.session = requests.Session()
        self.base: str = self._listener.url.removesuffix("/v1")
        self.port: int = urlsplit(self.base).port or 0
        self.wait_until(lambda: self.session.get(f"{self.base}/health", timeout=MAX_WAIT_S).ok)

    def post(self, body: bytes) -> requests.Response:
        """Send a body as JSON."""
        headers = {"Content-Type": "application/json"}
        url = f"{self.base}/v1/completions"
        return self.session.post(url, data=body, headers=headers, timeout=MAX_WAIT_S)

    def open_document(self) -> str:
        """Return the id of a document, for inputs that are about one."""
        body = {"text": "def probe(value):\n    return value\n", "path": "probe.py"}
        url = f"{self.base}/v1/documents"
        return str(self.session.post(url, json=body, timeout=MAX_WAIT_S).json()["id"])

    def probe(self) -> str:
        """Return the text of a fixed completion, which no input may change."""
        return str(self.post(json.dumps(PROBE).encode()).json()["choices"][0]["text"])

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Poll until ``holds()``; that it never does is a failure."""
        deadline = time.monotonic() + MAX_WAIT_S
        while not holds():
            if time.monotonic() > deadline:
                self.findings.failed("server", "did not become what it should be", holds)
                return
            time.sleep(0.02)

    def close(self) -> None:
        """End the server once nothing is in flight: whoever went away must not be waited for."""
        self.wait_until(lambda: self._listener.num_requests == 0)
        self.session.close()
        self._run(self._listener.close())
        self._host.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(MAX_WAIT_S)


class ErrorLog(logging.Handler):
    """Keeps what is logged as an error: an exception that was caught is a failure too."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self.messages.append(self.format(record))


def fuzz(seed: int, scale: float) -> Findings:
    """Send ``scale`` times the usual number of inputs and return what happened."""
    log = ErrorLog()
    logging.getLogger().addHandler(log)
    with _tiny_service() as service:
        server = FuzzedServer(service)
        expected = server.probe()
        for kind, play in _PLAYS.items():
            play(server, kind, round(NUM_INPUTS[kind] * scale), seed)
            if server.probe() != expected:
                server.findings.failed(kind, "the text of the probe has changed", "")
        server.close()
    logging.getLogger().removeHandler(log)
    for message in log.messages:
        server.findings.failed("log", message, "")
    return server.findings


@contextlib.contextmanager
def _tiny_service() -> Iterator[CompletionService]:
    """Build the pipeline around the random network of the tests."""
    path = ROOT / "tests" / "completion" / "conftest.py"
    spec = importlib.util.spec_from_file_location("completion_fixtures", path)
    assert spec is not None
    assert spec.loader is not None
    fixtures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fixtures)
    model = fixtures.tiny_model.__wrapped__(fixtures.tiny_tokenizer.__wrapped__())
    prompt, engine = PromptConfig(max_num_tokens=256), EngineConfig(max_new_tokens=MAX_NUM_TOKENS)
    service = CompletionService(replace(model), CompletionConfig(prompt=prompt, engine=engine))
    yield service
    service.close()


def _generated(
    strategy: st.SearchStrategy[Any], num_inputs: int, seed: int, play: Callable[[Any], None]
) -> None:
    """Call ``play`` with inputs of ``strategy``, the same for the same seed."""

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=max(num_inputs, 1),
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def run(given: Any) -> None:
        play(given)

    run()


def _play_described(mode: GenerationMode) -> Callable[[FuzzedServer, str, int, int], None]:
    def play_all(server: FuzzedServer, kind: str, num_inputs: int, seed: int) -> None:
        load_all_checks()
        checks = [CHECKS.get_one(name) for name in CHECK_NAMES]
        schema = schemathesis.openapi.from_url(f"{server.base}/openapi.json")
        operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
        if mode is GenerationMode.NEGATIVE:  # where every text is allowed nothing is wrong
            operations = [operation for operation in operations if operation.body]
        document = server.open_document()

        def play(case: Any) -> None:
            server.findings.num_inputs[kind] += 1
            if "document_id" in case.path_parameters and case.method != "DELETE":
                case.path_parameters["document_id"] = document
            try:
                response = case.call(session=server.session, timeout=MAX_WAIT_S)
                server.findings.statuses[response.status_code] += 1
                case.validate_response(response, checks=checks)
            except (Exception, FailureGroup) as error:  # noqa: BLE001 - what we look for
                server.findings.failed(
                    kind, f"{type(error).__name__} {error}", case.as_curl_command()
                )

        # Most of what can go wrong is in operations that take a body.
        weights = [20 if operation.body else 1 for operation in operations]
        for at, operation in enumerate(operations):
            num_own = round(num_inputs * weights[at] / sum(weights))
            _generated(operation.as_strategy(mode), num_own, seed + at, play)

    return play_all


def _play_bodies(server: FuzzedServer, kind: str, num_inputs: int, seed: int) -> None:
    """Bodies of edge values; each is answered with choices or with an error object."""

    def play(body: bytes) -> None:
        server.findings.num_inputs[kind] += 1
        try:
            response = server.post(body)
            server.findings.statuses[response.status_code] += 1
            problem = _problem(response)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
            problem = f"{type(error).__name__} {error}"
        if problem:
            server.findings.failed(kind, problem, body)

    _generated(bodies(), num_inputs, seed, play)


def _problem(response: requests.Response) -> str:
    if response.status_code == 200:
        streamed = response.headers["content-type"].startswith("text/event-stream")
        is_whole = response.text.endswith("data: [DONE]\n\n") if streamed else response.json()["id"]
        return "" if is_whole else f"a stream without an end: {response.text[-500:]}"
    if response.status_code not in REFUSALS:
        return f"status {response.status_code}: {response.text[:500]}"
    known = set(response.json()["error"]) == {"message", "type", "param", "code"}
    return "" if known else f"no error object: {response.text[:500]}"


def _play_left(server: FuzzedServer, kind: str, num_inputs: int, seed: int) -> None:
    """Clients that go away at any point; ``close`` looks at what they leave behind."""

    def play(given: tuple[bytes, float, int]) -> None:
        body, share_sent, num_read = given
        server.findings.num_inputs[kind] += 1
        head = (
            f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: application/json\r\n\r\n"
        ).encode()
        sent = (head + body)[: max(1, round(share_sent * len(head + body)))]
        with (
            contextlib.suppress(ConnectionError),  # the server may have refused and closed
            socket.create_connection(("127.0.0.1", server.port), MAX_WAIT_S) as connection,
        ):
            connection.sendall(sent)
            if num_read and share_sent == 1:
                connection.recv(num_read)

    shares = st.one_of(st.just(1.0), st.floats(0, 1))
    _generated(st.tuples(bodies(), shares, st.integers(0, 300)), num_inputs, seed, play)


def _play_raw(server: FuzzedServer, kind: str, num_inputs: int, seed: int) -> None:
    """Bytes that resemble HTTP; the server answers or closes, and does not wait for ever."""

    def play(sent: bytes) -> None:
        server.findings.num_inputs[kind] += 1
        answer = b""
        try:
            with socket.create_connection(("127.0.0.1", server.port), MAX_WAIT_S) as connection:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                while chunk := connection.recv(65536):
                    answer += chunk
        except TimeoutError:
            server.findings.failed(kind, "neither answered nor closed", sent)
        except OSError:
            pass  # it was refused, and the connection closed, before all was sent
        if answer:
            status = int(answer.split(None, 2)[1])
            server.findings.statuses[status] += 1
            if status >= 500:
                server.findings.failed(kind, answer[:500], sent)

    _generated(raw_requests(), num_inputs, seed, play)


_PLAYS: dict[str, Callable[[FuzzedServer, str, int, int], None]] = {
    "allowed": _play_described(GenerationMode.POSITIVE),
    "forbidden": _play_described(GenerationMode.NEGATIVE),
    "bodies": _play_bodies,
    "left": _play_left,
    "raw": _play_raw,
}


def main(argv: list[str] | None = None) -> int:
    """Run, print failures, and write the result of a whole run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--scale", type=float, default=1.0, help="of the usual number of inputs")
    arguments = parser.parse_args(argv)
    started = time.monotonic()
    findings = fuzz(arguments.seed, arguments.scale)
    seconds = time.monotonic() - started
    total, num_failed = findings.num_inputs.total(), len(findings.failures)
    print(f"{total} inputs in {seconds:.0f} s, {num_failed} failures")
    print(f"inputs {dict(findings.num_inputs)}, statuses {dict(sorted(findings.statuses.items()))}")
    for failure in findings.failures:
        print(failure)
    if arguments.scale >= 1:
        _write(findings, arguments.seed, seconds)
    return 1 if num_failed else 0


def _write(findings: Findings, seed: int, seconds: float) -> None:
    total, num_failed = findings.num_inputs.total(), len(findings.failures)
    write_result(
        "fuzz_http",
        [
            Figure("inputs", total, "inputs", total, total, total, total, "counted"),
            Figure(
                "failures", num_failed, "", total, num_failed, num_failed, num_failed, "counted"
            ),
            share_figure("failed", num_failed, total),
            Figure("time", seconds, "s", 1, seconds, seconds, seconds, "one run"),
        ],
        num_threads=1,
        settings={
            "seed": seed,
            "inputs": dict(findings.num_inputs),
            "statuses": {str(status): n for status, n in sorted(findings.statuses.items())},
            "max_tokens": MAX_NUM_TOKENS,
        },
        notes=[
            "The model is a small random network; a failure is an answer that does not come, a "
            "server error, an answer that its description does not allow, or an error in the log."
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
