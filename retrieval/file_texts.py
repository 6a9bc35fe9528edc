"""The text of indexed lines: from the editor if it has the file open, else from the disk.

Secrets are taken out of both. A file that is not what was indexed any more is not quoted: its lines
have moved.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from retrieval.duplicates import lines_of
from retrieval.files.reading import TextFile, read_text
from retrieval.files.secrets import may_span_lines, redact
from retrieval.stamp import Stamp

_MAX_NUM_KEPT = 64
_MAX_NUM_KEPT_CHARS = 8_000_000


@dataclass(slots=True)
class _Kept:
    """A version of a file, its ``lines`` with secrets in them; empty for one not to be quoted."""

    mtime_ns: int
    num_bytes: int
    text: str
    lines: list[str]
    redacted: str | None = None

    def read(self) -> str:
        """Return all of it without secrets."""
        if self.redacted is None:
            self.redacted = redact(self.text)
        return self.redacted

    def quote(self, start_line: int, end_line: int) -> str:
        """Return lines of it without secrets; only these are looked at if that is enough."""
        if may_span_lines(self.text):
            return "".join(lines_of(self.read())[start_line:end_line])
        return redact("".join(self.lines[start_line:end_line]))


class FileTexts:
    """Texts of a workspace's files, those used last kept in memory. Any thread."""

    def __init__(
        self,
        folder: Path,
        max_file_bytes: int,
        open_text: Callable[[str], str | None],
        on_stale: Callable[[str], None],
    ) -> None:
        """Read files of ``folder``; ``on_stale`` is told of files that are not as they were indexed."""
        self._folder, self._max_file_bytes = folder, max_file_bytes
        self._open_text, self._on_stale = open_text, on_stale
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._shown: OrderedDict[str, _Kept] = OrderedDict()

    def lines(
        self, path: str, start_line: int, end_line: int, stamps: Mapping[str, Stamp]
    ) -> str | None:
        """Return lines ``[start_line, end_line)`` of a file that ``stamps`` say is indexed.

        None if there is no such file, or if it changed since. Lines beyond its end are left out.
        """
        shown = self._open_text(path)
        if shown is not None:
            return self._from_editor(path, shown).quote(start_line, end_line)
        stamp, kept = stamps.get(path), self._from_disk(path)
        if kept is None or stamp is None:
            return None
        if (kept.mtime_ns, kept.num_bytes) != (stamp.mtime_ns, stamp.size_bytes):
            self._on_stale(path)
            return None
        return kept.quote(start_line, end_line)

    def read(self, path: str) -> str | None:
        """Return the text of a file, of its open document if it has one, without secrets."""
        shown = self._open_text(path)
        if shown is not None:
            return self._from_editor(path, shown).read()
        kept = self._from_disk(path)
        return None if kept is None or not kept.lines else kept.read()

    def _from_editor(self, path: str, text: str) -> _Kept:
        with self._lock:
            known = self._shown.get(path)
            if known is None or known.text != text:
                known = self._shown[path] = _Kept(0, 0, text, lines_of(text))
            self._shown.move_to_end(path)
            while len(self._shown) > _MAX_NUM_KEPT:
                self._shown.popitem(last=False)
        return known

    def _from_disk(self, path: str) -> _Kept | None:
        try:
            status = os.lstat(self._folder / path)
        except (OSError, ValueError):
            self._on_stale(path)
            return None
        with self._lock:
            kept = self._kept.get(path)
            if kept is not None and (kept.mtime_ns, kept.num_bytes) == (
                status.st_mtime_ns,
                status.st_size,
            ):
                self._kept.move_to_end(path)
                return kept
        found = read_text(self._folder / path, self._max_file_bytes)
        if isinstance(found, TextFile):
            stamp, text = found.stamp, found.text
            kept = _Kept(stamp.mtime_ns, stamp.size_bytes, text, lines_of(text))
        else:
            kept = _Kept(status.st_mtime_ns, status.st_size, "", [])
        self._keep(path, kept)
        return kept

    def _keep(self, path: str, kept: _Kept) -> None:
        with self._lock:
            self._kept[path] = kept
            self._kept.move_to_end(path)
            num_chars = sum(len(each.text) for each in self._kept.values())
            while len(self._kept) > 1 and (
                len(self._kept) > _MAX_NUM_KEPT or num_chars > _MAX_NUM_KEPT_CHARS
            ):
                _, dropped = self._kept.popitem(last=False)
                num_chars -= len(dropped.text)
