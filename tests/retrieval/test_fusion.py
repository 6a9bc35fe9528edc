"""Many rankings, and the one that comes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.duplicates import Window, num_lines, num_shared_lines
from retrieval.fusion import Candidate, FusionRules, fuse
from retrieval.snippet import Snippet, SnippetSource

SIMILAR, MEANING = SnippetSource.SIMILAR, SnippetSource.MEANING
DEFINITION, EDIT = SnippetSource.DEFINITION, SnippetSource.RECENT_EDIT
NOWHERE = Window("", 0, 0, frozenset())


def snippet(
    name: str,
    source: SnippetSource = SIMILAR,
    *,
    start: int = 0,
    text: str = "",
    score: float = 1.0,
) -> Snippet:
    text = text or f"{name} = 1\n{name}()\n"
    return Snippet(f"{name}.py", start, start + num_lines(text), text, score, source)


def ranking(names: str, source: SnippetSource = SIMILAR) -> list[Snippet]:
    return [snippet(name, source) for name in names]


def names_of(candidates: Sequence[Candidate]) -> str:
    return "".join(each.snippet.path.removesuffix(".py") for each in candidates)


@pytest.mark.parametrize(
    ("rankings", "expected"),
    [
        ({}, ""),
        ({SIMILAR: "abc"}, "abc"),
        ({SIMILAR: "", EDIT: "xy"}, "xy"),
        # Definitions are in front, and one edit gets in among the first six.
        ({SIMILAR: "abcd", DEFINITION: "xy", EDIT: "uvw"}, "xyabcudv"),
        # What two sources agree on is lifted; what only the weak one has comes last.
        ({SIMILAR: "abc", MEANING: "cx"}, "cabx"),
        ({SIMILAR: "abcdef", SnippetSource.OPEN_FILE: "d"}, "dabcef"),
        ({SIMILAR: "abcdef", SnippetSource.OPEN_FILE: "e"}, "aebcdf"),
    ],
)
def test_sources_take_part_by_their_weights(
    rankings: Mapping[SnippetSource, str], expected: str
) -> None:
    fused = fuse({source: ranking(names, source) for source, names in rankings.items()}, NOWHERE)
    assert names_of(fused) == expected


def test_scores_are_sums_of_weighted_reciprocal_ranks() -> None:
    fused = fuse({SIMILAR: ranking("ab"), MEANING: ranking("b", MEANING)}, NOWHERE)
    assert names_of(fused) == "ba"
    assert [each.score for each in fused] == pytest.approx([1 / 62 + 0.05 / 61, 1 / 61])


def test_the_source_that_counts_most_speaks_for_a_snippet() -> None:
    fused = fuse(
        {MEANING: [snippet("a", MEANING, score=9.0)], SIMILAR: [snippet("a", score=0.4)]}, NOWHERE
    )
    assert [(each.snippet.source, each.similarity) for each in fused] == [(SIMILAR, 0.4)]


def test_similarity_is_only_what_similar_says() -> None:
    assert [each.similarity for each in fuse({EDIT: ranking("a", EDIT)}, NOWHERE)] == [0.0]


def test_pinned_definitions_head_the_list_and_count_as_definitions() -> None:
    fused = fuse(
        {SIMILAR: ranking("ab"), DEFINITION: ranking("xy", DEFINITION)},
        NOWHERE,
        pinned=ranking("pq", DEFINITION),
    )
    assert names_of(fused) == "pqxab"
    assert [each.is_pinned for each in fused] == [True, True, False, False, False]


def test_a_source_without_weight_does_not_count() -> None:
    rules = FusionRules(weights={SIMILAR: 1.0, MEANING: 0.0})
    rankings = {SIMILAR: ranking("a"), MEANING: ranking("b"), EDIT: ranking("c")}
    assert names_of(fuse(rankings, NOWHERE, rules=rules)) == "a"
    with pytest.raises(ValueError, match="0 or more"):
        FusionRules(weights={SIMILAR: -1.0})


def test_no_more_than_asked_for() -> None:
    fused = fuse({SIMILAR: ranking("abcdef")}, NOWHERE, rules=FusionRules(max_num=4))
    assert names_of(fused) == "abcd"


def test_what_the_prompt_shows_is_left_out() -> None:
    window = Window.of("a.py", 10, "one = 1\ntwo = 2\n")
    similar = [
        snippet("a", start=11, text="below = 1\nit = 2\n"),
        snippet("a", start=40, text="far = 1\n"),
        snippet("copy", start=90, text="  one = 1\n\n  two = 2\n"),
        snippet("b"),
    ]
    assert names_of(fuse({SIMILAR: similar}, window)) == "ab"


def test_what_repeats_a_better_one_is_left_out() -> None:
    text = "".join(f"line{at} = {at}\n" for at in range(10))
    similar = [
        snippet("a", text=text),
        snippet("b", text=text.replace("line3 =", "other =")),
        snippet("c", text=text.replace("line3 =", "x =").replace("line4 =", "y =")),
        snippet("d", text=" \n\n"),
    ]
    assert names_of(fuse({SIMILAR: similar}, NOWHERE)) == "ac"


LINES = [f"line{at}\n" for at in range(100)]


def lines(start: int, end: int, source: SnippetSource = SIMILAR) -> Snippet:
    return snippet("a", source, start=start, text="".join(LINES[start:end]))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([(0, 10), (10, 20)], [(0, 20)]),
        ([(10, 20), (0, 10)], [(0, 20)]),
        ([(0, 10), (5, 15)], [(0, 15)]),
        ([(0, 10), (11, 20)], [(0, 10), (11, 20)]),
        ([(0, 20), (20, 40)], [(0, 20), (20, 40)]),  # together too long, and apart no loss
        ([(0, 20), (19, 39)], [(0, 20)]),  # together too long, and apart a line would be twice
        ([(0, 20), (5, 9)], [(0, 20)]),
        ([(0, 5), (10, 15), (5, 11)], [(0, 5), (10, 15)]),  # next to one, and within another
        ([(0, 5), (10, 15), (5, 10)], [(0, 5), (10, 15), (5, 10)]),
    ],
)
def test_lines_of_a_file_that_touch_become_one_snippet(
    found: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    fused = fuse({SIMILAR: [lines(*each) for each in found]}, NOWHERE)
    assert [each.snippet for each in fused] == [lines(*each) for each in expected]


def test_what_ranks_low_is_not_merged_into_what_ranks_high() -> None:
    similar = [lines(0, 10), *ranking("bcde"), lines(10, 20)]
    assert names_of(fuse({SIMILAR: similar}, NOWHERE)) == "abcdea"


def test_an_outline_of_lines_that_are_shown_is_no_repetition() -> None:
    outline = Snippet("a.py", 0, 50, "class A:\n    def f(self): ...\n", 1.0, DEFINITION)
    fused = fuse({SIMILAR: [lines(10, 20)], DEFINITION: [outline]}, NOWHERE)
    assert [each.snippet for each in fused] == [outline, lines(10, 20)]


SPANS = st.tuples(st.integers(0, 40), st.integers(1, 20)).map(lambda it: lines(it[0], sum(it)))
RANKINGS = st.dictionaries(st.sampled_from(SnippetSource), st.lists(SPANS, max_size=6))


@given(RANKINGS, st.integers(0, 30))
def test_no_line_is_shown_twice(
    rankings: dict[SnippetSource, list[Snippet]], window_start: int
) -> None:
    window = Window.of("a.py", window_start, "".join(LINES[window_start : window_start + 5]))
    # As outlines these would be other texts than the lines they stand for.
    for source in (DEFINITION, SnippetSource.CLIPBOARD):
        rankings.pop(source, None)
    fused = fuse(rankings, window)
    shown = [each.snippet for each in fused]
    assert [each.score for each in fused] == sorted((each.score for each in fused), reverse=True)
    for at, one in enumerate(shown):
        assert one.text == "".join(LINES[one.start_line : one.end_line])
        assert all(num_shared_lines(one, other) <= 0 for other in shown[:at])
        assert one.end_line <= window.start_line or window.end_line <= one.start_line


def test_an_outline_of_what_is_shown_in_full_is_left_out() -> None:
    whole, other = lines(10, 20), lines(30, 40)
    inside = Snippet("a.py", 12, 18, "def inside(): ...\n", 1.0, DEFINITION)
    across = Snippet("a.py", 15, 25, "def across(): ...\n", 1.0, DEFINITION)
    elsewhere = Snippet("b.py", 12, 18, "def elsewhere(): ...\n", 1.0, DEFINITION)
    rankings = {SIMILAR: [whole, other], DEFINITION: [inside, across, elsewhere]}
    fused = [each.snippet for each in fuse(rankings, NOWHERE)]
    assert inside not in fused
    assert {across, elsewhere, whole, other} == set(fused)
    # What ranks lower may find no room.
    low = {SIMILAR: [*ranking("bc"), whole], DEFINITION: [inside]}
    assert inside in [each.snippet for each in fuse(low, NOWHERE)]
