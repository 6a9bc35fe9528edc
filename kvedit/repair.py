"""What a patch computes beyond the edit itself, so that the model sees the edit.

A kept token was computed from the text as it was. Most of them hardly depend on an edit far away.
Two kinds do: what stands directly behind an edit has stored how the text before it ended (a sentinel
is the extreme: with it stale, the model completes the old cursor), and uses of a name depend on its
definition.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kvedit.plan import PatchPlan
from kvedit.policy import PatchMode, PatchPolicy

_WORD = re.compile(rb"[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]{2,}")
_MAX_EDIT = 64  # more tokens than this are new text, not an edited name
# Names that a line defines, in most languages: behind a keyword, or in front of an equals sign.
_DEFINITION = re.compile(
    rb"\b(?:def|class|fn|func|function|let|const|var|struct|enum|type|interface|trait)\s+"
    rb"(?:mut\s+)?(\w+)|^\s*(?:self\.|this\.)?(\w+)\s*(?::[^=\n]*)?=(?!=)",
    re.MULTILINE,
)
_DEPTHS = {**dict.fromkeys(b"([{", 1), **dict.fromkeys(b")]}", -1)}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a repair has to know of tokens: their text in bytes, and which are sentinels."""

    spell: Callable[[int], bytes]
    sentinel_ids: frozenset[int]


def repaired(
    plan: PatchPlan,
    old_ids: Sequence[int],
    new_ids: Sequence[int],
    policy: PatchPolicy,
    vocabulary: Vocabulary,
) -> PatchPlan:
    """Return ``plan`` with everything that ``policy`` wants computed.

    The last token is always computed, as its logits are what a prompt is computed for.
    """
    last = {len(new_ids) - 1} if new_ids else set()
    return plan.computing(last | repairs(plan, old_ids, new_ids, policy, vocabulary))


def repairs(
    plan: PatchPlan,
    old_ids: Sequence[int],
    new_ids: Sequence[int],
    policy: PatchPolicy,
    vocabulary: Vocabulary,
) -> set[int]:
    """Return the new tokens that ``policy`` wants computed besides those of ``plan``."""
    wanted: set[int] = set()
    edges = list(_edges(plan))
    if edges and policy.includes(PatchMode.SENTINELS):
        wanted.update(edges)
        wanted.update(_sentinels(plan, new_ids, vocabulary))
    if edges and policy.includes(PatchMode.WINDOW):
        wanted.update(_windows(edges, new_ids, policy, vocabulary))
    if edges and policy.includes(PatchMode.IDENTIFIERS):
        wanted.update(_uses(plan, old_ids, new_ids, policy.max_num_uses, vocabulary))
    return wanted


def _edges(plan: PatchPlan) -> Iterator[int]:
    """Yield the first kept token behind each place where something changed, ascending."""
    old_stop = new_stop = 0
    for run in plan.kept:
        if (run.old_start, run.new_start) != (old_stop, new_stop) or run.donor is not None:
            yield run.new_start
        old_stop, new_stop = run.old_stop, run.new_stop


def _sentinels(plan: PatchPlan, new_ids: Sequence[int], vocabulary: Vocabulary) -> Iterator[int]:
    """Yield the sentinels behind the first change, and all that follows the last one."""
    behind = range(plan.num_same, len(new_ids))
    found = [at for at in behind if new_ids[at] in vocabulary.sentinel_ids]
    yield from found
    if found:
        yield from range(found[-1], len(new_ids))


def _windows(
    edges: Sequence[int], new_ids: Sequence[int], policy: PatchPolicy, vocabulary: Vocabulary
) -> Iterator[int]:
    """Yield a stretch behind each edge; many edges get short ones, the last ones first."""
    length = min(policy.window, max(1, policy.max_num_window // len(edges)))
    left = policy.max_num_window
    for edge in reversed(edges):
        stop = _statement_end(edge, length, new_ids, vocabulary.spell)
        stretch = range(edge, min(stop, edge + left))
        left -= len(stretch)
        yield from stretch


def _statement_end(
    start: int, length: int, new_ids: Sequence[int], spell: Callable[[int], bytes]
) -> int:
    """Return where a window of ``length`` ends: at a statement's end if that is near enough."""
    limit = min(len(new_ids), start + 2 * length)
    depth = 0
    for at in range(start, limit):
        text = spell(new_ids[at])
        depth += sum(_DEPTHS.get(byte, 0) for byte in text)
        if at + 1 >= start + length and b"\n" in text and depth <= 0:
            return at + 1
    return min(limit, start + length)


def _uses(
    plan: PatchPlan,
    old_ids: Sequence[int],
    new_ids: Sequence[int],
    max_num_uses: int,
    vocabulary: Vocabulary,
) -> list[int]:
    """Return tokens of later uses of the words that the edit touched, those near the end first."""
    spell = vocabulary.spell
    words = _words_of(_changed_old(plan, len(old_ids)), old_ids, spell)
    words |= _words_of(plan.computed, new_ids, spell)
    if not words:
        return []
    first = plan.num_same
    text, starts = _spelled(new_ids[first:], spell)
    found: list[int] = []
    for match in _WORD.finditer(text):
        if match.group() in words:
            found.extend(first + at for at in _tokens_at(starts, match.start(), match.end()))
    return found[-max_num_uses:] if max_num_uses else []


def _changed_old(plan: PatchPlan, num_old: int) -> list[range]:
    """Return the ranges of old tokens that are gone."""
    gone, at = [], 0
    for run in sorted(
        (run for run in plan.kept if run.donor is None), key=lambda run: run.old_start
    ):
        if run.old_start > at:
            gone.append(range(at, run.old_start))
        at = run.old_stop
    return [*gone, range(at, num_old)] if at < num_old else gone


def _words_of(
    ranges: Sequence[range], token_ids: Sequence[int], spell: Callable[[int], bytes]
) -> set[bytes]:
    """Return the words that the ranges touch, and the names that their lines define."""
    words: set[bytes] = set()
    for part in ranges:
        if len(part) > _MAX_EDIT:
            continue
        lines = _lines_around(part, token_ids, spell)
        text, starts = _spelled(token_ids[lines.start : lines.stop], spell)
        low, high = starts[part.start - lines.start], starts[part.stop - lines.start]
        for match in _WORD.finditer(text):
            if match.end() >= low and match.start() <= high:
                words.add(match.group())
        for match in _DEFINITION.finditer(text):
            words.add(match.group(1) or match.group(2))
    return words


def _lines_around(part: range, token_ids: Sequence[int], spell: Callable[[int], bytes]) -> range:
    """Return ``part`` stretched to whole lines, within reason."""
    start, stop = part.start, part.stop
    first, last = max(0, start - _MAX_EDIT), min(len(token_ids), stop + _MAX_EDIT)
    while start > first and b"\n" not in spell(token_ids[start - 1]):
        start -= 1
    while stop < last and b"\n" not in spell(token_ids[stop]):
        stop += 1
    return range(start, stop)


def _spelled(token_ids: Sequence[int], spell: Callable[[int], bytes]) -> tuple[bytes, list[int]]:
    """Return the text of the tokens, and where each begins, with the end as the last entry."""
    parts = [spell(token_id) or b"\n" for token_id in token_ids]
    starts = [0]
    for part in parts:
        starts.append(starts[-1] + len(part))
    return b"".join(parts), starts


def _tokens_at(starts: Sequence[int], start: int, stop: int) -> range:
    return range(bisect_right(starts, start) - 1, bisect_left(starts, stop))
