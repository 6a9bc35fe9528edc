"""Where the user edited last, wherever that was in the workspace.

Kept are places, not texts: what is shown is what stands there now. Places move with the edits in
front of them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.duplicates import num_lines
from retrieval.snippet import Snippet, SnippetSource
from retrieval.sources import LinesOf


@dataclass(frozen=True, slots=True)
class RecentEditsRules:
    """How edits become regions, and how many of those are remembered and shown.

    Edits that overlap are one region, and so are those that lie within ``num_lines_apart`` and
    ``pause_s`` of each other. Regions less than ``num_lines_near`` from the cursor are not shown.
    More than ``max_num_edits`` at once are the work of a tool.
    """

    max_num_files: int = 20
    max_num_regions: int = 8
    max_num_lines: int = 20
    num_context_lines: int = 3
    num_lines_near: int = 40
    num_lines_apart: int = 8
    pause_s: float = 30.0
    max_num_edits: int = 32


DEFAULT_RULES = RecentEditsRules()


@dataclass(slots=True)
class _Region:
    """Lines ``[start, end)``; ``last`` is the one that was edited last, ``time_s`` says when."""

    start: int
    end: int
    last: int
    time_s: float

    def distance(self, start: int, end: int) -> int:
        """Return how many lines lie between this and ``[start, end)``; 0 or less if none."""
        return max(self.start - end, start - self.end)

    def follow(self, first: int, num_removed: int, num_added: int) -> None:
        """Move with an edit that begins in the line ``first``."""

        def moved(line: int) -> int:
            if line <= first:
                return line
            return max(first + 1, line + num_added - num_removed)

        self.start, self.end, self.last = moved(self.start), moved(self.end), moved(self.last)


class RecentEdits:
    """The places of a workspace's last edits. Every method may be called from any thread."""

    def __init__(self, rules: RecentEditsRules = DEFAULT_RULES) -> None:
        self._rules = rules
        self._lock = threading.Lock()
        self._regions: OrderedDict[str, list[_Region]] = OrderedDict()

    def note(
        self, path: str, text: str, edits: Sequence[tuple[int, int, str]], time_s: float
    ) -> None:
        """Take in that someone edited ``path``.

        Args:
            path: Relative to the workspace's folder.
            text: The document as it was before.
            edits: (start, end, inserted), each in the offsets that its predecessors left.
            time_s: When, on the clock that ``snippets`` is asked with.
        """
        if len(edits) > self._rules.max_num_edits:
            self.forget(path)
            return
        with self._lock:
            regions = self._regions.setdefault(path, [])
            self._regions.move_to_end(path)
            for at, (start, end, inserted) in enumerate(edits):
                first = text.count("\n", 0, start)
                num_removed, num_added = text.count("\n", start, end), inserted.count("\n")
                self._take(regions, first, num_removed, num_added, time_s)
                if at + 1 < len(edits):  # most come alone, and a document may be long
                    text = f"{text[:start]}{inserted}{text[end:]}"
            while len(self._regions) > self._rules.max_num_files:
                self._regions.popitem(last=False)

    def forget(self, path: str) -> None:
        """Drop what is known of a file that was deleted, or changed by something else."""
        with self._lock:
            self._regions.pop(path, None)

    def snippets(self, lines_of: LinesOf, path: str, line: int, now_s: float) -> list[Snippet]:
        """Return the regions that are not near to ``line`` of ``path``, the newest first.

        Scores fall with age, from 1 to 0.
        """
        with self._lock:
            found = [
                (region.time_s, edited, *self._shown(region))
                for edited, regions in self._regions.items()
                for region in regions
                if edited != path or region.distance(line, line + 1) >= self._rules.num_lines_near
            ]
        found.sort(reverse=True)
        snippets: list[Snippet] = []
        for time_s, edited, start, end in found:
            text = lines_of(edited, start, end)
            if text and not text.isspace():
                snippets.append(_snippet(edited, start, text, now_s - time_s))
            if len(snippets) == self._rules.max_num_regions:
                break
        return snippets

    def _take(
        self, regions: list[_Region], first: int, num_removed: int, num_added: int, time_s: float
    ) -> None:
        """Move ``regions`` with an edit, and add it to one of them or as a new one."""
        for region in regions:
            region.follow(first, num_removed, num_added)
        edit = _Region(first, first + num_added + 1, first + num_added, time_s)
        joined = [region for region in regions if self._is_one(region, edit)]
        edit.start = min(region.start for region in (edit, *joined))
        edit.end = max(region.end for region in (edit, *joined))
        left = [region for region in regions if region not in joined and region.start < region.end]
        regions[:] = [*left, edit]
        del regions[: -self._rules.max_num_regions]

    def _is_one(self, region: _Region, edit: _Region) -> bool:
        distance = region.distance(edit.start, edit.end)
        is_soon = edit.time_s - region.time_s <= self._rules.pause_s
        return distance <= (self._rules.num_lines_apart if is_soon else -1)

    def _shown(self, region: _Region) -> tuple[int, int]:
        """Return the lines to show, as many as are allowed, up to the one that was edited last."""
        rules = self._rules
        start, end = region.start, region.end
        if end - start > rules.max_num_lines:
            end = max(region.last + 1, start + rules.max_num_lines)
            start = end - rules.max_num_lines
        return max(0, start - rules.num_context_lines), end + rules.num_context_lines


def _snippet(path: str, start: int, text: str, age_s: float) -> Snippet:
    minutes = int(max(age_s, 0.0) // 60)
    return Snippet(
        path,
        start,
        start + num_lines(text),
        text,
        1.0 / (1 + minutes),
        SnippetSource.RECENT_EDIT,
        f"edited {_ago(minutes)}",
    )


def _ago(minutes: int) -> str:
    if minutes < 1:
        return "just now"
    count, unit = (minutes, "minute") if minutes < 60 else (minutes // 60, "hour")
    return f"{count} {unit}{'s' if count > 1 else ''} ago"
