"""Runs a program that a model wrote, away from everything it could harm.

Layers, the strongest that this machine offers: a process of its own that is killed at a wall-clock
limit, namespaces without network and with their own process ids, resource limits on CPU time,
memory, file size, open files and processes, an empty environment and working directory, and an
audit hook inside the interpreter that refuses files, processes, sockets and native code. The hook
alone would not hold against someone who means harm; together they hold what a code model writes.
"""

from __future__ import annotations

import functools
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

GUEST = Path(__file__).with_name("sandbox_guest.py")


class Verdict(StrEnum):
    """How a program ended."""

    PASSED = "passed"
    FAILED = "failed"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Execution:
    """The end of one program; ``detail`` is the last line it wrote to stderr."""

    verdict: Verdict
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use. ``wall_s`` counts from the start of its interpreter."""

    wall_s: float = 10.0
    cpu_s: int = 8
    memory_bytes: int = 1 << 30


DEFAULT_LIMITS = Limits()


def run_program(source: str, limits: Limits = DEFAULT_LIMITS) -> Execution:
    """Run ``source`` as a module of its own and say whether it reached its end.

    Reaching the end is proved by a token which the guest prints after the last statement, so
    ``sys.exit(0)`` halfway does not count.

    Args:
        source: Python source, for instance a completed task followed by its checks.
        limits: What the program may use.
    """
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="fimble-sandbox-") as folder:
        child = subprocess.Popen(
            [*isolation(), *guest_command(limits, token)],
            cwd=folder,
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            stdout, stderr = child.communicate(source.encode(), timeout=limits.wall_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            return Execution(Verdict.TIMEOUT, f"no end after {limits.wall_s:g} s")
    if stdout.decode(errors="replace").strip() == token:
        return Execution(Verdict.PASSED)
    lines = stderr.decode(errors="replace").strip().splitlines()
    return Execution(Verdict.FAILED, lines[-1] if lines else f"exit status {child.returncode}")


def guest_command(limits: Limits, token: str) -> list[str]:
    """Return the command of the interpreter inside the sandbox, which reads no file of ours."""
    interpreter = [sys.executable, "-I", "-S", "-c", GUEST.read_text(encoding="utf-8")]
    return [*interpreter, str(limits.cpu_s), str(limits.memory_bytes), token]


@functools.cache
def isolation() -> tuple[str, ...]:
    """Return the command that starts a process without network, or nothing where there is none.

    With its own process ids, killing the first process kills all that it started.
    """
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    command = (unshare, "--map-root-user", "--net", "--pid", "--fork", "--kill-child")
    tried = subprocess.run(
        [*command, sys.executable, "-I", "-c", ""], capture_output=True, check=False
    )
    return command if tried.returncode == 0 else ()
