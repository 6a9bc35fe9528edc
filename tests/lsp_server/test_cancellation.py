"""What a client takes back frees the engine before the next layer, in every phase of the work."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.context import ContextRoom, NoContext
from completion.service import CompletionService
from completion.types import CompletionRequest, ContextChunk
from models.decoder import Decoder

_SPEC = importlib.util.spec_from_file_location(
    "completion_fixtures", Path(__file__).parents[1] / "completion" / "conftest.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
_completion = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_completion)
tiny_tokenizer, tiny_model = _completion.tiny_tokenizer, _completion.tiny_model

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
FLAGS = {
    "server.wait_for_model": "true",
    "completion.deadline_ms": "60000",
    "engine.speculation": "false",  # so that a pass over one row is one of decoding
}
CONFIG = CompletionConfig(
    prompt=PromptConfig(max_num_tokens=1024),
    engine=EngineConfig(prefill_chunk=32, prefetch_after_acceptance=False, max_new_tokens=24),
)
REQUEST_CANCELLED = -32800
URI, OTHER = "file:///w/a.py", "file:///w/other.py"
TEXT = "def f(a, b):\n    total = a\n    \n    return total\n\n\ndef g(c):\n    return c\n"
HERE = (2, 4)


class Watch(NoContext):
    """Counts the layers that run for each request, and holds the engine where a test says.

    It is the service's source of context too: that is where it learns what the engine works on.
    """

    def __init__(self) -> None:
        self.num_layers: Counter[str] = Counter()
        self.begun: list[str] = []
        self.is_there: Callable[[int, int], bool] = lambda _num_rows, _layer: False
        self.is_held = threading.Event()
        self.may_go_on = threading.Event()

    @property
    def answered(self) -> list[str]:
        """What was begun for somebody who waits: caches are patched for nobody."""
        return [request_id for request_id in self.begun if not request_id.startswith("ahead of")]

    def chunks(self, request: CompletionRequest, room: ContextRoom) -> Sequence[ContextChunk]:
        self.begun.append(request.request_id)
        return []

    def forward(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``Decoder.forward`` with every layer counted."""

        def watched(decoder: Decoder, batch: Any, pool: Any, **options: Any) -> Any:
            checkpoint, num_rows = options["checkpoint"], len(batch.token_ids)
            layer = iter(range(1000))

            def count() -> None:
                if not self.is_held.is_set() and self.is_there(num_rows, next(layer)):
                    self.is_held.set()
                    assert self.may_go_on.wait(10)
                checkpoint()
                self.num_layers[self.begun[-1]] += 1

            return plain(decoder, batch, pool, **{**options, "checkpoint": count})

        return watched


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    watch = Watch()
    monkeypatch.setattr(Decoder, "forward", watch.forward(Decoder.forward))
    yield watch
    watch.may_go_on.set()
    torch.set_num_threads(num_threads)


@pytest.fixture
def service(tiny_model: Any, watch: Watch) -> CompletionService:
    return CompletionService(tiny_model, CONFIG, watch)  # closed by the connection's host


def in_prefill(num_rows: int, layer: int) -> bool:
    return num_rows > 1 and layer == 1


def in_decode(num_rows: int, layer: int) -> bool:
    return num_rows == 1 and layer == 1


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it becomes true in another thread
            await asyncio.sleep(0.001)


def take_back(client: Any, event: str, asked: int) -> int | None:
    """Make the request ``asked`` pointless; returns the id of the request that supersedes it."""
    if event == "cancel":
        client.notify("$/cancelRequest", {"id": asked})
    elif event == "change":
        client.change(2, {"text": "x"})
    elif event == "close":
        client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    else:
        return int(client.complete(*HERE, triggerKind=1))
    return None


@pytest.mark.parametrize("event", ["cancel", "change", "close", "newer request"])
@pytest.mark.parametrize("phase", [in_prefill, in_decode])
async def test_no_layer_runs_for_a_request_once_it_is_taken_back(
    connected: Connect,
    initialize: Initialize,
    watch: Watch,
    phase: Callable[[int, int], bool],
    event: str,
) -> None:
    watch.is_there = phase
    async with connected(**FLAGS) as client:
        await initialize(client)
        client.open(TEXT)
        client.open(TEXT, uri=OTHER)
        asked = client.complete(*HERE, triggerKind=1)
        await _until(watch.is_held.is_set)
        (taken_back,) = watch.begun
        num_before = watch.num_layers[taken_back]
        newer = take_back(client, event, asked)
        assert (await client.response(asked))["error"]["code"] == REQUEST_CANCELLED
        watch.may_go_on.set()
        if newer is not None:
            assert "result" in await client.response(newer)
        # The engine works in order: it has left the first request once it answers another one.
        after = client.complete(*HERE, uri=OTHER, triggerKind=1)
        assert "result" in await client.response(after)
    assert num_before > 0, "the engine was at work on it"
    assert watch.num_layers[taken_back] == num_before
    assert watch.num_layers[watch.answered[-1]] > 0


@pytest.mark.parametrize("event", ["cancel", "change", "close"])
async def test_a_request_that_is_taken_back_in_the_queue_never_reaches_the_model(
    connected: Connect,
    initialize: Initialize,
    watch: Watch,
    service: CompletionService,
    event: str,
) -> None:
    watch.is_there = in_prefill
    async with connected(**FLAGS) as client:
        await initialize(client)
        client.open(TEXT)
        client.open(TEXT, uri=OTHER)
        running = client.complete(*HERE, uri=OTHER, triggerKind=1)
        await _until(watch.is_held.is_set)
        num_waiting = service.num_waiting
        asked = client.complete(*HERE, triggerKind=1)
        await _until(lambda: service.num_waiting > num_waiting)
        take_back(client, event, asked)
        assert (await client.response(asked))["error"]["code"] == REQUEST_CANCELLED
        watch.may_go_on.set()
        assert "result" in await client.response(running)
        after = client.complete(2, 0, uri=OTHER, triggerKind=1)
        assert "result" in await client.response(after)
    assert len(watch.answered) == 2, "the two requests in the other document"
