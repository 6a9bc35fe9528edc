"""The editor plugin llama.vim as a rival: its requests, its caches and its pace, without Vim.

``LlamaVim`` is the plugin's state machine on a clock that the caller moves. A request is answered
by a real server when it is sent, and its answer arrives once the clock has moved by the time that
took. So a replay shows what a person typing at that pace would see, and the server meets the
plugin's requests in the plugin's order.

    with LlamaServer(binary, model, num_threads) as server:
        vim = LlamaVim(server.address)
        vim.opened(path, text, offset)
        vim.until(at_ms)
        vim.edited(text, offset)

It differs from the plugin where that helps the rival or makes a run repeatable: no process of curl
per request, no 100 ms before an opened file gives its chunk, chunks chosen by a seed, columns in
code points, and a suggestion accepted in column 0 does not double the line. Requests that fail
raise. The menu of Vim's own completion, manual triggers and instructions are left out.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.llama_server import Address, Json, LlamaServer, Reply, infill
from benchmarks.llama_vim_context import (
    Buffer,
    LlamaConfig,
    LocalContext,
    Suggestion,
    context_after,
    context_at_cursor,
    suggestion_at,
)
from benchmarks.llama_vim_memory import ChunkRing, CompletionCache
from benchmarks.llama_vim_requests import completion_request, ring_request

__all__ = ["LlamaAnswer", "LlamaConfig", "LlamaServer", "LlamaVim", "Purpose", "Source"]

AWAITED_PREDICT_MS = 250  # the plugin's limit for an answer that somebody waits for
RETRY_MS = 100
STILL_MS = 3000  # how long the cursor rests before the ring changes in insert mode
MAX_NUM_LINES_NEAR = 32  # farther moves queue chunks of the text outside the local context


class Source(StrEnum):
    """Where a suggestion came from; NONE when there is none."""

    SERVER = "server"
    CACHE = "cache"
    NONE = "none"


class Purpose(StrEnum):
    """Why a request was sent: for the cursor, for the place behind a suggestion, for the ring."""

    COMPLETION = "completion"
    SPECULATION = "speculation"
    RING = "ring"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request's purpose, when it was sent by the caller's clock, and its answer."""

    purpose: Purpose
    sent_at_ms: float
    reply: Reply


@dataclass(frozen=True, slots=True)
class LlamaAnswer:
    """What is shown: ``text`` goes in at the cursor for ``num_removed`` code points before it.

    ``ms`` is from the keystroke until it shows. The counts are those of the request that brought
    it, 0 if none did: tokens of the prompt, those of them that were computed, tokens generated.
    """

    text: str
    num_removed: int
    ms: float
    source: Source
    num_prompt_tokens: int = 0
    num_computed_tokens: int = 0
    num_predicted: int = 0


NOTHING = LlamaAnswer("", 0, 0.0, Source.NONE)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """The place behind a suggestion that was shown at a line."""

    line_idx: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Flight:
    """The request under way; nothing cancels it and it has no company but the ring's."""

    due_ms: float
    keys: list[str]
    exchange: Exchange


@dataclass(frozen=True, slots=True)
class _Timer:
    """A call put off because a request was under way; None is wherever the cursor is by then."""

    due_ms: float
    place: _Ahead | None


class LlamaVim:
    """One Vim with the plugin: one buffer in view, one ring of chunks, one request at a time."""

    def __init__(
        self, address: Address, config: LlamaConfig | None = None, *, seed: int = 0
    ) -> None:
        """Start at time 0 with nothing remembered; the seed decides which lines become chunks."""
        self.now_ms = 0.0
        self.shown = NOTHING
        self.exchanges: list[Exchange] = []
        self._address = address
        self._config = config or LlamaConfig()
        self._ring = ChunkRing(self._config, random.Random(seed))
        self._cache = CompletionCache(self._config.max_cache_keys)
        self._buffer = Buffer("", ("",), 0, 0)
        self._modified: set[str] = set()
        self._inserting = False
        self._suggestion: Suggestion | None = None
        self._flight: _Flight | None = None
        self._timer: _Timer | None = None
        self._last_indent = -1
        self._picked_line_idx: int | None = None
        self._moved_at_ms = 0.0
        self._tick_ms = float(self._config.ring_update_ms)
        self._server_free_ms = 0.0

    @property
    def num_queued_chunks(self) -> int:
        """How many chunks wait to join the ring."""
        return self._ring.num_queued

    def opened(self, path: str, text: str, offset: int) -> None:
        """Leave the file in view, if any, and enter another as it is on disk, or a known one."""
        self._pick_around_cursor()
        self._buffer = Buffer.at(path, text, offset)
        self._inserting = False
        self._hide()
        self._pick_around_cursor()

    def saved(self) -> None:
        """Write the file."""
        self._modified.discard(self._buffer.path)
        self._pick_around_cursor()

    def yanked(self, lines: Sequence[str]) -> None:
        """Copy lines."""
        self._ring.replace(lines, self._buffer.path, self.now_ms)

    def moved(self, text: str, offset: int) -> None:
        """Move the cursor in normal mode: nothing shows, nothing is asked for."""
        self._place(text, offset)
        self._inserting = False

    def edited(self, text: str, offset: int) -> LlamaAnswer:
        """Type, or move the cursor in insert mode; return what shows at once.

        A request may be under way afterwards. ``shown`` has its answer when time has passed.
        """
        self._place(text, offset)
        self._inserting = True
        self._show(None)
        self._ask(None)
        return self.shown

    def complete(self, path: str, text: str, offset: int) -> LlamaAnswer:
        """Type, then let time pass until the plugin has an answer for the place or gives up."""
        if path != self._buffer.path:
            self.opened(path, text, offset)
        self.edited(text, offset)
        while not self._is_answered() and self._is_asking():
            self._step(float("inf"))
        return self.shown

    def until(self, at_ms: float) -> None:
        """Let time pass: answers arrive, requests that were put off are sent, the ring grows."""
        while self._step(at_ms):
            pass
        self.now_ms = max(self.now_ms, at_ms)

    def idle(self) -> Exchange | None:
        """Let one queued chunk join the ring and the server read the ring; None if none waits.

        ``until`` does this every second in normal mode or after three seconds without a keystroke.
        """
        if not self._ring.advance():
            return None
        return self._send(Purpose.RING, ring_request(self._ring.extra()))

    def _place(self, text: str, offset: int) -> None:
        buffer = Buffer.at(self._buffer.path, text, offset)
        if buffer.lines != self._buffer.lines:
            self._modified.add(buffer.path)
        self._buffer = buffer
        self._moved_at_ms = self.now_ms
        self._hide()

    def _hide(self) -> None:
        self._suggestion = None
        self.shown = NOTHING

    def _show(self, exchange: Exchange | None) -> None:
        """Show what the cache holds for the cursor, and ask for what would follow it."""
        started = time.perf_counter()
        content = self._cache.find(context_at_cursor(self._buffer, self._config))
        if content is None:
            return
        self._suggestion = suggestion = suggestion_at(self._buffer, content)
        look_up_ms = (time.perf_counter() - started) * 1000
        ms = self.now_ms - self._moved_at_ms + look_up_ms
        reply = None if exchange is None else exchange.reply
        self.shown = LlamaAnswer(
            suggestion.text,
            suggestion.num_removed,
            ms,
            Source.CACHE if reply is None else Source.SERVER,
            num_prompt_tokens=0 if reply is None else reply.num_prompt_tokens,
            num_computed_tokens=0 if reply is None else reply.num_computed_tokens,
            num_predicted=0 if reply is None else reply.num_predicted,
        )
        self._ask(_Ahead(self._buffer.line_idx, suggestion.lines))

    def _ask(self, place: _Ahead | None) -> None:
        """Send a request for a place unless one is under way or the answer is known."""
        if self._flight is not None:
            self._timer = _Timer(self.now_ms + RETRY_MS, place)
            return
        context = self._context(place)
        keys = context.keys()
        if len(context.line_suffix) > self._config.max_line_suffix or self._cache.has_any(keys):
            return
        self._last_indent = context.indent
        self._ring.make_way(self._buffer.around(self._config.ring_chunk_size // 2))
        purpose, max_ms = Purpose.SPECULATION, self._config.t_max_predict_ms
        if place is None:
            purpose, max_ms = Purpose.COMPLETION, AWAITED_PREDICT_MS
        request = completion_request(context, self._ring.extra(), max_ms, self._config)
        exchange = self._send(purpose, request)
        self._flight = _Flight(self._server_free_ms, keys, exchange)
        self._pick_far(self._buffer.line_idx if place is None else place.line_idx)

    def _context(self, place: _Ahead | None) -> LocalContext:
        if place is None:
            return context_at_cursor(self._buffer, self._config)
        indent = self._last_indent
        return context_after(self._buffer, place.line_idx, place.lines, indent, self._config)

    def _send(self, purpose: Purpose, request: Json) -> Exchange:
        """Return the answer, known now but due at ``_server_free_ms``: the server has a queue."""
        exchange = Exchange(purpose, self.now_ms, infill(self._address, request))
        self._server_free_ms = max(self.now_ms, self._server_free_ms) + exchange.reply.ms
        self.exchanges.append(exchange)
        return exchange

    def _step(self, limit_ms: float) -> bool:
        """Let the next thing happen that is due by then; return whether there was one."""
        due = [(self._tick_ms, self._tick)]
        if self._timer is not None:
            due.append((self._timer.due_ms, self._retry))
        if self._flight is not None:
            due.append((self._flight.due_ms, self._arrive))
        due_ms, happen = min(due, key=lambda item: item[0])
        if due_ms > limit_ms:
            return False
        self.now_ms = max(self.now_ms, due_ms)
        happen()
        return True

    def _arrive(self) -> None:
        flight = self._flight
        assert flight is not None
        self._cache.put(flight.keys, flight.exchange.reply.content)
        if self._inserting and (self._suggestion is None or not self._suggestion.can_accept):
            self._show(flight.exchange)  # what this asks for is put off: the job has not ended yet
        self._flight = None

    def _retry(self) -> None:
        timer, self._timer = self._timer, None
        assert timer is not None
        self._ask(timer.place)

    def _tick(self) -> None:
        self._tick_ms += self._config.ring_update_ms
        if not self._inserting or self.now_ms - self._moved_at_ms >= STILL_MS:
            self.idle()

    def _is_answered(self) -> bool:
        if self._suggestion is not None and self._suggestion.can_accept:
            return True
        key = context_at_cursor(self._buffer, self._config).keys()[0]
        return self._cache.get(key) is not None

    def _is_asking(self) -> bool:
        return self._flight is not None or (self._timer is not None and self._timer.place is None)

    def _pick_around_cursor(self) -> None:
        if self._buffer.path and self._buffer.path not in self._modified:
            lines = self._buffer.around(self._config.ring_chunk_size // 2)
            self._ring.replace(lines, self._buffer.path, self.now_ms)

    def _pick_far(self, line_idx: int) -> None:
        """Queue a chunk before the local context and one behind it if the cursor has come far."""
        picked, config = self._picked_line_idx, self._config
        if picked is not None and abs(line_idx - picked) <= MAX_NUM_LINES_NEAR:
            return
        lines = self._buffer.lines
        before = lines[
            max(0, line_idx - config.ring_scope) : max(0, line_idx - config.n_prefix) + 1
        ]
        start = min(len(lines) - 1, line_idx + config.n_suffix)
        behind = lines[start : line_idx + config.n_suffix + config.ring_chunk_size + 1]
        for far in (before, behind):
            self._ring.offer(far, self._buffer.path, self.now_ms)
        self._picked_line_idx = line_idx
