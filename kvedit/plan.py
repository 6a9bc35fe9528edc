"""Which tokens of a cache a new text can keep: a diff over token ids.

    old   a b c d e f g          kept       a b | e f g  (moved by +1)
    new   a b X Y Z e f g        computed   X Y Z

Tokens are compared as the characters of strings, because prefixes, searches and the diff itself then
run at the speed of C.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rapidfuzz.distance import Indel

from models.runs import KeptRun, num_unmoved

NUM_SINKS = 4  # the first tokens soak up attention; they are of no use anywhere else
MIN_KEPT_RUN = 8  # behind the first change; fewer equal tokens between changes are often chance
MIN_MOVED_RUN = 32  # a shorter run out of order may be overlooked: it is cheap to compute
_MAX_DIFF = 2048  # beyond this many tokens on a side an anchor is looked for first
_ANCHOR = 24
_MOVED_PROBE = MIN_MOVED_RUN // 2  # one of two neighbouring probes lies inside of a moved run
_NUM_PROBES = 6


@dataclass(frozen=True, slots=True)
class PatchPlan:
    """How to get from one text's cache to another's.

    ``kept`` are runs of old tokens in the order of the new text. ``computed`` are the half-open
    ranges of new tokens between them. Together they cover ``num_tokens`` exactly. ``known`` are the
    ranges of new tokens that the old cache had, whether kept or computed again.
    """

    kept: tuple[KeptRun, ...]
    computed: tuple[range, ...]
    num_tokens: int
    known: tuple[range, ...] = field(default=(), compare=False)

    @property
    def num_same(self) -> int:
        """How many leading tokens stay where they are: the part that stays exact."""
        return num_unmoved(self.kept)

    @property
    def num_computed(self) -> int:
        """How many tokens are to be computed."""
        return sum(map(len, self.computed))

    def computing(self, wanted: Iterable[int]) -> PatchPlan:
        """Return the plan that computes the tokens ``wanted`` as well."""
        indices = {*wanted, *(at for part in self.computed for at in part)}
        kept = [piece for run in self.kept for piece in _without(run, indices)]
        return PatchPlan(tuple(kept), _ranges(indices), self.num_tokens)


def plan_patch(
    old_ids: Sequence[int], new_ids: Sequence[int], *, num_fixed: int = NUM_SINKS
) -> PatchPlan:
    """Return what of the cache of ``old_ids`` serves ``new_ids``.

    Takes any number of insertions, deletions, replacements and moved runs. The longest kept
    subsequence is not promised for texts that differ by thousands of tokens.

    Args:
        old_ids: What the cache holds.
        new_ids: What it is to hold.
        num_fixed: Tokens at the start that are kept in place or not at all: the sinks, the head.
    """
    old, new = _as_text(old_ids), _as_text(new_ids)
    matched = list(_match(old, new, 0, 0))
    matched += _moved(old, new, matched)
    kept = [piece for run in sorted(matched, key=_new_start) for piece in _fixed(run, num_fixed)]
    merged = tuple(run for run in _merged(kept) if run.length >= MIN_KEPT_RUN or not run.new_start)
    computed = _gaps(((run.new_start, run.new_stop) for run in merged), len(new))
    return PatchPlan(merged, tuple(computed), len(new))


def plan_cache_reuse(old_ids: Sequence[int], new_ids: Sequence[int], *, min_run: int) -> PatchPlan:
    """Return the plan of llama.cpp's ``--cache-reuse``, for comparison.

    Behind the common prefix it walks over the old tokens, and shifts runs of ``min_run`` or more
    that equal the new text where it has got to. So deletions are reused and insertions are not.
    """
    old, new = _as_text(old_ids), _as_text(new_ids)
    same = _num_equal_behind(old, 0, new, 0)
    kept = [KeptRun(0, 0, same)] if same else []
    old_at = new_at = same
    while old_at < len(old) and new_at < len(new):
        length = _num_equal_behind(old, old_at, new, new_at)
        if length < min_run:
            old_at += 1
            continue
        kept.append(KeptRun(old_at, new_at, length))
        old_at, new_at = old_at + length, new_at + length
    return PatchPlan(tuple(kept), tuple(_gaps([(0, new_at)], len(new))), len(new))


def find_runs(old_ids: Sequence[int], new_ids: Sequence[int]) -> list[KeptRun]:
    """Return unbroken runs of ``MIN_MOVED_RUN`` tokens or more that both have, in any order."""
    return _moved(_as_text(old_ids), _as_text(new_ids), ())


def _as_text(token_ids: Sequence[int]) -> str:
    return "".join(map(chr, token_ids))


def _match(old: str, new: str, old_at: int, new_at: int) -> Iterator[KeptRun]:
    """Yield runs common to both texts, in order; they begin at ``old_at`` and ``new_at``."""
    head = _num_equal_behind(old, 0, new, 0)
    if head:
        yield KeptRun(old_at, new_at, head)
    old, new = old[head:], new[head:]
    tail = _num_equal_before(old, len(old), new, len(new))
    old_end, new_end = len(old) - tail, len(new) - tail
    yield from _match_between(old[:old_end], new[:new_end], old_at + head, new_at + head)
    if tail:
        yield KeptRun(old_at + head + old_end, new_at + head + new_end, tail)


def _match_between(old: str, new: str, old_at: int, new_at: int) -> Iterator[KeptRun]:
    if not old or not new:
        return
    if max(len(old), len(new)) <= _MAX_DIFF:
        for block in Indel.opcodes(old, new):
            if block.tag == "equal":
                length = block.src_end - block.src_start
                yield KeptRun(old_at + block.src_start, new_at + block.dest_start, length)
        return
    anchor = _longest_anchor(old, new)
    if anchor is None:
        return
    old_start, new_start = anchor.old_start, anchor.new_start
    yield from _match(old[:old_start], new[:new_start], old_at, new_at)
    rest_old, rest_new = old[old_start:], new[new_start:]
    yield from _match(rest_old, rest_new, old_at + old_start, new_at + new_start)


def _longest_anchor(old: str, new: str) -> KeptRun | None:
    """Return the longest common run through one of a few probes, or None if none is found."""
    found: list[KeptRun] = []
    step = max(1, (len(new) - _ANCHOR) // _NUM_PROBES)
    for new_start in range(0, max(1, len(new) - _ANCHOR), step):
        if found and found[-1].new_start <= new_start < found[-1].new_stop:
            continue
        probe = new[new_start : new_start + _ANCHOR]
        old_start = old.find(probe)
        if old_start >= 0 and old.rfind(probe) == old_start:
            found.append(_extended(old, new, old_start, new_start))
    return max(found, key=lambda run: run.length, default=None)


def _extended(old: str, new: str, old_at: int, new_at: int) -> KeptRun:
    back = _num_equal_before(old, old_at, new, new_at)
    ahead = _num_equal_behind(old, old_at, new, new_at)
    return KeptRun(old_at - back, new_at - back, back + ahead)


def _moved(old: str, new: str, matched: Sequence[KeptRun]) -> list[KeptRun]:
    """Return runs of ``MIN_MOVED_RUN`` tokens or more that both texts have, in another order."""
    used = [(run.old_start, run.old_stop) for run in matched]
    found: list[KeptRun] = []
    for gap in _gaps(((run.new_start, run.new_stop) for run in matched), len(new)):
        at = start = gap.start
        while at + _MOVED_PROBE <= gap.stop:
            run = _moved_run(old, new, at, range(start, gap.stop), _gaps(used, len(old)))
            if run is None:
                at += _MOVED_PROBE
                continue
            found.append(run)
            used.append((run.old_start, run.old_stop))
            at = start = run.new_stop
    return found


def _moved_run(
    old: str, new: str, at: int, gap: range, free_old: Sequence[range]
) -> KeptRun | None:
    probe = new[at : at + _MOVED_PROBE]
    for free in free_old:
        start = old.find(probe, free.start, free.stop)
        if start >= 0:
            within_old, within_new = old[free.start : free.stop], new[gap.start : gap.stop]
            run = _extended(within_old, within_new, start - free.start, at - gap.start)
            return KeptRun(run.old_start + free.start, run.new_start + gap.start, run.length)
    return None


def _gaps(covered: Iterable[tuple[int, int]], length: int) -> list[range]:
    """Return what lies in [0, length) outside of the intervals, empty ranges left out."""
    gaps, at = [], 0
    for start, stop in sorted(covered):
        if start > at:
            gaps.append(range(at, start))
        at = max(at, stop)
    return [*gaps, range(at, length)] if at < length else gaps


def _fixed(run: KeptRun, num_fixed: int) -> Iterator[KeptRun]:
    """Yield what may be kept of ``run``: nothing moves out of the fixed part or into it."""
    if run.old_start == run.new_start:
        yield run
        return
    skipped = max(0, num_fixed - min(run.old_start, run.new_start))
    if skipped < run.length:
        yield KeptRun(run.old_start + skipped, run.new_start + skipped, run.length - skipped)


def _merged(runs: Iterable[KeptRun]) -> Iterator[KeptRun]:
    last: KeptRun | None = None
    for run in runs:
        if last and (last.old_stop, last.new_stop) == (run.old_start, run.new_start):
            last = KeptRun(last.old_start, last.new_start, last.length + run.length)
            continue
        if last:
            yield last
        last = run
    if last:
        yield last


def _without(run: KeptRun, indices: set[int]) -> Iterator[KeptRun]:
    """Yield the parts of ``run`` whose new tokens are not among ``indices``."""
    shift = run.old_start - run.new_start
    dropped = ((at, at + 1) for at in indices if run.new_start <= at < run.new_stop)
    for part in _gaps([(0, run.new_start), *dropped], run.new_stop):
        yield KeptRun(part.start + shift, part.start, len(part), run.donor)


def _ranges(indices: Iterable[int]) -> tuple[range, ...]:
    ranges: list[range] = []
    for at in sorted(indices):
        if ranges and ranges[-1].stop == at:
            ranges[-1] = range(ranges[-1].start, at + 1)
        else:
            ranges.append(range(at, at + 1))
    return tuple(ranges)


def _new_start(run: KeptRun) -> int:
    return run.new_start


def _num_equal_behind(first: str, at: int, second: str, other: int) -> int:
    """Return how many characters are equal from ``first[at]`` and ``second[other]`` on."""
    length, step, limit = 0, 32, min(len(first) - at, len(second) - other)
    while length < limit and step:
        take = min(step, limit - length)
        start, begin = at + length, other + length
        if first[start : start + take] == second[begin : begin + take]:
            length, step = length + take, step * 2
        else:
            step = take // 2
            limit = length + take - 1
    return length


def _num_equal_before(first: str, at: int, second: str, other: int) -> int:
    """Return how many characters are equal before ``first[at]`` and ``second[other]``."""
    length, step, limit = 0, 32, min(at, other)
    while length < limit and step:
        take = min(step, limit - length)
        stop, end = at - length, other - length
        if first[stop - take : stop] == second[end - take : end]:
            length, step = length + take, step * 2
        else:
            step = take // 2
            limit = length + take - 1
    return length
