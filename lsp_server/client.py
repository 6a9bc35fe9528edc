r"""Completions from a running server for scripts: the standard library is all that this needs.

    from lsp_server.client import FimbleClient

    client = FimbleClient("http://127.0.0.1:7417")
    with client.open_document("def add(a, b):\n    return ", language_id="python") as document:
        print(document.complete().text)

The server is `fimble serve`, or another machine's. An opened document stays there with its cache, so
that a completion behind an edit computes little more than what the edit changed.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack
from urllib.parse import quote, urlsplit

from lsp_server.client_errors import ClientError, ConflictError, UnreachableError, error_of

_COMPLETIONS, _DOCUMENTS = "/v1/completions", "/v1/documents"


class DocumentWishes(TypedDict, total=False):
    """What one completion in a document may ask for; whatever is left out follows the server.

    The fields are those of ``lsp_server.api.Wishes``, as far as a server takes them.
    """

    num_candidates: int
    max_new_tokens: int
    deadline_ms: float
    temperature: float
    top_p: float
    top_k: int
    seed: int
    stop: list[str]
    patching: str
    use_speculation: bool


@dataclass(frozen=True, slots=True)
class RemoteCompletion:
    """What to insert, ``""`` for nothing; ``sentence`` then says why.

    ``id`` is what ``FimbleClient.explain`` takes. ``usage`` counts tokens: of a document's
    completion ``computed_tokens`` are those that its cache did not have.
    """

    id: str
    text: str
    usage: Mapping[str, int]
    sentence: str = ""
    candidates: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


class FimbleClient:
    """One server. Each request has a connection of its own, so several threads may use this."""

    def __init__(self, url: str, token: str = "", *, timeout_s: float = 150.0) -> None:
        """Remember where the server is.

        Args:
            url: As ``fimble serve`` prints it, with or without ``/v1``.
            token: The server's, if it has one.
            timeout_s: How long to wait for bytes of an answer.

        Raises:
            ValueError: ``url`` is no address of HTTP.
        """
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an address such as http://127.0.0.1:7417")
        self._host, self._port = parts.hostname, parts.port
        self._is_encrypted = parts.scheme == "https"
        self._base = parts.path.rstrip("/").removesuffix("/v1")
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._timeout_s = timeout_s

    def complete(
        self,
        prefix: str,
        suffix: str = "",
        *,
        path: str | None = None,
        language_id: str = "",
        max_tokens: int = 128,
        **more: Any,
    ) -> RemoteCompletion:
        """Return what an editor would insert between two texts.

        Args:
            prefix: The text before the cursor.
            suffix: The text behind it.
            path: The file's name; it is not read.
            language_id: The language's LSP id, for those without a path.
            max_tokens: Length at most.
            more: Further fields of ``/v1/completions``, such as ``temperature`` or ``stop``.

        Raises:
            ClientError: There is no answer; see ``lsp_server.client_errors``.
        """
        options: dict[str, Any] = {"trim": True, "language_id": language_id}
        if path is not None:
            options["path"] = path
        body = {"prompt": prefix, "suffix": suffix, "max_tokens": max_tokens, "fimble": options}
        found = self.request("POST", _COMPLETIONS, {**body, **more})
        choices = tuple(choice["text"] for choice in found["choices"])
        known_id = f"{found['id'].removeprefix('cmpl-')}.0"
        return RemoteCompletion(known_id, choices[0], found["usage"], "", choices, found)

    @contextmanager
    def open_document(
        self, text: str, *, path: str | None = None, language_id: str = "", uri: str | None = None
    ) -> Iterator[RemoteDocument]:
        """Keep ``text`` at the server as long as the block runs, and yield it.

        Raises:
            ClientError: The server does not take it.
        """
        named = {"path": path, "uri": uri, "language_id": language_id or None}
        body = {"text": text, **{name: value for name, value in named.items() if value}}
        opened = self.request("POST", _DOCUMENTS, body)
        document = RemoteDocument(self, opened["id"], opened["version"], text)
        try:
            yield document
        except BaseException:
            # What went wrong is told, not that closing goes wrong for the same reason.
            with suppress(ClientError):
                document.close()
            raise
        document.close()

    def explain(self, request_id: str) -> dict[str, Any]:
        """Return how a request came about: the object of ``GET /v1/explain/{id}``.

        Raises:
            ClientError: Nothing is known of it (any more).
        """
        found: dict[str, Any] = self.request("GET", f"/v1/explain/{quote(request_id, safe='')}")
        return found

    def tell(self, request_id: str, what: str) -> None:
        """Say what became of a completion, for `fimble stats`: ``view``, ``select`` or ``dismiss``.

        Raises:
            ClientError: The server cannot be reached, or knows no such word.
        """
        self.request("POST", "/v1/events", {"type": what, "completion_id": request_id})

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Send one request and return its answer, None for an empty one.

        Raises:
            ClientError: The server refused it, failed, or cannot be reached.
        """
        sent = None if body is None else json.dumps(body).encode()
        connection = self._connection()
        try:
            connection.request(method, self._base + path, sent, self._headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(self._host, self._port, error) from error
        finally:
            connection.close()
        if response.status >= 300:
            raise error_of(response.status, content, response.headers.get("Retry-After"))
        try:
            return json.loads(content) if content else None
        except ValueError as error:
            raise error_of(response.status, content, None) from error

    def _connection(self) -> http.client.HTTPConnection:
        if self._is_encrypted:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_s, context=context
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)


class RemoteDocument:
    """A text that the server keeps, and the same text here. Not for several threads at once.

    ``cursor`` is where the last edit ended. Offsets count code points, as Python's ``str`` does.
    """

    def __init__(self, client: FimbleClient, document_id: str, version: int, text: str) -> None:
        self._client, self._path = client, f"{_DOCUMENTS}/{document_id}"
        self.version, self.text = version, text
        self.cursor = len(text)

    def edit(self, start: int, end: int, text: str) -> None:
        """Replace ``[start, end)`` by ``text``.

        Raises:
            ClientError: It lies outside of the text, or somebody else edited the document.
        """
        self.edit_all([(start, end, text)])

    def insert(self, offset: int, text: str) -> None:
        """Insert ``text``; the errors are those of ``edit``."""
        self.edit(offset, offset, text)

    def edit_all(self, edits: Iterable[tuple[int, int, str]]) -> None:
        """Make several edits, each counted in the text that the one before left, all or none."""
        changes = list(edits)
        body = {
            "version": self.version,
            "edits": [{"start": start, "end": end, "text": text} for start, end, text in changes],
        }
        changed = self._client.request("POST", f"{self._path}/edits", body)
        self.version = changed["version"]
        for start, end, text in changes:
            self.text = self.text[:start] + text + self.text[end:]
            self.cursor = start + len(text)

    def complete(
        self,
        offset: int | None = None,
        *,
        line: int | None = None,
        column: int | None = None,
        **wishes: Unpack[DocumentWishes],
    ) -> RemoteCompletion:
        """Return what belongs at a place: the cursor, an offset, or a line and column from 1.

        Raises:
            ClientError: There is no answer; see ``lsp_server.client_errors``.
        """
        place: dict[str, int | None] = {"line": line, "column": column}
        if line is None and column is None:
            place = {"offset": self.cursor if offset is None else offset}
        body = {"version": self.version, **place, **wishes}
        found = self._client.request("POST", f"{self._path}/complete", body)
        return RemoteCompletion(
            id=found["id"],
            text=found["text"],
            usage=found["usage"],
            sentence=found["sentence"],
            candidates=tuple(candidate["text"] for candidate in found["candidates"]),
            raw=found,
        )

    def accept(self, completion: RemoteCompletion) -> None:
        """Insert a completion of this version where it belongs, and tell that it was taken.

        One that says nothing changes nothing.

        Raises:
            ConflictError: The document has changed since.
        """
        if completion.raw.get("version") != self.version:
            raise ConflictError(
                409, "the document has changed since it was completed", "version_conflict", {}
            )
        if not completion.text:
            return
        self.insert(completion.raw["offset"], completion.text)
        self._client.tell(completion.id, "select")

    def close(self) -> None:
        """Let the server forget the document; idempotent."""
        self._client.request("DELETE", self._path)
