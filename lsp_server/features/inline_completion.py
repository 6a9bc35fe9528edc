"""``textDocument/inlineCompletion``: ghost text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from lsp_server.convert import to_inline_items
from lsp_server.features.completing import complete

if TYPE_CHECKING:
    from lsp_server.server import FimbleLanguageServer


def register(server: FimbleLanguageServer) -> None:
    """Add the handler, announced in the answer to ``initialize`` whatever the client can do.

    Never registered dynamically: Neovim warns of that, and clients that allow both, such as VS
    Code, take a provider that is announced. Without options pygls would announce none.
    """
    server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(
        inline_completion
    )


async def inline_completion(
    ls: FimbleLanguageServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList:
    """Answer with the suggestions at the cursor; with an empty list, never null, if there are none.

    Null would leave the former ghost text on Neovim's screen.
    """
    answer = await complete(ls, params.text_document.uri, params.position, params.context)
    if answer is None:
        return types.InlineCompletionList([])
    encoding = ls.session.encoding
    items = to_inline_items(answer.suggestion, answer.request, answer.view, encoding)
    return types.InlineCompletionList(items)
