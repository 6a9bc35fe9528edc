"""What a keystroke costs in a long file, through the protocol, with the real model."""

from __future__ import annotations

import argparse
import inspect
import statistics
from collections.abc import Callable
from typing import Any

import pytest

from completion.config import CompletionConfig, EngineConfig
from completion.service import CompletionService
from models.loader import load_model

pytestmark = pytest.mark.weights

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
FLAGS = {
    "server.wait_for_model": "true",
    "completion.deadline_ms": "120000",
    "completion.max_new_tokens": "4",
}
NUM_LINES = 1500
METHOD = "    def set_defaults(self, **kwargs):"
NUM_KEYS = 120


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model("default", allow_network=False)


@pytest.fixture
def service(model: Any) -> CompletionService:
    """A service that does not heal: what is counted is what keystrokes cost by themselves."""
    engine = EngineConfig(heal_after_s=3600, prefetch_after_acceptance=False)
    return CompletionService(model, CompletionConfig(engine=engine))


def without_method() -> tuple[list[str], int, str]:
    """Return real code of 1,500 lines, where in it a method is missing, and the method."""
    lines = inspect.getsource(argparse).splitlines()[:NUM_LINES]
    start = lines.index(METHOD)
    stop = next(at for at in range(start + 1, NUM_LINES) if lines[at].startswith("    def "))
    return [*lines[:start], "", *lines[stop:]], start, "\n".join(lines[start:stop]).rstrip()


class Editor:
    """A buffer that types, asks after every key and counts the tokens that it cost."""

    def __init__(self, client: Any, service: CompletionService) -> None:
        self.client, self.service = client, service
        self.version, self.line, self.column = 1, 0, 0
        self.costs: list[int] = []

    async def ask(self) -> None:
        before = self.service.cache_stats.num_computed
        answer = await self.client.response(
            self.client.complete(self.line, self.column, triggerKind=1)
        )
        assert "result" in answer
        self.costs.append(self.service.cache_stats.num_computed - before)

    async def edit(self, line: int, column: int, text: str) -> None:
        here = {"line": line, "character": column}
        self.version += 1
        before = self.service.cache_stats.num_computed
        self.client.change(self.version, {"range": {"start": here, "end": here}, "text": text})
        answer = await self.client.response(
            self.client.complete(self.line, self.column, triggerKind=1)
        )
        assert "result" in answer
        self.costs.append(self.service.cache_stats.num_computed - before)

    async def type(self, key: str) -> None:
        line, column = self.line, self.column
        if key == "\n":
            self.line, self.column = line + 1, 0
        else:
            self.column += 1
        await self.edit(line, column, key)


async def test_typing_a_function_in_a_long_file_costs_a_few_tokens_a_key(
    connected: Connect, initialize: Initialize, service: CompletionService
) -> None:
    lines, start, method = without_method()
    async with connected(**FLAGS) as client:
        await initialize(client)
        client.open("\n".join(lines) + "\n")
        editor = Editor(client, service)
        editor.line = start
        await editor.ask()
        (cold,) = editor.costs
        assert cold > 1000, "the window should be full of code"
        editor.costs.clear()
        for key in method[:NUM_KEYS]:
            await editor.type(key)
        typing = list(editor.costs)
        editor.costs.clear()
        # Elsewhere: a line 40 lines above the cursor, whose column does not change.
        editor.line += 1
        await editor.edit(start - 40, 0, "        # one more line of text\n")
        (elsewhere,) = editor.costs
    assert len(typing) == NUM_KEYS
    # Most keys continue a suggestion or add a token; a new line moves the sentinel behind it.
    assert statistics.median(typing) <= 1, typing
    assert statistics.fmean(typing) <= 5, typing
    assert max(typing) <= 64, typing
    assert 0 < elsewhere <= 100
