"""The unit of retrieval: a few lines of a file that belong together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines ``[start_line, end_line)`` of a file, 0-based, with their line ends.

    ``header`` names what encloses them, outermost first, each as the line that opens it:
    ``("class Cache:", "def get(self, key):")``. Empty at top level.
    """

    start_line: int
    end_line: int
    header: tuple[str, ...]
    text: str
    _key: int | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def key(self) -> int:
        """64 bits of a hash of header and text: equal for equal content, wherever it stands."""
        if self._key is None:
            content = "\n".join((*self.header, self.text)).encode("utf-8", "surrogatepass")
            digest = hashlib.blake2b(content, digest_size=8).digest()
            object.__setattr__(self, "_key", int.from_bytes(digest, "little"))
        assert self._key is not None
        return self._key

    def moved_to(self, start_line: int) -> Chunk:
        """Return the same content at another place, with its key if that was computed."""
        if start_line == self.start_line:
            return self
        end_line = start_line + self.end_line - self.start_line
        moved = Chunk(start_line, end_line, self.header, self.text)
        object.__setattr__(moved, "_key", self._key)
        return moved
