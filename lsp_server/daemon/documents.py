"""Documents of callers that send a whole text each time: the changes are found by comparing."""

from __future__ import annotations

from collections import OrderedDict

from completion.differences import edit_between
from completion.types import DocumentSnapshot

MAX_NUM_DOCUMENTS = 64


class WholeTexts:
    """Gives each text the version and the edit that follow from the one before of the same name.

    So a script that changes a file and asks again profits from what was computed for it.
    """

    def __init__(self, owner: str) -> None:
        """Follow the documents of ``owner``."""
        self._owner = owner
        self._latest: OrderedDict[str, DocumentSnapshot] = OrderedDict()

    def take(self, uri: str, path: str | None, language_id: str, text: str) -> DocumentSnapshot:
        """Return the snapshot of ``text``, the newest of ``uri``."""
        latest = self._latest.get(uri)
        if latest is None or (latest.language_id, latest.path) != (language_id, path):
            taken = DocumentSnapshot(uri, 1, language_id, text, path, owner=self._owner)
        elif latest.text == text:
            taken = latest
        else:
            version = latest.version + 1
            edits = (edit_between(latest.text, text),)
            taken = DocumentSnapshot(
                uri, version, language_id, text, path, edits, latest.version, self._owner
            )
        self._latest[uri] = taken
        self._latest.move_to_end(uri)
        while len(self._latest) > MAX_NUM_DOCUMENTS:
            self._latest.popitem(last=False)
        return taken
