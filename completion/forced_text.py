"""Decoding that must begin with given text.

A cursor inside a word, an indentation already typed and an item selected in the editor's list all
mean: the output starts with this text, whatever tokens spell it. The text is handed out again token
by token, only allowing tokens that continue it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

MAX_NUM_SHORTER = 2  # lengths of tokens that spell only a part of the forced text


class TokenIndex:
    """A vocabulary sorted by bytes; built once per tokenizer."""

    def __init__(self, vocab_size: int, token_bytes: Callable[[int], bytes]) -> None:
        """Index the tokens that have text; special tokens (``b""``) are never allowed.

        Args:
            vocab_size: Number of token ids.
            token_bytes: Returns a token's text as UTF-8 bytes, possibly a part of a character.
        """
        entries = sorted(
            (text, token_id) for token_id in range(vocab_size) if (text := token_bytes(token_id))
        )
        self._texts = [text for text, _ in entries]
        self._ids = np.array([token_id for _, token_id in entries], dtype=np.int64)

    def entries(self) -> Iterator[tuple[bytes, int]]:
        """Yield every token that has text, with its id, sorted by text."""
        return zip(self._texts, self._ids.tolist(), strict=True)

    def allowed(self, forced: bytes) -> npt.NDArray[np.int64]:
        """Return the tokens that begin with ``forced``, and the longest that only begin it.

        Any shorter token could spell the text too, but a model has never seen eight spaces spelled
        one by one, and would go on like that. Two lengths are enough: a tokenizer writes an
        indentation as one token, all but its last space, which belongs to the word behind it.
        """
        first = bisect_left(self._texts, forced)
        last = first + _num_with_prefix(self._texts, forced, first)
        shorter: list[int] = []
        for length in range(len(forced) - 1, 0, -1):
            at = bisect_left(self._texts, forced[:length])
            if at < len(self._texts) and self._texts[at] == forced[:length]:
                shorter.append(at)
                if last > first or len(shorter) == MAX_NUM_SHORTER:
                    break
        return np.concatenate([self._ids[first:last], self._ids[shorter]])


def _num_with_prefix(texts: list[bytes], prefix: bytes, first: int) -> int:
    low, high = first, len(texts)
    while low < high:
        middle = (low + high) // 2
        if texts[middle].startswith(prefix):
            low = middle + 1
        else:
            high = middle
    return low - first


class ForcedText:
    """What is left of the text that the output must begin with."""

    def __init__(self, text: str, index: TokenIndex) -> None:
        self._left = text.encode()
        self._index = index

    @property
    def is_done(self) -> bool:
        """Whether generation is free."""
        return not self._left

    def allowed(self) -> npt.NDArray[np.int64]:
        """Return the token ids that may come next; call only while not done."""
        return self._index.allowed(self._left)

    def advance(self, token_text: bytes) -> None:
        """Note that an allowed token was chosen."""
        self._left = self._left[len(token_text) :]
