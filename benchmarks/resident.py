"""Print the resident memory, in bytes, of a server at rest: after a completion and all idle work.

python -m benchmarks.resident MODEL FILE LINE COLUMN
"""

from __future__ import annotations

import sys
import time

import psutil

from lsp_server.api import Completer

IDLE_SHARE = 0.05  # of one core; below it for a second, nothing is going on any more
MAX_WAIT_S = 120.0


def wait_until_idle(process: psutil.Process) -> None:
    """Return once the process uses next to no processor time.

    Raises:
        TimeoutError: It is still at work after two minutes.
    """
    give_up_at = time.monotonic() + MAX_WAIT_S
    process.cpu_percent()
    while time.monotonic() < give_up_at:
        time.sleep(1)
        if process.cpu_percent() < 100 * IDLE_SHARE:
            return
    raise TimeoutError(f"the engine is still at work after {MAX_WAIT_S:.0f} s")


def main() -> None:
    """Complete once, wait, print."""
    model, path, line, column = sys.argv[1:]
    with Completer(model) as completer:
        completer.complete(path, int(line), int(column))
        process = psutil.Process()
        wait_until_idle(process)
        print(process.memory_info().rss)


if __name__ == "__main__":
    main()
