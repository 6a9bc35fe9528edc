"""Documents that are to be forgotten, but not under a request that is at work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable


class Forgetting:
    """Forgets each document once no request uses it. Event loop only.

    Forgetting takes the engine from whatever uses the document. A client would be sent away because
    others, with more documents than are kept, asked at the same time.
    """

    def __init__(self, forget: Callable[[str], None]) -> None:
        """``forget`` is told the key of each document whose time has come."""
        self._forget = forget
        self._num_using: Counter[str] = Counter()
        self._to_forget: set[str] = set()

    def forget(self, key: str) -> None:
        """Forget the document ``key``, now or when its last request has ended."""
        if self._num_using[key]:
            self._to_forget.add(key)
        else:
            self._forget(key)

    def begin(self, key: str) -> None:
        """Note that a request uses the document, which is wanted again if it was given up."""
        self._num_using[key] += 1
        self._to_forget.discard(key)

    def end(self, key: str) -> None:
        """Note that a request of ``begin`` has ended."""
        self._num_using[key] -= 1
        if self._num_using[key]:
            return
        del self._num_using[key]
        if key in self._to_forget:
            self._to_forget.discard(key)
            self._forget(key)
