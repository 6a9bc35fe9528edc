"""``textDocument/completion``: suggestions in the list of editors without ghost text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from lsp_server.features.completing import complete
from lsp_server.list_items import ListAbilities, to_list

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer

# Typing a word makes clients ask by themselves; behind these a suggestion is likely wanted too.
# Neovim's own completion asks behind these only.
_TRIGGERS = (" ", ".", "(", "[", "{", "=", ",", ":", ">", "\t", "\n")


def register_for(server: FimbleLanguageServer, capabilities: types.ClientCapabilities) -> None:
    """Add the handler for a client that cannot show ghost text; one that can gets no list beside it."""
    document = capabilities.text_document
    if document is not None and document.inline_completion is not None:
        return
    options = types.CompletionOptions(trigger_characters=_TRIGGERS, resolve_provider=False)
    server.feature(types.TEXT_DOCUMENT_COMPLETION, options)(completion)


async def completion(
    ls: FimbleLanguageServer, params: types.CompletionParams
) -> types.CompletionList:
    """Answer with the suggestions at the cursor; the list may be empty and is never complete."""
    answer = await complete(ls, params.text_document.uri, params.position, params.context)
    if answer is None:
        return types.CompletionList(is_incomplete=True, items=[])
    abilities = ListAbilities.of(ls.protocol.client_capabilities, ls.client_name)
    encoding = ls.session.encoding
    return to_list(answer.suggestion, answer.request, answer.view, encoding, abilities)
