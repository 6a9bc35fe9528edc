"""The file of observations: several users at once, damage, bounds, and what is never in it."""

from __future__ import annotations

import dataclasses
import errno
import logging
import os
import resource
import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lsp_server.learning.feedback import Feedback
from lsp_server.learning.observation import Observation, Offer
from lsp_server.learning.store import SCHEMA_VERSION, ObservationStore
from lsp_server.metrics import Door

Make = Callable[..., Observation]


def test_what_is_inserted_and_updated_is_read_back_oldest_first(
    store: ObservationStore, make_observation: Make
) -> None:
    first, second = make_observation(1), make_observation(2, confidence=None)
    store.insert([second, first])
    taken = dataclasses.replace(second, accepted=2, accepted_chars=20, kept_30=0.5)
    store.update([taken])
    assert store.read() == [first, taken]
    assert store.read(1) == [taken]
    assert store.read(model="another") == []


def test_reading_before_anything_was_noted_makes_no_file(store: ObservationStore) -> None:
    assert store.read() == []
    assert store.erase() == 0
    assert not store.path.exists()


def test_threads_and_connections_write_the_same_file_without_losing_a_row(
    store: ObservationStore, make_observation: Make
) -> None:
    num_threads, num_rows = 6, 30

    def write(thread: int) -> None:
        own = ObservationStore(store.path)
        for row in range(num_rows):
            observation = make_observation(thread * num_rows + row)
            own.insert([observation])
            own.update([dataclasses.replace(observation, accepted=1)])
        own.close()

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(num_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = store.read()
    assert len({row.id for row in rows}) == num_threads * num_rows
    assert all(row.accepted == 1 for row in rows)


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100])
def test_a_file_that_is_no_database_is_set_aside_and_told(
    store: ObservationStore,
    make_observation: Make,
    caplog: pytest.LogCaptureFixture,
    content: bytes,
) -> None:
    store.path.parent.mkdir()
    store.path.write_bytes(content)
    store.insert([make_observation(1)])
    assert [row.id for row in store.read()] == ["id-1"]
    aside = store.path.with_name(store.path.name + ".broken")
    assert aside.exists() == bool(content)
    if content:
        assert aside.read_bytes() == content
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert str(aside) in record.getMessage()


def test_damage_in_the_middle_of_use_costs_no_later_row(
    store: ObservationStore, make_observation: Make, caplog: pytest.LogCaptureFixture
) -> None:
    store.insert([make_observation(number) for number in range(500)])
    store.close()
    content = bytearray(store.path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    store.path.write_bytes(bytes(content))
    store.insert([make_observation(1000)])
    store.insert([make_observation(1001)])
    assert "id-1001" in [row.id for row in store.read()]
    assert "damaged" in caplog.text


def test_a_file_of_a_later_version_is_left_alone(
    store: ObservationStore, make_observation: Make, caplog: pytest.LogCaptureFixture
) -> None:
    store.insert([make_observation(1)])
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    store.insert([make_observation(2)])
    assert store.read() == []
    assert "later fimble" in caplog.text
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("SELECT id FROM suggestions").fetchall() == [("id-1",)]
    connection.close()


def test_where_nothing_can_be_written_one_warning_is_all(
    tmp_path: Path, make_observation: Make, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way of the folder")
    store = ObservationStore(tmp_path / "file" / "learning.sqlite3")
    for number in range(3):
        store.insert([make_observation(number)])
    assert store.read() == []
    assert len(caplog.records) == 1


def test_on_a_full_disk_nothing_is_lost_but_what_did_not_fit(
    store: ObservationStore, make_observation: Make, caplog: pytest.LogCaptureFixture
) -> None:
    store.insert([make_observation(number) for number in range(200)])
    store.close()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)  # the kernel refuses what goes beyond
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        for start in (1000, 2000):
            store.insert([make_observation(number) for number in range(start, start + 900)])
        assert len(store.read()) == 200
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len([record for record in caplog.records if "cannot be used" in record.message]) == 1
    store.insert([make_observation(3000)])
    assert len(store.read()) == 201


def test_what_cannot_be_written_can_still_be_read(
    store: ObservationStore, make_observation: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.insert([make_observation(1)])
    store.close()
    os.chmod(store.path, 0o400)
    os.chmod(store.path.parent, 0o500)

    def refuse(*_: object) -> int:  # tests may run as root, whom no mode stops
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    try:
        assert [row.id for row in store.read()] == ["id-1"]
        store.insert([make_observation(2)])
        assert [row.id for row in store.read()] == ["id-1"]
    finally:
        os.chmod(store.path.parent, 0o700)


def test_of_two_processes_that_meet_a_damaged_file_the_slower_keeps_the_new_one(
    store: ObservationStore, make_observation: Make
) -> None:
    store.insert([make_observation(number) for number in range(500)])
    store.close()
    slower = ObservationStore(store.path)
    assert len(slower.read()) == 500
    content = bytearray(store.path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    with store.path.open("r+b") as file:
        file.write(content)
    faster = ObservationStore(store.path)
    faster.insert([make_observation(1000)])
    slower.insert([make_observation(1001)])
    slower.insert([make_observation(1002)])
    rows = {row.id for row in faster.read()}
    faster.close()
    slower.close()
    assert {"id-1000", "id-1002"} <= rows


def test_a_table_that_lacks_a_column_is_set_aside_as_well(
    store: ObservationStore, make_observation: Make
) -> None:
    store.path.parent.mkdir()
    with sqlite3.connect(store.path) as connection:
        connection.execute("CREATE TABLE suggestions (id TEXT PRIMARY KEY)")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.close()
    store.insert([make_observation(1)])
    assert [row.id for row in store.read()] == ["id-1"]


def test_erasing_takes_what_was_set_aside_too(
    store: ObservationStore, make_observation: Make
) -> None:
    store.path.parent.mkdir()
    aside = store.path.with_name(store.path.name + ".broken")
    aside.write_bytes(b"rows that were noted once")
    store.path.write_bytes(b"no database at all" * 100)
    assert store.erase() == 0
    assert not aside.exists()


def test_too_many_rows_are_thinned_and_the_rest_stands_for_them(
    tmp_path: Path, make_observation: Make
) -> None:
    store = ObservationStore(tmp_path / "learning.sqlite3", max_num_rows=100)
    for number in range(1000):
        store.insert([make_observation(number)])
    rows = store.read()
    store.close()
    assert 50 <= len(rows) <= 100
    assert sum(row.weight for row in rows) == 1000
    assert [row.id for row in rows[-25:]] == [f"id-{number}" for number in range(975, 1000)]
    assert rows[0].weight > rows[-1].weight == 1


def test_erasing_leaves_no_byte_and_no_later_event_brings_a_row_back(
    store: ObservationStore, feedback: Feedback
) -> None:
    name = "languagenobodyknows"
    feedback.offered(Offer("id-1", Door.LSP, 5, language_id=name, is_recorded=True))
    feedback.flush()
    assert [row.language for row in store.read()] == [name]
    assert store.erase() == 1
    feedback.accepted("id-1")
    feedback.kept("id-1", 30, 0.5)
    feedback.flush()
    assert store.read() == []
    files = list(store.path.parent.iterdir())
    assert not any(name.encode() in path.read_bytes() for path in files)


def test_only_this_user_may_read_the_file(store: ObservationStore, make_observation: Make) -> None:
    store.insert([make_observation(1)])
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_names_that_a_client_made_up_are_not_kept_and_no_column_holds_text(
    store: ObservationStore, feedback: Feedback
) -> None:
    secret = "def launch_codes():\n    return 42"
    feedback.offered(
        Offer("id-1", Door.LSP, 5, language_id=secret, model=secret, client=secret, source=secret)
    )
    feedback.offered(Offer(secret, Door.LSP, 5))
    feedback.flush()
    (row,) = store.read()
    assert (row.language, row.model, row.client, row.source) == ("other",) * 4
    assert b"launch_codes" not in store.path.read_bytes()


def test_what_may_not_be_recorded_reaches_subscribers_and_no_disk(
    store: ObservationStore, feedback: Feedback
) -> None:
    told: list[tuple[str, object]] = []
    feedback.subscribe(lambda known_id, fields: told.append((known_id, fields["accepted"])))
    feedback.offered(Offer("id-1", Door.LSP, 5, is_recorded=False))
    feedback.accepted("id-1")
    feedback.flush()
    assert told == [("id-1", "all")]
    assert not store.path.exists()


def test_a_file_that_is_removed_under_way_is_made_anew(
    store: ObservationStore, make_observation: Make
) -> None:
    store.insert([make_observation(1)])
    store.path.unlink()
    store.insert([make_observation(2)])
    assert [row.id for row in store.read()] == ["id-2"]
