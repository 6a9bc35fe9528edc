"""Outcomes in the shape of llama.cpp's answers: one object, a list of them, or events."""

from __future__ import annotations

import json
from typing import Any

from fastapi.responses import JSONResponse, Response

from completion.types import (
    Candidate,
    CompletionOutcome,
    CompletionRequest,
    CompletionTrace,
    FinishReason,
    NoSuggestion,
    NoSuggestionReason,
    Suggestion,
)
from lsp_server.http.choices import check_served
from lsp_server.http.dialects.infill_schema import InfillBody
from lsp_server.http.door import HttpDoor
from lsp_server.report import insertions

_SHOWN_SETTINGS = ("n_indent", "samplers", "seed", "stop")
_CUTS = (FinishReason.LENGTH, FinishReason.DEADLINE)

Json = dict[str, Any]


def reply(
    body: InfillBody, asked: CompletionRequest, outcome: CompletionOutcome, door: HttpDoor
) -> Response:
    """Return the answer to ``asked``.

    Where time was up before there was any text, ``content`` is missing: an empty one would be taken
    for the model's answer, and remembered by the client.

    Raises:
        ApiError: The engine failed, or was told to stop.
    """
    settings = _settings(body, asked, door)
    if _is_late(outcome):
        return _respond(body, [_described(0, None, outcome.trace, settings, None)])
    check_served(outcome)
    if not isinstance(outcome, Suggestion):
        return _respond(body, [_described(0, "", outcome.trace, settings, None)])
    texts = [indented(text, body.n_indent or 0) for text in insertions(outcome, asked)]
    found = zip(texts, outcome.candidates, strict=True)
    return _respond(
        body,
        [
            _described(index, text, outcome.trace, settings, candidate)
            for index, (text, candidate) in enumerate(found)
        ],
    )


def empty_reply(body: InfillBody, door: HttpDoor) -> Response:
    """Return the answer to a request that wants no text."""
    return _respond(body, [_described(0, "", CompletionTrace(), _settings(body, None, door), None)])


def num_context_tokens(door: HttpDoor) -> int:
    """Return how many tokens prompt and text may have together."""
    settings = door.settings
    return settings.prompt.max_num_tokens + settings.completion.max_new_tokens


def indented(text: str, num_chars: int) -> str:
    """Return ``text`` up to the first line below it that is indented by fewer characters."""
    lines = text.split("\n")
    for at, line in enumerate(lines[1:], 1):
        if line.strip() and len(line) - len(line.lstrip()) < num_chars:
            return "\n".join(lines[:at])
    return text


def _is_late(outcome: CompletionOutcome) -> bool:
    late = NoSuggestionReason.DEADLINE_BEFORE_FIRST_LINE
    return isinstance(outcome, NoSuggestion) and outcome.reason is late


def _respond(body: InfillBody, described: list[Json]) -> Response:
    if body.stream:
        events = [event for one in described for event in _events(one, body.response_fields)]
        lines = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
        return Response(lines, media_type="text/event-stream")
    chosen = [_chosen(one, body.response_fields) for one in described]
    is_list = (body.n_cmpl or body.n or 1) > 1
    # Compact, as llama.vim looks for a field and its value with no blank between them.
    return JSONResponse(chosen if is_list else chosen[0])


def _events(described: Json, names: list[str] | None) -> tuple[Json, Json]:
    """Return the text and then everything else: filters see the text as a whole."""
    content = described.get("content", "")
    first = {"index": described["index"], "content": content, "tokens": [], "stop": False}
    return first, _chosen({**described, "content": ""}, names)


def _chosen(described: Json, names: list[str] | None) -> Json:
    """Return the fields that were asked for, those within objects under their whole names."""
    if names is None:
        return described
    found: Json = {}
    for name in names:
        value: Any = described
        for part in name.split("/"):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            found[name] = value
    return found


def _described(
    index: int,
    text: str | None,
    trace: CompletionTrace,
    settings: Json,
    found: Candidate | None,
) -> Json:
    is_cut = text is None or (found is not None and found.finish_reason in _CUTS)
    num_predicted = found.num_tokens if found else 0
    prompt = trace.prompt
    return {
        "index": index,
        **({} if text is None else {"content": text}),
        "tokens": [],
        "id_slot": 0,
        "stop": True,
        "stop_type": "limit" if is_cut else "eos",
        "stopping_word": "",
        "model": settings["model"],
        "tokens_predicted": num_predicted,
        "tokens_evaluated": prompt.num_tokens,
        "tokens_cached": prompt.num_cached_tokens + prompt.num_patched_tokens,
        "truncated": False,
        "has_new_line": "\n" in (text or ""),
        "generation_settings": settings,
        "timings": _timings(trace, num_predicted),
    }


def _settings(body: InfillBody, asked: CompletionRequest | None, door: HttpDoor) -> Json:
    used: Json = {}
    if asked is not None:
        used = {name: getattr(asked, name) for name in ("temperature", "top_k", "top_p")}
        used["n_predict"] = asked.max_new_tokens
    return {
        **{name: getattr(body, name) for name in _SHOWN_SETTINGS},
        **used,
        "n_ctx": num_context_tokens(door),
        "model": door.model_name,
        "stream": bool(body.stream),
    }


def _timings(trace: CompletionTrace, num_predicted: int) -> Json:
    stages, prompt = trace.timings_ms, trace.prompt
    prompt_ms = stages.retrieval + stages.prompt + stages.patch + stages.prefill
    return {
        "cache_n": prompt.num_cached_tokens + prompt.num_patched_tokens,
        **_rates("prompt", prompt.num_new_tokens, prompt_ms),
        **_rates("predicted", num_predicted, stages.decode),
    }


def _rates(stage: str, num_tokens: int, spent_ms: float) -> Json:
    return {
        f"{stage}_n": num_tokens,
        f"{stage}_ms": spent_ms,
        f"{stage}_per_token_ms": spent_ms / num_tokens if num_tokens else 0.0,
        f"{stage}_per_second": num_tokens / spent_ms * 1000 if spent_ms else 0.0,
    }
