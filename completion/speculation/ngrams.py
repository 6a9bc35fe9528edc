"""Drafts from counts of n-grams: what followed the last two tokens in the user's own texts.

In the spirit of ADED's tri-gram matrix (arXiv 2407.12021), but of this repository: names, idioms and
habits that stand in no text at hand, and so cannot be copied. Where a pair of tokens was never seen, the
last token alone is asked. Behind a known pair that would add next to nothing, and it is left out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from completion.speculation.draft_store import Arrays
from completion.speculation.followers import TOKEN_BITS, FollowerCounts
from completion.speculation.source import DraftPlace, DraftSource, Proposal
from completion.speculation.windows import KnownWindows

_CAPACITY = 120_000  # followers, 10 bytes each
_WINDOW_BITS = 18  # 512 KB
_NUM_PROPOSALS = 3
_ANY = (1 << TOKEN_BITS) - 1  # in a context's first place: whatever the token there was
# Of a follower's share of its context's counts, with one more count that was something else: what was
# seen once is 0.5. Given this share its rank says nothing more, so there are no grades for it.
_SHARES = (0.1, 0.2, 0.35, 0.5, 0.6, 0.75, 0.9)
_OF_PAIRS = (0.04, 0.09, 0.17, 0.33, 0.37, 0.6, 0.8, 0.9)  # right ones, by the bucket of the share
_OF_SINGLES = (0.05, 0.08, 0.13, 0.27, 0.24, 0.4, 0.5, 0.7)


class RepositoryNgrams(DraftSource):
    """Followers of pairs of tokens, and of single ones, in texts that were learnt.

    A text that comes again, whole or in part, is not counted again while it is remembered
    (``KnownWindows``).
    """

    name = "ngrams"
    grades = (*_OF_PAIRS, *_OF_SINGLES)

    def __init__(
        self, vocab_size: int, capacity: int = _CAPACITY, window_bits: int = _WINDOW_BITS
    ) -> None:
        """Count up to ``capacity`` followers, and remember 2 ** ``window_bits`` tokens as learnt."""
        if vocab_size > _ANY:
            raise ValueError(f"a vocabulary of {vocab_size} tokens: counts hold up to {_ANY}")
        self._vocab_size = vocab_size
        self._followers = FollowerCounts(capacity)
        self._windows = KnownWindows(window_bits)

    @property
    def num_bytes(self) -> int:
        """The memory that is taken."""
        return self._followers.num_bytes + self._windows.num_bytes

    def propose(self, place: DraftPlace) -> list[Proposal]:
        """See ``DraftSource``: up to three followers, those of the pair if it is known."""
        tail = place.tail
        if len(tail) > 1:
            found = self._proposals(tail[-2], tail[-1], 0)
            if found:
                return found
        return self._proposals(_ANY, tail[-1], len(_OF_PAIRS)) if tail else []

    def learn_text(self, token_ids: Sequence[int] | npt.NDArray[np.integer]) -> None:
        """Count what follows what in a prompt, a document or an accepted output.

        For when nothing else is to do: a text of 1,000 tokens takes about half a millisecond.
        An output is best learnt with the tokens in front of it, else it looks like another text
        when it comes again as part of the document.
        """
        text = np.asarray(token_ids, dtype=np.int64)
        if len(text) and not 0 <= text.min() <= text.max() < self._vocab_size:
            found = f"from {text.min()} to {text.max()}"
            raise ValueError(f"tokens {found} are not of a vocabulary of {self._vocab_size}")
        new = np.flatnonzero(self._windows.are_new(text))
        behind_pair, behind_single = new[new > 1], new[new > 0]
        pairs = text[behind_pair - 2] << TOKEN_BITS | text[behind_pair - 1]
        singles = _ANY << TOKEN_BITS | text[behind_single - 1]
        followers = np.concatenate([text[behind_pair], text[behind_single]])
        self._followers.add(np.concatenate([pairs, singles]), followers)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return what was learnt; not to be changed."""
        keys, counts = self._followers.arrays()
        return {"keys": keys, "counts": counts, "windows": self._windows.array()}

    def restore(self, arrays: Arrays) -> None:
        """Know what another object's ``arrays`` held, and nothing else.

        Raises KeyError or ValueError for what cannot be those.
        """
        keys, counts, windows = arrays["keys"], arrays["counts"], arrays["windows"]
        followers = FollowerCounts(self._followers.capacity)
        followers.restore(keys, counts)
        if (keys.astype(np.int64) & _ANY >= self._vocab_size).any():
            raise ValueError(f"followers are not in the vocabulary of {self._vocab_size}")
        self._windows.restore(windows)
        self._followers = followers

    def _proposals(self, first: int, second: int, first_grade: int) -> list[Proposal]:
        context = first << TOKEN_BITS | second
        followers, total = self._followers.likeliest(context, _NUM_PROPOSALS)
        return [
            Proposal(token_id, first_grade + bisect_right(_SHARES, count / (total + 1)))
            for token_id, count in followers
        ]
