"""An explanation as text for a terminal; made from its JSON alone, as any client could."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

Json = Any

_BAR_WIDTH = 48
_MAX_NUM_TEXT_LINES = 12
# Where a suggestion is from that no request of its own brought.
_FROM_EARLIER = {
    "cache": "kept from an earlier answer, which is not remembered",
    "typing_as_suggested": "kept from an earlier answer, which is not remembered",
    "prefetch": "written before anybody asked",
}
# The stages in their order, and the letter that draws each.
_STAGES = {
    "waiting": ".",
    "retrieval": "r",
    "prompt": "b",
    "patch": "m",
    "prefill": "P",
    "decode": "D",
    "post": "f",
}


def in_words(explanation: Mapping[str, Json]) -> str:
    """Return the explanation for people; fields that an older daemon lacks are left out."""
    lines = [
        *_head(explanation),
        *_text(explanation),
        *_origin(explanation),
        *_stages(explanation.get("timings_ms") or {}),
        *_prompt(explanation.get("prompt") or {}, explanation),
        *_drafts(explanation),
        *_context(explanation.get("context") or ()),
        *_feedback(explanation.get("feedback") or {}),
    ]
    return "".join(f"{_printable(line)}\n" for line in lines)


def _head(explanation: Mapping[str, Json]) -> Iterator[str]:
    yield explanation["sentence"]
    ended_at = datetime.fromtimestamp(explanation["time"]).astimezone()
    where = explanation.get("path") or explanation.get("uri")
    yield ""
    yield f"request   {explanation['id']}"
    yield f"asked at  {where}:{explanation['line']}:{explanation['column']}"
    yield f"by        {explanation.get('client')} ({explanation['door']}), {ended_at:%H:%M:%S}"
    if explanation.get("model"):
        yield f"model     {explanation['model']}"
    if explanation.get("confidence") is not None:
        ending = f", ended by {explanation['finish_reason']}"
        yield f"sure      {explanation['confidence']:.0%}{ending}"


def _text(explanation: Mapping[str, Json]) -> Iterator[str]:
    """Yield what was offered, or what the model wrote of what was not."""
    text, title = explanation.get("text"), "text"
    if text is None:
        text = "".join(token["text"] for token in explanation.get("output") or ())
        title = "the model wrote"
    if not text:
        return
    yield ""
    yield f"{title}:"
    lines = text.splitlines()
    yield from (f"  | {line}" for line in lines[:_MAX_NUM_TEXT_LINES])
    if len(lines) > _MAX_NUM_TEXT_LINES:
        yield f"  and {len(lines) - _MAX_NUM_TEXT_LINES} more lines"


def _origin(explanation: Mapping[str, Json]) -> Iterator[str]:
    """Yield where the prompt and the tokens are of an answer that needed neither."""
    origin, source = explanation.get("kept_from"), explanation.get("source")
    if origin:
        yield ""
        yield f"kept from request {origin}; its prompt and tokens: fimble why {origin}"
    elif source in _FROM_EARLIER:
        yield ""
        yield f"{_FROM_EARLIER[source]}, so that its prompt and tokens are not known"


def _stages(timings: Mapping[str, float | None]) -> Iterator[str]:
    total = timings.get("total")
    if total is None:
        return
    known = {name: timings.get(name) or 0.0 for name in _STAGES}
    yield ""
    yield f"time      {total:.{0 if total >= 10 else 1}f} ms"
    if not any(known.values()):
        return
    yield f"  [{_bar(known)}]"
    told = (f"{_STAGES[name]} {name} {ms:.1f}" for name, ms in known.items() if ms >= 0.05)
    yield f"  {', '.join(told)}"


def _bar(stages: Mapping[str, float]) -> str:
    """Return the stages side by side, each as wide as its share of the time."""
    total = sum(stages.values())
    bar, passed = "", 0.0
    for name, ms in stages.items():
        passed += ms
        bar += _STAGES[name] * (round(passed / total * _BAR_WIDTH) - len(bar))
    return bar


def _prompt(prompt: Mapping[str, Json], explanation: Mapping[str, Json]) -> Iterator[str]:
    if not prompt.get("num_tokens"):
        return
    yield ""
    yield f"prompt    {prompt['num_tokens']} tokens: {_by_state(prompt)}"
    if explanation.get("age"):
        yield f"  the oldest of it was computed {explanation['age']} edits ago"
    by_segment: dict[str, int] = {}
    for span in prompt.get("spans") or ():
        segment = span["segment"]
        by_segment[segment] = by_segment.get(segment, 0) + span["num_tokens"]
    if by_segment:
        yield "  " + ", ".join(f"{name} {num_tokens}" for name, num_tokens in by_segment.items())


def _by_state(prompt: Mapping[str, Json]) -> str:
    return (
        f"{prompt['num_cached']} exact from the cache, {prompt['num_patched']} patched, "
        f"{prompt['num_healed']} computed again, {prompt['num_new']} new"
    )


def _drafts(explanation: Mapping[str, Json]) -> Iterator[str]:
    stats = explanation.get("speculation") or {}
    if not stats.get("num_forward_passes") and not stats.get("num_draft_tokens"):
        return
    drafted, accepted = stats["num_draft_tokens"], stats["num_accepted_tokens"]
    yield ""
    yield f"drafts    {accepted} of {drafted} accepted, {stats['num_forward_passes']} passes to decode"
    by_source = stats.get("by_source") or {}
    if by_source:
        yield "  " + ", ".join(f"{name} {num_tokens}" for name, num_tokens in by_source.items())


def _context(chunks: Sequence[Mapping[str, Json]]) -> Iterator[str]:
    if not chunks:
        return
    yield ""
    yield "context   code of other files that the model saw"
    for chunk in chunks:
        lines = f"{chunk['start_line']}-{chunk['end_line']}"
        reason = chunk.get("reason") or chunk["source"]
        yield f"  {chunk['path']}:{lines}  {chunk['score']:.2f}  {reason}"


def _feedback(feedback: Mapping[str, Json]) -> Iterator[str]:
    if not feedback.get("shown") and not feedback.get("accepted"):
        return
    taken = {"all": "accepted", "part": "accepted in part", None: "shown, not accepted"}
    kept = (f"{ratio:.0%} kept after {s} s" for s, ratio in (feedback.get("kept") or {}).items())
    yield ""
    yield "then      " + ", ".join((taken.get(feedback.get("accepted"), "shown"), *kept))


def _printable(line: str) -> str:
    """Return ``line`` without what could steer a terminal."""
    return "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in line)
