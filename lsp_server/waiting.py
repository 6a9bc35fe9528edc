"""How the threads of one product wait for each other; has to be decided before torch is loaded.

By default they spin, and a thread that spins burns the time that the one it waits for needs, if the
machine has anything else to do. Beside one busy process, on two cores, a decode step took 44 ms with
spinning threads and 31 ms with a short spin; on a quiet machine 16 and 17 ms
(benchmarks/results/busy_machine.json). Beside several, 512 tokens of prompt were seen to take 4 to
19 s instead of 0.5 s.
"""

from __future__ import annotations

from collections.abc import MutableMapping

_SPIN_COUNT = "1000"  # the most, of 100 to 30,000 tried, that a busy machine bore
_BLOCK_TIME_MS = "0"  # the same for LLVM's runtime, which torch uses on macOS


def wait_politely(environ: MutableMapping[str, str]) -> None:
    """Set how threads wait, unless somebody has decided that already."""
    if "OMP_WAIT_POLICY" not in environ:
        environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
        environ.setdefault("KMP_BLOCKTIME", _BLOCK_TIME_MS)
