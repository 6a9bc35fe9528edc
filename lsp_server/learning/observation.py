"""The values of this package: what was offered, what became of it, and what of both is kept.

None of them has a place for text. An ``Observation`` is what goes to the disk, where names that a
client made up do not go either.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from enum import IntEnum

from lsp_server.metrics import Door

KEPT_AFTER_S = (30, 120, 600)

# Ids and names come from clients, which may send anything at all. Source is never one of these.
_NAME = re.compile(r"[\w+#./ -]{1,64}", re.ASCII)
_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_OTHER = "other"


class Acceptance(IntEnum):
    """How much of a suggestion was taken by the editor's keys for it."""

    NONE = 0
    PART = 1
    ALL = 2


@dataclass(frozen=True, slots=True)
class Offer:
    """A suggestion as a client got it.

    ``num_chars`` and ``num_lines`` are those of its best text. ``latency_ms`` is the time from the
    request to the answer, ``gap_ms`` the pace of typing then. ``is_recorded`` says whether anything of it may be
    kept on disk. What ``is_visible`` counts as shown unless its client tells when it shows something;
    other offers are kept from the first time on that anything is heard of them.
    """

    request_id: str
    door: Door
    num_chars: int
    num_lines: int = 1
    language_id: str = ""
    model: str = ""
    client: str = ""
    source: str = ""
    confidence: float | None = None
    latency_ms: float | None = None
    gap_ms: float | None = None
    is_recorded: bool = True
    is_visible: bool = True


@dataclass(slots=True)
class Reaction:
    """What became of an offer so far.

    ``typed`` means that its first line was typed out. ``kept`` maps seconds after its acceptance to
    the part of the inserted characters that was still there.
    """

    shown: bool = False
    accepted: Acceptance = Acceptance.NONE
    accepted_length: int = 0
    typed: bool = False
    dismissed: bool = False
    kept: dict[int, float] = field(default_factory=dict)

    def as_fields(self) -> dict[str, object]:
        """Return the form in which an explanation shows it."""
        words = {Acceptance.NONE: None, Acceptance.PART: "part", Acceptance.ALL: "all"}
        return {
            "shown": self.shown,
            "accepted": words[self.accepted],
            "accepted_length": self.accepted_length,
            "typed": self.typed,
            "dismissed": self.dismissed,
            "kept": {str(seconds): round(ratio, 4) for seconds, ratio in self.kept.items()},
        }


@dataclass(frozen=True, slots=True)
class Observation:
    """One row of the store; lengths in characters, ``at`` in Unix time.

    ``weight`` is how many suggestions it stands for: old rows are thinned.
    """

    id: str
    at: float
    door: str
    client: str
    language: str
    model: str
    source: str
    confidence: float | None
    num_chars: int
    num_lines: int
    latency_ms: float | None
    gap_ms: float | None
    shown: int
    accepted: int
    accepted_chars: int
    typed: int
    dismissed: int
    kept_30: float | None
    kept_120: float | None
    kept_600: float | None
    weight: int = 1

    @property
    def is_taken(self) -> bool:
        """Whether any of it was accepted, or its first line typed."""
        return bool(self.accepted or self.typed)

    def kept(self, after_s: int) -> float | None:
        """Return the part that was still there ``after_s`` seconds after it was taken, if known."""
        ratio: float | None = getattr(self, f"kept_{after_s}")
        return ratio


def observe(offer: Offer, reaction: Reaction, at: float) -> Observation | None:
    """Return what may be kept of an offer made ``at``; None if that is nothing."""
    if not offer.is_recorded or not _ID.fullmatch(offer.request_id):
        return None
    kept_30, kept_120, kept_600 = (reaction.kept.get(after_s) for after_s in KEPT_AFTER_S)
    return Observation(
        offer.request_id,
        at,
        offer.door.value,
        _name(offer.client),
        _name(offer.language_id),
        _name(offer.model),
        _name(offer.source),
        _finite(offer.confidence),
        offer.num_chars,
        offer.num_lines,
        _finite(offer.latency_ms),
        _finite(offer.gap_ms),
        int(reaction.shown),
        int(reaction.accepted),
        reaction.accepted_length,
        int(reaction.typed),
        int(reaction.dismissed),
        kept_30,
        kept_120,
        kept_600,
    )


def _name(text: str) -> str:
    return text if not text or _NAME.fullmatch(text) else _OTHER


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
