"""Continues one prompt in several ways, each from the same keys and values of the prompt.

The stages are those of ``CompletionService``, without its thread, its memory of suggestions and what
a session remembers: what one way of asking has written must not be drafted from by the next. Whoever
measures is the only one to compute, so everything runs in the thread of the caller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.speculation_asking import BenchSettings, Variant, request_of
from benchmarks.speculation_rows import MERGED, PLAIN
from benchmarks.speculation_tasks import SpeculationTask
from completion.caches import table_capacity
from completion.config import DRAFT_SOURCES
from completion.decoding import GenerationParams
from completion.draft_history import DraftHistory
from completion.generation import Generation, GenerationHooks, Generator
from completion.outcome import conclude, trace_of
from completion.prompt import FimPrompt, PromptBuilder
from completion.rules import generation_hooks, generation_params
from completion.speculation.costs import CostStore, PassCosts, measure_costs
from completion.speculation.drafter import Drafter
from completion.speculation.early_exit import load_early_exit
from completion.speculation.lasting import LastingSources
from completion.strategy import choose_strategy
from completion.types import (
    CompletionOutcome,
    CompletionRequest,
    CompletionTimings,
    Deadline,
)
from completion.windows import StickyWindows
from kvedit.patch import CachePatcher
from kvedit.policy import PatchMode, PatchPolicy
from kvedit.repair import Vocabulary
from models.loader import LoadedModel
from models.slots import SlotTable
from retrieval.languages import language_for
from retrieval.syntax import SyntaxTree

EXACT = PatchPolicy(PatchMode.EXACT)
_VARIANT = Variant(MERGED, DRAFT_SOURCES)


@dataclass(frozen=True, slots=True)
class OpenPrompt:
    """A task's prompt, all of it computed into ``table``."""

    request: CompletionRequest
    prompt: FimPrompt
    table: SlotTable


class PromptBench:
    """One model, and drafts of its own for each of ``ways``: they learn from its passes alone."""

    def __init__(self, model: LoadedModel, settings: BenchSettings, ways: Sequence[str]) -> None:
        """Measure what passes cost, unless that was done before."""
        config = settings.config(_VARIANT)
        self.model, self.engine = model, config.engine
        self.prompts = PromptBuilder(model.tokenizer, config.prompt)
        self._capacity = table_capacity(config)
        self.pool = model.decoder.new_pool(1 + self._capacity)
        vocabulary = Vocabulary(model.tokenizer.token_bytes, self.prompts.sentinel_ids)
        num_rows = config.engine.prefill_chunk
        self.patcher = CachePatcher(model.decoder, self.pool, vocabulary, num_rows)
        model.decoder.pack(go_on)
        costs = PassCosts(_costs(model, settings.calibration_folder))
        early_exit = load_early_exit(model, self.pool, None, go_on)
        networks = [] if early_exit is None else [early_exit]
        self._lasting = {
            way: LastingSources(model.config.vocab_size, "", None, networks) for way in ways
        }
        self._generators = {
            way: self._generator(Drafter(costs, lasting)) for way, lasting in self._lasting.items()
        }

    @contextmanager
    def opened(self, task: SpeculationTask) -> Iterator[OpenPrompt]:
        """Compute the prompt of the task's first question, and keep it within the block."""
        request = request_of(task, task.questions[0], 1, _VARIANT)
        windows = StickyWindows()
        windows.follow(request.document)
        prompt = self.prompts.build(request, (), windows)
        table = SlotTable(self.pool, self._capacity)
        try:
            self.patcher.update(table, prompt.target(), EXACT, go_on)
            yield OpenPrompt(request, prompt, table)
        finally:
            table.close()

    def complete(
        self, opened: OpenPrompt, way: str, num_candidates: int, *, is_drafted: bool
    ) -> tuple[CompletionOutcome, Generation]:
        """Return what a client gets that asks for ``num_candidates``, and how it came about."""
        request = replace(opened.request, num_candidates=num_candidates)
        document = request.document
        language = language_for(document.language_id, document.path)
        tree = None if language is None else SyntaxTree.parse(language, document.text)
        strategy = choose_strategy(request, tree=tree)
        stop_ids = self.prompts.stop_ids
        params = generation_params(request, strategy, self.engine, stop_ids, Deadline())
        hooks = generation_hooks(request, strategy, tree, go_on, None)
        found = self.generate(opened, way, params, hooks, is_drafted=is_drafted)
        trace = trace_of(self.model.name, found, CompletionTimings(), ())
        return conclude(request, strategy, found, trace), found

    def generate(
        self,
        opened: OpenPrompt,
        way: str,
        params: GenerationParams,
        hooks: GenerationHooks,
        *,
        is_drafted: bool,
    ) -> Generation:
        """Return the continuations of the prompt, whose last token is computed again.

        Raises:
            RuntimeError: More than that token was computed, so that the time says something else.
        """
        prompt, material = opened.prompt, None
        if is_drafted:
            history, tokenizer = DraftHistory(), self.model.tokenizer
            history.note_text(opened.request.document.text)
            healed, forced = prompt.healed_text, prompt.forced_text
            material = history.material(opened.request, healed, forced, tokenizer)
        generator = self._generators[way]
        found = generator.generate(opened.table, prompt, EXACT, params, hooks, (), material)
        if is_drafted:
            self._lasting[way].learn_text("", prompt.token_ids)
        if found.prompt.num_new_tokens != 1:
            raise RuntimeError(f"the prompt was not in the cache: {found.prompt}")
        return found

    def _generator(self, drafter: Drafter) -> Generator:
        model = self.model
        return Generator(model.decoder, self.pool, model.tokenizer, self.patcher, drafter)


def way_name(num_candidates: int, *, is_drafted: bool) -> str:
    """Return what a way of asking is called in rows and figures."""
    return f"{MERGED if is_drafted else PLAIN}_{num_candidates}"


def passes_ms(found: Generation) -> float:
    """Return the time of all passes, that over the prompt's last token among them."""
    return found.prefill_ms + found.decode_ms


def go_on() -> None:
    """Never interrupt."""


def _costs(model: LoadedModel, folder: Path) -> dict[int, dict[int, float]]:
    store = CostStore(folder, model.fingerprint, str(model.device), torch.get_num_threads())
    known = store.read()
    if known is None:
        known = measure_costs(model.decoder, go_on)
        store.write(known)
    return known
