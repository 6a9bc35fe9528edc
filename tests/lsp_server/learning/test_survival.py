"""Which characters of an insertion are left after edits, beside a model that marks each of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from completion.types import TextEdit
from lsp_server.learning.survival import Survivors, shortened

Marked = list[tuple[str, bool]]
PIECES = st.text(alphabet="ab \n", max_size=4)


def marked_after(marked: Marked, edit: TextEdit) -> Marked:
    """The slow, obvious way: every character carries whether it was inserted with the suggestion."""
    return [*marked[: edit.start], *((char, False) for char in edit.inserted), *marked[edit.end :]]


def spans_of(marked: Marked) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for at, (_, is_ours) in enumerate(marked):
        if is_ours and spans and spans[-1][1] == at:
            spans[-1] = (spans[-1][0], at + 1)
        elif is_ours:
            spans.append((at, at + 1))
    return spans


@given(before=PIECES, ours=PIECES, after=PIECES, data=st.data())
def test_insertions_and_deletions_leave_what_a_mark_on_each_character_says(
    before: str, ours: str, after: str, data: st.DataObject
) -> None:
    marked: Marked = [(c, False) for c in before] + [(c, True) for c in ours]
    marked += [(c, False) for c in after]
    survivors = Survivors(len(before), len(before) + len(ours))
    for _ in range(data.draw(st.integers(0, 8))):
        start = data.draw(st.integers(0, len(marked)))
        if data.draw(st.booleans()):
            edit = TextEdit(start, start, data.draw(PIECES))
        else:
            edit = TextEdit(start, data.draw(st.integers(start, len(marked))), "")
        removed = "".join(char for char, _ in marked[edit.start : edit.end])
        survivors.apply(edit, removed)
        marked = marked_after(marked, edit)
        assert list(survivors.spans) == spans_of(marked)
    left = sum(is_ours for _, is_ours in marked)
    assert survivors.ratio == (left / len(ours) if ours else 0.0)


@given(before=PIECES, ours=st.text(alphabet="ab \n", min_size=1, max_size=8), data=st.data())
def test_after_any_replacement_what_is_left_stands_where_it_says(
    before: str, ours: str, data: st.DataObject
) -> None:
    text = before + ours
    survivors = Survivors(len(before), len(text))
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, len(text)))
        edit, removed = shortened(TextEdit(start, end, data.draw(PIECES)), text[start:end])
        kept_before = "".join(text[first:last] for first, last in survivors.spans)
        survivors.apply(edit, removed)
        text = text[: edit.start] + edit.inserted + text[edit.end :]
        kept = "".join(text[first:last] for first, last in survivors.spans)
        assert is_subsequence(kept, kept_before)
        assert all(0 <= first < last <= len(text) for first, last in survivors.spans)
        assert 0 <= survivors.ratio <= 1


def is_subsequence(part: str, whole: str) -> bool:
    rest = iter(whole)
    return all(char in rest for char in part)


@given(removed=PIECES, inserted=PIECES, start=st.integers(0, 5))
def test_a_shortened_edit_makes_the_same_text(removed: str, inserted: str, start: int) -> None:
    text = "x" * start + removed + "y"
    edit = TextEdit(start, start + len(removed), inserted)
    least, left_out = shortened(edit, removed)
    assert left_out == text[least.start : least.end]
    assert (
        text[: least.start] + least.inserted + text[least.end :]
        == text[:start] + inserted + text[edit.end :]
    )


def test_a_formatter_that_replaces_the_line_takes_only_what_it_changed() -> None:
    survivors = Survivors(0, len("foo(a,b)"))
    survivors.apply(TextEdit(0, 8, "foo(a, b)"), "foo(a,b)")
    assert survivors.ratio == 1.0


def test_a_long_text_is_compared_by_lines() -> None:
    lines = [f"value_{number} = other_{number} + {number}\n" for number in range(2000)]
    text = "".join(lines)
    formatted = "".join(lines[:1000]) + "# changed\n" + "".join(lines[1001:])
    survivors = Survivors(0, len(text))
    survivors.apply(TextEdit(0, len(text), formatted), text)
    assert survivors.ratio == 1 - len(lines[1000]) / len(text)


def test_a_second_part_that_was_taken_counts_too() -> None:
    survivors = Survivors(0, 4)
    survivors.add(4, 8)
    survivors.apply(TextEdit(2, 6, ""), "....")
    assert (survivors.num_inserted, survivors.ratio, list(survivors.spans)) == (8, 0.5, [(0, 4)])
