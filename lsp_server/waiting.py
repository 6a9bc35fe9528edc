"""How the threads of one product wait for each other; has to be decided before torch is loaded.

By default they spin. On a machine with anything else to do that is ruinous: beside one busy process
of the lowest priority, on two cores, 512 tokens of prompt took 19 s instead of 0.5 s, because the
thread that waits burns the time that the other one needs (benchmarks/results/busy_machine.json). A
short spin costs nothing on a quiet machine, and twice the time on a busy one.
"""

from __future__ import annotations

from collections.abc import MutableMapping

_SPIN_COUNT = "1000"  # of 100, 300, 1000, 3000, 10000: the most that a busy machine bears
_BLOCK_TIME_MS = "0"  # the same for LLVM's runtime, which torch uses on macOS


def wait_politely(environ: MutableMapping[str, str]) -> None:
    """Set how threads wait, unless somebody has decided that already."""
    if "OMP_WAIT_POLICY" not in environ:
        environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
        environ.setdefault("KMP_BLOCKTIME", _BLOCK_TIME_MS)
