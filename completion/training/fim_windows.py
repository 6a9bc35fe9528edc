"""Stretches of source files in the form in which a model meets them: most as fill-in-the-middle."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from completion.fim_format import FimFormat, FimOrder, detect_format
from models.tokenizer import Tokenizer

_PLAIN_SHARE = 0.2  # of windows: text from left to right, as in files without a suffix
_PREFIX_SHARE, _SUFFIX_SHARE = 0.4, 0.25  # of a window; the rest is the middle
_BYTES_PER_TOKEN = 5  # of code, more than most: enough text is read for a window

Window = tuple[int, ...]


class FimWindows:
    """Windows of ``num_tokens`` tokens; the one at ``index`` is always the same."""

    def __init__(
        self, tokenizer: Tokenizer, files: Sequence[Path], num_tokens: int, seed: int
    ) -> None:
        self._tokenizer, self._files, self._num_tokens = tokenizer, files, num_tokens
        self._seed = seed
        self._format = detect_format(tokenizer.special_id)

    def __getitem__(self, index: int) -> Window:
        """Return window ``index``, of any non-negative number."""
        choose = random.Random(f"{self._seed} {index}")
        token_ids = self._tokenizer.encode(self._stretch(choose))[: self._num_tokens - 3]
        if self._format is None or choose.random() < _PLAIN_SHARE:
            bos = () if self._tokenizer.bos_id is None else (self._tokenizer.bos_id,)
            return (*bos, *token_ids)
        return tuple(_arranged(self._format, self._sentinel, token_ids))

    def _stretch(self, choose: random.Random) -> str:
        """Return lines of a file, enough for a window where the file has as many."""
        path = self._files[choose.randrange(len(self._files))]
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        num_chars = self._num_tokens * _BYTES_PER_TOKEN
        left, latest = 0, 0
        for at in range(len(lines) - 1, -1, -1):
            left += len(lines[at])
            if left >= num_chars:
                latest = at
                break
        return "".join(lines[choose.randint(0, latest) :])[:num_chars]

    def _sentinel(self, text: str) -> list[int]:
        token_id = self._tokenizer.special_id(text) if text else None
        return [] if token_id is None else [token_id]


def _arranged(
    fim: FimFormat, sentinel: Callable[[str], list[int]], token_ids: Sequence[int]
) -> list[int]:
    """Return ``token_ids`` with their middle moved to the end."""
    start = int(len(token_ids) * _PREFIX_SHARE)
    stop = int(len(token_ids) * (1 - _SUFFIX_SHARE))
    prefix = [*sentinel(fim.prefix), *token_ids[:start]]
    suffix = [*sentinel(fim.suffix), *token_ids[stop:]]
    around = [*prefix, *suffix] if fim.order is FimOrder.PSM else [*suffix, *prefix]
    return [*around, *sentinel(fim.middle), *token_ids[start:stop]]
