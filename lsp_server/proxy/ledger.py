"""What a daemon has to be told before it can take the place of another.

The editor's messages are noted as they pass. A change that cannot be read makes its document *lost*
here as in ``lsp_server.session``: until its whole text arrives, nobody trusts it.
"""

from __future__ import annotations

from collections.abc import Iterator

from lsp_server.messages import Json, changed_uri, notification
from lsp_server.proxy.texts import Lines, Position
from lsp_server.text_units import PositionEncoding, without_lone_surrogates

_MAX_UINTEGER = 2**31 - 1  # LSP's range of positions; the server refuses a message beyond it


class Ledger:
    """One editor's session: how it began, its configuration, and its documents as they are now."""

    def __init__(self) -> None:
        self.initialize: dict[str, Json] | None = None
        self.encoding = PositionEncoding.UTF16
        self._latest: dict[str, dict[str, Json]] = {}  # notifications of which the last one counts
        self._documents: dict[str, _Document] = {}
        self._notebooks: dict[str, _Notebook] = {}

    def note(self, message: dict[str, Json]) -> list[str]:
        """Take in a notification and return the URIs of the documents that it changed."""
        note = _NOTES.get(message["method"])
        if note is None:
            return []
        try:
            return note(self, message)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            # The server refuses it for the same reason.
            is_change, uri = changed_uri(message)
            return self.lose(uri) if is_change else []

    def lose(self, uri: str | None) -> list[str]:
        """Trust a document or notebook no longer, ``None``: any; returns the URIs of those lost."""
        everything: dict[str, _Document | _Notebook]
        everything = {**self._all_documents(), **self._notebooks}
        lost = [name for name in everything if uri in (None, name)]
        for name in lost:
            everything[name].is_lost = True
        return lost

    def replay(self) -> Iterator[dict[str, Json]]:
        """Yield what follows ``initialize``: the session as it is now, in the order LSP wants."""
        for method in _LATEST:
            if method in self._latest:
                yield self._latest[method]
        for document in self._documents.values():
            params = {"textDocument": document.item()}
            yield notification("textDocument/didOpen", params)
        for notebook in self._notebooks.values():
            yield notification("notebookDocument/didOpen", notebook.opening())
            if notebook.is_lost:
                yield _unreadable_change("notebookDocument", notebook.value["uri"])
        for uri, document in self._all_documents().items():
            if document.is_lost:
                yield _unreadable_change("textDocument", uri)

    def texts(self) -> dict[str, str]:
        """Return the text of every open document, cells included, by URI."""
        return {uri: document.lines.text for uri, document in self._all_documents().items()}

    def _all_documents(self) -> dict[str, _Document]:
        found = dict(self._documents)
        for notebook in self._notebooks.values():
            found.update(notebook.cells)
        return found

    def _note_latest(self, message: dict[str, Json]) -> list[str]:
        self._latest[message["method"]] = message
        return []

    def _note_folders(self, message: dict[str, Json]) -> list[str]:
        """Bring the folders of ``initialize`` up to date."""
        assert self.initialize is not None, "nothing is noted before it"
        event = message["params"]["event"]
        removed = {folder["uri"] for folder in event["removed"]}
        params = self.initialize["params"]
        folders = [
            folder
            for folder in params.get("workspaceFolders") or []
            if folder["uri"] not in removed
        ]
        folders += event["added"]
        self.initialize = {**self.initialize, "params": {**params, "workspaceFolders": folders}}
        return []

    def _note_open(self, message: dict[str, Json]) -> list[str]:
        document = _Document(message["params"]["textDocument"])
        self._documents[document.uri] = document
        return [document.uri]

    def _note_change(self, message: dict[str, Json]) -> list[str]:
        return self._change(self._documents, message["params"], "contentChanges")

    def _change(self, documents: dict[str, _Document], params: Json, field: str) -> list[str]:
        name = params["textDocument" if field == "contentChanges" else "document"]
        changes = [_Change(change) for change in params[field]]
        document = documents[_string(name["uri"])]
        version = _integer(name["version"])
        if document.is_lost:
            whole_at = [at for at, change in enumerate(changes) if change.is_whole]
            if not whole_at:
                return []
            changes = changes[whole_at[-1] :]
        document.version, document.is_lost = version, False
        for change in changes:
            change.apply_to(document, self.encoding)
        return [document.uri]

    def _note_save(self, message: dict[str, Json]) -> list[str]:
        """Take over the saved text, as the server does, in case a change was lost."""
        params = message["params"]
        document = self._documents[params["textDocument"]["uri"]]
        text = _string(params["text"])
        if without_lone_surrogates(text) == document.lines.text and not document.is_lost:
            return []
        document.lines, document.is_lost = Lines(text), False
        return [document.uri]

    def _note_close(self, message: dict[str, Json]) -> list[str]:
        uri = _string(message["params"]["textDocument"]["uri"])
        self._documents.pop(uri, None)
        return [uri]

    def _note_notebook_open(self, message: dict[str, Json]) -> list[str]:
        notebook = _Notebook(message["params"])
        self._notebooks[_string(notebook.value["uri"])] = notebook
        return list(notebook.cells)

    def _note_notebook_change(self, message: dict[str, Json]) -> list[str]:
        params = message["params"]
        notebook = self._notebooks[_string(params["notebookDocument"]["uri"])]
        notebook.value["version"] = _integer(params["notebookDocument"]["version"])
        change = params["change"]
        if "metadata" in change:
            notebook.value["metadata"] = change["metadata"]
        cells = change.get("cells") or {}
        changed = notebook.restructure(cells["structure"]) if cells.get("structure") else []
        for cell in cells.get("data") or []:
            notebook.replace_cell(cell)
        for text_change in cells.get("textContent") or []:
            changed += self._change(notebook.cells, text_change, "changes")
        return changed

    def _note_notebook_close(self, message: dict[str, Json]) -> list[str]:
        notebook = self._notebooks.pop(_string(message["params"]["notebookDocument"]["uri"]))
        return list(notebook.cells)


class _Document:
    """An open document."""

    def __init__(self, item: Json) -> None:
        self.uri = _string(item["uri"])
        self.language_id = _string(item["languageId"])
        self.version = _integer(item["version"])
        self.lines = Lines(_string(item["text"]))
        self.is_lost = False

    def item(self) -> dict[str, Json]:
        """Return the document as ``didOpen`` carries it."""
        return {
            "uri": self.uri,
            "languageId": self.language_id,
            "version": self.version,
            "text": self.lines.text,
        }


class _Notebook:
    """An open notebook: its structure as the editor sent it, and the documents of its cells."""

    def __init__(self, params: Json) -> None:
        self.value: dict[str, Json] = dict(params["notebookDocument"])
        self.value["cells"] = list(self.value["cells"])
        self.is_lost = False
        self.cells = {item["uri"]: _Document(item) for item in params["cellTextDocuments"]}

    def opening(self) -> dict[str, Json]:
        """Return the parameters of the ``didOpen`` that leads here."""
        items = [document.item() for document in self.cells.values()]
        return {"notebookDocument": self.value, "cellTextDocuments": items}

    def restructure(self, structure: Json) -> list[str]:
        """Insert and remove cells; returns the URIs of documents that came or went."""
        array = structure["array"]
        start, num_deleted = _integer(array["start"]), _integer(array["deleteCount"])
        opened = [_Document(item) for item in structure.get("didOpen") or []]
        closed = [_string(name["uri"]) for name in structure.get("didClose") or []]
        self.value["cells"][start : start + num_deleted] = array.get("cells") or []
        for uri in closed:
            self.cells.pop(uri, None)
        self.cells.update({document.uri: document for document in opened})
        return [*closed, *(document.uri for document in opened)]

    def replace_cell(self, cell: Json) -> None:
        """Take over a cell's kind and metadata."""
        cells = self.value["cells"]
        self.value["cells"] = [
            cell if old["document"] == cell["document"] else old for old in cells
        ]


class _Change:
    """One content change, read before any is applied."""

    def __init__(self, change: Json) -> None:
        self._text = _string(change["text"])
        span = change.get("range")
        self._range = (_position(span["start"]), _position(span["end"])) if span else None

    @property
    def is_whole(self) -> bool:
        """Whether it carries the whole text."""
        return self._range is None

    def apply_to(self, document: _Document, encoding: PositionEncoding) -> None:
        if self._range is None:
            document.lines = Lines(self._text)
        else:
            document.lines.replace(*self._range, self._text, encoding)


def _unreadable_change(kind: str, uri: str) -> dict[str, Json]:
    """Return a message that makes the server lose a document too: it says nothing of the change."""
    return notification(f"{kind}/didChange", {kind: {"uri": uri}})


def _position(value: Json) -> Position:
    line, column = _integer(value["line"]), _integer(value["character"])
    if not (0 <= line <= _MAX_UINTEGER and 0 <= column <= _MAX_UINTEGER):
        raise ValueError
    return line, column


def _integer(value: Json) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _string(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


_LATEST = ("initialized", "$/setTrace", "workspace/didChangeConfiguration")
_NOTES = {
    **dict.fromkeys(_LATEST, Ledger._note_latest),
    "workspace/didChangeWorkspaceFolders": Ledger._note_folders,
    "textDocument/didOpen": Ledger._note_open,
    "textDocument/didChange": Ledger._note_change,
    "textDocument/didSave": Ledger._note_save,
    "textDocument/didClose": Ledger._note_close,
    "notebookDocument/didOpen": Ledger._note_notebook_open,
    "notebookDocument/didChange": Ledger._note_notebook_change,
    "notebookDocument/didClose": Ledger._note_notebook_close,
}
