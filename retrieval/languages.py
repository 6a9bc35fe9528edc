"""The languages known in detail: how to recognise one, parse it, and see where its blocks begin.

Everything outside this table is still served: callers get ``None`` and fall back to what
indentation and brackets alone can tell.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

import tree_sitter


class BlockStyle(StrEnum):
    """What delimits a block."""

    INDENTATION = "indentation"
    BRACES = "braces"


@dataclass(frozen=True, slots=True)
class Language:
    """One row of the table.

    ``language_ids`` are the names editors use in LSP; ``extensions`` carry their dot and are lower
    case. ``grammar_module`` and ``grammar_function`` name where the tree-sitter grammar comes from.
    ``block_openers`` are the endings of a line after which a block stands open.
    ``multiline_quotes`` are (opening, closing) delimiters that may span lines, comments included.
    ``line_quotes`` delimit strings that end with their line at the latest.
    """

    name: str
    language_ids: tuple[str, ...]
    extensions: tuple[str, ...]
    grammar_module: str
    grammar_function: str
    line_comment: str
    block_style: BlockStyle
    block_openers: tuple[str, ...]
    multiline_quotes: tuple[tuple[str, str], ...]
    line_quotes: str


_BLOCK_COMMENT = ("/*", "*/")
_BACKTICKS = ("`", "`")


def _braces(
    name: str,
    language_ids: tuple[str, ...],
    extensions: tuple[str, ...],
    grammar: tuple[str, str],
    *,
    multiline_quotes: tuple[tuple[str, str], ...] = (),
    line_quotes: str = "\"'",
) -> Language:
    return Language(
        name=name,
        language_ids=language_ids,
        extensions=extensions,
        grammar_module=grammar[0],
        grammar_function=grammar[1],
        line_comment="//",
        block_style=BlockStyle.BRACES,
        block_openers=("{",),
        multiline_quotes=(_BLOCK_COMMENT, *multiline_quotes),
        line_quotes=line_quotes,
    )


LANGUAGES: tuple[Language, ...] = (
    Language(
        name="Python",
        language_ids=("python",),
        extensions=(".py", ".pyi", ".pyw"),
        grammar_module="tree_sitter_python",
        grammar_function="language",
        line_comment="#",
        block_style=BlockStyle.INDENTATION,
        block_openers=(":",),
        multiline_quotes=(('"""', '"""'), ("'''", "'''")),
        line_quotes="\"'",
    ),
    _braces(
        "JavaScript",
        ("javascript", "javascriptreact"),
        (".js", ".jsx", ".mjs", ".cjs"),
        ("tree_sitter_javascript", "language"),
        multiline_quotes=(_BACKTICKS,),
    ),
    _braces(
        "TypeScript",
        ("typescript",),
        (".ts", ".mts", ".cts"),
        ("tree_sitter_typescript", "language_typescript"),
        multiline_quotes=(_BACKTICKS,),
    ),
    _braces(
        "TSX",
        ("typescriptreact",),
        (".tsx",),
        ("tree_sitter_typescript", "language_tsx"),
        multiline_quotes=(_BACKTICKS,),
    ),
    _braces(
        "Java",
        ("java",),
        (".java",),
        ("tree_sitter_java", "language"),
        multiline_quotes=(('"""', '"""'),),
    ),
    _braces(
        "Go",
        ("go",),
        (".go",),
        ("tree_sitter_go", "language"),
        multiline_quotes=(_BACKTICKS,),
    ),
    # A lone quote in Rust is more often a lifetime than a character.
    _braces("Rust", ("rust",), (".rs",), ("tree_sitter_rust", "language"), line_quotes='"'),
    _braces("C", ("c",), (".c", ".h"), ("tree_sitter_c", "language")),
    _braces(
        "C++",
        ("cpp",),
        (".cpp", ".cc", ".cxx", ".hpp", ".hh", ".hxx", ".ipp"),
        ("tree_sitter_cpp", "language"),
    ),
)


def language_for(language_id: str, path: str | None = None) -> Language | None:
    """Return the language of a document, or ``None`` if the table does not have it.

    The editor's word counts for more than the file's name, which decides only where the editor
    says nothing known (``"plaintext"``, ``""``).
    """
    wanted = language_id.lower()
    for language in LANGUAGES:
        if wanted in language.language_ids:
            return language
    extension = PurePosixPath(path or "").suffix.lower()
    return next((row for row in LANGUAGES if extension in row.extensions), None)


@functools.cache
def load_grammar(language: Language) -> tree_sitter.Language:
    """Return the tree-sitter grammar, imported on first use: an editor needs one or two of nine."""
    module = importlib.import_module(language.grammar_module)
    pointer: object = getattr(module, language.grammar_function)()
    return tree_sitter.Language(pointer)
