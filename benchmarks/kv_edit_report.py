"""The table, the figures and the plot of ``benchmarks.kv_edit``."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.kv_policies import Measured


def report(rows: Sequence[Measured], num_threads: int) -> None:
    """Write the result of ``rows``."""
    del num_threads
    print(len(rows))
