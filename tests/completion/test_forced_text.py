"""Output that must begin with given text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from completion.forced_text import ForcedText, TokenIndex

WORDS = [b"", *(bytes([byte]) for byte in range(256)), b"pr", b"pri", b"print", b"println",
         b"   ", b"        ", b" x", "é".encode(), b"self"]  # fmt: skip
INDEX = TokenIndex(len(WORDS), WORDS.__getitem__)


def allowed(text: bytes) -> set[bytes]:
    return {WORDS[token_id] for token_id in INDEX.allowed(text)}


def test_longer_tokens_and_the_longest_shorter_ones_are_allowed() -> None:
    assert allowed(b"pri") == {b"pri", b"print", b"println", b"pr"}
    assert allowed(b"printl") == {b"println", b"print"}
    assert allowed(b"selfish") == {b"self", b"s"}


def test_an_indentation_is_not_spelled_space_by_space() -> None:
    assert allowed(b"        ") == {b"        ", b"   "}


def test_special_tokens_are_never_allowed() -> None:
    assert b"" not in allowed(b"p")


@given(st.text(min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_whatever_is_chosen_spells_the_text(text: str, random: object) -> None:
    forced = ForcedText(text, INDEX)
    spelled = b""
    while not forced.is_done:
        choices = forced.allowed()
        assert len(choices)
        token = WORDS[int(random.choice(list(choices)))]  # type: ignore[attr-defined]
        spelled += token
        forced.advance(token)
    assert spelled.startswith(text.encode()) or text.encode().startswith(spelled)
    assert spelled[: len(text.encode())] == text.encode()
