from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.traces import packages
from benchmarks.traces.hunks import diff_of
from benchmarks.traces.packages import Archive, ChangedFile, cached_archive, read_sources
from benchmarks.traces.recordings import (
    TraceEvent,
    minimal_edit,
    rust_trace,
    vscode_traces,
)
from benchmarks.traces.stays import rest_as_left, typed_key
from benchmarks.traces.typing_model import typed_trace
from completion.types import TextEdit, apply_edits

texts = st.lists(
    st.sampled_from(["", "a = 1", "    b(2)", "é🙂", "\tc", "a = 1  "]), max_size=12
).map("\n".join)


def changed_file(before: str, after: str) -> ChangedFile:
    return ChangedFile("p-1-2", "src/a.py", "python", before, after)


# --- recordings


@given(texts, texts)
def test_minimal_edit_leads_from_one_text_to_the_other(before: str, after: str) -> None:
    edit = minimal_edit(before, after)
    assert apply_edits(before, [edit]) == after
    assert edit.start == edit.end or before[edit.start : edit.end] != edit.inserted
    shared = before[edit.start : edit.start + 1]
    assert not shared or edit.end == edit.start or not edit.inserted.startswith(shared)


def write_rust_trace(folder: Path, transactions: list[tuple[str, list[list[object]]]]) -> None:
    found = [{"time": time, "patches": patches} for time, patches in transactions]
    path = folder / "keystroke_traces" / "rustcode.json.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(json.dumps({"txns": found}).encode()))


def test_first_transaction_is_the_opened_file_and_events_share_out_their_second(
    tmp_path: Path,
) -> None:
    write_rust_trace(
        tmp_path,
        [
            ("1970-01-01T00:00:00.000Z", [[0, 0, "fn é() {\n    \n}\n"]]),
            ("2020-09-10T04:23:15.000Z", [[13, 0, "x"]]),
            ("2020-09-10T04:23:15.000Z", [[14, 0, ";"]]),
            ("2020-09-10T04:23:17.000Z", [[15, 0, "\n    "], [9, 4, ""]]),
        ],
    )
    trace = rust_trace(tmp_path)
    assert [event.time_ms for event in trace.events] == [0, 500, 2000]
    assert (trace.start_text, trace.start_cursor) == ("fn é() {\n    \n}\n", 13)
    assert list(trace.texts())[-1] == "fn é() {\nx;\n    \n}\n"
    # Blanks that the editor takes away elsewhere move the cursor and do not attract it.
    assert trace.events[-1].cursor == len("fn é() {\nx;\n    ")


def write_recording(folder: Path, *entries: dict[str, object]) -> None:
    path = folder / "vscode_recordings" / "made.recording.w.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"log": entries}), encoding="utf-8")


def test_recording_is_read_in_code_points_with_its_moves_and_its_changes_from_outside(
    tmp_path: Path,
) -> None:
    write_recording(
        tmp_path,
        {"kind": "header", "time": 1000},
        {"kind": "documentEncountered", "id": 0, "relativePath": "src\\a.ts", "time": 1000},
        {"kind": "setContent", "id": 0, "content": "🙂 a a\n", "time": 1000},
        {"kind": "documentEncountered", "id": 1, "relativePath": "src\\looked_at.ts", "time": 1000},
        {"kind": "setContent", "id": 1, "content": "b\n", "time": 1000},
        {"kind": "storeContent", "id": 0, "contentId": "first", "time": 1000},
        {"kind": "changed", "id": 0, "edit": [[3, 4, "bc"], [5, 6, "bc"]], "time": 1100},
        {"kind": "selectionChanged", "id": 0, "selection": [[5, 5]], "time": 1101},
        {"kind": "selectionChanged", "id": 0, "selection": [[8, 8]], "time": 1200},
        {"kind": "changed", "id": 0, "edit": [], "time": 1200},
        {"kind": "restoreContent", "id": 0, "contentId": "first", "time": 1150},
    )
    (trace,) = vscode_traces(tmp_path)
    assert (trace.path, trace.language_id) == ("src/a.ts", "typescript")
    assert list(trace.texts()) == ["🙂 a a\n", "🙂 bc bc\n", "🙂 bc bc\n", "🙂 a a\n"]
    assert [event.cursor for event in trace.events] == [4, 7, 5]
    assert [event.time_ms for event in trace.events] == [100, 200, 200]


# --- releases


def test_archive_of_other_bytes_is_refused_and_a_damaged_one_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive("1.0", hashlib.sha256(b"original").hexdigest())
    monkeypatch.setattr(packages, "_download", lambda package, version: b"forged")
    with pytest.raises(ValueError, match="the index has another file"):
        cached_archive("some", archive, tmp_path)
    (tmp_path / "some-1.0.tar.gz").write_bytes(b"damaged")
    monkeypatch.setattr(packages, "_download", lambda package, version: b"original")
    assert cached_archive("some", archive, tmp_path).read_bytes() == b"original"


def test_archive_gives_only_the_sources_that_people_write(tmp_path: Path) -> None:
    members = {
        "p-1/src/a.py": "a = 1\n",
        "p-1/src/b.rs": "fn b() {}\n",
        "p-1/src/empty.py": "",
        "p-1/src/README.md": "text",
        "p-1/tests/fixtures/sample.py": "x",
        "p-1/src/generated.rs": "x",
        "p-1/src/minified.ts": "x" * 2_000,
        "p-1/src/windows.py": "a\r\n",
    }
    with tarfile.open(tmp_path / "p.tar.gz", "w:gz") as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    assert read_sources(tmp_path / "p.tar.gz") == {"src/a.py": "a = 1\n", "src/b.rs": "fn b() {}\n"}


@given(texts, texts)
def test_parts_lead_from_one_release_to_the_other(before: str, after: str) -> None:
    diff = diff_of(before, after)
    assert diff.text([part.old for part in diff.parts]) == before
    assert diff.text(diff.new_parts) == after
    for part, start in zip(diff.parts, diff.offsets(diff.new_parts), strict=True):
        assert after[start : start + len(part.new)] == part.new


@given(texts, texts, st.integers(0, 5))
def test_typed_trace_ends_in_exactly_the_later_release(before: str, after: str, seed: int) -> None:
    trace = typed_trace(changed_file(before, after), seed)
    found = list(trace.texts())
    assert (found[0], found[-1]) == (before, after)
    times_ms = [event.time_ms for event in trace.events]
    assert times_ms == sorted(times_ms)
    for event, text in zip(trace.events, found[1:], strict=True):
        assert 0 <= event.cursor <= len(text)
    assert trace == typed_trace(changed_file(before, after), seed)


def test_typed_trace_moves_the_cursor_and_presses_one_key_at_a_time() -> None:
    after = "def f():\n    return 1\n"
    trace = typed_trace(changed_file("def f():\n", after), seed=0)
    assert trace.events[0].edits == ()
    keys = [
        typed_key(event, cursor)
        for event, cursor in zip(trace.events[1:], list(trace.cursors())[1:], strict=False)
    ]
    assert keys == ["\n    ", *"return 1"]


# --- reading histories


def key_events(text: str, cursor: int) -> list[TraceEvent]:
    return [
        TraceEvent(0, (TextEdit(cursor + idx, cursor + idx, char),), cursor + idx + 1)
        for idx, char in enumerate(text)
    ]


LINE = "b\na = \nc\n"
END = 6  # of its second line
ELSEWHERE = TraceEvent(0, (TextEdit(0, 0, "#"),), 1)
MOVED_AWAY = TraceEvent(0, (), 0)


def erased(start: int, end: int) -> TraceEvent:
    return TraceEvent(0, (TextEdit(start, end, ""),), start)


@pytest.mark.parametrize(
    ("events", "rest"),
    [
        ([*key_events("1 + 2", END), MOVED_AWAY], "1 + 2"),
        (key_events("1\n", END), "1"),
        ([*key_events("1", END), ELSEWHERE], "1"),
        ([*key_events("12", END), erased(END + 1, END + 2), MOVED_AWAY], "1"),
        ([erased(END, END + 1), MOVED_AWAY], "c"),
        ([erased(END - 1, END), MOVED_AWAY], None),
        ([erased(1, 2), MOVED_AWAY], None),
        (key_events("1", END), None),
    ],
)
def test_line_is_what_the_person_left_there(events: list[TraceEvent], rest: str | None) -> None:
    assert rest_as_left(LINE, END, events) == rest


def test_only_one_character_or_an_indented_line_break_at_the_cursor_is_a_key() -> None:
    assert typed_key(TraceEvent(0, (TextEdit(3, 3, "x"),), 4), 3) == "x"
    assert typed_key(TraceEvent(0, (TextEdit(3, 3, "\r\n\t"),), 6), 3) == "\r\n\t"
    assert typed_key(TraceEvent(0, (TextEdit(3, 3, "xy"),), 5), 3) is None
    assert typed_key(TraceEvent(0, (TextEdit(3, 3, "()"),), 4), 3) is None
    assert typed_key(TraceEvent(0, (TextEdit(3, 3, "x"),), 4), 9) is None
    assert typed_key(TraceEvent(0, (TextEdit(3, 4, "x"),), 4), 3) is None
