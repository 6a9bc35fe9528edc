"""What a source of drafts is: it names tokens that may come next, and how good its evidence is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from models.slots import SlotTable

MAX_NUM_TAIL_TOKENS = 24  # of a text before a place: what a source may look at


@dataclass(frozen=True, slots=True)
class DraftPlace:
    """A place behind some tokens.

    ``tail`` holds the last ``MAX_NUM_TAIL_TOKENS`` of prompt and output, ``output`` all tokens since
    the prompt.
    """

    tail: tuple[int, ...]
    output: tuple[int, ...]

    def behind(self, token_id: int) -> DraftPlace:
        """Return the place behind one more token."""
        tail = (*self.tail, token_id)[-MAX_NUM_TAIL_TOKENS:]
        return DraftPlace(tail, (*self.output, token_id))


@dataclass(frozen=True, slots=True)
class Proposal:
    """A token that may come next.

    ``grade`` says how good the evidence is: an index into the source's ``grades``.
    """

    token_id: int
    grade: int


@dataclass(frozen=True, slots=True)
class VerifiedPass:
    """What a pass has shown: ``likeliest`` [num_rows, k] are the model's tokens behind each row.

    ``token_ids`` are the last token of the text and the drafts behind it, rejected ones among them.
    ``contexts`` are the tokens in front of each row, None where there is none.
    """

    token_ids: Sequence[int]
    contexts: Sequence[int | None]
    likeliest: npt.NDArray[np.int64]


@dataclass(slots=True, eq=False)
class DraftCache:
    """What a request has computed so far, for sources that compute themselves.

    ``table`` holds the text whose keys and values are there: the prompt and a part of the output,
    or, before the prompt's last pass, a part of the prompt ``prompt_ids``. ``state`` [hidden_size] is
    the network's final one, from which the last token was chosen, None if that is not known.
    """

    table: SlotTable
    prompt_ids: Sequence[int]
    state: Tensor | None = None


class DraftSource(ABC):
    """Proposes tokens. Engine thread only.

    ``name`` is shown in traces. ``grades`` holds, for each grade of evidence, the share of
    proposals that is assumed to be right before any was seen. ``cost`` is what one call of
    ``propose`` takes, as a share of a pass over one row; 0 for table lookups. One that ``learns``
    is told what passes have shown.
    """

    name: str
    grades: Sequence[float]
    cost: float = 0.0
    learns: bool = False

    @abstractmethod
    def propose(self, place: DraftPlace) -> Sequence[Proposal]:
        """Return tokens that may come at ``place``, the likeliest first, each once."""

    def attach(self, cache: DraftCache) -> None:  # noqa: B027 - tables need no cache
        """Take in whose drafts the next calls of ``propose`` are for; called before each pass."""

    def learn(self, verified: VerifiedPass) -> None:  # noqa: B027 - most sources have nothing to learn
        """Take in what a pass has shown."""
