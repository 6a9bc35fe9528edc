"""What a patch did to each token of a prompt, kept as it fell off and read only when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt


class TokenState(StrEnum):
    """What became of one token of a target."""

    EXACT = "exact"
    PATCHED = "patched"
    NEW = "new"
    HEALED = "healed"  # the cache had it, and it was computed again to be exact


@dataclass(frozen=True, slots=True, eq=False)
class TokenFates:
    """What became of each token, in the form that a patch has it anyway.

    ``ages`` are those of the kept tokens, ``places`` those of the computed ones, rising; ``known``
    are ranges of tokens that the cache had before.
    """

    ages: npt.NDArray[np.int32]
    places: Sequence[int]
    known: tuple[range, ...] = ()

    @property
    def num_healed(self) -> int:
        """How many tokens were computed although the cache had them; the last one always is."""
        places = self.places[:-1]
        return sum(
            bisect_left(places, part.stop) - bisect_left(places, part.start) for part in self.known
        )

    def states(self) -> list[TokenState]:
        """Return the state of every token; takes a millisecond, so not while somebody waits."""
        known = {at for part in self.known for at in part}
        last = len(self.ages) + len(self.places) - 1
        states = [TokenState.EXACT] * (last + 1)
        computed = set(self.places)
        for at in computed:
            is_healed = at in known and at != last
            states[at] = TokenState.HEALED if is_healed else TokenState.NEW
        kept = (at for at in range(last + 1) if at not in computed)
        for at, age in zip(kept, self.ages.tolist(), strict=True):
            if age:
                states[at] = TokenState.PATCHED
        return states
