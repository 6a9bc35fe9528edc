"""What each way of keeping a cache does with one edit: what it computes, and what it then answers.

The prompt before an edit is computed once. Every policy gets a copy of that cache, brings it up to
the prompt behind the edit, and continues it to the end of the line. Full recomputation of the same
prompt is the oracle: its distribution of the first token, and its line.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks.traces.case import EditCase, EditCategory
from completion.config import EngineConfig, PromptConfig
from completion.decoding import GenerationParams
from completion.fim_format import Layout
from completion.generation import GenerationHooks, Generator
from completion.prompt import CHUNK, FimPrompt, PromptBuilder
from completion.speculation.costs import PassCosts
from completion.speculation.drafter import Drafter
from completion.speculation.lasting import LastingSources
from completion.types import CompletionRequest, DocumentSnapshot, TriggerKind
from completion.verbatim import VerbatimMonitor
from completion.windows import StickyWindows
from kvedit.drift import compare
from kvedit.patch import CachePatcher
from kvedit.policy import PatchMode, PatchPolicy
from kvedit.repair import Vocabulary
from kvedit.shared import SharedCache
from kvedit.surroundings import WORK_TOKENS, Surroundings
from models.loader import LoadedModel
from models.runs import Donor
from models.slots import SlotTable

MAX_NUM_LINE_TOKENS = 24
NUM_AROUND, NUM_SHARED = EngineConfig().around_tokens, EngineConfig().chunk_tokens
MIN_NUM_PROMPT_SHARE = 0.6  # shorter documents say little about a prompt of that size


@dataclass(frozen=True, slots=True)
class Variant:
    """A policy in a layout, under the name that tables show."""

    name: str
    layout: Layout
    policy: PatchPolicy
    num_rows: int = 256  # of one pass
    uses_rest: bool = False  # finds the surroundings and the chunks that were computed at rest


def _variant(name: str, layout: Layout, mode: PatchMode, **measures: int) -> Variant:
    return Variant(name, layout, PatchPolicy(mode, **measures))


# The seven of the comparison. Full recomputation is the oracle of each layout.
BASELINES = (
    _variant("psm exact prefix", Layout.PSM, PatchMode.EXACT),
    _variant("psm stale suffix", Layout.PSM, PatchMode.STALE),
    _variant("psm rotation", Layout.PSM, PatchMode.ROTATE),
    _variant("psm cache-reuse", Layout.PSM, PatchMode.CACHE_REUSE),
)
LAYOUT_ONLY = _variant("layout only", Layout.LINE, PatchMode.EXACT)
OURS = Variant("fimble", Layout.LINE, PatchPolicy(), uses_rest=True)
VARIANTS = (*BASELINES, LAYOUT_ONLY, OURS)
# Full recomputation once more, in passes of another size: the same arithmetic, rounded differently.
# What it changes is the noise of the engine, under which nothing can be told from the oracle.
CONTROL = Variant("exact again", Layout.LINE, PatchPolicy(PatchMode.FULL), num_rows=96)
OTHER_LAYOUTS = (
    _variant("psm patched", Layout.PSM, PatchMode.IDENTIFIERS),
    _variant("efim layout", Layout.EFIM, PatchMode.EXACT),
    _variant("efim patched", Layout.EFIM, PatchMode.IDENTIFIERS),
    _variant("spm layout", Layout.SPM, PatchMode.EXACT),
    _variant("spm patched", Layout.SPM, PatchMode.IDENTIFIERS),
)
LADDER = (
    _variant("rotate", Layout.LINE, PatchMode.ROTATE),
    _variant("sentinels", Layout.LINE, PatchMode.SENTINELS),
    *(
        _variant(
            f"window {width}", Layout.LINE, PatchMode.WINDOW, window=width, max_num_window=3 * width
        )
        for width in (8, 16, 32)
    ),
    _variant("identifiers", Layout.LINE, PatchMode.IDENTIFIERS),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One policy on one case.

    ``num_stale`` tokens are left for healing; ``num_at_rest`` were computed before the edit, while
    nobody waited.
    """

    case_id: str
    category: str
    language: str
    num_context: int
    variant: str
    layout: str
    num_tokens: int
    num_computed: int
    num_stale: int
    num_at_rest: int
    full_ms: float
    before_decoding_ms: float
    kl: float
    is_same_top: bool
    is_same_line: bool
    is_match: bool
    is_oracle_match: bool
    line: str


@dataclass(frozen=True, slots=True)
class _Answer:
    line: str
    logits: Tensor
    num_tokens: int
    num_computed: int
    num_stale: int
    before_decoding_ms: float


class _Rest:
    """What was computed at rest."""

    def __init__(self, around: Surroundings | None = None, num_tokens: int = 0) -> None:
        self._around, self.num_tokens = around, num_tokens

    @property
    def donors(self) -> tuple[Donor, ...]:
        return () if self._around is None else (self._around.stored,)

    def close(self) -> None:
        if self._around is not None:
            self._around.close()


class PolicyBench:
    """One model, one size of prompt."""

    def __init__(self, model: LoadedModel, num_context: int) -> None:
        self._model, self._num_context = model, num_context
        self._prompts = {
            layout: PromptBuilder(
                model.tokenizer, PromptConfig(max_num_tokens=num_context, layout=layout)
            )
            for layout in Layout
        }
        self._capacity = num_context + MAX_NUM_LINE_TOKENS + 128
        num_slots = 3 * self._capacity + WORK_TOKENS + NUM_SHARED + 128
        self._pool = model.decoder.new_pool(1 + num_slots)
        self._shared = SharedCache(model.decoder, self._pool, NUM_SHARED)
        self._work = SlotTable(self._pool, WORK_TOKENS)
        sentinels = self._prompts[Layout.LINE].sentinel_ids
        self._vocabulary = Vocabulary(model.tokenizer.token_bytes, sentinels)
        self._generators: dict[tuple[int, bool], Generator] = {}
        self._params = GenerationParams(
            MAX_NUM_LINE_TOKENS, self._prompts[Layout.LINE].stop_ids, is_distinct=False
        )

    def run(self, case: EditCase, layout: Layout, variants: Sequence[Variant]) -> list[Measured]:
        """Return what each of ``variants``, all of ``layout``, does with ``case``.

        Empty if the document is too short for the size of the prompt.
        """
        before, after = self._prompt_pair(case, layout)
        if len(after.token_ids) < MIN_NUM_PROMPT_SHARE * self._num_context:
            return []
        cached, rest = SlotTable(self._pool, self._capacity), _Rest()
        exact = Variant("", layout, PatchPolicy(PatchMode.EXACT))
        try:
            started = time.perf_counter()
            generator = self._generator(exact)
            generator.prefill(cached, before.target(), exact.policy, _go_on)
            full_ms = (time.perf_counter() - started) * 1000
            # Only what is behind the first change is computed: bit for bit the same as all of it
            # but for the sizes of passes.
            oracle = self._answer(cached, after, exact)
            if any(variant.uses_rest for variant in variants):
                rest = self._at_rest(case, before, after, cached)
            answers = [
                (variant, oracle)
                if variant.policy.mode is PatchMode.EXACT
                else (variant, self._answer(cached, after, variant, rest))
                for variant in variants
            ]
        finally:
            cached.close()
            rest.close()
        return [
            self._measured(case, variant, found, oracle, (full_ms, rest.num_tokens))
            for variant, found in answers
        ]

    def _at_rest(
        self, case: EditCase, before: FimPrompt, after: FimPrompt, cached: SlotTable
    ) -> _Rest:
        """Compute what fimble computes while nothing happens: where to jump, chunks known before."""
        if case.category is EditCategory.JUMP:
            document = DocumentSnapshot(case.path, 1, case.language_id, case.before, case.path)
            request = CompletionRequest("", document, case.cursor_before, verbatim=True)
            prompts = self._prompts[Layout.LINE]
            text = prompts.surroundings(request, StickyWindows(), NUM_AROUND)
            if text is None:
                return _Rest()
            patcher = CachePatcher(self._model.decoder, self._pool, self._vocabulary, 256)
            around = Surroundings(patcher, self._pool, self._work, NUM_AROUND)
            while around.store_next(text, (cached,), PatchPolicy(), _go_on):
                pass
            return _Rest(around, patcher.num_healed)
        num_tokens = 0
        for segment in after.segments:
            if segment.segment_id.startswith(CHUNK) and segment not in before.segments:
                self._shared.add(after.segments[0].token_ids, segment.token_ids, _go_on)
                num_tokens += len(segment.token_ids)
        return _Rest(None, num_tokens)

    def _prompt_pair(self, case: EditCase, layout: Layout) -> tuple[FimPrompt, FimPrompt]:
        document = DocumentSnapshot(case.path, 1, case.language_id, case.before, case.path)
        edited = replace(document, version=2, text=case.after, edits=case.edits, base_version=1)
        windows, prompts = StickyWindows(), []
        for snapshot, cursor, chunks in (
            (document, case.cursor_before, case.chunks_before),
            (edited, case.cursor_after, case.chunks_after),
        ):
            windows.follow(snapshot)
            request = CompletionRequest("", snapshot, cursor, TriggerKind.INVOKED, verbatim=True)
            prompts.append(self._prompts[layout].build(request, chunks, windows))
        return prompts[0], prompts[1]

    def _generator(self, variant: Variant) -> Generator:
        key = variant.num_rows, variant.uses_rest
        if key not in self._generators:
            decoder, pool, tokenizer = self._model.decoder, self._pool, self._model.tokenizer
            shared = self._shared if variant.uses_rest else None
            patcher = CachePatcher(decoder, pool, self._vocabulary, variant.num_rows, shared)
            drafter = Drafter(PassCosts(), LastingSources(decoder.config.vocab_size, ""))
            self._generators[key] = Generator(decoder, pool, tokenizer, patcher, drafter)
        return self._generators[key]

    def _answer(
        self, cached: SlotTable, prompt: FimPrompt, variant: Variant, rest: _Rest | None = None
    ) -> _Answer:
        table = SlotTable(self._pool, self._capacity, head=cached)
        table.consolidate()  # a session owns its cache; copying it is no part of a patch
        seen: list[Tensor] = []
        hooks = GenerationHooks(
            lambda: VerbatimMonitor(("\n",)), lambda _: 0, _go_on, on_logits=seen.append
        )
        donors = rest.donors if rest is not None and variant.uses_rest else ()
        try:
            started = time.perf_counter()
            found = self._generator(variant).generate(
                table, prompt, variant.policy, self._params, hooks, donors
            )
            before_decoding_ms = (time.perf_counter() - started) * 1000 - found.decode_ms
        finally:
            table.close()
        stats = found.prompt
        return _Answer(
            line=found.candidates[0].text,
            logits=seen[0],
            num_tokens=stats.num_tokens,
            num_computed=stats.num_new_tokens,
            num_stale=stats.num_patched_tokens,
            before_decoding_ms=before_decoding_ms,
        )

    def _measured(
        self,
        case: EditCase,
        variant: Variant,
        found: _Answer,
        oracle: _Answer,
        spent: tuple[float, int],
    ) -> Measured:
        full_ms, num_at_rest = spent
        drift = compare(oracle.logits, found.logits)
        return Measured(
            case_id=case.case_id,
            category=case.category,
            language=case.language_id,
            num_context=self._num_context,
            variant=variant.name,
            layout=variant.layout,
            num_tokens=found.num_tokens,
            num_computed=found.num_computed,
            num_stale=found.num_stale,
            num_at_rest=num_at_rest if variant.uses_rest else 0,
            full_ms=full_ms,
            before_decoding_ms=found.before_decoding_ms,
            kl=drift.kl,
            is_same_top=drift.is_same_top,
            is_same_line=found.line == oracle.line,
            is_match=_is_match(found.line, case),
            is_oracle_match=_is_match(oracle.line, case),
            line=found.line,
        )


def _is_match(line: str, case: EditCase) -> bool:
    return line.strip() == case.truth.strip()


def _go_on() -> None:
    """Never interrupt."""


def use_threads(num_threads: int) -> int:
    """Compute with ``num_threads`` (0: torch's own choice); returns how many that is."""
    if num_threads:
        torch.set_num_threads(num_threads)
    return torch.get_num_threads()
