"""Documents through changes, against the plain text a client would hold."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.types import DocumentSnapshot, TextEdit, apply_edits
from lsp_server.errors import UnknownDocumentError
from lsp_server.line_index import LspPosition
from lsp_server.session import ContentChange, OpenDocument, Session
from lsp_server.text_units import PositionEncoding

URI = "file:///w/a.py"


def opened(text: str, encoding: PositionEncoding = PositionEncoding.UTF16) -> Session:
    session = Session()
    session.encoding = encoding
    session.open(DocumentSnapshot(URI, 1, "python", text))
    return session


def current(session: Session) -> OpenDocument:
    document = session.find(URI)
    assert document is not None
    return document


def replacing(start: tuple[int, int], end: tuple[int, int], text: str) -> ContentChange:
    return ContentChange(text, (LspPosition(*start), LspPosition(*end)))


texts = st.text(alphabet="\r\na \u2028é😀", max_size=20)


@given(
    texts,
    st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25), texts), min_size=1, max_size=4),
    st.sampled_from(list(PositionEncoding)),
)
def test_a_client_and_the_session_agree_after_any_edits(
    text: str, edits: list[tuple[int, int, str]], encoding: PositionEncoding
) -> None:
    session, client_text, changes = opened(text, encoding), text, []
    for first, second, inserted in edits:
        mirror = opened(client_text, encoding)
        span = [
            current(mirror).position_of(min(offset, len(client_text)), encoding)
            for offset in sorted((first, second))
        ]
        start, end = (current(mirror).offset_of(position, encoding) for position in span)
        changes.append(ContentChange(inserted, (span[0], span[1])))
        client_text = client_text[:start] + inserted + client_text[end:]
    before = current(session).snapshot
    session.change(URI, 2, changes)
    after = current(session).snapshot
    assert after.text == client_text
    assert (after.version, after.base_version) == (2, 1)
    assert apply_edits(before.text, after.edits) == after.text


@given(texts, st.lists(st.tuples(st.booleans(), st.integers(0, 25), texts), min_size=1, max_size=5))
def test_the_line_index_follows_every_kind_of_change(
    text: str, changes: list[tuple[bool, int, str]]
) -> None:
    session = opened(text)
    for version, (is_whole, line, inserted) in enumerate(changes, start=2):
        change = (
            ContentChange(inserted) if is_whole else replacing((line, 1), (line + 1, 0), inserted)
        )
        session.change(URI, version, [change])
        document = current(session)
        fresh = current(opened(document.snapshot.text))
        assert document.lines.starts.tolist() == fresh.lines.starts.tolist()


def test_a_whole_text_carries_no_edits() -> None:
    session = opened("old")
    session.change(URI, 2, [ContentChange("new text"), replacing((0, 0), (0, 3), "N")])
    snapshot = current(session).snapshot
    assert (snapshot.text, snapshot.edits, snapshot.base_version) == ("N text", (), None)


def test_a_reversed_range_means_the_same_as_in_order() -> None:
    session = opened("abcdef")
    session.change(URI, 2, [replacing((0, 4), (0, 1), "-")])
    assert current(session).snapshot.edits == (TextEdit(1, 4, "-"),)


def test_half_a_surrogate_pair_becomes_a_replacement_character_of_the_same_width() -> None:
    session = opened("\ud83dab")
    session.change(URI, 2, [replacing((0, 1), (0, 2), "\udc00")])
    snapshot = current(session).snapshot
    assert snapshot.text == "\ufffd\ufffdb"
    snapshot.text.encode()


def test_a_version_that_goes_back_is_followed_all_the_same() -> None:
    session = opened("abc")
    session.change(URI, 1, [ContentChange("xyz")])
    assert current(session).snapshot.text == "xyz"


def test_changing_an_unknown_document_names_it() -> None:
    with pytest.raises(UnknownDocumentError, match="file:///other is not open"):
        Session().change("file:///other", 2, [ContentChange("")])


async def _hold(session: Session, started: asyncio.Event) -> None:
    with session.newest_request(URI):
        started.set()
        await asyncio.Event().wait()


async def _start(session: Session) -> asyncio.Task[None]:
    started = asyncio.Event()
    task = asyncio.create_task(_hold(session, started))
    await started.wait()
    return task


@pytest.mark.parametrize("event", ["newer request", "change", "close", "reopen"])
async def test_a_running_request_ends_when_its_answer_would_be_outdated(event: str) -> None:
    session = opened("abc")
    older = await _start(session)
    newer: asyncio.Task[None] | None = None
    if event == "newer request":
        newer = await _start(session)
    elif event == "change":
        session.change(URI, 2, [ContentChange("abcd")])
    elif event == "close":
        session.close(URI)
    else:
        session.open(DocumentSnapshot(URI, 7, "python", "abc"))
    with pytest.raises(asyncio.CancelledError):
        await older
    if newer is not None:
        assert not newer.done(), "the newest request goes on"
        newer.cancel()


async def test_a_request_for_another_document_goes_on() -> None:
    session = opened("abc")
    task = await _start(session)
    session.open(DocumentSnapshot("file:///w/b.py", 1, "python", ""))
    session.cancel_running("file:///w/b.py")
    await asyncio.sleep(0)
    assert not task.done()
    task.cancel()


def test_a_document_is_current_until_it_changes() -> None:
    session = opened("abc")
    document = current(session)
    assert session.is_current(document)
    session.change(URI, 2, [])
    assert not session.is_current(document)
