"""``GET /v1/live``: what happens, as server-sent events, to those who keep up with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lsp_server.explanation import Explanation
from lsp_server.http.completions import send_data, start_events, unless_gone
from lsp_server.http.door import HttpDoor
from lsp_server.process_status import process_status

STATUS_EVERY_S = 2.0
MAX_NUM_BEHIND = 64  # requests that have ended since the client last took one


class LiveFeed(Response):
    """Sends until the client goes away, falls behind, or the listener closes."""

    status_every_s = STATUS_EVERY_S
    max_num_behind = MAX_NUM_BEHIND

    def __init__(self, door: HttpDoor) -> None:
        super().__init__()
        self._door = door
        self._ended: asyncio.Queue[Explanation] = asyncio.Queue(self.max_num_behind)
        self._is_behind = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        loop = asyncio.get_running_loop()

        def hand_on(explanation: Explanation) -> None:  # in whichever thread recorded it
            loop.call_soon_threadsafe(self._take, explanation)

        with self._door.watched():
            unsubscribe = self._door.explanations.subscribe(hand_on)
            try:
                await start_events(send)
                await unless_gone(receive, self._until_the_end(send))
            finally:
                unsubscribe()
        await send({"type": "http.response.body", "body": b""})

    def _take(self, explanation: Explanation) -> None:
        try:
            self._ended.put_nowait(explanation)
        except asyncio.QueueFull:
            self._is_behind.set()

    async def _until_the_end(self, send: Send) -> None:
        ends = [self._is_behind.wait(), self._door.is_closing.wait(), self._send_all(send)]
        tasks = [asyncio.ensure_future(end) for end in ends]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()  # what went wrong in sending must not look like an end
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self._events()) as events:
            async for event in events:
                await send_data(send, json.dumps(event))  # half a surrogate pair is escaped

    async def _events(self) -> AsyncGenerator[Mapping[str, object], None]:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                async with asyncio.timeout_at(due):
                    ended = await self._ended.get()
                yield {"type": "explanation", **self._door.explanations.summary(ended)}
            except TimeoutError:
                yield {"type": "status", **process_status(self._door.host)}
                due = loop.time() + self.status_every_s
