"""``POST /v1/completions``: one object, or the same as a stream of server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from typing import TypeVar

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from lsp_server.http.choices import FinishedChoice, PlannedChoice, logprobs_object
from lsp_server.http.door import HttpDoor, Piece
from lsp_server.http.errors import ApiError
from lsp_server.http.schema import CompletionBody

T = TypeVar("T")

CLIENT_CLOSED_REQUEST = 499  # nobody reads it; it tells the log and the metrics
_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
]


class Answer:
    """One request's choices on their way to its client."""

    def __init__(
        self,
        door: HttpDoor,
        body: CompletionBody,
        planned: list[PlannedChoice],
        request_id: str,
    ) -> None:
        self._door, self._body, self._planned = door, body, planned
        self._head: dict[str, object] = {
            "id": f"cmpl-{request_id}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": door.model_name,
        }
        self._finished: list[FinishedChoice] = []

    async def whole(self) -> Response:
        """Return all choices in one response."""
        async with aclosing(self._door.run(self._planned)) as events:
            async for event in events:
                if isinstance(event, FinishedChoice):
                    self._finished.append(event)
        choices = [
            self._choice(done.index, self._echo(done.index) + done.text, done)
            for done in self._finished
        ]
        return JSONResponse({**self._head, "choices": choices, "usage": self._usage()})

    async def chunks(self) -> AsyncGenerator[dict[str, object], None]:
        """Yield the objects of a stream."""
        begun: set[int] = set()
        async with aclosing(self._door.run(self._planned)) as events:
            async for event in events:
                text = event.text if isinstance(event, Piece) else ""
                if event.index not in begun:
                    begun.add(event.index)
                    text = self._echo(event.index) + text
                done = event if isinstance(event, FinishedChoice) else None
                if done is not None:
                    self._finished.append(done)
                yield self._chunk([self._choice(event.index, text, done)])
        if self._wants_usage:
            yield {**self._chunk([]), "usage": self._usage()}

    @property
    def _wants_usage(self) -> bool:
        options = self._body.stream_options
        return options is not None and bool(options.include_usage)

    def _chunk(self, choices: list[dict[str, object]]) -> dict[str, object]:
        # With include_usage, OpenAI's chunks all have the field, null until the last.
        usage: dict[str, object] = {"usage": None} if self._wants_usage else {}
        return {**self._head, "choices": choices, **usage}

    def _choice(self, index: int, text: str, done: FinishedChoice | None) -> dict[str, object]:
        has_logprobs = done is not None and self._body.logprobs is not None
        return {
            "text": text,
            "index": index,
            "logprobs": logprobs_object(done) if has_logprobs and done else None,
            "finish_reason": done.finish_reason if done else None,
        }

    def _echo(self, index: int) -> str:
        return self._planned[index].request.prefix if self._body.echo else ""

    def _usage(self) -> dict[str, object]:
        first = [done for done in self._finished if self._planned[done.index].is_first_of_prompt]
        num_prompt_tokens = sum(done.prompt.num_tokens for done in first)
        num_tokens = sum(done.num_tokens for done in self._finished)
        return {
            "prompt_tokens": num_prompt_tokens,
            "completion_tokens": num_tokens,
            "total_tokens": num_prompt_tokens + num_tokens,
            "prompt_tokens_details": {
                "cached_tokens": sum(done.prompt.num_cached_tokens for done in first)
            },
        }


class EventStream(Response):
    """A response that starts with its first chunk, so that a request that fails gets its status."""

    def __init__(self, answer: Answer, door: HttpDoor) -> None:
        super().__init__()
        self._answer, self._door = answer, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; if the client goes away, the engine is freed."""
        await unless_gone(receive, self._send_all(send))

    async def _send_all(self, send: Send) -> None:
        is_started = False
        with self._door.admitted():
            try:
                async with aclosing(self._answer.chunks()) as chunks:
                    async for chunk in chunks:
                        if not is_started:
                            await start_events(send)
                            is_started = True
                        await _send_event(send, chunk)
                await send_data(send, "[DONE]")
            except ApiError as error:
                if not is_started:
                    raise
                await _send_event(send, error.body())
        await send({"type": "http.response.body", "body": b""})


async def start_events(send: Send) -> None:
    """Begin a response of server-sent events."""
    await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})


async def _send_event(send: Send, content: Mapping[str, object]) -> None:
    await send_data(send, json.dumps(content, ensure_ascii=False, allow_nan=False))


async def send_data(send: Send, text: str) -> None:
    """Send one event that holds ``text``, a single line."""
    line = f"data: {text}\n\n".encode()
    await send({"type": "http.response.body", "body": line, "more_body": True})


async def answer_whole(answer: Answer, door: HttpDoor, receive: Receive) -> Response:
    """Return all choices in one response; if the client goes away, the engine is freed."""
    with door.admitted():
        response = await unless_gone(receive, answer.whole())
    return response or Response(status_code=CLIENT_CLOSED_REQUEST)


async def unless_gone(receive: Receive, work: Coroutine[object, object, T]) -> T | None:
    """Return what ``work`` returns, or ``None`` as soon as the client has gone away."""
    task, watcher = asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        watcher.cancel()
        await asyncio.gather(task, watcher, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
