"""How many threads faiss takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def one_thread() -> Iterator[Any]:
    """Give faiss with the calling thread for its only one, so that it takes no core from a model.

    OpenMP keeps this number for each calling thread, and some builds share the runtime with torch:
    so it is set around a call and set back. The import waits until here, for it costs 100 ms.
    """
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield faiss
    finally:
        faiss.omp_set_num_threads(before)
