"""Where imported names are defined, by regular expressions: Python, TypeScript and Rust.

Imports are those of ``benchmarks.left_to_right_imports``. They are followed through files that
only pass a name on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.left_to_right_imports import ImportedName, Imports, Repository
from benchmarks.retrieval_quality_identifiers import family_of, identifiers
from benchmarks.traces.recordings import language_id_of

_MAX_NUM_STEPS = 5  # from file to file
_ATTRIBUTE = {".", ":"}  # what stands before the name of a part of something else

_PYTHON = r"^(?:async[ ]+)?(?:def|class)[ ]+(\w+)|^(\w+)[ ]*(?::[^\n=]+)?=(?!=)"
_TYPESCRIPT = (
    r"^[ \t]*(?:(?:export|default|declare|abstract|async)[ ]+)*"
    r"(?:function|class|interface|type|enum|const|let|var|namespace)\*?[ ]+(\w+)"
)
_RUST = (
    r"^[ \t]*(?:pub(?:\([^)\n]*\))?[ ]+)?(?:(?:async|unsafe|const)[ ]+)*"
    r"(?:fn|struct|enum|trait|type|const|static|union|macro_rules!)[ ]+(\w+)"
)
_DEFINITION = {
    family: re.compile(pattern, re.MULTILINE)
    for family, pattern in (("python", _PYTHON), ("typescript", _TYPESCRIPT), ("rust", _RUST))
}


@dataclass(frozen=True, slots=True)
class Definition:
    """``name`` is defined in the file at ``path``, by each of its ``lines``, 0-based.

    There are several where a name is overloaded or depends on a condition.
    """

    path: str
    name: str
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """At ``offset`` of the file at ``path`` stands a name that another file defines."""

    path: str
    offset: int
    definition: Definition


def definition_lines(text: str, family: str) -> Mapping[str, tuple[int, ...]]:
    """Return the lines that define each name of a file: in Python, those at its top level."""
    found: dict[str, tuple[int, ...]] = {}
    line = at = 0
    for match in _DEFINITION[family].finditer(text):
        name = next(group for group in match.groups() if group is not None)
        start = match.start()
        line += text.count("\n", at, start)
        at = start
        found[name] = (*found.get(name, ()), line)
    return found


class ImportedDefinitions:
    """The definitions of what the files of one repository import from each other."""

    def __init__(self, name: str, files: Mapping[str, str]) -> None:
        self._repository = Repository(name, files)
        self._imports: dict[str, Imports] = {}
        self._lines: dict[str, Mapping[str, tuple[int, ...]]] = {}

    def of_file(self, path: str) -> dict[str, Definition]:
        """Return what the file at ``path`` imports and where it is defined, by its name there."""
        found = ((each.name, self._followed(each)) for each in self._imports_of(path).names)
        return {name: definition for name, definition in found if definition is not None}

    def uses(self, path: str) -> Iterator[Use]:
        """Yield the uses of imported names in the file at ``path``, imports themselves left out."""
        defined = self.of_file(path)
        text = self._repository.sources[path]
        skipped = self._imports_of(path).lines if defined else frozenset()
        line = at = 0
        for found in identifiers(text, language_id_of(path)) if defined else ():
            line += text.count("\n", at, found.offset)
            at = found.offset
            is_attribute = text[max(0, at - 1) : at] in _ATTRIBUTE
            if found.name in defined and line not in skipped and not is_attribute:
                yield Use(path, at, defined[found.name])

    def _imports_of(self, path: str) -> Imports:
        if path not in self._imports:
            self._imports[path] = self._repository.imports(path)
        return self._imports[path]

    def _lines_of(self, path: str) -> Mapping[str, tuple[int, ...]]:
        if path not in self._lines:
            family = family_of(language_id_of(path))
            self._lines[path] = definition_lines(self._repository.sources[path], family)
        return self._lines[path]

    def _followed(self, imported: ImportedName) -> Definition | None:
        """Return where the name is defined, ``None`` if it stands for a file or leads nowhere."""
        for _ in range(_MAX_NUM_STEPS):
            lines = self._lines_of(imported.path).get(imported.defined, ())
            if lines:
                return Definition(imported.path, imported.defined, lines)
            onward = self._imports_of(imported.path).names
            steps = (each for each in onward if each.name == imported.defined)
            following = next(steps, None)
            if following is None:
                return None
            imported = following
        return None
