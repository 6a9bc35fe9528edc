"""Frames from a byte stream, whole, in pieces, and broken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.framing import MAX_BODY_BYTES, BrokenFrame, FrameDecoder


def frame(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def check(stream: bytes, *expected: bytes | type[BrokenFrame]) -> None:
    found = list(FrameDecoder().feed(stream))
    shape = [type(item) if isinstance(item, BrokenFrame) else item for item in found]
    assert shape == list(expected)


@given(st.lists(st.binary(max_size=50), max_size=5), st.lists(st.integers(1, 30), min_size=1))
def test_frames_survive_any_cutting_of_the_stream(bodies: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(map(frame, bodies))
    decoder, found, start, turn = FrameDecoder(), [], 0, 0
    while start < len(stream):
        size = sizes[turn % len(sizes)]
        found += decoder.feed(stream[start : start + size])
        start, turn = start + size, turn + 1
    assert found == bodies


_PIECES = (
    frame(b"{}"), frame(b"a" * 5000), frame(b"x\r\n\r\nContent-Length: 1\r\n\r\n"),
    b"Content-Length: 3\n\nabc", b"Content-Length: ", b"Content-", b"length:", b"\r\n", b"\n\r", b"\n",
    b"Content-Length: x\r\n\r\n", b"Foo: 1\r\n\r\n", b"\x00" * 5000, b"x" * 9000, b"\r\n\r\n",
)  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=8), st.lists(st.integers(1, 9000), min_size=1))
def test_any_stream_gives_the_same_frames_however_it_is_cut(
    pieces: list[bytes], sizes: list[int]
) -> None:
    """Fuzzing, seed 204: noise was reported once for each piece in which it arrived."""
    stream = b"".join(pieces)
    decoder, found, start, turn = FrameDecoder(), [], 0, 0
    while start < len(stream):
        size = sizes[turn % len(sizes)]
        found += decoder.feed(stream[start : start + size])
        start, turn = start + size, turn + 1
    assert found == list(FrameDecoder().feed(stream))


@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoder_fail(garbage: bytes) -> None:
    list(FrameDecoder().feed(garbage + b"\r\n\r\n" + frame(b"{}")))


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"content-length: 2\r\nContent-Type: x\r\n\r\n{}", [b"{}"]),
        (b"Content-Type: x\r\nContent-Length:2\r\n\r\n{}", [b"{}"]),
        (b"Content-Length: 2\n\n{}", [b"{}"]),
        (b"Content-Length: 0\r\n\r\n" + frame(b"{}"), [b"", b"{}"]),
        # No length: the body runs into the next header, which still counts.
        (b'Foo: 1\r\n\r\n{"a":1}' + frame(b"{}"), [BrokenFrame, BrokenFrame, b"{}"]),
        (b"\r\n\r\n" + frame(b"{}"), [BrokenFrame, b"{}"]),
        (b"Content-Length: two\r\n\r\n" + frame(b"{}"), [BrokenFrame, b"{}"]),
        (b"Content-Length: -5\r\n\r\n" + frame(b"{}"), [BrokenFrame, b"{}"]),
        (b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1) + frame(b"{}"), [BrokenFrame, b"{}"]),
        (b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + frame(b"{}"), [BrokenFrame, b"{}"]),
        (b"x" * 10_000, [BrokenFrame]),
        (b"Content-Length: 5\r\n\r\n{}", []),
    ],
)
def test_a_broken_header_costs_no_more_than_its_own_message(
    stream: bytes, expected: list[bytes | type[BrokenFrame]]
) -> None:
    check(stream, *expected)


def test_a_header_cut_by_the_size_limit_is_still_found() -> None:
    decoder = FrameDecoder()
    found = list(decoder.feed(b"x" * 9000 + b"Content-Le"))
    found += decoder.feed(b"ngth: 2\r\n\r\n{}")
    assert [item for item in found if not isinstance(item, BrokenFrame)] == [b"{}"]
