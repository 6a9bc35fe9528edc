"""What each policy does with the cache of a text that was edited: cost, and the next line.

The text before the edit is cached. Every policy gets a copy of that cache, brings it up to the text
behind the edit, and continues it to the end of the line. Full recomputation of the same text, in an
empty cache, is the oracle.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass

import torch
from rapidfuzz import fuzz
from torch import Tensor

from benchmarks.left_to_right_cases import NextLineCase
from benchmarks.left_to_right_rows import Cost, Measured
from kvedit.drift import compare
from kvedit.patch import CachePatcher, PatchTarget
from kvedit.policy import PatchMode, PatchPolicy
from kvedit.repair import Vocabulary
from models.decoder import Decoder
from models.slots import SlotTable

FULL = "full"
PATCHED = {
    "conflict": PatchPolicy(PatchMode.STALE),  # the paper's name for keys that are left unrotated
    "pie": PatchPolicy(PatchMode.ROTATE),
    "fimble": PatchPolicy(),  # before healing, which nothing here waits for
}
# Full recomputation once more, in passes of another size: the same arithmetic, rounded differently.
# What it changes is the noise of the engine, under which nothing can be told from the oracle.
CONTROL = "exact_again"
CONTROL_ROWS = 96
POLICIES = (FULL, *PATCHED, CONTROL)
_ALL_ANEW = PatchPolicy(PatchMode.FULL)
_MAX_NUM_FURTHER = 8  # slots beyond the text and the line


@dataclass(frozen=True, slots=True)
class TokenCase:
    """A text before and after an edit, in tokens."""

    case_id: str
    kind: str
    num_context: int
    before: PatchTarget
    after: PatchTarget

    @property
    def num_slots(self) -> int:
        """How many tokens the longer text has."""
        return max(len(self.before.token_ids), len(self.after.token_ids))


@dataclass(frozen=True, slots=True, eq=False)
class Updated:
    """What became of a cache: the logits behind its text, and the tokens of the line they begin.

    ``ms`` is how long it took to the logits.
    """

    logits: Tensor
    line_ids: tuple[int, ...]
    num_computed: int
    num_stale: int
    ms: float


class EditBench:
    """Caches of one network."""

    def __init__(
        self,
        decoder: Decoder,
        spell: Callable[[int], bytes],
        *,
        num_slots: int,
        num_rows: int,
        max_num_line_tokens: int,
    ) -> None:
        """Make room for the longest case.

        Args:
            decoder: The network.
            spell: Returns the text of a token, nothing for control tokens.
            num_slots: Tokens of the longest text.
            num_rows: Rows of one pass, at most.
            max_num_line_tokens: How many are decoded; 0 to look at costs only.
        """
        self._decoder, self._spell = decoder, spell
        self._capacity = num_slots + max_num_line_tokens + _MAX_NUM_FURTHER
        self._pool = decoder.new_pool(1 + 2 * self._capacity)
        vocabulary = Vocabulary(spell, frozenset())  # left-to-right text has no sentinels
        self._patcher = CachePatcher(decoder, self._pool, vocabulary, num_rows)
        self._control = CachePatcher(decoder, self._pool, vocabulary, CONTROL_ROWS)
        self._max_num_line_tokens = max_num_line_tokens
        self._turn = 0

    def run(self, case: TokenCase) -> dict[str, Updated]:
        """Return what each of ``POLICIES`` does with ``case``."""
        found: dict[str, Updated] = {}
        with closing(SlotTable(self._pool, self._capacity)) as fresh:
            found[FULL] = self._updated(fresh, case.after, _ALL_ANEW, self._patcher)
            cached = self._copy(fresh)
        with closing(cached):
            # Only what is behind the first change is computed: bit for bit the same as all of it
            # but for the sizes of passes.
            exactly = PatchPolicy(PatchMode.EXACT)
            self._patcher.update(cached, case.before, exactly, _go_on)
            for name in self._in_turn():
                with closing(self._copy(cached)) as table:
                    found[name] = self._updated(table, case.after, PATCHED[name], self._patcher)
        with closing(SlotTable(self._pool, self._capacity)) as fresh:
            found[CONTROL] = self._updated(fresh, case.after, _ALL_ANEW, self._control)
        return found

    def _in_turn(self) -> list[str]:
        """Return the patched policies, another one first each time: the first is a little slower."""
        names = list(PATCHED)
        self._turn = (self._turn + 1) % len(names)
        return names[self._turn :] + names[: self._turn]

    def _copy(self, table: SlotTable) -> SlotTable:
        """Return the same cache once more; a session owns its cache, so this is no part of a patch."""
        copy = SlotTable(self._pool, self._capacity, head=table)
        copy.consolidate()
        return copy

    def _updated(
        self, table: SlotTable, target: PatchTarget, policy: PatchPolicy, patcher: CachePatcher
    ) -> Updated:
        started = self._now()
        hidden, report = patcher.update(table, target, policy, _go_on)
        logits = self._decoder.logits(hidden)[0]
        ms = (self._now() - started) * 1000
        line_ids = tuple(self._line(table, logits))
        return Updated(logits, line_ids, report.num_new, report.num_patched, ms)

    def _now(self) -> float:
        """Return the time in seconds when the device has done all that it was given."""
        if self._decoder.device.type == "cuda":
            torch.cuda.synchronize(self._decoder.device)
        return time.perf_counter()

    def _line(self, table: SlotTable, logits: Tensor) -> Iterator[int]:
        """Yield the likeliest tokens behind ``table`` up to a line break or a control token."""
        for _ in range(self._max_num_line_tokens):
            token_id = int(logits.argmax())
            if self._spell(token_id):
                yield token_id
            if self._spell(token_id) == b"" or b"\n" in self._spell(token_id):
                return
            hidden = self._decoder.forward(table.stage([token_id]), self._pool)
            table.commit()
            logits = self._decoder.logits(hidden)[0]


def costs_of(
    network: str, device: str, case: TokenCase, found: Mapping[str, Updated]
) -> dict[str, Cost]:
    """Return a row for each policy."""
    return {
        policy: Cost(
            network=network,
            device=device,
            case_id=case.case_id,
            kind=case.kind,
            num_context=case.num_context,
            policy=policy,
            num_tokens=len(case.after.token_ids),
            num_computed=updated.num_computed,
            num_stale=updated.num_stale,
            ms=updated.ms,
            full_ms=found[FULL].ms,
        )
        for policy, updated in found.items()
    }


def measured(
    case: NextLineCase,
    costs: Mapping[str, Cost],
    found: Mapping[str, Updated],
    spell: Callable[[int], bytes],
) -> Iterator[Measured]:
    """Yield the whole row of each policy."""
    lines = {policy: line_of(updated, spell) for policy, updated in found.items()}
    for policy, updated in found.items():
        drift = compare(found[FULL].logits, updated.logits)
        yield Measured(
            **asdict(costs[policy]),
            setting=case.setting,
            language=case.language,
            kl=drift.kl,
            is_same_top=drift.is_same_top,
            is_same_line=lines[policy] == lines[FULL],
            is_match=is_match(lines[policy], case.truth),
            edit_similarity=edit_similarity(lines[policy], case.truth),
            line=lines[policy],
        )


def line_of(updated: Updated, spell: Callable[[int], bytes]) -> str:
    """Return the text of a line without what its last token says of the next one."""
    return b"".join(map(spell, updated.line_ids)).decode(errors="replace").partition("\n")[0]


def is_match(line: str, truth: str) -> bool:
    """Whether both are the same words, which is what RepoBench counts."""
    return line.split() == truth.split()


def edit_similarity(line: str, truth: str) -> float:
    """Return how alike two lines are, 0 to 100, as RepoBench counts it."""
    return fuzz.ratio(line.strip(), truth.strip())


def _go_on() -> None:
    """Never interrupt."""
