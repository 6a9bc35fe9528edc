"""Asks services that differ in what may draft, each with caches and estimates of its own.

Every variant learns from its own passes alone, as it would in use. They share the weights. A
question is put to all of them in random order before the next one is, so that whatever slows the
machine slows all alike. Nothing runs besides what is timed: each service is idle before the next
one is asked.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.speculation_rows import MERGED, PLAIN, Measured
from benchmarks.speculation_tasks import MAX_NUM_TOKENS, Question, SpeculationTask
from completion.config import DRAFT_SOURCES, CompletionConfig, EngineConfig, PromptConfig
from completion.scheduler import EngineThread
from completion.service import CompletionService
from completion.types import (
    CancellationToken,
    Cancelled,
    CompletionOutcome,
    CompletionRequest,
    DocumentSnapshot,
    NoSuggestion,
    NoSuggestionReason,
    Suggestion,
    document_key,
)
from kvedit.policy import PatchMode
from models.loader import LoadedModel

DRAFT_MODEL = "model"  # the source that there is only with a draft model
IDLE_WAIT_S = 600.0
POLL_S = 0.002
START_S = 0.5  # within which work that waits for a paste to end has begun


@dataclass(frozen=True, slots=True)
class Variant:
    """What may draft; ``PLAIN`` does not even plan drafts."""

    name: str
    sources: frozenset[str]

    @property
    def uses_speculation(self) -> bool:
        """Whether requests ask for drafts."""
        return self.name != PLAIN


def all_variants(*, has_draft_model: bool) -> list[Variant]:
    """Return plain decoding, each source alone, and all merged."""
    names = sorted(DRAFT_SOURCES if has_draft_model else DRAFT_SOURCES - {DRAFT_MODEL})
    alone = [Variant(name, frozenset({name})) for name in names]
    return [Variant(PLAIN, frozenset()), *alone, Variant(MERGED, DRAFT_SOURCES)]


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """Sizes of prompts and texts, and where measured costs of passes are kept."""

    max_num_prompt_tokens: int
    max_num_new_tokens: int
    calibration_folder: Path
    draft: LoadedModel | None = None

    def config(self, variant: Variant) -> CompletionConfig:
        """Return settings under which one document is kept and nothing is computed ahead."""
        return CompletionConfig(
            prompt=PromptConfig(max_num_tokens=self.max_num_prompt_tokens),
            engine=EngineConfig(
                cache_mb=1,  # one document
                max_new_tokens=self.max_num_new_tokens,
                chunk_tokens=0,
                around_tokens=0,
                calibration_folder=self.calibration_folder,
                draft_sources=variant.sources,
                min_confidence=0.0,  # a text that is given up says nothing about its drafts
                prefetch_after_acceptance=False,
            ),
        )

    def service(
        self, model: LoadedModel, variant: Variant, engine: EngineThread
    ) -> CompletionService:
        """Return a new service on ``engine``, with the draft model if ``variant`` uses one."""
        draft = self.draft if DRAFT_MODEL in variant.sources else None
        return CompletionService(model, self.config(variant), None, draft, engine)


@dataclass(slots=True)
class _Sums:
    """What the questions of a task add up to."""

    num_remembered: int = 0
    num_passes: int = 0
    num_drafted: int = 0
    num_accepted: int = 0
    passes_ms: float = 0.0
    num_computed: int = 0
    texts: list[str] = field(default_factory=list)

    def add(self, outcome: CompletionOutcome) -> None:
        trace = checked(outcome).trace
        stats = trace.speculation
        self.texts.append(outcome.text if isinstance(outcome, Suggestion) else "")
        if not trace.prompt.num_tokens:
            self.num_remembered += 1
            return
        self.num_passes += stats.num_forward_passes + 1
        self.num_drafted += stats.num_draft_tokens
        self.num_accepted += stats.num_accepted_tokens
        self.passes_ms += trace.timings_ms.prefill + trace.timings_ms.decode
        self.num_computed += trace.prompt.num_new_tokens

    def row(self, task: SpeculationTask, variant: str) -> Measured:
        return Measured(
            task_id=task.task_id,
            workload=task.workload,
            category=task.category,
            variant=variant,
            num_questions=len(task.questions),
            num_remembered=self.num_remembered,
            num_passes=self.num_passes,
            num_drafted=self.num_drafted,
            num_accepted=self.num_accepted,
            passes_ms=self.passes_ms,
            num_computed=self.num_computed,
            digest=hashlib.sha256("\0".join(self.texts).encode()).hexdigest()[:16],
        )


class SpeculationBench:
    """One model, and a service for each variant. One thread at a time."""

    def __init__(
        self, model: LoadedModel, variants: Sequence[Variant], settings: BenchSettings
    ) -> None:
        """Start the services one after the other; the first measures the costs of passes."""
        self._has_draft_model = settings.draft is not None
        self._variants = {variant.name: variant for variant in variants}
        self._services: dict[str, CompletionService] = {}
        engine = EngineThread()  # more threads than processors would slow each other
        for variant in variants:
            service = settings.service(model, variant, engine)
            self._services[variant.name] = service
            wait_idle(service)
        if not any(settings.calibration_folder.glob("*.json")):
            self.close()
            raise RuntimeError(f"no costs of passes in {settings.calibration_folder}")

    def measure(self, task: SpeculationTask) -> list[Measured]:
        """Return what every variant does with ``task``.

        Raises:
            RuntimeError: The engine failed.
        """
        rng = random.Random(task.task_id)
        sums = {name: _Sums() for name in self._services}
        if self._has_draft_model:
            for name, service in self._services.items():
                checked(ask(service, request_before(task, self._variants[name])))
        for version, question in enumerate(task.questions, start=1):
            for name in rng.sample(list(sums), len(sums)):
                request = request_of(task, question, version, self._variants[name])
                sums[name].add(ask(self._services[name], request))
        for service in self._services.values():
            service.forget(document_key("", uri_of(task)))
            wait_idle(service)
        return [found.row(task, name) for name, found in sums.items()]

    def close(self) -> None:
        """End all engines."""
        for service in self._services.values():
            service.close()


def uri_of(task: SpeculationTask) -> str:
    """Return what the task's document is called."""
    return f"file:///speculation/{task.task_id}"


def request_of(
    task: SpeculationTask, question: Question, version: int, variant: Variant
) -> CompletionRequest:
    """Return ``question`` as an editor asks it."""
    document = DocumentSnapshot(
        uri=uri_of(task),
        version=version,
        language_id=task.language_id,
        text=question.text,
        path=task.path,
        edits=question.edits if version > 1 else (),
        base_version=version - 1 if version > 1 else None,
    )
    return CompletionRequest(
        f"{task.task_id}@{version}",
        document,
        question.offset,
        question.trigger,
        max_new_tokens=MAX_NUM_TOKENS,
        use_retrieval=False,
        use_speculation=variant.uses_speculation,
        patching=PatchMode.IDENTIFIERS,  # heals nothing, which would run while others are timed
    )


def request_before(task: SpeculationTask, variant: Variant) -> CompletionRequest:
    """Return a question at the line above, after which a draft model knows the document.

    It computes prompts at rest, not while somebody waits. One token is written, so that hardly
    anything can be copied from it.
    """
    question = task.questions[0]
    offset = max(0, question.text.rfind("\n", 0, question.offset))
    request = request_of(task, replace(question, offset=offset), 0, variant)
    return replace(request, verbatim=True, max_new_tokens=1)


def ask(service: CompletionService, request: CompletionRequest) -> CompletionOutcome:
    """Return the outcome of ``request``, whose prompt is computed before it is asked."""
    known = service.lookup(request)
    if known is not None:
        return known
    before_s, give_up_at = service.busy_s, time.monotonic() + START_S
    service.prepare(request)
    while service.busy_s == before_s and service.is_idle and time.monotonic() < give_up_at:
        time.sleep(POLL_S)
    wait_idle(service)
    outcome = service.complete(request, CancellationToken())
    wait_idle(service)
    return outcome


def wait_idle(service: CompletionService) -> None:
    """Return when nothing runs or waits.

    Raises:
        RuntimeError: That takes too long.
    """
    give_up_at = time.monotonic() + IDLE_WAIT_S
    num_idle = 0
    while num_idle < 2:  # a job is in no list for a moment before it runs
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"the engine is not idle after {IDLE_WAIT_S:.0f} s")
        time.sleep(POLL_S)
        num_idle = num_idle + 1 if service.is_idle else 0


def checked(outcome: CompletionOutcome) -> Suggestion | NoSuggestion:
    """Return ``outcome``.

    Raises:
        RuntimeError: The engine failed, so that nothing was measured.
    """
    match outcome:
        case NoSuggestion(reason=NoSuggestionReason.ENGINE_ERROR) | Cancelled():
            raise RuntimeError(f"nothing was measured: {outcome}")
        case _:
            return outcome
