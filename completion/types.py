"""The values that cross the pipeline: snapshots and requests in, outcomes out.

Everything here is immutable, so it may cross threads. Offsets count code points; nothing in this
module knows LSP positions, token ids or tensors.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from kvedit.policy import PatchMode

if TYPE_CHECKING:
    from completion.evidence import Evidence


class TriggerKind(StrEnum):
    """What made the client ask."""

    INVOKED = "invoked"
    AUTOMATIC = "automatic"


class FinishReason(StrEnum):
    """Why generation ended."""

    STOP = "stop"  # the model or a stop rule ended it
    LENGTH = "length"
    DEADLINE = "deadline"
    UNWANTED = "unwanted"  # it became too unlikely to be what is wanted
    UNSURE = "unsure"  # its first line is too unsure for more lines to be built upon it


class Exactness(StrEnum):
    """Whether the prompt's cache equals a fresh prefill of the same prompt."""

    EXACT = "exact"
    PATCHED = "patched"


class SuggestionSource(StrEnum):
    """Where a suggestion came from."""

    ENGINE = "engine"
    CACHE = "cache"
    TYPING_AS_SUGGESTED = "typing_as_suggested"
    PREFETCH = "prefetch"


class NoSuggestionReason(StrEnum):
    """Every reason for showing nothing; ``completion.reasons`` has the sentences."""

    DISABLED = "disabled"
    LOADING = "loading"
    DOCUMENT_LOST = "document_lost"
    MIDDLE_OF_WORD = "middle_of_word"
    TEXT_RIGHT_OF_CURSOR = "text_right_of_cursor"
    SELECTED_ITEM_MISMATCH = "selected_item_mismatch"
    EMPTY_DOCUMENT = "empty_document"
    EMPTY_OUTPUT = "empty_output"
    BLANK_OUTPUT = "blank_output"
    REPEATS_SUFFIX = "repeats_suffix"
    REPEATS_PREFIX = "repeats_prefix"
    REPETITIVE_OUTPUT = "repetitive_output"
    HOLDS_SECRET = "holds_secret"
    UNLIKELY_WANTED = "unlikely_wanted"
    FORCED_TEXT_IMPOSSIBLE = "forced_text_impossible"
    DEADLINE_BEFORE_FIRST_LINE = "deadline_before_first_line"
    TOKEN_LIMIT_BEFORE_FIRST_LINE = "token_limit_before_first_line"
    ENGINE_ERROR = "engine_error"


@dataclass(frozen=True, slots=True)
class TextEdit:
    """One replacement: ``text[start:end]`` of the predecessor became ``inserted``.

    Offsets are code points in the text as it stood just before this edit, so a list of edits is
    applied in order.
    """

    start: int
    end: int
    inserted: str


@dataclass(frozen=True, slots=True)
class DocumentSnapshot:
    """A document at one version.

    ``owner`` is the client whose document it is: an editor's unsaved text and the file that a
    script reads are two documents, though their ``uri`` is the same. ``edits`` lead from version
    ``base_version`` to this one; an empty tuple with ``base_version`` ``None`` means the text
    arrived whole. ``workspace`` is the absolute path of the folder that ``path`` is relative to,
    empty outside of every folder.
    """

    uri: str
    version: int
    language_id: str
    text: str
    path: str | None = None
    edits: tuple[TextEdit, ...] = ()
    base_version: int | None = None
    owner: str = ""
    workspace: str = ""

    @property
    def key(self) -> str:
        """What tells this document from every other one that a service knows."""
        return document_key(self.owner, self.uri)

    @property
    def lasting_key(self) -> str | None:
        """What the document is called in every run; None for one without a path."""
        return None if self.path is None else f"{self.uri} {self.path}"


def document_key(owner: str, uri: str) -> str:
    """Return the ``key`` of the snapshots of ``owner``'s document ``uri``."""
    return f"{owner} {uri}"


@dataclass(frozen=True, slots=True)
class SelectedItem:
    """The item highlighted in the editor's own list: it replaces ``text[start:end]``."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """One question: what belongs at ``offset`` of ``document``?

    ``None`` in an optional limit means: the configured default. A request that is not
    ``is_interactive`` lets those of people at their keyboard go first. ``verbatim`` asks for the text as
    the model writes it: it ends at one of ``stop``, at the model's own end or at its limit, no
    filter changes it, and samples that turn out equal are all kept. ``num_top_logprobs`` asks for
    the candidates' tokens, each beside that many of the likeliest in its place. ``min_confidence``
    is how sure a line has to be that nobody asked for. ``context`` is what the client itself wants
    shown, in the order it is to stand; the first go where room is short.
    """

    request_id: str
    document: DocumentSnapshot
    offset: int
    trigger: TriggerKind = TriggerKind.AUTOMATIC
    selected_item: SelectedItem | None = None
    num_candidates: int = 1
    max_new_tokens: int | None = None
    deadline_ms: float | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    use_retrieval: bool = True
    use_speculation: bool = True
    patching: PatchMode = PatchMode.HEAL
    is_interactive: bool = True
    verbatim: bool = False
    num_top_logprobs: int | None = None
    min_confidence: float | None = None
    context: tuple[ContextChunk, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.offset <= len(self.document.text):
            raise ValueError(
                f"offset {self.offset} lies outside the document, which has "
                f"{len(self.document.text)} characters"
            )
        if not 1 <= self.num_candidates <= 16:
            raise ValueError(f"num_candidates is {self.num_candidates}; it must be 1 to 16")
        if self.num_top_logprobs is not None and not 0 <= self.num_top_logprobs <= 20:
            raise ValueError(f"num_top_logprobs is {self.num_top_logprobs}; it must be 0 to 20")

    @property
    def prefix(self) -> str:
        """The text before the cursor."""
        return self.document.text[: self.offset]

    @property
    def suffix(self) -> str:
        """The text after the cursor."""
        return self.document.text[self.offset :]


@dataclass(frozen=True, slots=True)
class CompletionTimings:
    """Milliseconds spent per stage; the stages add up to ``total``.

    ``waiting`` passed before the engine began, ``post`` is all that is no stage of its own: filters,
    and learning what to draft from.
    """

    total: float = 0.0
    waiting: float = 0.0
    retrieval: float = 0.0
    prompt: float = 0.0
    patch: float = 0.0
    prefill: float = 0.0
    decode: float = 0.0
    post: float = 0.0


@dataclass(frozen=True, slots=True)
class PromptStats:
    """How many prompt tokens were reused, patched and computed; they add up to ``num_tokens``.

    ``num_healed_tokens`` of the new ones were in the cache, and were computed again to be exact.
    """

    num_tokens: int = 0
    num_cached_tokens: int = 0
    num_patched_tokens: int = 0
    num_new_tokens: int = 0
    num_healed_tokens: int = 0


@dataclass(frozen=True, slots=True)
class SpeculationStats:
    """Forward passes of the decode loop, and what drafting contributed.

    ``by_source`` has the accepted tokens of each source of drafts that had any.
    """

    num_forward_passes: int = 0
    num_draft_tokens: int = 0
    num_accepted_tokens: int = 0
    by_source: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ContextChunk:
    """A stretch of another file shown to the model. Lines are 1-based and inclusive.

    ``reason`` tells people why it is there.
    """

    path: str
    start_line: int
    end_line: int
    text: str
    score: float
    source: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One generated token: what it added to the text, and ``logprob`` in nats.

    ``text`` may be empty where a character is spread over several tokens. ``top`` holds the
    likeliest tokens in its place, best first, whether chosen or not.
    """

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One alternative text; ``logprob`` is the sum over its ``num_tokens`` tokens, in nats.

    ``tokens`` is filled if the request asked for it; the texts are those the model wrote, before
    any filter.
    """

    text: str
    logprob: float
    num_tokens: int = 0
    finish_reason: FinishReason = FinishReason.STOP
    tokens: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class CompletionTrace:
    """What every outcome reports about how it came about.

    ``age`` is how many edits have passed since the oldest key of the prompt was computed from the
    text as it was then; 0 is exact. ``evidence`` knows each token, for whoever asks.
    """

    model: str = ""
    age: int = 0
    prompt: PromptStats = field(default_factory=PromptStats)
    timings_ms: CompletionTimings = field(default_factory=CompletionTimings)
    speculation: SpeculationStats = field(default_factory=SpeculationStats)
    context: tuple[ContextChunk, ...] = ()
    evidence: Evidence | None = field(default=None, compare=False, repr=False)

    @property
    def exactness(self) -> Exactness:
        """Whether the prompt's cache equals a fresh prefill."""
        return Exactness.PATCHED if self.age else Exactness.EXACT


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Text to insert.

    ``text`` replaces ``document.text[replace_start:replace_end]``; for a plain insertion both equal
    the request's offset. ``confidence`` is the probability that the first line is what would be
    written; for a model that was not calibrated, the geometric mean of the token probabilities.
    """

    request_id: str
    text: str
    replace_start: int
    replace_end: int
    candidates: tuple[Candidate, ...]
    confidence: float
    finish_reason: FinishReason
    source: SuggestionSource
    trace: CompletionTrace


@dataclass(frozen=True, slots=True)
class NoSuggestion:
    """Nothing to show, and why. ``detail`` names the filter or the error, if one is to blame."""

    request_id: str
    reason: NoSuggestionReason
    detail: str = ""
    trace: CompletionTrace = field(default_factory=CompletionTrace)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The client took the request back, or a newer one superseded it."""

    request_id: str
    superseded: bool = False
    trace: CompletionTrace = field(default_factory=CompletionTrace)


CompletionOutcome = Suggestion | NoSuggestion | Cancelled


class WorkCancelled(Exception):
    """An outcome on its way up the stack: the work's token was cancelled. Never leaves the service."""


class CancellationToken:
    """A flag that any thread may set and the engine polls between layers, chunks and steps."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the work to end; idempotent."""
        self._event.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether someone asked the work to end."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise ``WorkCancelled`` if someone asked the work to end."""
        if self._event.is_set():
            raise WorkCancelled


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in monotonic time; ``None`` never passes."""

    at: float | None = None

    @classmethod
    def after_ms(cls, milliseconds: float | None) -> Deadline:
        """Return the deadline ``milliseconds`` from now."""
        return cls(None if milliseconds is None else time.monotonic() + milliseconds / 1000)

    @property
    def has_passed(self) -> bool:
        """Whether the time is up."""
        return self.at is not None and time.monotonic() >= self.at


def apply_edits(text: str, edits: Sequence[TextEdit]) -> str:
    """Return ``text`` after ``edits``, each in the coordinates its predecessor left."""
    for edit in edits:
        text = text[: edit.start] + edit.inserted + text[edit.end :]
    return text
