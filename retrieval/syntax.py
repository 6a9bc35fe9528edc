"""A parsed document and the few questions completion asks about the place of the cursor.

Offsets are code points, as everywhere; tree-sitter counts bytes of UTF-8, and the mapping between
the two lives here and nowhere else. Broken source is the normal case while someone types, so no
question raises on it. This module knows nothing of requests or models.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tree_sitter

from retrieval.languages import BlockStyle, Grammar, Language, load_grammar

_COMMENTS = frozenset({"comment", "line_comment", "block_comment"})
_STRINGS = frozenset(
    {
        "string",
        "string_literal",
        "template_string",
        "character_literal",
        "char_literal",
        "rune_literal",
        "raw_string_literal",
        "interpreted_string_literal",
        "interpolated_string_expression",
        "verbatim_string_literal",
        "encapsed_string",
        "heredoc",
        "nowdoc",
        "system_lib_string",
        "regex",
    }
)
_CODE_INSIDE_STRINGS = frozenset({"interpolation", "template_substitution"})
_BLOCKS = frozenset(
    {
        "block",
        "statement_block",
        "compound_statement",
        "class_body",
        "constructor_body",
        "interface_body",
        "enum_body",
        "enum_member_declaration_list",
        "enum_declaration_list",
        "accessor_list",
        "switch_body",
        "switch_block",
        "match_block",
        "declaration_list",
        "field_declaration_list",
        "object_type",
    }
)
_FUNCTIONS = frozenset(
    {
        "function_definition",
        "function_declaration",
        "function_expression",
        "function_item",
        "generator_function_declaration",
        "method_definition",
        "method_declaration",
        "constructor_declaration",
        "local_function_statement",
        "anonymous_function",
        "arrow_function",
        "func_literal",
        "lambda_expression",
        "closure_expression",
    }
)
_JUMPS = frozenset(
    {
        "return_statement",
        "raise_statement",
        "throw_statement",
        "break_statement",
        "continue_statement",
    }
)
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))
_SPARE_STEPS = 1000
_BYTES_PER_STEP = 10  # on random text the parsers need 40 bytes or more for a step, on code 100
_SUITE_HEADERS = ("_statement", "_definition", "_clause")
_SUITE_KEYWORD = re.compile(
    r"\s*(async|case|class|def|elif|else|except|finally|for|if|match|try|while|with)\b"
)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch ``text[start:end]`` and the grammar's name for it."""

    kind: str
    start: int
    end: int


class SyntaxTree:
    """One version of a document, parsed. Immutable: an edit yields a new tree."""

    __slots__ = ("_is_parsed", "_source", "_tree", "language", "text")

    def __init__(
        self, language: Grammar, text: str, source: bytes, old_tree: tree_sitter.Tree | None = None
    ) -> None:
        self.language = language
        self.text = text
        self._source = source
        tree = _parsed(language, source, old_tree)
        self._is_parsed = tree is not None
        self._tree = tree or _parser(language).parse(b"")

    @classmethod
    def parse(cls, language: Grammar, text: str) -> SyntaxTree:
        """Return the tree of ``text``; lone surrogates are kept, so offsets stay right.

        Where the parser comes to no end, the tree is that of an empty text: it answers as if
        nothing were known.
        """
        return cls(language, text, _encode(text))

    def edited(self, edits: Sequence[tuple[int, int, str]]) -> SyntaxTree:
        """Return the tree after ``edits``; what they did not touch is not parsed again.

        Each edit is (start, end, inserted) in the offsets its predecessor left behind.
        """
        tree = self._tree.copy()
        text = self.text
        source = self._source
        for start, end, inserted in edits:
            start_byte = _byte_offset(text, start)
            old_end_byte = start_byte + len(_encode(text[start:end]))
            addition = _encode(inserted)
            new_source = source[:start_byte] + addition + source[old_end_byte:]
            new_end_byte = start_byte + len(addition)
            tree.edit(
                start_byte,
                old_end_byte,
                new_end_byte,
                _point(source, start_byte),
                _point(source, old_end_byte),
                _point(new_source, new_end_byte),
            )
            text = text[:start] + inserted + text[end:]
            source = new_source
        return SyntaxTree(self.language, text, source, tree if self._is_parsed else None)

    @property
    def root(self) -> tree_sitter.Node:
        r"""The root of the tree. Its nodes count bytes of ``source``, their rows ``\n`` alone."""
        return self._tree.root_node

    @property
    def source(self) -> bytes:
        """The text as it was parsed: UTF-8, with lone surrogates encoded like other characters."""
        return self._source

    def node_at(self, offset: int) -> Span:
        """Return the smallest named node that ``offset`` lies in or touches."""
        node = next(self._ancestors(offset), self._tree.root_node)
        return self._span(node)

    def in_comment(self, offset: int) -> bool:
        """Whether text typed at ``offset`` becomes part of a comment."""
        byte = _byte_offset(self.text, offset)
        for node in self._touching(offset):
            if node.type in _COMMENTS and node.start_byte < byte:
                closed = self._source[node.start_byte : node.end_byte].endswith(b"*/")
                if byte < node.end_byte or (byte == node.end_byte and not closed):
                    return True
        return False

    def in_string(self, offset: int) -> bool:
        """Whether text typed at ``offset`` becomes part of a string; its interpolations are code."""
        byte = _byte_offset(self.text, offset)
        for node in self._ancestors(offset):
            if not node.start_byte < byte < node.end_byte:
                continue
            if node.type in _CODE_INSIDE_STRINGS:
                return False
            if node.type in _STRINGS:
                return True
        return False

    def empty_block_at(self, offset: int) -> bool:
        """Whether ``offset`` stands in a block that was opened and holds nothing yet.

        Of a ``Grammar`` that is no ``Language`` the blocks are not known, so none is seen.
        """
        if self._block_style is BlockStyle.BRACES:
            return self._braces_are_empty(offset)
        return self._block_style is BlockStyle.INDENTATION and self._suite_is_empty(offset)

    def num_faults(self, start: int, end: int) -> int:
        """Return how many things are wrong between two offsets.

        Counted are stretches the grammar could not place, tokens it missed, statements that
        cannot be reached and, in languages that indent, headers that nothing follows and
        statements that stand out of line.
        """
        first, last = _byte_offset(self.text, start), _byte_offset(self.text, end)
        nodes = list(_overlapping(self._tree.root_node, first, last))
        num_faults = sum(node.is_error or node.is_missing for node in nodes)
        is_indented = self._block_style is BlockStyle.INDENTATION
        for node in nodes:
            if node.type in _BLOCKS or node.type == "module":
                num_faults += _num_unreachable(node, first, last)
                if is_indented:
                    num_faults += _num_suite_faults(node, first, last)
        return num_faults

    def enclosing_block(self, offset: int) -> Span | None:
        """Return the innermost block around ``offset``, braces included, or ``None`` at top level."""
        return self._enclosing(offset, _BLOCKS)

    def enclosing_function(self, offset: int) -> Span | None:
        """Return the innermost function around ``offset``, its header included, or ``None``."""
        return self._enclosing(offset, _FUNCTIONS)

    @property
    def _block_style(self) -> BlockStyle | None:
        return self.language.block_style if isinstance(self.language, Language) else None

    def _enclosing(self, offset: int, kinds: frozenset[str]) -> Span | None:
        byte = _byte_offset(self.text, offset)
        for node in self._ancestors(offset):
            if node.type in kinds and node.start_byte < byte <= node.end_byte:
                return self._span(node)
        return None

    def _braces_are_empty(self, offset: int) -> bool:
        before = self.text[:offset].rstrip()
        after = self.text[offset:].lstrip()
        if not before.endswith("{") or self.in_comment(len(before)):
            return False
        return not after or after.startswith("}") or self._is_unclosed(len(before))

    def _is_unclosed(self, offset: int) -> bool:
        """Whether the brace that ends before ``offset`` lacks its partner."""
        byte = _byte_offset(self.text, offset)
        node = self._tree.root_node.descendant_for_byte_range(byte - 1, byte)
        parent = node.parent if node is not None else None
        if parent is None or parent.type == "ERROR":
            return True
        last = parent.children[-1]
        return last.is_missing or last.type != "}"

    def _suite_is_empty(self, offset: int) -> bool:
        header = self.text[:offset].rstrip()
        if not header.endswith(":") or not self._colon_opens_suite(len(header)):
            return False
        header_line = header[header.rfind("\n") + 1 :]
        following = _first_filled_line(self.text[offset:])
        return following is None or _indentation(following) <= _indentation(header_line)

    def _colon_opens_suite(self, end: int) -> bool:
        byte = _byte_offset(self.text, end)
        colon = self._tree.root_node.descendant_for_byte_range(byte - 1, byte)
        if colon is None or colon.type != ":" or colon.parent is None:
            return False
        if colon.parent.type == "ERROR":
            line = self.text[self.text.rfind("\n", 0, end) + 1 : end]
            return _SUITE_KEYWORD.match(line) is not None
        return colon.parent.type.endswith(_SUITE_HEADERS)

    def _touching(self, offset: int) -> Iterator[tree_sitter.Node]:
        yield from self._ancestors(offset)
        if offset > 0:
            yield from self._ancestors(offset - 1)

    def _ancestors(self, offset: int) -> Iterator[tree_sitter.Node]:
        byte = _byte_offset(self.text, offset)
        node = self._tree.root_node.named_descendant_for_byte_range(byte, byte)
        while node is not None:
            yield node
            node = node.parent

    def _span(self, node: tree_sitter.Node) -> Span:
        return Span(
            node.type,
            _code_points(self._source, node.start_byte),
            _code_points(self._source, node.end_byte),
        )


def _parser(language: Grammar) -> tree_sitter.Parser:
    return tree_sitter.Parser(load_grammar(language))


def _parsed(
    language: Grammar, source: bytes, old_tree: tree_sitter.Tree | None
) -> tree_sitter.Tree | None:
    """Return the tree of ``source``, or ``None`` if the parser seems to run in circles.

    On a few broken texts the recovery from errors never ends, and would hold the interpreter's
    lock for ever. Its steps are counted, not timed, so that equal texts have equal trees.
    """
    num_left = _SPARE_STEPS + len(source) // _BYTES_PER_STEP

    def is_beyond(_byte: int, _has_error: bool) -> bool:
        nonlocal num_left
        num_left -= 1
        return num_left < 0

    # The binding never lets go of what it was given to read: that must be emptied, not freed.
    given: list[bytearray] = []
    is_parsing = True

    def read(byte: int, _point: tree_sitter.Point) -> bytes | bytearray:
        # Of the empty and of each single byte there is one. Later, a node's ``text`` asks for what
        # is behind it, and anything but bytes up to the very end makes that crash or be wrong.
        if not is_parsing or len(source) - byte <= 1:
            return source[byte:]
        given.append(bytearray(memoryview(source)[byte:]))
        return given[-1]

    parser = _parser(language)
    try:
        if old_tree is None:
            return parser.parse(read, progress_callback=is_beyond)
        return parser.parse(read, old_tree, progress_callback=is_beyond)
    except ValueError:  # how the binding says that it was stopped
        return None
    finally:
        is_parsing = False
        for part in given:
            part.clear()


def _overlapping(node: tree_sitter.Node, start: int, end: int) -> Iterator[tree_sitter.Node]:
    """Yield ``node`` and all below it that share a byte with, or touch, ``[start, end]``."""
    if node.end_byte < start or node.start_byte > end:
        return
    yield node
    for child in node.children:
        yield from _overlapping(child, start, end)


def _statements(block: tree_sitter.Node) -> list[tree_sitter.Node]:
    return [child for child in block.named_children if child.type not in _COMMENTS]


def _num_unreachable(block: tree_sitter.Node, start: int, end: int) -> int:
    """Count the jumps that other statements of the same block follow, one of the two in range."""
    return sum(
        before.type in _JUMPS and before.end_byte <= end and behind.start_byte >= start
        for before, behind in itertools.pairwise(_statements(block))
    )


def _num_suite_faults(suite: tree_sitter.Node, start: int, end: int) -> int:
    # The Python grammar takes a header without a body, and a line indented for no reason.
    if suite.type == "block" and suite.start_byte == suite.end_byte:
        return 1
    statements = _statements(suite)
    rows = [statement.start_point.row for statement in statements]
    return sum(
        statement.start_point.column != statements[0].start_point.column
        for at, statement in enumerate(statements)
        if at and rows[at] != rows[at - 1] and start <= statement.start_byte <= end
    )


def _first_filled_line(text: str) -> str | None:
    """Return the first line below the current one that is not blank."""
    return next((line for line in text.split("\n")[1:] if line.strip()), None)


def _indentation(line: str) -> int:
    expanded = line.expandtabs(8)
    return len(expanded) - len(expanded.lstrip())


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _byte_offset(text: str, offset: int) -> int:
    return offset if text.isascii() else len(_encode(text[:offset]))


def _code_points(source: bytes, byte: int) -> int:
    # Dropping continuation bytes counts characters without decoding, so it cannot fail.
    return byte if source.isascii() else len(source[:byte].translate(None, _CONTINUATION_BYTES))


def _point(source: bytes, byte: int) -> tuple[int, int]:
    row = source.count(b"\n", 0, byte)
    return row, byte - (source.rfind(b"\n", 0, byte) + 1)
