"""Where snippets come from, one module each. They read no files: text arrives through callables."""

from __future__ import annotations

from collections.abc import Callable

LinesOf = Callable[[str, int, int], str | None]
"""From (path, start_line, end_line) to the text of those lines, as the editor has it or the disk.

Lines beyond the end of the file are left out; None if there is no such file or it may not be shown.
"""
