"""What the sources of one request propose: text that was expected, and text to copy."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from completion.speculation.copied import CopiedText
from completion.speculation.expected import FORCED, OLDER, SUGGESTED, ExpectedText
from completion.speculation.source import DraftPlace

TOKENS = st.lists(st.integers(0, 4), max_size=30)


def behind(*tail: int, output: tuple[int, ...] = ()) -> DraftPlace:
    return DraftPlace(tail, output)


def slowly(texts: list[list[int]], tail: list[int]) -> tuple[int, Counter[int]]:
    """Return the length of the longest end of ``tail`` that has a follower, and all followers."""
    for length in range(len(tail), 0, -1):
        end = tail[-length:]
        found = Counter(
            text[at + length]
            for text in texts
            for at in range(len(text) - length)
            if text[at : at + length] == end
        )
        if found:
            return length, found
    return 0, Counter()


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(TOKENS, min_size=1, max_size=3), tail=TOKENS.filter(bool))
def test_the_likeliest_followers_of_the_longest_match_are_proposed(
    texts: list[list[int]], tail: list[int]
) -> None:
    tail = tail[-24:]
    found = CopiedText(texts).propose(DraftPlace(tuple(tail), ()))
    length, followers = slowly(texts, tail)
    assert len(found) == min(2, len(followers))
    counts = [followers[proposal.token_id] for proposal in found]
    assert counts == [count for _, count in followers.most_common(2)]
    thresholds = (1, 2, 3, 4, 5, 7, 10, 16)
    for rank, proposal in enumerate(found):
        assert proposal.grade % 8 == sum(length >= each for each in thresholds) - 1
        assert proposal.grade // 8 == rank


def test_of_equals_the_text_named_first_is_copied() -> None:
    found = CopiedText([[1, 2, 3], [1, 2, 4]]).propose(behind(1, 2))
    assert [proposal.token_id for proposal in found] == [3, 4]


def test_no_match_reaches_from_one_text_into_the_next() -> None:
    assert CopiedText([[1, 2], [3, 4]]).propose(behind(9, 2)) == []
    assert CopiedText([[]]).propose(behind(1)) == []
    assert CopiedText([[1, 2, 3]]).propose(behind()) == []


def test_the_end_of_a_text_is_not_taken_for_its_own_continuation() -> None:
    found = CopiedText([[1, 2, 7, 5, 1, 2]]).propose(behind(5, 1, 2))
    assert [proposal.token_id for proposal in found] == [7]


def test_an_expected_output_is_proposed_while_the_text_follows_it() -> None:
    source = ExpectedText([([1, 2], FORCED), ([1, 2, 3, 4], SUGGESTED), ([9, 8], OLDER)])

    def proposed(*output: int) -> list[tuple[int, int]]:
        found = source.propose(behind(output=output))
        return [(proposal.token_id, proposal.grade) for proposal in found]

    assert proposed() == [(1, FORCED), (9, OLDER)]
    assert proposed(1) == [(2, FORCED)]
    assert proposed(1, 2) == [(3, SUGGESTED)]
    assert proposed(1, 2, 3, 4) == []
    assert proposed(2) == []
    source.add([2, 6])
    assert proposed(2) == [(6, OLDER)]
