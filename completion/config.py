"""Settings of the pipeline, resolved: nothing here is optional, nothing is read from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from completion.fim_format import Layout
from completion.trigger import TriggerConfig
from completion.types import TriggerKind
from kvedit.policy import PatchPolicy


@dataclass(frozen=True, slots=True)
class PromptConfig:
    """How many tokens of what the model sees.

    The shares are parts of ``max_num_tokens`` and are upper bounds: what the context does not use
    goes to the prefix. ``slack`` is the part of a window that may stay unused before it moves, so
    that a newline does not shift the start of the prompt (and with it every cached key).
    """

    max_num_tokens: int = 2048
    suffix_share: float = 0.25
    context_share: float = 0.25
    slack: float = 0.25
    layout: Layout = Layout.LINE

    def __post_init__(self) -> None:
        if self.max_num_tokens < 64:
            raise ValueError(
                f"a prompt of {self.max_num_tokens} tokens is too small; use 64 or more"
            )
        if not 0 <= self.suffix_share + self.context_share < 1:
            raise ValueError("suffix_share and context_share must leave room for the prefix")


MIN_CONFIDENCE = 0.009
"""Chosen by cross-validation, see ``completion.training.stop_training``; what it saves and loses on
other lines is in benchmarks/results/stop_controller.json."""
MIN_BLOCK_CONFIDENCE = 0.05
"""Of finished lines below it one in 26 is right (``unsure_right`` of the same result): what would be
built upon them is not wanted."""

DRAFT_SOURCES = frozenset({"expected", "copied", "recycled", "ngrams", "exit", "model"})


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How the model is run.

    Documents keep their keys and values within ``cache_mb``; the least valuable go first, and one
    always has room. ``prefill_chunk`` tokens run per pass; larger ones gain nothing on a CPU and
    make a cancelled prompt lose more. ``max_num_retries`` alternatives are tried while a suggestion
    would break the code around it.

    ``patch`` has the measures of repairs; which rung of its ladder is taken is each request's
    choice. ``heal_after_s`` is how long nothing has to happen before a cache is made exact again.
    ``chunk_tokens`` of context chunks are kept for all documents; 0 keeps none. ``around_tokens`` of
    each document are computed at rest, for a cursor that jumps out of the prompt; 0 computes none.
    ``draft_sources`` are the names of those that may draft. What passes cost is measured once and kept
    in ``calibration_folder``; None goes by what is assumed. What drafts are learnt from is kept in
    ``draft_folder``; None forgets it.
    What was trained for the model may lie in ``trained_folder``, else in the one that comes with fimble.
    Lines less likely to be right than ``min_confidence`` are given up, and nothing follows a first
    line below ``min_block_confidence``, unless asked for explicitly; with 0 for the former, neither.
    Tokens that the first layers find at least ``early_exit`` probable are taken without asking the
    others, which may change texts; 0 asks always.
    ``snapshot_folder`` holds up to ``snapshot_mb`` of documents' caches over runs; None keeps none.
    """

    cache_mb: int = 1024
    max_new_tokens: int = 512
    prefill_chunk: int = 256
    patch: PatchPolicy = field(default_factory=PatchPolicy)
    heal_after_s: float = 0.7
    chunk_tokens: int = 2048
    around_tokens: int = 16_384
    calibration_folder: Path | None = None
    draft_folder: Path | None = None
    draft_sources: frozenset[str] = DRAFT_SOURCES
    trained_folder: Path | None = None
    min_confidence: float = MIN_CONFIDENCE
    min_block_confidence: float = MIN_BLOCK_CONFIDENCE
    early_exit: float = 0.0
    snapshot_folder: Path | None = None
    snapshot_mb: int = 1024
    prefetch_after_acceptance: bool = True
    max_num_retries: Mapping[TriggerKind, int] = field(
        default_factory=lambda: {TriggerKind.AUTOMATIC: 1, TriggerKind.INVOKED: 4}
    )


@dataclass(frozen=True, slots=True)
class CompletionConfig:
    """All settings of the pipeline. ``deadline_ms`` holds for requests that name none."""

    prompt: PromptConfig = field(default_factory=PromptConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    trigger: TriggerConfig = field(default_factory=TriggerConfig)
    deadline_ms: float | None = None
