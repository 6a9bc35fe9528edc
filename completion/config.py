"""Settings of the pipeline, resolved: nothing here is optional, nothing is read from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from completion.trigger import TriggerConfig
from completion.types import TriggerKind


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

    def __post_init__(self) -> None:
        if self.max_num_tokens < 64:
            raise ValueError(
                f"a prompt of {self.max_num_tokens} tokens is too small; use 64 or more"
            )
        if not 0 <= self.suffix_share + self.context_share < 1:
            raise ValueError("suffix_share and context_share must leave room for the prefix")


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How the model is run.

    ``max_num_sessions`` documents keep their keys and values; the one unused for longest goes
    first. ``prefill_chunk`` tokens run per pass; larger ones gain nothing on a CPU and make a
    cancelled prompt lose more. ``max_num_retries`` alternatives are tried while a suggestion would
    break the code around it.
    """

    max_num_sessions: int = 4
    max_new_tokens: int = 512
    prefill_chunk: int = 256
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
