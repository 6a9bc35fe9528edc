"""What stands in the prompt, from one request to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from retrieval.assembly import Assembler, AssemblyRules, Moment
from retrieval.duplicates import Window, num_lines, num_shared_lines
from retrieval.fusion import Candidate, fuse
from retrieval.query import Query
from retrieval.snippet import Snippet, SnippetSource

SIMILAR, DEFINITION = SnippetSource.SIMILAR, SnippetSource.DEFINITION
HERE = Window.of("here.py", 0, "here = 1\n")
AMPLE = 10_000


def count_tokens(snippet: Snippet) -> int:
    """A token for each word, and two for the heading."""
    return len(snippet.text.split()) + 2


def snippet(name: str, source: SnippetSource = SIMILAR) -> Snippet:
    text = f"{name} =\n{name} +=\n{name} -=\n"
    return Snippet(f"{name}.py", 0, num_lines(text), text, 1.0, source)


class Desk:
    """A document with an assembler, and files that can be edited."""

    def __init__(self, rules: AssemblyRules | None = None) -> None:
        self.files: dict[str, str] = {name: snippet(name).text for name in "abcdefghijklmnopq"}
        self.assembler = Assembler(self.locate, rules or AssemblyRules())
        self.line = 0

    def locate(self, snippet: Snippet) -> int | None:
        text = self.files.get(snippet.path.removesuffix(".py"), "")
        start = text.find(snippet.text)
        return None if start < 0 else text.count("\n", 0, start)

    def choose(
        self,
        ranked: str | Sequence[Candidate],
        *,
        budget: int = AMPLE,
        down: int = 1,
        draft: str = "",
        focus: str = "",
        has_rested: bool = False,
    ) -> str:
        """Move the cursor ``down`` and return the names of what is shown."""
        self.line += down
        if isinstance(ranked, str):
            ranked = candidates(ranked)
        moment = Moment(HERE, self.line, Query(), draft, focus, has_rested)
        return names_of(self.assembler.choose(ranked, budget, count_tokens, moment))


def candidates(names: str, **changed: object) -> list[Candidate]:
    ranked = fuse({SIMILAR: [snippet(name) for name in names]}, HERE)
    return [replace(each, **changed) for each in ranked]  # type: ignore[arg-type]


def names_of(shown: Sequence[Snippet]) -> str:
    return "".join(each.path.removesuffix(".py") for each in shown)


def test_the_best_is_nearest_to_the_cursor() -> None:
    assert Desk().choose("abcdefg") == "edcba"


def test_there_may_be_nothing_to_show() -> None:
    assert Desk().choose("") == ""
    assert Desk().choose("abc", budget=0) == ""


@pytest.mark.parametrize(
    ("ranked", "expected"),
    [
        ("abcde", "edcba"),
        ("bcdea", "edcba"),
        ("abcd", "edcba"),  # unranked, but still true
        ("abcdfghe", "edcba"),  # three ranks are no difference
        ("abcdfghie", "dcbaf"),
        ("abcdf", "dcbaf"),
        ("fghabcde", "cbagf"),  # two at once
    ],
)
def test_what_is_shown_stays_where_it_is_while_it_ranks(ranked: str, expected: str) -> None:
    desk = Desk()
    desk.choose("abcde")
    assert desk.choose(ranked) == expected


def test_a_newcomer_must_be_better_by_a_margin() -> None:
    desk = Desk()
    desk.choose("abcde")
    assert desk.choose("abfcde") == "edcba"  # 1.05 / 66 > 1 / 63
    assert desk.choose("fabcde") == "dcbaf"  # 1.05 / 66 < 1 / 61


def test_a_far_jump_leaves_it_to_the_ranking() -> None:
    desk = Desk()
    desk.choose("abcde")
    assert desk.choose("fghabcde", down=51) == "bahgf"
    assert desk.choose("cde", down=-51) == "edc"


def test_another_document_starts_afresh() -> None:
    desk = Desk()
    desk.choose("abcde")
    there = Moment(Window.of("there.py", 0, "x\n"), desk.line, Query())
    shown = desk.assembler.choose(candidates("fgh"), AMPLE, count_tokens, there)
    assert names_of(shown) == "hgf"


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        ({"down": 0}, "ba"),
        ({"down": 1}, "bacx"),
        ({"down": 0, "has_rested": True}, "bacx"),
        ({"down": 0, "draft": "x"}, "bacx"),
        ({"down": 0, "focus": "x"}, "bacx"),
    ],
)
def test_within_a_line_the_choice_stands(moved: dict[str, int | str | bool], expected: str) -> None:
    desk = Desk()
    desk.choose("ab")
    assert desk.choose("xcab", **moved) == expected  # type: ignore[arg-type]


def test_within_a_line_a_smaller_budget_keeps_the_nearest() -> None:
    desk = Desk()
    desk.choose("abc")
    size = count_tokens(snippet("a"))
    assert desk.choose("", down=0, budget=2 * size) == "ba"
    assert desk.choose("", down=0) == "cba"


def test_a_choice_need_not_stand_within_a_line() -> None:
    desk = Desk(AssemblyRules(stays_within_line=False))
    desk.choose("ab")
    assert desk.choose("abc", down=0) == "bac"


def test_reasons_last_as_long_as_the_choice() -> None:
    assembler, moment = Assembler(lambda _: 0), Moment(HERE, 0, Query())
    chosen = assembler.choose(
        candidates("ab"), AMPLE, count_tokens, moment, lambda each: replace(each, reason=each.path)
    )
    assert [each.reason for each in chosen] == ["b.py", "a.py"]
    assert assembler.choose((), AMPLE, count_tokens, moment) == chosen


def test_what_was_edited_is_shown_as_it_is_now() -> None:
    desk = Desk()
    desk.choose("abc")
    desk.files["b"] = text = "b =\nb *=\nb -=\n"
    ranked = candidates("cab")
    ranked[-1] = replace(ranked[-1], snippet=replace(snippet("b"), text=text))
    moment = Moment(HERE, 1, Query(), has_rested=True)
    shown = desk.assembler.choose(ranked, AMPLE, count_tokens, moment)
    assert names_of(shown) == "cba"
    assert shown[1].text == text


def test_what_was_deleted_is_not_shown() -> None:
    desk = Desk()
    desk.choose("abc")
    desk.files["b"] = "nothing = 1\n"
    assert desk.choose("ac") == "ca"


def test_what_moved_has_its_new_lines() -> None:
    desk = Desk()
    desk.choose("a")
    desk.files["a"] = "import a\n\n" + desk.files["a"]
    desk.line += 1
    shown = desk.assembler.choose([], AMPLE, count_tokens, Moment(HERE, desk.line, Query()))
    assert [(each.start_line, each.end_line) for each in shown] == [(2, 5)]


@pytest.mark.parametrize(("window_line", "expected"), [(3, "ba"), (2, "b"), (0, "b")])
def test_what_the_window_has_come_to_show_is_not_shown_twice(
    window_line: int, expected: str
) -> None:
    desk, shown = Desk(), ""
    for line, start in enumerate((50, window_line)):
        moment = Moment(Window.of("a.py", start, "x = 1\n"), line, Query())
        ranked = candidates("b" if line else "ab")
        shown = names_of(desk.assembler.choose(ranked, AMPLE, count_tokens, moment))
    assert shown == expected


def part(start: int, end: int) -> Candidate:
    """Lines of a file, as a candidate."""
    text = "".join(f"line{at}\n" for at in range(start, end))
    return Candidate(Snippet("a.py", start, end, text, 1.0, SIMILAR), 1.0)


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        ([(0, 9)], [(0, 14)], [(0, 14)]),  # grows
        ([(0, 14)], [(0, 9)], [(0, 14)]),  # does not shrink
        ([(0, 14)], [(0, 9), (9, 14)], [(0, 14)]),
        ([(0, 9), (9, 14)], [(0, 14)], [(9, 14), (0, 9)]),  # merged, which is no news
        ([(0, 9)], [(5, 14)], [(0, 9)]),
        ([(0, 9)], [(9, 14)], [(0, 9), (9, 14)]),
    ],
)
def test_parts_of_a_file_may_grow_and_are_never_shown_twice(
    first: list[tuple[int, int]], then: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    assembler = Assembler(lambda snippet: snippet.start_line)
    shown: tuple[Snippet, ...] = ()
    for line, spans in enumerate((first, then)):
        ranked = [part(*each) for each in spans]
        shown = assembler.choose(ranked, AMPLE, count_tokens, Moment(HERE, line, Query()))
    assert list(shown) == [part(*each).snippet for each in expected]


def test_an_outline_goes_when_no_ranking_has_it() -> None:
    desk = Desk()
    outline = Candidate(snippet("x", DEFINITION), 1.0, is_pinned=True)
    assert desk.choose([outline, *candidates("ab")]) == "bax"
    assert desk.choose("ab") == "ba"


@pytest.mark.parametrize(
    ("similarity", "expected"), [(0.1, ""), (0.29, ""), (0.3, "ba"), (0.9, "ba")]
)
def test_nothing_is_shown_unless_the_best_is_similar_enough(
    similarity: float, expected: str
) -> None:
    desk = Desk(AssemblyRules(min_similarity=0.3))
    ranked = [replace(each, similarity=similarity) for each in candidates("ab")]
    assert desk.choose(ranked) == expected


def test_what_is_shown_goes_only_when_the_best_is_clearly_too_dissimilar() -> None:
    desk = Desk(AssemblyRules(min_similarity=0.3))
    assert desk.choose(candidates("ab", similarity=0.31)) == "ba"
    assert desk.choose(candidates("ab", similarity=0.25)) == "ba"
    assert desk.choose(candidates("ab", similarity=0.23)) == ""


def test_a_definition_at_the_cursor_is_shown_however_dissimilar_the_rest() -> None:
    desk = Desk(AssemblyRules(min_similarity=0.3))
    pinned = Candidate(snippet("x", DEFINITION), 1.0, is_pinned=True)
    assert desk.choose([pinned, *candidates("ab", similarity=0.1)]) == "x"


def test_what_is_too_large_is_cut_to_the_lines_that_share_most() -> None:
    text = "".join(f"line{at} =\n" for at in range(9)) + "alpha = beta\n" + "zeta =\n" * 5
    large = Snippet("a.py", 100, 115, text, 1.0, SIMILAR)
    moment = Moment(HERE, 0, Query({"alpha": 1.0, "zeta": 0.1}))
    assembler = Assembler(lambda _: 100)
    (shown,) = assembler.choose([Candidate(large, 1.0)], 12, count_tokens, moment)
    assert shown.text == "alpha = beta\nzeta =\nzeta =\nzeta =\n"
    assert (shown.start_line, shown.end_line) == (109, 113)
    assert assembler.choose([Candidate(large, 1.0)], 12, count_tokens, moment) == (shown,)


def test_of_an_outline_the_beginning_is_kept() -> None:
    text = "class A:\n" + "".join(f"    def f{at}(self): ...\n" for at in range(9))
    outline = Snippet("a.py", 100, 300, text, 1.0, DEFINITION)
    moment = Moment(HERE, 0, Query({"f8": 1.0}))
    (shown,) = Assembler(lambda _: 0).choose([Candidate(outline, 1.0)], 12, count_tokens, moment)
    assert shown.text == "class A:\n    def f0(self): ...\n    def f1(self): ...\n"
    assert (shown.start_line, shown.end_line) == (100, 300)


def test_what_cannot_be_cut_makes_room_for_what_fits() -> None:
    wide = Snippet("w.py", 0, 1, "word " * 50 + "\n", 1.0, SIMILAR)
    ranked = [Candidate(wide, 1.0), *candidates("a")]
    assert Desk().choose(ranked, budget=20) == "a"


NAMES = ("a.py", "b.py")
SPANS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 55), st.integers(1, 20)), max_size=15
)


def new_lines(name: str) -> list[str]:
    """Return lines that are all different, of one to seven words."""
    return [f"{name}{at} " * (at % 7 + 1) + "\n" for at in range(60)]


def ranked_spans(files: dict[str, list[str]], spans: list[tuple[str, int, int]]) -> list[Candidate]:
    found = [
        Snippet(name, start, start + len(part), "".join(part), 1.0, SIMILAR)
        for name, start, length in spans
        if (part := files[name][start : start + length])
    ]
    return fuse({SIMILAR: found}, HERE)


class Typing(RuleBasedStateMachine):
    """Any rankings, cursors, budgets and edits of the files, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.files = {name: new_lines(name) for name in NAMES}
        self.num_edits = 0
        self.assembler = Assembler(self.locate)
        self.line = self.budget = 0
        self.shown: tuple[Snippet, ...] = ()

    def locate(self, snippet: Snippet) -> int | None:
        text = "".join(self.files[snippet.path])
        start = text.find(snippet.text)
        return None if start < 0 else text.count("\n", 0, start)

    @rule(spans=SPANS, budget=st.integers(0, 200), line=st.integers(0, 90))
    def choose(self, spans: list[tuple[str, int, int]], budget: int, line: int) -> None:
        former = {each: at for at, each in enumerate(map(self.where_it_is_now, self.shown)) if each}
        moment = Moment(HERE, line, Query(), has_rested=True)
        ranked = ranked_spans(self.files, spans)
        self.line, self.budget = line, budget
        self.shown = self.assembler.choose(ranked, budget, count_tokens, moment)
        places = [
            at for new in self.shown for old, at in former.items() if num_shared_lines(old, new) > 0
        ]
        assert places == sorted(places)
        assert all(self.where_it_is_now(each) == each for each in self.shown)

    @precondition(lambda self: self.shown)
    @rule()
    def choose_within_the_line(self) -> None:
        moment = Moment(HERE, self.line, Query())
        assert self.assembler.choose((), self.budget, count_tokens, moment) == self.shown

    @rule(name=st.sampled_from(NAMES), at=st.integers(0, 50), num=st.integers(0, 3))
    def edit(self, name: str, at: int, num: int) -> None:
        self.num_edits += 1
        self.files[name][at : at + 1] = [f"edit{self.num_edits}.{each}\n" for each in range(num)]

    def where_it_is_now(self, snippet: Snippet) -> Snippet | None:
        line = self.locate(snippet)
        if line is None:
            return None
        end_line = line + snippet.end_line - snippet.start_line
        return replace(snippet, start_line=line, end_line=end_line)

    @invariant()
    def keeps_to_the_limits(self) -> None:
        assert sum(map(count_tokens, self.shown)) <= self.budget
        assert len(self.shown) <= AssemblyRules().max_num_snippets

    @invariant()
    def shows_no_line_twice(self) -> None:
        for at, one in enumerate(self.shown):
            assert all(num_shared_lines(one, other) <= 0 for other in self.shown[:at])


TestTyping = Typing.TestCase
TestTyping.settings = settings(max_examples=60, stateful_step_count=15)


@given(SPANS, st.integers(0, 200))
def test_the_same_ranking_again_changes_nothing(
    spans: list[tuple[str, int, int]], budget: int
) -> None:
    assembler = Assembler(lambda snippet: snippet.start_line)
    ranked = ranked_spans({name: new_lines(name) for name in NAMES}, spans)
    chosen = [
        assembler.choose(ranked, budget, count_tokens, Moment(HERE, line, Query()))
        for line in range(3)
    ]
    assert chosen[0] == chosen[1] == chosen[2]
