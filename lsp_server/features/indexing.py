"""What the indexes of the workspaces are told by one client: folders, open documents, saved files."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from lsp_server.session import Session
from retrieval.open_text import OpenText
from retrieval.workspaces import Workspaces


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a document is known to an index."""

    workspace: str
    path: str
    owner: str


class IndexFeed:
    """What the indexes know from one client; lives on the event loop.

    The cells of notebooks are left out: each would pass for the whole file.
    """

    def __init__(self, workspaces: Workspaces, session: Session) -> None:
        self._workspaces, self._session = workspaces, session
        self._folders: frozenset[str] = frozenset()
        self._noted: dict[str, _Place] = {}

    def follow(self, folders: Collection[str]) -> None:
        """Have an index of each of ``folders`` and of no other, with the documents open in them."""
        former, self._folders = self._folders, frozenset(folders)
        for folder in self._folders - former:
            self._workspaces.enter(folder)
        for uri in self._session.uris:
            # A document may lie in another folder now, and be called otherwise there.
            if self._place(uri) != self._noted.get(uri):
                self.note(uri)
        for folder in former - self._folders:
            self._workspaces.leave(folder)

    def note(self, uri: str) -> None:
        """Let the index know what a document says now."""
        place, former = self._place(uri), self._noted.get(uri)
        if former is not None and former != place:
            self.drop([uri])
        document = self._session.find(uri)
        if place is None or document is None:
            return
        self._noted[uri] = place
        snapshot = document.snapshot
        self._workspaces.note(
            OpenText(
                workspace=place.workspace,
                path=place.path,
                owner=place.owner,
                language_id=snapshot.language_id,
                version=snapshot.version,
                text=snapshot.text,
                base_version=snapshot.base_version,
                edits=tuple((edit.start, edit.end, edit.inserted) for edit in snapshot.edits),
            )
        )

    def drop(self, uris: Iterable[str]) -> None:
        """Let the index go back to what is on disk for documents that are closed."""
        for uri in uris:
            place = self._noted.pop(uri, None)
            if place is not None:
                self._workspaces.drop(place.workspace, place.path, place.owner)

    def touch(self, paths: Iterable[str]) -> None:
        """Let the indexes look at files, by absolute path, that changed on disk or are gone."""
        for path in paths:
            folder, name = self._session.folders.locate(path)
            if folder in self._folders:
                self._workspaces.touch(folder, name)

    def close(self) -> None:
        """Take everything back: the client is gone."""
        self.drop(list(self._noted))
        self.follow(())

    def _place(self, uri: str) -> _Place | None:
        """Return where the index is to know a document; None if it is not to."""
        document = self._session.find(uri)
        if document is None or document.snapshot.path is None or self._session.is_cell(uri):
            return None
        folder, name = self._session.folders.locate(document.snapshot.path)
        return _Place(folder, name, document.snapshot.owner) if folder in self._folders else None
