"""llama.cpp's server as a process, and its ``/infill`` as a call."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import psutil

# What llama.vim's README recommends (--fim-qwen-1.5b-default) beside the model and the port. Its
# older -ngl and -fa say nothing on a CPU, where attention is "flash" by default, and -dt is ignored
# by now.
RECOMMENDED_FLAGS = (
    "--batch-size", "1024", "--ubatch-size", "1024", "--ctx-size", "0", "--cache-reuse", "256",
)  # fmt: skip
HOST = "127.0.0.1"
START_TIMEOUT_S = 120.0
REQUEST_TIMEOUT_S = 120.0
END_TIMEOUT_S = 10.0

Address = tuple[str, int]
Json = dict[str, Any]


class LlamaServer:
    """A llama-server on a free port of the loopback interface while the context lasts."""

    def __init__(
        self,
        binary: Path,
        model: Path,
        num_threads: int,
        *,
        flags: Sequence[str] = RECOMMENDED_FLAGS,
        seed: int | None = None,
    ) -> None:
        """Prepare the command; a seed makes the sampling repeatable, which the plugin leaves to chance."""
        self.address: Address = (HOST, _free_port())
        threads = ("--threads", str(num_threads), "--threads-batch", str(num_threads))
        self._command = [
            *(str(binary), "--model", str(model), *threads, *flags),
            *("--host", HOST, "--port", str(self.address[1])),
            *(() if seed is None else ("--seed", str(seed))),
        ]

    def __enter__(self) -> LlamaServer:
        """Start the process and wait until it serves.

        Raises:
            RuntimeError: If it ends or is not ready in time; the message holds the end of its log.
        """
        self._log: IO[bytes] = tempfile.TemporaryFile()
        self._process = psutil.Popen(self._command, stdout=self._log, stderr=subprocess.STDOUT)
        try:
            self._wait_until_healthy()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the process."""
        self._end()

    @property
    def pid(self) -> int:
        """The process's id."""
        pid: int = self._process.pid
        return pid

    def cpu_s(self) -> float:
        """Return the seconds of CPU that the process and its children have used."""
        processes = [self._process, *self._process.children(recursive=True)]
        times = [process.cpu_times() for process in processes]
        return float(sum(spent.user + spent.system for spent in times))

    def log(self) -> str:
        """Return what the server has written so far."""
        num_bytes = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), num_bytes, 0).decode(errors="replace")

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _is_healthy(self.address):
            if self._process.poll() is not None:
                status = self._process.returncode
                raise RuntimeError(f"llama-server ended with {status}:\n{self.log()[-2000:]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"llama-server is not ready after {START_TIMEOUT_S:.0f} s")
            time.sleep(0.05)

    def _end(self) -> None:
        with self._log:
            if self._process.poll() is not None:
                return
            self._process.terminate()
            try:
                self._process.wait(END_TIMEOUT_S)
            except psutil.TimeoutExpired:
                self._process.kill()
                self._process.wait()


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one infill request.

    ``ms`` is from sending to the parsed answer, the other two are what the server says it took.
    """

    content: str
    ms: float
    prompt_ms: float
    predicted_ms: float
    num_prompt_tokens: int
    num_computed_tokens: int
    num_predicted: int


def infill(address: Address, request: Json) -> Reply:
    """Return the server's answer, over a connection of its own as curl makes one.

    Raises:
        RuntimeError: If the server refuses the request.
    """
    started = time.perf_counter()
    connection = http.client.HTTPConnection(*address, timeout=REQUEST_TIMEOUT_S)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/infill", json.dumps(request), headers)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise RuntimeError(f"llama-server answers {response.status}: {body[:500]!r}")
    answer = json.loads(body)
    return Reply(
        content=answer.get("content", ""),
        ms=(time.perf_counter() - started) * 1000,
        prompt_ms=answer.get("timings/prompt_ms", 0.0),
        predicted_ms=answer.get("timings/predicted_ms", 0.0),
        num_prompt_tokens=answer.get("tokens_evaluated", 0),
        num_computed_tokens=answer.get("timings/prompt_n", 0),
        num_predicted=answer.get("timings/predicted_n", 0),
    )


def _is_healthy(address: Address) -> bool:
    connection = http.client.HTTPConnection(*address, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        port: int = listening.getsockname()[1]
        return port
