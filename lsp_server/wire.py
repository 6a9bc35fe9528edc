"""What older clients send, put into today's form before it is read.

Two generations of vscode-languageclient spell ``textDocument/inlineCompletion`` differently:

=================  =====================  ==============================  =========================
                   ``triggerKind``        range of the selected item      who
=================  =====================  ==============================  =========================
counts from zero   0 invoked, 1 automatic ``[start, end]``                languageclient up to 9.0.1
counts from one    1 invoked, 2 automatic ``{"start": ..., "end": ...}``  LSP 3.18, everybody else
=================  =====================  ==============================  =========================

0 and 2 say which generation speaks, an array of two says it too. A 1 alone does not: it is *invoked*
from one and *automatic* from the other. So the last proof decides, for the whole connection, and
before there is one, the client's capabilities do: languageclient 9 is known by what it always
claims (regular expressions of ECMAScript, dynamic registration of inline completion) and by what
only a client of LSP 3.18 claims and it cannot. A client that stays unknown is taken at the
specification's word. A wrong guess costs little: an automatic request skips the trigger rules, or
an explicit one is held to them, until the next 0 or 2.
"""

from __future__ import annotations

import logging
from collections import OrderedDict

from lsprotocol import types

from lsp_server.indentation import Formatting, read_formatting
from lsp_server.messages import Json, value_at

logger = logging.getLogger(__name__)

_MAX_NUM_FORMATTED = 64  # documents whose indentation is remembered

# Claims that came with LSP 3.18, by their place in the client's capabilities.
_CLAIMS_OF_3_18 = (
    ("textDocument", "completion", "completionList", "applyKindSupport"),
    ("textDocument", "codeAction", "documentationSupport"),
    ("textDocument", "diagnostic", "markupMessageSupport"),
    ("textDocument", "filters"),
    ("workspace", "textDocumentContent"),
    ("workspace", "workspaceEdit", "metadataSupport"),
    ("workspace", "workspaceEdit", "snippetEditSupport"),
)


class WireDialect:
    """How one client spells what the specification changed."""

    def __init__(self) -> None:
        self._counts_from_zero = False
        self._formatting: OrderedDict[str, Formatting] = OrderedDict()

    def mend(self, message: Json) -> None:
        """Rewrite ``message`` in place to what LSP 3.18 says; what is well formed stays as it is."""
        method = message.get("method")
        if method == types.INITIALIZE:
            self._counts_from_zero = _is_languageclient_9(message.get("params"))
        elif method == types.TEXT_DOCUMENT_INLINE_COMPLETION:
            context = value_at(message, "params", "context")
            if isinstance(context, dict):
                self._mend_range(context.get("selectedCompletionInfo"))
                self._mend_trigger(context)
            self._note_formatting(message.get("params"))

    def formatting(self, uri: str) -> Formatting | None:
        """Return how the client's editor indents the document, None if it never told."""
        return self._formatting.get(uri)

    def _note_formatting(self, params: Json) -> None:
        """Keep Copilot's addition to the parameters, which reading them would drop."""
        uri = value_at(params, "textDocument", "uri")
        formatting = read_formatting(value_at(params, "formattingOptions"))
        if isinstance(uri, str) and formatting is not None:
            self._formatting[uri] = formatting
            self._formatting.move_to_end(uri)
            while len(self._formatting) > _MAX_NUM_FORMATTED:
                self._formatting.popitem(last=False)

    def _mend_range(self, selected: Json) -> None:
        span = value_at(selected, "range")
        if isinstance(span, list) and len(span) == 2:
            selected["range"] = {"start": span[0], "end": span[1]}
            self._learn(counts_from_zero=True)

    def _mend_trigger(self, context: dict[str, Json]) -> None:
        kind = context.get("triggerKind")
        if isinstance(kind, bool) or kind not in (0, 1, 2):
            return  # refused with everything else that is malformed
        if kind != 1:
            self._learn(counts_from_zero=kind == 0)
        if self._counts_from_zero:
            context["triggerKind"] = kind + 1

    def _learn(self, *, counts_from_zero: bool) -> None:
        if counts_from_zero != self._counts_from_zero:
            logger.info("the client counts trigger kinds from %d", 0 if counts_from_zero else 1)
        self._counts_from_zero = counts_from_zero


def _is_languageclient_9(params: Json) -> bool:
    capabilities = value_at(params, "capabilities")
    is_languageclient = (
        value_at(capabilities, "general", "regularExpressions", "engine") == "ECMAScript"
        and value_at(capabilities, "textDocument", "inlineCompletion", "dynamicRegistration")
        is True
    )
    return is_languageclient and not any(value_at(capabilities, *path) for path in _CLAIMS_OF_3_18)
