"""How much to suggest: the rest of a line, a statement, a paragraph or a whole block.

The policy, first match wins:

1. In a comment or string: one line.
2. Code stands right of the cursor (more than closers and separators). Asked automatically, one
   line, which must leave that code as it is. Asked explicitly, the hole may span lines: it ends
   where the text meets the code on the right again.
3. A block has just been opened and holds nothing yet, whether the cursor is still behind the
   header or already on the blank line below: the block. Asked explicitly for the body of a loop or
   condition in a function, everything up to the end of that function.
4. On a blank line: automatically the next paragraph (up to a blank line or the end of the block);
   explicitly everything up to the end of the function.
5. Within or behind a statement: automatically the rest of the line; explicitly the whole
   statement, with the block or the brackets it opens.

An explicit request is generous because someone waits for it on purpose and sees what comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from completion.brackets import OPENERS, ends_inside_string, scan_brackets
from completion.cursor import CursorContext, indent_columns, read_cursor
from completion.types import CompletionRequest, TriggerKind
from retrieval.languages import BlockStyle
from retrieval.syntax import SyntaxTree

_MAX_PARSED_CHARS = 100_000  # about 15 ms without a tree to start from
_SEARCHED_CHARS = 50_000
_HEADER_KEYWORDS = ("class ", "def ", "async def ")


class StrategyMode(StrEnum):
    """Whether a suggestion is one line or may be several."""

    LINE = "line"
    BLOCK = "block"


class Scope(StrEnum):
    """The unit of code a suggestion may fill; it ends where the unit ends."""

    LINE = "line"
    STATEMENT = "statement"
    PARAGRAPH = "paragraph"
    BLOCK = "block"
    FUNCTION = "function"


_BUDGETS = {  # new tokens, lines
    Scope.LINE: (48, 1),
    Scope.STATEMENT: (128, 24),
    Scope.PARAGRAPH: (128, 16),
    Scope.BLOCK: (160, 40),
    Scope.FUNCTION: (256, 60),
}


@dataclass(frozen=True, slots=True)
class Strategy:
    """What to generate for one request.

    ``base_indentation`` is the indentation, in columns, of the shallowest line that can belong to
    the unit; ``None`` means that the first generated line sets it. ``max_new_tokens`` and
    ``max_num_lines`` bound it. ``cursor`` is what all later rules know of the place. ``must_join`` says that code right of the cursor has to be met
    again for more than one line to be kept.
    """

    scope: Scope
    cursor: CursorContext
    max_new_tokens: int
    max_num_lines: int
    base_indentation: int | None = None
    must_join: bool = False

    @property
    def mode(self) -> StrategyMode:
        """``LINE`` for the scope of that name, ``BLOCK`` for all larger ones."""
        return StrategyMode.LINE if self.scope is Scope.LINE else StrategyMode.BLOCK


def choose_strategy(
    request: CompletionRequest, *, tree: SyntaxTree | None = None, scope: Scope | None = None
) -> Strategy:
    """Return the strategy for ``request``, by the policy above.

    ``tree`` is the parsed document if the caller keeps one; otherwise it is parsed here, and above
    100,000 characters text alone decides. ``scope`` overrides the policy (benchmarks).
    ``request.max_new_tokens`` can only lower the budget.
    """
    cursor = read_cursor(request)
    if tree is None or tree.text != request.document.text:
        tree = _parse(request, cursor)
    chosen = scope or _choose_scope(request, cursor, tree)
    max_new_tokens, max_num_lines = _BUDGETS[chosen]
    return Strategy(
        scope=chosen,
        cursor=cursor,
        max_new_tokens=min(max_new_tokens, request.max_new_tokens or max_new_tokens),
        max_num_lines=max_num_lines,
        base_indentation=_base_indentation(chosen, request, cursor),
        must_join=chosen is not Scope.LINE and _is_hole_in_a_line(cursor),
    )


def _parse(request: CompletionRequest, cursor: CursorContext) -> SyntaxTree | None:
    text = request.document.text
    if cursor.language is None or len(text) > _MAX_PARSED_CHARS:
        return None
    return SyntaxTree.parse(cursor.language, text)


def _choose_scope(
    request: CompletionRequest, cursor: CursorContext, tree: SyntaxTree | None
) -> Scope:
    invoked = request.trigger is TriggerKind.INVOKED
    if _is_prose(request, cursor, tree):
        return Scope.LINE
    if not cursor.right_is_closed:
        return Scope.FUNCTION if invoked else Scope.LINE
    if _block_is_open_and_empty(request, cursor, tree):
        return Scope.FUNCTION if invoked and _is_within_function(request, cursor) else Scope.BLOCK
    if not cursor.left.strip():
        return Scope.FUNCTION if invoked else Scope.PARAGRAPH
    return Scope.STATEMENT if invoked else Scope.LINE


def _is_within_function(request: CompletionRequest, cursor: CursorContext) -> bool:
    """Whether the block just opened belongs to a function rather than being its body."""
    header = _header_line(cursor)
    if cursor.language is None or cursor.language.block_style is BlockStyle.BRACES:
        return False
    if header.lstrip().startswith(_HEADER_KEYWORDS):
        return False
    return _header_indentation(request, cursor) >= 0


def _is_hole_in_a_line(cursor: CursorContext) -> bool:
    return not cursor.right_is_closed and not cursor.opens_lines


def _is_prose(request: CompletionRequest, cursor: CursorContext, tree: SyntaxTree | None) -> bool:
    if tree is not None and (tree.in_comment(request.offset) or tree.in_string(request.offset)):
        return True
    # The tree misses strings that are not closed yet, the usual case while one is typed.
    return ends_inside_string(cursor.left, cursor.language, cursor.brackets)


def _block_is_open_and_empty(
    request: CompletionRequest, cursor: CursorContext, tree: SyntaxTree | None
) -> bool:
    if tree is not None:
        return tree.empty_block_at(request.offset) and _close_to_header(cursor)
    header = cursor.left.rstrip() or (cursor.above[-1] if cursor.above else "")
    below = cursor.below[0] if cursor.below else ""
    if not header.endswith((":", "{")) or header.lstrip().startswith(("case ", "default")):
        return False
    return not below or indent_columns(below) <= indent_columns(header)


def _close_to_header(cursor: CursorContext) -> bool:
    """Whether the cursor is not left of the header whose block is empty."""
    if cursor.left.strip() or not cursor.left or not cursor.above:
        return True
    return indent_columns(cursor.left + "x") > indent_columns(cursor.above[-1])


def _base_indentation(
    scope: Scope, request: CompletionRequest, cursor: CursorContext
) -> int | None:
    if scope is Scope.LINE:
        return None
    if scope is Scope.BLOCK:
        return indent_columns(_header_line(cursor)) + 1
    if scope in (Scope.STATEMENT, Scope.FUNCTION):
        return _function_body_indentation(request, cursor)
    return indent_columns(cursor.left + "x") if cursor.left else None


def _header_line(cursor: CursorContext) -> str:
    if cursor.left.strip():
        return cursor.left
    return cursor.above[-1] if cursor.above else ""


def _function_body_indentation(request: CompletionRequest, cursor: CursorContext) -> int:
    """Return the least indentation inside the function around the cursor; 0 at top level."""
    if cursor.language is not None and cursor.language.block_style is BlockStyle.BRACES:
        return 0
    return _header_indentation(request, cursor) + 1


def _header_indentation(request: CompletionRequest, cursor: CursorContext) -> int:
    """Return the indentation of the outermost ``def`` around the cursor, -1 for none.

    Outermost within a class: a hole in a helper may well reach beyond the helper. The tree cannot
    tell, because to a parser a Python function has ended where its last statement did.
    """
    inner = _indentation_at_cursor(cursor)
    found = -1
    for line in reversed(request.prefix[-_SEARCHED_CHARS:].split("\n")):
        if not line.lstrip().startswith(_HEADER_KEYWORDS) or indent_columns(line) >= inner:
            continue
        if found >= 0 and line.lstrip().startswith("class "):
            break
        inner = found = indent_columns(line)
    return found


def _indentation_at_cursor(cursor: CursorContext) -> int:
    if cursor.left:
        return indent_columns(cursor.left + "x")
    above = cursor.above[-1] if cursor.above else ""
    depth = indent_columns(above) + above.endswith(":")
    below = indent_columns(cursor.below[0]) if cursor.below else 0
    if cursor.opens_lines:
        below = indent_columns(cursor.right)
    return min(depth, below) if below else depth


def opens_block(line: str, cursor: CursorContext) -> bool:
    """Whether ``line``, a whole line at the cursor, ends by opening a block or a bracket."""
    stripped = line.rstrip()
    if cursor.language is not None and stripped.endswith(cursor.language.block_openers):
        return True
    if stripped.endswith(tuple(OPENERS)):
        return True
    before = len(cursor.brackets.open)
    return len(scan_brackets(line, cursor.language, cursor.brackets).open) > before
