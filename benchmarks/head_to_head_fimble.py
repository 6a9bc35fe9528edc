"""A stretch replayed against fimble's language server, as an editor would have it there.

Time is real. Each key is a change, the end of the question before it, if that is still open, and a
question, in the order of VS Code; a client's own wait before a question is left out, as llama.vim
has none either.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.daemon import Json, LspClient
from benchmarks.head_to_head_schedule import Step, Stretch
from benchmarks.head_to_head_scores import LATE, Replay, Shown, Side, cpu_s, scored
from benchmarks.head_to_head_servers import WAIT_S, FimbleServer
from completion.types import apply_edits
from lsp_server.line_index import LineIndex, LspPosition
from lsp_server.text_units import PositionEncoding

REST_S, REST_CPU_S = 1.0, 0.05  # longer than a server waits before it heals; hardly any work
AUTOMATIC = {"triggerKind": 2}


@dataclass(frozen=True, slots=True)
class Message:
    """What an editor says at a step: changes of the document, and where the cursor is then."""

    changes: list[Json]
    position: Json


@dataclass
class Asked:
    """One question. ``items`` came ``ms`` after the key, ``None`` if the question was taken back."""

    msg_id: int
    is_over: bool = False
    ms: float = 0.0
    items: list[Json] | None = None
    why: asyncio.Future[dict[str, Json]] | None = None

    async def explanation(self) -> Json:
        """Return what ``fimble/why`` said right after the answer, ``None`` without an answer."""
        return None if self.why is None else (await asyncio.wait_for(self.why, WAIT_S))["result"]


@dataclass
class Editor:
    """An editor with one document."""

    client: LspClient
    uri: str
    num_changes: int = 0
    asked: list[Asked] = field(default_factory=list)

    def open(self, language_id: str, text: str) -> None:
        """Open the document."""
        item = {"uri": self.uri, "languageId": language_id, "version": 0, "text": text}
        self.client.notify("textDocument/didOpen", {"textDocument": item})

    def press(self, message: Message) -> Asked:
        """Change the document and ask for ghost text."""
        started = time.perf_counter()
        self.num_changes += 1
        document = {"uri": self.uri, "version": self.num_changes}
        params = {"textDocument": document, "contentChanges": message.changes}
        self.client.notify("textDocument/didChange", params)
        self.leave()
        return self.ask(message.position, started)

    def leave(self) -> None:
        """Take the last question back if it is still open."""
        if self.asked and not self.asked[-1].is_over:
            self.client.notify("$/cancelRequest", {"id": self.asked[-1].msg_id})

    def ask(self, position: Json, started: float) -> Asked:
        """Ask for ghost text; ``started`` is when the key was pressed."""
        document = {"uri": self.uri}
        params = {"textDocument": document, "position": position, "context": AUTOMATIC}
        msg_id, response = self.client.request("textDocument/inlineCompletion", params)
        asked = Asked(msg_id)

        def note(done: asyncio.Future[dict[str, Json]]) -> None:
            asked.is_over = True
            if not done.cancelled() and "result" in done.result():
                asked.ms = 1000 * (time.perf_counter() - started)
                asked.items = done.result()["result"]["items"]
                asked.why = self.client.request("fimble/why", {"textDocument": document})[1]

        response.add_done_callback(note)
        self.asked.append(asked)
        return asked


async def replay_fimble(stretch: Stretch, server: FimbleServer, side: Side) -> Replay:
    """Return what ``stretch`` brought and cost, the first prompt not counted."""
    editor = Editor(server.client, f"file:///head_to_head/{stretch.path}")
    await _warm_up(editor, stretch, server)
    before_s, num_before = cpu_s(server.process_ids), await server.num_computed()
    pressed = await _typed(editor, stretch)
    after_s, num_after = cpu_s(server.process_ids), await server.num_computed()
    explained = [(step, asked, await asked.explanation()) for step, asked in pressed]
    is_counted = num_before is not None and num_after is not None
    return Replay(
        stretch_id=stretch.stretch_id,
        language=stretch.language,
        has_jump=stretch.has_jump,
        side=side,
        cpu_s=after_s - before_s,
        num_asked_tokens=num_new_tokens([why for _, _, why in explained]),
        num_computed_tokens=(num_after or 0) - (num_before or 0) if is_counted else None,
        keys=tuple(
            scored(step, shown_by(asked, why, step), reason_of(asked, why))
            for step, asked, why in explained
        ),
    )


async def _warm_up(editor: Editor, stretch: Stretch, server: FimbleServer) -> None:
    """Open the document, get an answer where the person is about to type, and wait for rest."""
    editor.open(stretch.language_id, stretch.start_text)
    text, cursor = stretch.start_text, stretch.start_cursor
    asked = editor.ask(position_at(text, cursor), time.perf_counter())
    give_up_at = time.monotonic() + WAIT_S
    while not asked.is_over or not await _is_at_rest(server):
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"fimble is not at rest {WAIT_S:.0f} s after {stretch.path}")
        await asyncio.sleep(0.01)


async def _is_at_rest(server: FimbleServer) -> bool:
    before_s = cpu_s(server.process_ids)
    await asyncio.sleep(REST_S)
    return cpu_s(server.process_ids) - before_s < REST_CPU_S


async def _typed(editor: Editor, stretch: Stretch) -> list[tuple[Step, Asked]]:
    """Replay the steps on their schedule; return each key with its question."""
    texts = [stretch.start_text, *(step.text for step in stretch.steps)]
    messages = [message_of(text, step) for text, step in zip(texts, stretch.steps, strict=False)]
    pressed: list[tuple[Step, Asked]] = []
    started = time.perf_counter()
    for step, message in zip(stretch.steps, messages, strict=True):
        await _sleep_until(started + step.at_ms / 1000)
        if step.is_key:
            pressed.append((step, editor.press(message)))
        else:
            editor.leave()
    last = stretch.steps[-1]
    await _sleep_until(started + (last.at_ms + last.pause_ms) / 1000)
    editor.leave()
    return pressed


async def _sleep_until(moment_s: float) -> None:
    await asyncio.sleep(max(0.0, moment_s - time.perf_counter()))


def message_of(text: str, step: Step) -> Message:
    """Return what an editor says when ``step`` is taken in ``text``."""
    changes: list[Json] = []
    for edit in step.edits:
        ends = {"start": position_at(text, edit.start), "end": position_at(text, edit.end)}
        changes.append({"range": ends, "text": edit.inserted})
        text = apply_edits(text, [edit])
    return Message(changes, position_at(text, step.cursor))


def position_at(text: str, offset: int) -> Json:
    """Return the protocol's position of ``offset``, in code points."""
    position = LineIndex.of(text).position_of(text, offset, PositionEncoding.UTF32)
    return {"line": position.line, "character": position.character}


def shown_by(asked: Asked, why: Json, step: Step) -> Shown | None:
    """Return what an editor shows of the answer, ``None`` if that is nothing.

    As editors do, an item whose text does not go on from what is typed is not shown.
    """
    if not asked.items:
        return None
    item, lines = asked.items[0], LineIndex.of(step.text)
    start, end = (
        lines.offset_of(step.text, LspPosition(**item["range"][side]), PositionEncoding.UTF32)
        for side in ("start", "end")
    )
    typed = step.text[start : step.cursor]
    if not item["insertText"].startswith(typed):
        return None
    inserted = item["insertText"].removeprefix(typed)
    is_from_cache = why is not None and why["prompt"]["num_tokens"] == 0
    return Shown(asked.ms, step.cursor, end, inserted, is_from_cache)


def reason_of(asked: Asked, why: Json) -> str:
    """Return why there was no answer, or none with text; empty for an answer that is none of both."""
    if asked.items is None:
        return LATE
    return (why or {}).get("reason") or ""


def num_new_tokens(explanations: Sequence[Json]) -> int:
    """Return how many tokens of prompts were computed for answers, each answer counted once."""
    prompts = {why["id"]: why["prompt"] for why in explanations if why}
    computed = {name: told["num_new"] + told["num_healed"] for name, told in prompts.items()}
    return sum(computed.values())
