"""From a checked body to engine requests, and from their outcomes to choices.

Every choice is one request of its own. So each can be streamed, other clients get their turn between
them, and all but the first of a prompt find it in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from completion.types import (
    Cancelled,
    Candidate,
    CompletionOutcome,
    CompletionRequest,
    FinishReason,
    NoSuggestion,
    NoSuggestionReason,
    PromptStats,
    Suggestion,
    TokenLogprob,
    TriggerKind,
)
from lsp_server.http.errors import ApiError, bad_request, try_later
from lsp_server.http.prompts import PromptTable, PromptText
from lsp_server.http.schema import CompletionBody, FimbleOptions
from lsp_server.report import insertion
from lsp_server.requests import SCRIPT_DEADLINE_MS, new_request
from lsp_server.settings import Settings
from retrieval.languages import language_for

DEFAULT_MAX_TOKENS = 16
MAX_NUM_CHOICES = 32
_LEAST_LOGPROB = -9999.0  # JSON has no infinity; OpenAI writes this


@dataclass(frozen=True, slots=True)
class PlannedChoice:
    """One choice to make. ``repeats_last`` saves computing what is certain to come out equal."""

    index: int
    request: CompletionRequest
    is_first_of_prompt: bool
    repeats_last: bool


@dataclass(frozen=True, slots=True)
class FinishedChoice:
    """One text and what it cost."""

    index: int
    text: str
    finish_reason: str
    num_tokens: int
    tokens: tuple[TokenLogprob, ...]
    prompt: PromptStats


def plan_choices(
    body: CompletionBody,
    settings: Settings,
    table: PromptTable,
    request_id: str,
    with_context: Callable[[CompletionRequest], CompletionRequest],
) -> list[PlannedChoice]:
    """Return the choices in the order of their indices; their ids begin with ``request_id``.

    ``with_context`` has lines of other files shown, for text that is not the model's raw own.

    Raises:
        ApiError: Fields contradict each other or exceed what the settings allow.
    """
    _check(body, settings)
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    num_choices = body.n or 1
    planned: list[PlannedChoice] = []
    for prompt in prompts:
        first = _request(body, prompt, settings, table)
        first = first if first.verbatim else with_context(first)
        for number in range(num_choices):
            index = len(planned)
            seed = None if first.seed is None else first.seed + number
            request = replace(first, request_id=f"{request_id}.{index}", seed=seed)
            repeats = number > 0 and request.temperature == 0
            planned.append(PlannedChoice(index, request, number == 0, repeats))
    return planned


def _check(body: CompletionBody, settings: Settings) -> None:
    limit = settings.completion.max_new_tokens
    if (body.max_tokens or 1) > limit:
        raise bad_request(
            f"max_tokens is {body.max_tokens}, this server allows up to {limit}; the setting "
            "completion.max_new_tokens raises it",
            "max_tokens",
        )
    num_prompts = 1 if isinstance(body.prompt, str) else len(body.prompt)
    if num_prompts * (body.n or 1) > MAX_NUM_CHOICES:
        raise bad_request(
            f"{num_prompts} prompts with n {body.n} make {num_prompts * (body.n or 1)} choices; "
            f"ask for up to {MAX_NUM_CHOICES} at once",
            "n",
        )
    if body.stream_options is not None and not body.stream:
        raise bad_request("stream_options needs stream to be true", "stream_options")
    if body.echo and body.logprobs is not None:
        raise bad_request(
            "echo with logprobs is not supported: prompts have no log probabilities here", "echo"
        )
    _check_trim(body)


def _check_trim(body: CompletionBody) -> None:
    if body.fimble is None or not body.fimble.trim:
        return
    for name in ("logprobs", "echo"):
        if getattr(body, name) not in (None, False):
            raise bad_request(f"{name} is not possible with fimble.trim", name)
    if (body.n or 1) > 1:
        raise bad_request("n must be 1 with fimble.trim", "n")


def _request(
    body: CompletionBody, prompt: str, settings: Settings, table: PromptTable
) -> CompletionRequest:
    options = body.fimble or FimbleOptions()
    language = language_for(options.language_id, options.path)
    language_id = options.language_id or (language.language_ids[0] if language else "plaintext")
    owner = f"http:user {body.user or ''}"  # apart from the other dialects' clients
    text = PromptText(prompt, body.suffix or "", owner, options.path, language_id)
    return new_request(
        table.snapshot(text),
        len(prompt),
        settings,
        trigger=TriggerKind.INVOKED,
        is_interactive=False,
        num_candidates=1,
        max_new_tokens=body.max_tokens or DEFAULT_MAX_TOKENS,
        deadline_ms=options.deadline_ms or SCRIPT_DEADLINE_MS,
        temperature=body.temperature,
        top_p=body.top_p,
        seed=body.seed,
        stop=_stops(body.stop),
        use_retrieval=False,
        verbatim=not options.trim,
        num_top_logprobs=body.logprobs,
    )


def _stops(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    if stop is None:
        return ()
    return (stop,) if isinstance(stop, str) else tuple(stop)


def finish(choice: PlannedChoice, outcome: CompletionOutcome) -> FinishedChoice:
    """Return the choice that ``outcome`` makes.

    Raises:
        ApiError: There is no text, and that is not the model's answer.
    """
    match outcome:
        case Suggestion():
            text = insertion(outcome, choice.request)
            found = outcome.candidates[0] if outcome.candidates else Candidate(text, 0.0)
            ends_itself = outcome.finish_reason is FinishReason.STOP
            reason = "stop" if ends_itself else "length"
            stats = outcome.trace.prompt
            return FinishedChoice(choice.index, text, reason, found.num_tokens, found.tokens, stats)
        case NoSuggestion() | Cancelled():
            check_served(outcome)
            return FinishedChoice(choice.index, "", "stop", 0, (), outcome.trace.prompt)


def check_served(outcome: CompletionOutcome) -> None:
    """Refuse an outcome that says nothing about the text.

    Raises:
        ApiError: The engine failed, was too late, or was told to stop.
    """
    if isinstance(outcome, Cancelled):
        raise stopping()
    if isinstance(outcome, NoSuggestion) and outcome.reason in _FAILURES:
        raise _FAILURES[outcome.reason]()


def stopping() -> ApiError:
    """Return the error of requests that end because the server does."""
    message = "the server is stopping or its model is being replaced; send the request again"
    return try_later(503, message, code="stopping", after_s=2)


def _engine_failed() -> ApiError:
    return ApiError(500, "the engine failed; the log holds the error", code="engine_error")


def _too_late() -> ApiError:
    message = "the deadline passed before any text was ready"
    return ApiError(504, message, code="deadline_exceeded")


_FAILURES = {
    NoSuggestionReason.ENGINE_ERROR: _engine_failed,
    NoSuggestionReason.DEADLINE_BEFORE_FIRST_LINE: _too_late,
}


def logprobs_object(choice: FinishedChoice) -> dict[str, object]:
    """Return the choice's tokens as OpenAI's completions report them."""
    offsets, offset = [], 0
    for token in choice.tokens:
        offsets.append(offset)
        offset += len(token.text)
    top = [_top(token) for token in choice.tokens]
    return {
        "tokens": [token.text for token in choice.tokens],
        "token_logprobs": [max(token.logprob, _LEAST_LOGPROB) for token in choice.tokens],
        "top_logprobs": top if any(top) else None,
        "text_offset": offsets,
    }


def _top(token: TokenLogprob) -> dict[str, float]:
    """Return the likeliest tokens by text; of several with the same text, the likeliest."""
    found: dict[str, float] = {}
    for text, logprob in token.top:
        found.setdefault(text, max(logprob, _LEAST_LOGPROB))
    return found
