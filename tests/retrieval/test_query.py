"""What is searched for at a place of a document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.languages import language_for
from retrieval.query import DEFAULT_SCOPE, Query, QueryScope, query_of

PYTHON = language_for("python")


def weights_at(marked: str, draft: str = "", scope: QueryScope = DEFAULT_SCOPE) -> dict[str, float]:
    """Return the weights of the query where ``marked`` has a ``|``."""
    offset = marked.index("|")
    return dict(query_of(marked.replace("|", ""), offset, PYTHON, draft, scope).weights)


@pytest.mark.parametrize(
    ("marked", "term", "weight"),
    [
        ("alpha|", "alpha", 1.0),
        ("|alpha", "alpha", 1.0),
        ("alpha\n|", "alpha", 0.9),
        ("alpha\n\nbeta|", "alpha", 0.9**2),
        ("|\nalpha", "alpha", 0.9),
        ("|\n\nalpha\n", "alpha", 0.9**2),
        ("alpha\r\nbeta|", "alpha", 0.9),
        ("alpha\nalpha beta|", "alpha", 1.0),
        ("alpha\n|\n\nalpha", "alpha", 0.9),
        ("parse_config|", "config", 1.0),
        ("parse_config|", "parse_config", 1.0),
        ("größe\n|", "größe", 0.9),
        ("\ud800 alpha \x00|", "alpha", 1.0),
    ],
)
def test_a_term_weighs_as_much_as_its_nearest_line(marked: str, term: str, weight: float) -> None:
    assert weights_at(marked)[term] == pytest.approx(weight)


@pytest.mark.parametrize("marked", ["", "|", "\n|\n", "  |", "x = y|", "for if self|", "1 + 2|"])
def test_there_may_be_nothing_to_search_for(marked: str) -> None:
    assert weights_at(marked if "|" in marked else "|") == {}


def test_lines_far_away_do_not_count() -> None:
    scope = QueryScope(num_lines_before=2, num_lines_after=1)
    found = weights_at("w0\nw1\nw2\n|\nw3\nw4", scope=scope)
    assert found == pytest.approx({"w1": 0.9**2, "w2": 0.9, "w3": 0.9})


def test_a_draft_counts_like_the_line_of_the_cursor() -> None:
    found = weights_at("alpha\n|", draft="beta(alpha)\nreturn gamma")
    assert found == pytest.approx({"alpha": 1.0, "beta": 1.0, "gamma": 1.0})


def test_an_unknown_language_drops_what_most_languages_reserve() -> None:
    text = "if alpha return elsif"
    assert set(query_of(text, 0, None).weights) == {"alpha", "elsif"}
    assert set(query_of(text, 0, language_for("json")).weights) == {"alpha", "elsif"}


def test_of_a_line_without_end_only_what_is_near_counts() -> None:
    filler = "x " * 500_000
    text = f"far {filler}near {filler}far"
    assert set(query_of(text, text.index("near"), PYTHON).weights) == {"near"}


@pytest.mark.parametrize("offset", [-1, 6])
def test_a_cursor_outside_of_the_text_is_refused(offset: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        query_of("alpha", offset, PYTHON)


def test_the_score_of_the_query_for_itself_sums_its_terms() -> None:
    query = Query({"alpha": 1.0, "beta": 0.5})
    assert query.self_score({"alpha": 3.0, "beta": 4.0}.__getitem__) == pytest.approx(5.0)
    assert Query().self_score({"alpha": 3.0}.__getitem__) == 0


def slow_weights(text: str, offset: int, scope: QueryScope) -> dict[str, float]:
    from retrieval.keywords import keywords_of
    from retrieval.terms import terms_of

    lines, here = text.split("\n"), text.count("\n", 0, offset)
    weights: dict[str, float] = {}
    for at, line in enumerate(lines):
        if not -scope.num_lines_before <= at - here <= scope.num_lines_after:
            continue
        for term in terms_of(line):
            if term not in keywords_of(PYTHON):
                weights[term] = max(weights.get(term, 0), scope.decay ** abs(at - here))
    return weights


@given(st.text(alphabet="ab_C\n\r\t é\ud800", max_size=200), st.data())
def test_weights_are_those_of_the_obvious_way(text: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(text)))
    scope = QueryScope(num_lines_before=3, num_lines_after=2)
    assert dict(query_of(text, offset, PYTHON, "", scope).weights) == slow_weights(
        text, offset, scope
    )
