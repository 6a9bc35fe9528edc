"""What llama.vim remembers between requests: answers, and chunks of text for extra context."""

from __future__ import annotations

import random
import re
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.llama_vim_context import LlamaConfig, LocalContext, cache_key

MAX_NUM_TYPED = 128  # how far behind the cursor an answer may have been asked for
MAX_NUM_QUEUED = 16
MIN_NUM_CHUNK_LINES = 3
SAME_AS_NEW_CHUNK = 0.9
SAME_AS_CURSOR = 0.5

Extra = list[dict[str, str | list[int]]]


class CompletionCache:
    """Answers by the hash of their context, the least recently used leave first."""

    def __init__(self, max_num_keys: int) -> None:
        self._max_num_keys = max_num_keys
        self._contents: OrderedDict[str, str] = OrderedDict()

    def put(self, keys: Sequence[str], content: str) -> None:
        """Remember an answer under every key."""
        for key in keys:
            if len(self._contents) >= self._max_num_keys:
                self._contents.popitem(last=False)
            self._contents[key] = content
            self._contents.move_to_end(key)

    def get(self, key: str) -> str | None:
        """Return the answer of a key, which makes it the most recent, or None."""
        content = self._contents.get(key)
        if content is not None:
            self._contents.move_to_end(key)
        return content

    def has_any(self, keys: Sequence[str]) -> bool:
        """Return whether one of the keys has an answer."""
        return any(self.get(key) is not None for key in keys)

    def find(self, context: LocalContext) -> str | None:
        """Return the answer here, or what is left of one that was typed into, or None.

        Of several that fit, the plugin takes the longest rest but never counts the nearest.
        """
        before = context.prefix + context.middle
        exact = self.get(cache_key(before, context.suffix))
        if exact is not None:
            return exact
        found, num_best = None, 0
        for num_typed in range(1, min(MAX_NUM_TYPED, len(before)) + 1):
            earlier = self.get(cache_key(before[:-num_typed], context.suffix))
            if earlier is None or not earlier.startswith(before[-num_typed:]):
                continue
            rest = earlier[num_typed:]
            if rest and found is None:
                found = rest
            elif len(rest) > num_best:
                found, num_best = rest, len(rest)
        return found


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines of a file for the extra context."""

    lines: tuple[str, ...]
    path: str
    time_ms: float


class ChunkRing:
    """Chunks that requests carry, and those that wait to join them one at a time."""

    def __init__(self, config: LlamaConfig, randomness: random.Random) -> None:
        self._config = config
        self._randomness = randomness
        self._chunks: deque[Chunk] = deque(maxlen=config.ring_n_chunks)
        self._queued: deque[Chunk] = deque(maxlen=MAX_NUM_QUEUED)

    @property
    def num_queued(self) -> int:
        """How many chunks wait."""
        return len(self._queued)

    def offer(self, lines: Sequence[str], path: str, now_ms: float) -> None:
        """Queue a part of the lines unless a chunk like it is there."""
        chunk = self._choose(lines, path, now_ms)
        if chunk is not None and not any(
            chunk_similarity(known.lines, chunk.lines) > SAME_AS_NEW_CHUNK
            for known in (*self._queued, *self._chunks)
        ):
            self._queued.append(chunk)

    def replace(self, lines: Sequence[str], path: str, now_ms: float) -> None:
        """Queue a part of the lines in place of the chunks that are like it."""
        chunk = self._choose(lines, path, now_ms)
        if chunk is not None:
            _evict(self._queued, chunk.lines, SAME_AS_NEW_CHUNK)
            _evict(self._chunks, chunk.lines, SAME_AS_NEW_CHUNK)
            self._queued.append(chunk)

    def make_way(self, around_cursor: Sequence[str]) -> None:
        """Drop the chunks that hold much of what surrounds the cursor: they invite repetition."""
        _evict(self._chunks, self._part(around_cursor), SAME_AS_CURSOR)

    def advance(self) -> bool:
        """Let the first queued chunk join; return whether there was one."""
        if not self._queued:
            return False
        self._chunks.append(self._queued.popleft())
        return True

    def extra(self) -> Extra:
        """Return the chunks as a request carries them, oldest first."""
        return [
            {
                "text": "\n".join(chunk.lines) + "\n",
                "time": [int(chunk.time_ms // 1000), int(chunk.time_ms % 1000 * 1_000_000)],
                "filename": chunk.path,
            }
            for chunk in self._chunks
        ]

    def _choose(self, lines: Sequence[str], path: str, now_ms: float) -> Chunk | None:
        if self._config.ring_n_chunks <= 0 or len(lines) < MIN_NUM_CHUNK_LINES:
            return None
        is_small = len(lines) + 1 < self._config.ring_chunk_size
        chunk = tuple(lines) if is_small else self._part(lines)
        if any(known.lines == chunk for known in (*self._queued, *self._chunks)):
            return None
        return Chunk(chunk, path, now_ms)

    def _part(self, lines: Sequence[str]) -> tuple[str, ...]:
        """Return half a chunk's number of lines, and one more, from a random place."""
        half = self._config.ring_chunk_size // 2
        start = self._randomness.randint(0, max(0, len(lines) - half))
        return tuple(lines[start : start + half + 1])


def chunk_similarity(first: Sequence[str], second: Sequence[str]) -> float:
    """Return the plugin's measure of common words, near 0 for none and 1 for the same."""
    first_words, second_words = _words(first), _words(second)
    num_words = len(first_words) + len(second_words)
    if num_words == 0:
        return 1.0
    known = set(first_words)
    return 2.0 * sum(word in known for word in second_words) / num_words


def _words(lines: Sequence[str]) -> list[str]:
    return re.findall(r"[0-9A-Za-z_]+", "\n".join(lines))


def _evict(chunks: deque[Chunk], lines: Sequence[str], threshold: float) -> None:
    kept = [chunk for chunk in chunks if chunk_similarity(chunk.lines, lines) <= threshold]
    chunks.clear()
    chunks.extend(kept)
