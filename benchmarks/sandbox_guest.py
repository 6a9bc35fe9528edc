"""The first code inside the sandbox: gives up its rights, then runs the program on stdin.

Started with ``-c`` by ``benchmarks.sandbox``; uses the standard library only.
"""

from __future__ import annotations

import os
import resource
import sys

REFUSED_EVENTS = (
    "ctypes.", "ftplib.", "gc.", "http.", "mmap.", "os.", "pty.", "shutil.", "signal.", "smtplib.",
    "socket.", "sqlite3.", "subprocess.", "sys._", "syslog.", "tempfile.", "urllib.",
)  # fmt: skip
ALLOWED_EVENTS = ("os.listdir", "os.scandir", "sys._getframe")
WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


def limit_resources(cpu_s: int, memory_bytes: int) -> None:
    """Bound CPU, memory and everything that could outlive or leave this process."""
    limits = [
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_NPROC, 1),
        (resource.RLIMIT_CORE, 0),
    ]
    for kind, value in limits:
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):  # macOS knows no limit of the address space
            continue


def refuse(event: str, arguments: tuple[object, ...]) -> None:
    """Audit hook: raise on what a test of an algorithm never needs."""
    if event == "open":
        mode, flags = arguments[1], arguments[2]
        writes = isinstance(mode, str) and any(letter in mode for letter in "wax+")
        if writes or (isinstance(flags, int) and flags & WRITE_FLAGS):
            raise PermissionError(f"the sandbox refuses to write {arguments[0]!r}")
    elif event.startswith(REFUSED_EVENTS) and not event.startswith(ALLOWED_EVENTS):
        raise PermissionError(f"the sandbox refuses {event}")


def silence() -> int:
    """Send the program's output nowhere; return a descriptor of the true stdout."""
    answer = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    return answer


def main() -> None:
    """Run the program, then print the token that proves its end was reached."""
    cpu_s, memory_bytes, token = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    sys.argv = ["program"]
    program = compile(sys.stdin.buffer.read(), "program", "exec")
    answer = silence()
    limit_resources(cpu_s, memory_bytes)
    sys.addaudithook(refuse)
    exec(program, {"__name__": "__main__"})
    os.write(answer, token.encode())


main()
