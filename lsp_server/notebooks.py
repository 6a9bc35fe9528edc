"""The cells of a notebook, and the one document that its code cells make together.

A cell is a document of its own for the editor. What belongs into it depends on the cells around it,
so a request in a code cell is about the text of all code cells of its language, in the order of the
notebook. Positions stay the cell's: it starts at a known offset of the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from completion.differences import edit_between
from completion.types import DocumentSnapshot

# One empty line between cells, as between statements of a file.
_SEPARATOR = "\n\n"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell by the URI of its text; what is no code is left out of the whole."""

    uri: str
    is_code: bool


class Notebook:
    """An open notebook; lives on the event loop."""

    def __init__(self, uri: str, cells: Sequence[Cell], path: str | None = None) -> None:
        """Follow the notebook ``uri``, whose file is ``path``."""
        self.uri, self.path = uri, path
        self.cells = list(cells)
        # By language: what the service knows, so that the next version can name its edit.
        self._known: dict[str, DocumentSnapshot] = {}

    def splice(self, start: int, num_deleted: int, cells: Sequence[Cell]) -> None:
        """Replace ``num_deleted`` cells from ``start`` on; what lies outside is not there."""
        start = max(start, 0)
        self.cells[start : start + max(num_deleted, 0)] = cells

    def update(self, cell: Cell) -> None:
        """Take over what a cell has become, for example code after having been text."""
        self.cells = [cell if known.uri == cell.uri else known for known in self.cells]

    def holds_code(self, uri: str) -> bool:
        """Whether ``uri`` is one of the code cells."""
        return Cell(uri, is_code=True) in self.cells

    def around(
        self, uri: str, texts: Mapping[str, DocumentSnapshot]
    ) -> tuple[DocumentSnapshot, int]:
        """Return all code of the language of the code cell ``uri``, and where that cell starts.

        Args:
            uri: A code cell.
            texts: The open documents; a cell without one counts as missing.
        """
        own = texts[uri]
        code = [cell.uri for cell in self.cells if cell.is_code and cell.uri in texts]
        alike = [known for known in code if texts[known].language_id == own.language_id]
        at = alike.index(uri)
        head = "".join(texts[known].text + _SEPARATOR for known in alike[:at])
        tail = "".join(_SEPARATOR + texts[known].text for known in alike[at + 1 :])
        whole = head + own.text + tail
        return self._next(own, whole), len(head)

    def keys(self) -> list[str]:
        """Return what the service knows the wholes by."""
        return [snapshot.key for snapshot in self._known.values()]

    def _next(self, own: DocumentSnapshot, whole: str) -> DocumentSnapshot:
        """Return the version of the whole that holds ``whole``; a new one if it has changed."""
        language_id = own.language_id
        known = self._known.get(language_id)
        if known is None:
            uri = f"{self.uri}#{language_id}"
            known = DocumentSnapshot(uri, 0, language_id, whole, self.path, owner=own.owner)
        elif known.text != whole:
            known = replace(
                known,
                version=known.version + 1,
                text=whole,
                edits=(edit_between(known.text, whole),),
                base_version=known.version,
            )
        self._known[language_id] = known
        return known
