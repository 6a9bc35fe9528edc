"""How the last request of each document ended, for those who ask why."""

from __future__ import annotations

from collections import OrderedDict

from completion.types import CompletionOutcome, CompletionRequest, Suggestion
from lsp_server.report import as_json, as_sentence

_MAX_NUM_DOCUMENTS = 64


class LastOutcomes:
    """The newest outcome by URI; of too many documents the one asked about longest ago goes."""

    def __init__(self) -> None:
        self._by_uri: OrderedDict[str, tuple[CompletionRequest, CompletionOutcome]] = OrderedDict()

    def record(self, uri: str, request: CompletionRequest, outcome: CompletionOutcome) -> None:
        """Note how ``request``, made in the document ``uri``, ended."""
        self._by_uri[uri] = (request, outcome)
        self._by_uri.move_to_end(uri)
        while len(self._by_uri) > _MAX_NUM_DOCUMENTS:
            self._by_uri.popitem(last=False)

    def forget(self, uri: str) -> None:
        """Drop a document that was closed; unknown ones are fine."""
        self._by_uri.pop(uri, None)

    def explain(self, uri: str) -> dict[str, object] | None:
        """Return the object of ``fimble complete --json`` and a ``sentence``; None if nobody asked."""
        if uri not in self._by_uri:
            return None
        request, outcome = self._by_uri[uri]
        if isinstance(outcome, Suggestion):
            sentence = "a suggestion was offered"
        else:
            sentence = as_sentence(outcome)
        return {**as_json(outcome, request), "sentence": sentence}
