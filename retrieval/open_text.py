"""What an editor shows of a file, saved or not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OpenText:
    """One version of a document.

    ``path`` is relative to the folder ``workspace``, with forward slashes. ``owner`` is the client
    that has it open. ``edits`` lead from ``base_version`` to ``text`` as (start, end, inserted), in
    the offsets each predecessor left; they are a hint that saves work.
    """

    workspace: str
    path: str
    owner: str
    language_id: str
    version: int
    text: str
    base_version: int | None = None
    edits: tuple[tuple[int, int, str], ...] = ()
