"""Lines of other files that a client sends itself, and scripts that edit and ask at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.context import ContextRoom
from completion.service import CompletionService
from completion.types import (
    CancellationToken,
    Cancelled,
    CompletionRequest,
    ContextChunk,
    DocumentSnapshot,
    TextEdit,
    TriggerKind,
    apply_edits,
)
from models.decoder import Decoder
from models.loader import LoadedModel

TEXT = "def f(a, b):\n    return a\n\n\n" * 4


@pytest.fixture
def service(tiny_model: LoadedModel) -> Iterator[CompletionService]:
    config = CompletionConfig(
        prompt=PromptConfig(max_num_tokens=512), engine=EngineConfig(max_new_tokens=24)
    )
    service = CompletionService(tiny_model, config)
    yield service
    service.close()


def chunk(name: str, text: str = "x = 1\n") -> ContextChunk:
    return ContextChunk(name, 1, 1, text, 0.0, "client")


def ask(text: str = TEXT, **fields: object) -> CompletionRequest:
    document = DocumentSnapshot("file:///a.py", 1, "python", text)
    chosen = {"trigger": TriggerKind.INVOKED, "max_new_tokens": 4, **fields}
    return CompletionRequest("id", document, len(text), **chosen)  # type: ignore[arg-type]


def kept(names: Sequence[str], max_num_tokens: int) -> list[str]:
    """Return which of some chunks of 10 tokens each there is room for."""
    room = ContextRoom(max_num_tokens, lambda _: 10, (0, 0))
    fitting = room.fitting([chunk(name) for name in names])
    assert room.beside(fitting).max_num_tokens == max_num_tokens - 10 * len(fitting)
    return [found.path for found in fitting]


@pytest.mark.parametrize(
    ("max_num_tokens", "names"),
    [(0, ""), (9, ""), (10, "c"), (29, "bc"), (30, "abc"), (99, "abc")],
)
def test_where_room_is_short_the_first_chunks_go(max_num_tokens: int, names: str) -> None:
    assert kept("abc", max_num_tokens) == list(names)


def test_what_a_client_sends_is_shown_without_retrieval(service: CompletionService) -> None:
    given = (chunk("one.py"), chunk("two.py"))
    shown = service.complete(ask(use_retrieval=False, context=given), CancellationToken())
    assert shown.trace.context == given
    assert shown.trace.evidence is not None
    spans = shown.trace.evidence.spans()
    assert spans is not None
    context = "".join(span.text for span in spans if span.segment == "context")
    assert context.index("one.py") < context.index("two.py")


def test_more_than_there_is_room_for_is_left_out(service: CompletionService) -> None:
    given = (chunk("large.py", "value = 1\n" * 400), chunk("small.py"))
    shown = service.complete(ask(context=given), CancellationToken())
    assert [found.path for found in shown.trace.context] == ["small.py"]


def test_what_a_client_sent_is_not_kept_with_the_answer(service: CompletionService) -> None:
    request = ask(context=(chunk("one.py"),))
    service.complete(request, CancellationToken())
    assert all(not asked.context for asked, _ in service._shown.values())


def test_a_script_that_edits_and_asks_is_answered(
    service: CompletionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, pause = Decoder.forward, threading.Event()

    def slow(decoder: Decoder, *arguments: object, **options: object) -> object:
        pause.wait(0.02)  # longer than an edit waits to be patched ahead
        return forward(decoder, *arguments, **options)  # type: ignore[arg-type]

    first = ask(is_interactive=False)
    service.complete(first, CancellationToken())
    edit = TextEdit(0, 0, "# a\n")
    text = apply_edits(TEXT, (edit,))
    document = replace(first.document, version=2, base_version=1, edits=(edit,), text=text)
    asked = replace(first, document=document, offset=len(text), request_id="second")
    service._cache.clear()
    monkeypatch.setattr(Decoder, "forward", slow)
    service.prepare(asked)
    assert not isinstance(service.complete(asked, CancellationToken()), Cancelled)
