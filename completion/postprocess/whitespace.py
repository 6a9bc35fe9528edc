"""Filters for blanks: indentation as the document writes it, nothing superfluous at the ends."""

from __future__ import annotations

from completion.cursor import CursorContext, indent_columns, leading_blanks
from completion.postprocess.draft import Draft
from completion.strategy import opens_block
from completion.types import NoSuggestionReason


def normalise_first_indentation(draft: Draft) -> Draft | NoSuggestionReason:
    """Take from the first line the indentation that is typed already.

    Models like to write a line's indentation in full although the cursor stands behind it.
    """
    cursor = draft.cursor
    blanks = leading_blanks(draft.text)
    if not blanks or not cursor.left or cursor.left.strip():
        return draft
    typed = indent_columns(cursor.left + "x")
    wanted = _expected_columns(cursor)
    if indent_columns(cursor.left + blanks + "x") <= wanted:
        return draft
    if typed < wanted:
        return draft.with_text(cursor.indent_unit + draft.text[len(blanks) :])
    return draft.with_text(draft.text[len(blanks) :])


def normalise_indentation_style(draft: Draft) -> Draft | NoSuggestionReason:
    """Write the indentation with tabs or spaces, whichever the document uses."""
    cursor = draft.cursor
    lines = draft.text.split("\n")
    starts_line = not cursor.left
    restyled = [
        line if index == 0 and not starts_line else _restyle(line, cursor.indent_unit)
        for index, line in enumerate(lines)
    ]
    return draft.with_text("\n".join(restyled))


def trim_leading_space(draft: Draft) -> Draft | NoSuggestionReason:
    """Drop a leading blank behind one that is typed already."""
    left = draft.cursor.left
    if left.strip() and left[-1] in " \t":
        return draft.with_text(draft.text.lstrip(" \t"))
    return draft


def trim_trailing_space(draft: Draft) -> Draft | NoSuggestionReason:
    """Drop blanks at the ends of lines; before code on the right, one blank may be needed."""
    lines = draft.text.split("\n")
    if draft.strategy.must_join or not draft.cursor.right_is_closed:
        ending = "" if draft.right[:1].isspace() else " " * lines[-1].endswith((" ", "\t"))
        if draft.text.endswith("\n"):
            ending = "\n"
        return draft.with_text("\n".join(line.rstrip() for line in lines).rstrip() + ending)
    return draft.with_text("\n".join(line.rstrip() for line in lines).rstrip())


def end_whole_lines(draft: Draft) -> Draft | NoSuggestionReason:
    """End text that stands before the code of its line with a newline and that code's indentation."""
    cursor = draft.cursor
    if not cursor.opens_lines or not draft.text.strip():
        return draft
    return draft.with_text(draft.text.rstrip() + "\n" + cursor.left)


def _expected_columns(cursor: CursorContext) -> int:
    if not cursor.above:
        return 0
    above = cursor.above[-1]
    step = indent_columns(cursor.indent_unit + "x") if opens_block(above, cursor) else 0
    return indent_columns(above) + step


def _restyle(line: str, unit: str) -> str:
    blanks = leading_blanks(line)
    if not blanks or blanks.strip(unit[0]) == "":
        return line
    body = line[len(blanks) :]
    if unit != "\t":
        return blanks.replace("\t", unit) + body
    width = _space_width(blanks)
    return "\t" * (len(blanks.replace("\t", " " * width)) // width) + body


def _space_width(blanks: str) -> int:
    return 4 if blanks.count(" ") % 4 == 0 else 2
