"""A real client types a line into a real server with the real model."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

pytestmark = [pytest.mark.e2e, pytest.mark.weights]

URI = "file:///w/shapes.py"
ABOVE = "def area(width, height):\n    "
BELOW = "\n\n\nprint(area(width=2, height=3))\n"
LINE = "return width * height"

COMMAND = [sys.executable, "-I", "-m", "lsp_server", "lsp", "--standalone", "--wait-for-model"]
# A busy test machine must not turn a slow answer into none.
OPTIONS = {"completion": {"deadline_ms": 120_000}, "model": {"offline": True}}


@pytest_lsp.fixture(config=ClientServerConfig(server_command=COMMAND))
async def client(lsp_client: LanguageClient) -> AsyncIterator[None]:
    capabilities = client_capabilities("visual-studio-code")
    assert capabilities.text_document is not None
    capabilities.text_document.inline_completion = types.InlineCompletionClientCapabilities()

    @lsp_client.feature(types.CLIENT_REGISTER_CAPABILITY)
    def register(_params: types.RegistrationParams) -> None:
        """Agree to whatever the server wants to be told, as VS Code does."""

    result = await lsp_client.initialize_session(
        types.InitializeParams(capabilities=capabilities, initialization_options=OPTIONS)
    )
    assert result.capabilities.inline_completion_provider is not None, "clients would never ask"
    yield
    await lsp_client.shutdown_session()


@dataclass
class Editor:
    """A buffer with a cursor behind what was typed, kept in step with the server by edits."""

    client: LanguageClient
    typed: str = ""
    version: int = 1
    shown: list[str] = field(default_factory=list)

    def open(self) -> None:
        item = types.TextDocumentItem(URI, "python", self.version, ABOVE + BELOW)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    @property
    def cursor(self) -> types.Position:
        return types.Position(1, len("    " + self.typed))

    def type(self, key: str) -> None:
        here = types.Range(self.cursor, self.cursor)
        change = types.TextDocumentContentChangePartial(range=here, text=key)
        self.version += 1
        document = types.VersionedTextDocumentIdentifier(version=self.version, uri=URI)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))
        self.typed += key

    async def ghost_text(self) -> tuple[str, types.InlineCompletionItem | None]:
        """Return what an editor would show behind the cursor, after checking that it would."""
        result = await self.client.text_document_inline_completion_async(
            types.InlineCompletionParams(
                types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
                types.TextDocumentIdentifier(URI),
                self.cursor,
            )
        )
        assert isinstance(result, types.InlineCompletionList), "null would leave old text on screen"
        if not result.items:
            return "", None
        item = result.items[0]
        line = "    " + self.typed
        assert isinstance(item.insert_text, str)
        assert item.range == types.Range(types.Position(1, 0), self.cursor)
        assert item.insert_text.startswith(line), "the item does not continue what was typed"
        return item.insert_text.removeprefix(line), item


async def test_a_line_typed_key_by_key_gets_ghost_text_that_completes_it(
    client: LanguageClient,
) -> None:
    editor = Editor(client)
    editor.open()
    lines = []
    for key in LINE[:-1]:
        editor.type(key)
        text, item = await editor.ghost_text()
        if item is not None:
            lines.append((editor.typed + text).partition("\n")[0])
    assert LINE in lines, lines
    first = lines.index(LINE)
    assert first <= LINE.index("height"), "the line was not foreseen before its last word"
    assert all(line == LINE for line in lines[first:]), "typing as suggested lost the suggestion"


async def test_an_accepted_suggestion_is_taken_and_the_server_goes_on(
    client: LanguageClient,
) -> None:
    editor = Editor(client)
    editor.open()
    for key in "return wid":
        editor.type(key)
    text, item = await editor.ghost_text()
    assert text.partition("\n")[0] == "th * height"
    assert item is not None
    assert item.command is not None
    for key in text.partition("\n")[0]:
        editor.type(key)
    answer = await client.workspace_execute_command_async(
        types.ExecuteCommandParams(item.command.command, arguments=item.command.arguments)
    )
    assert answer is None
    await editor.ghost_text()


async def test_keys_faster_than_the_model_get_one_answer_each_and_the_last_one_counts(
    client: LanguageClient,
) -> None:
    import asyncio

    editor = Editor(client)
    editor.open()
    pending = []
    for key in "return width":
        editor.type(key)
        pending.append(asyncio.ensure_future(editor.ghost_text()))
        await asyncio.sleep(0.005)
    *superseded, last = await asyncio.gather(*pending, return_exceptions=True)
    assert isinstance(last, tuple), last
    assert last[0].partition("\n")[0] == " * height"
    codes = {getattr(error, "code", None) for error in superseded if not isinstance(error, tuple)}
    assert codes <= {types.LSPErrorCodes.RequestCancelled.value}, superseded
