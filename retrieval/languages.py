"""The languages known in detail: how to recognise one, parse it, and see where its blocks begin.

There are two depths of knowledge. Of a ``Grammar`` the files can be parsed and so cut into chunks.
Of a ``Language`` it is known besides what a comment, a string and an open block look like in a
half-written line. Languages whose blocks end with a word, and formats that are no code, have only
the first: completion serves them as it serves text, and would guess worse with half an answer.

Everything outside these tables is still served: callers get ``None`` and fall back to what
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """How to recognise the files of a language and to parse them.

    ``language_ids`` are the names editors use in LSP; ``extensions`` carry their dot and are lower
    case; ``file_names`` are whole names that carry no telling extension. ``grammar_module`` and
    ``grammar_function`` name where the tree-sitter grammar comes from.
    """

    name: str
    language_ids: tuple[str, ...]
    extensions: tuple[str, ...]
    file_names: tuple[str, ...] = ()
    grammar_module: str
    grammar_function: str = "language"


@dataclass(frozen=True, slots=True, kw_only=True)
class Language(Grammar):
    """A grammar whose way of writing lines and blocks is known too: what completion asks for.

    ``block_openers`` are the endings of a line after which a block stands open.
    ``multiline_quotes`` are (opening, closing) delimiters that may span lines, comments included.
    ``line_quotes`` delimit strings that end with their line at the latest.
    """

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
        file_names=("SConstruct", "SConscript"),
        grammar_module="tree_sitter_python",
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
    _braces(
        "C#",
        ("csharp",),
        (".cs", ".csx"),
        ("tree_sitter_c_sharp", "language"),
        multiline_quotes=(('"""', '"""'),),
    ),
    # Its strings may span lines, but so many apostrophes stand in the text around the code that
    # one which opens nothing must not swallow the rest of the file.
    _braces(
        "PHP",
        ("php",),
        (".php", ".phtml"),
        ("tree_sitter_php", "language_php"),
    ),
)


GRAMMARS: tuple[Grammar, ...] = (
    *LANGUAGES,
    Grammar(
        name="Ruby",
        language_ids=("ruby",),
        extensions=(".rb", ".rake", ".gemspec", ".ru"),
        file_names=("Gemfile", "Rakefile", "Podfile", "Vagrantfile", "Brewfile"),
        grammar_module="tree_sitter_ruby",
    ),
    Grammar(
        name="Bash",
        language_ids=("shellscript", "bash", "sh"),
        extensions=(".sh", ".bash", ".zsh"),
        file_names=(".bashrc", ".bash_profile", ".bash_aliases", ".profile", ".zshrc", "PKGBUILD"),
        grammar_module="tree_sitter_bash",
    ),
    Grammar(
        name="HTML",
        language_ids=("html",),
        extensions=(".html", ".htm", ".xhtml"),
        grammar_module="tree_sitter_html",
    ),
    Grammar(
        name="CSS",
        language_ids=("css",),
        extensions=(".css",),
        grammar_module="tree_sitter_css",
    ),
    Grammar(
        name="JSON",
        language_ids=("json", "jsonc"),
        extensions=(".json", ".jsonc", ".webmanifest"),
        file_names=(".babelrc", ".eslintrc", ".prettierrc"),
        grammar_module="tree_sitter_json",
    ),
    Grammar(
        name="YAML",
        language_ids=("yaml",),
        extensions=(".yaml", ".yml"),
        file_names=(".clang-format", ".clang-tidy"),
        grammar_module="tree_sitter_yaml",
    ),
    Grammar(
        name="Markdown",
        language_ids=("markdown",),
        extensions=(".md", ".markdown", ".mdx"),
        grammar_module="tree_sitter_markdown",
    ),
)


def language_for(language_id: str, path: str | None = None) -> Language | None:
    """Return the language of a document, or ``None`` if ``LANGUAGES`` does not have it.

    The editor's word counts for more than the file's name, which decides only where the editor
    says nothing known (``"plaintext"``, ``""``).
    """
    found = grammar_for(language_id, path)
    return found if isinstance(found, Language) else None


def grammar_for(language_id: str, path: str | None = None) -> Grammar | None:
    """Return the grammar of a document, or ``None`` if ``GRAMMARS`` does not have it.

    Of the editor's word and the file's name it holds what ``language_for`` says of them.
    """
    by_id, by_name, by_extension = _index()
    file = PurePosixPath(path or "")
    return (
        by_id.get(language_id.lower())
        or by_name.get(file.name)
        or by_extension.get(file.suffix.lower())
    )


@functools.cache
def _index() -> tuple[dict[str, Grammar], dict[str, Grammar], dict[str, Grammar]]:
    """Return the grammars by language id, by file name and by extension."""
    return (
        {name: row for row in GRAMMARS for name in row.language_ids},
        {name: row for row in GRAMMARS for name in row.file_names},
        {name: row for row in GRAMMARS for name in row.extensions},
    )


@functools.cache
def load_grammar(grammar: Grammar) -> tree_sitter.Language:
    """Return the tree-sitter grammar, imported on first use: an editor needs one or two of them."""
    module = importlib.import_module(grammar.grammar_module)
    pointer: object = getattr(module, grammar.grammar_function)()
    return tree_sitter.Language(pointer)
