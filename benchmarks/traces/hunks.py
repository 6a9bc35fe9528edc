"""A file's way from one release to the next, cut into the places where somebody worked."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

# Changes this many unchanged lines apart or fewer are one hunk: one stay of the person there.
MAX_NUM_LINES_WITHIN_HUNK = 2


class PartKind(StrEnum):
    """What a part does to whole lines."""

    INSERTION = "insertion"
    DELETION = "deletion"
    REPLACEMENT = "replacement"


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive lines that changed: ``old`` became ``new``; one of them may be empty.

    ``gap`` is the unchanged text between the part before and this one.
    """

    gap: str
    old: str
    new: str
    hunk_idx: int

    @property
    def kind(self) -> PartKind:
        """What the part does."""
        if self.old and self.new:
            return PartKind.REPLACEMENT
        return PartKind.INSERTION if self.new else PartKind.DELETION


@dataclass(frozen=True, slots=True)
class FileDiff:
    """Both texts of a file and everything between them: each part may be shown old or new."""

    parts: tuple[Part, ...]
    tail: str

    @property
    def num_hunks(self) -> int:
        """How many places there are."""
        return self.parts[-1].hunk_idx + 1 if self.parts else 0

    @property
    def new_parts(self) -> list[str]:
        """What each part shows in the later release."""
        return [part.new for part in self.parts]

    def parts_of(self, hunk_idx: int) -> list[int]:
        """Return the indices of a hunk's parts."""
        return [idx for idx, part in enumerate(self.parts) if part.hunk_idx == hunk_idx]

    def text(self, shown: Sequence[str]) -> str:
        """Return the file with ``shown[i]`` in place of part ``i``."""
        between = (part.gap + text for part, text in zip(self.parts, shown, strict=True))
        return "".join(between) + self.tail

    def offsets(self, shown: Sequence[str]) -> list[int]:
        """Return where each part begins in ``text(shown)``."""
        gaps = (len(part.gap) for part in self.parts)
        steps = itertools.chain.from_iterable(zip(gaps, map(len, shown), strict=True))
        return list(itertools.accumulate(steps))[::2]


def lines_of(text: str) -> list[str]:
    r"""Return the lines of ``text`` with their ``\n``, the only line end there is here."""
    *whole, last = text.split("\n")
    return [f"{line}\n" for line in whole] + ([last] if last else [])


def diff_of(before: str, after: str) -> FileDiff:
    """Return the parts that lead from ``before`` to ``after``."""
    old_lines, new_lines = lines_of(before), lines_of(after)
    matcher = difflib.SequenceMatcher(None, old_lines, new_lines, autojunk=False)
    parts: list[Part] = []
    gap: list[str] = []
    hunk_idx = 0
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            gap = new_lines[new_start:new_end]
            continue
        hunk_idx += bool(parts) and len(gap) > MAX_NUM_LINES_WITHIN_HUNK
        old, new = old_lines[old_start:old_end], new_lines[new_start:new_end]
        parts.append(Part("".join(gap), "".join(old), "".join(new), hunk_idx))
        gap = []
    return FileDiff(tuple(parts), "".join(gap))
