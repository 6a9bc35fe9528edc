"""Lines of source files that a model could be asked to predict, and what they have to do with others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.left_to_right_imports import ImportedName, Repository
from benchmarks.traces.hunks import lines_of
from retrieval.languages import Language, language_for
from retrieval.syntax import SyntaxTree

MIN_NUM_LINES_ABOVE = 10
MIN_NUM_LINE_CHARS = 8  # not counting blanks


class Setting(StrEnum):
    """What the line to be predicted has to do with other files."""

    CROSS_FILE_FIRST = "cross_file_first"  # it is the first that uses a name of another file (XF-F)
    CROSS_FILE_RANDOM = "cross_file_random"  # it uses one that was used above (XF-R)
    IN_FILE = "in_file"  # it uses none (IF)


@dataclass(frozen=True, slots=True)
class Target:
    """A line to be predicted, the names of other files that it uses, and all that the file imports."""

    path: str
    line_idx: int
    setting: Setting
    used: tuple[ImportedName, ...]
    imported: tuple[ImportedName, ...]

    def line(self, repository: Repository) -> str:
        """Return the line, without its end."""
        return lines_of(repository.sources[self.path])[self.line_idx].removesuffix("\n")


def targets_of(repository: Repository, path: str) -> Iterator[Target]:
    """Yield every line of a file that says something about a prediction.

    Files that import nothing of their repository have none: their lines could be in one setting only.
    """
    language = language_for("", path)
    imports = repository.imports(path)
    if language is None or not imports.names:
        return
    seen: set[ImportedName] = set()
    for line_idx, line in enumerate(lines_of(repository.sources[path])):
        if line_idx in imports.lines:
            continue
        code = code_of(line, language)
        used = {imported for imported in imports.names if imported.is_used_in(code)}
        setting = Setting.IN_FILE
        if used:
            is_first = not used <= seen
            setting = Setting.CROSS_FILE_FIRST if is_first else Setting.CROSS_FILE_RANDOM
        if line_idx >= MIN_NUM_LINES_ABOVE and _is_telling(line, code, language):
            new = (used - seen) or used
            in_order = tuple(imported for imported in imports.names if imported in new)
            yield Target(path, line_idx, setting, in_order, imports.names)
        seen |= used


def is_code(repository: Repository, target: Target) -> bool:
    """Whether the target begins neither in a comment nor in a string that began above."""
    text, language = repository.sources[target.path], language_for("", target.path)
    assert language is not None, target.path
    lines = lines_of(text)
    line = lines[target.line_idx]
    offset = len("".join(lines[: target.line_idx])) + len(line) - len(line.lstrip())
    tree = SyntaxTree.parse(language, text)
    return not tree.in_string(offset) and not tree.in_comment(offset)


def code_of(line: str, language: Language) -> str:
    """Return ``line`` without the strings and the comment in it."""
    for quote in language.line_quotes:
        line = re.sub(rf"{quote}(?:\\.|[^{quote}\\])*{quote}", quote * 2, line)
    return line.partition(language.line_comment)[0]


def _is_telling(line: str, code: str, language: Language) -> bool:
    quotes = tuple(start for start, _ in language.multiline_quotes)
    return (
        len("".join(line.split())) >= MIN_NUM_LINE_CHARS
        and re.search(r"[A-Za-z]{2}", code) is not None
        and not line.lstrip().startswith((*quotes, "*"))
    )
