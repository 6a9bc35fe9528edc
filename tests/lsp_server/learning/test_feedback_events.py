"""What is told about suggestions, from any door, and what subscribers hear of it."""

from __future__ import annotations

import time
from typing import Any

from lsp_server.learning.feedback import Feedback
from lsp_server.learning.observation import Offer
from lsp_server.learning.store import ObservationStore
from lsp_server.metrics import Door


def http_offer(request_id: str) -> Offer:
    return Offer(request_id, Door.HTTP, 7, is_visible=False)


def test_every_event_tells_subscribers_all_that_is_known(feedback: Feedback) -> None:
    told: list[dict[str, Any]] = []
    stop = feedback.subscribe(lambda _, fields: told.append(fields))
    feedback.offered(Offer("id-1", Door.LSP, 9))
    feedback.shown("id-1")
    feedback.partly_accepted("id-1", 4)
    feedback.accepted("id-1")
    feedback.kept("id-1", 30, 0.5)
    stop()
    feedback.dismissed("id-1")
    assert [fields["accepted"] for fields in told] == [None, "part", "all", "all"]
    assert [fields["accepted_length"] for fields in told] == [0, 4, 9, 9]
    assert told[-1]["kept"] == {"30": 0.5}
    assert all(fields["shown"] for fields in told)
    assert feedback.fields_of("id-1") == {**told[-1], "dismissed": True}


def test_events_about_unknown_ids_are_ignored(feedback: Feedback, store: ObservationStore) -> None:
    for tell in (feedback.shown, feedback.accepted, feedback.dismissed, feedback.typed):
        tell("nobody-knows")
    feedback.partly_accepted("nobody-knows", 3)
    feedback.flush()
    assert feedback.fields_of("nobody-knows") is None
    assert store.read() == []


def test_a_length_beyond_any_number_of_the_file_costs_no_later_row(
    feedback: Feedback, store: ObservationStore
) -> None:
    for number in (1, 2):
        feedback.offered(Offer(f"id-{number}", Door.LSP, 5))
        feedback.partly_accepted(f"id-{number}", 10**30)
    feedback.flush()
    feedback.offered(Offer("id-3", Door.LSP, 10**30))
    feedback.flush()
    feedback.offered(Offer("id-4", Door.LSP, 5))
    feedback.flush()
    ids = [row.id for row in store.read()]
    assert {"id-1", "id-2", "id-4"} <= set(ids)


def test_nothing_waits_for_a_log_that_is_closed(feedback: Feedback) -> None:
    feedback.offered(Offer("id-1", Door.LSP, 5))
    feedback.close()
    started = time.monotonic()
    feedback.flush()
    assert time.monotonic() - started < 1


def test_a_program_that_says_nothing_leaves_no_row(
    feedback: Feedback, store: ObservationStore
) -> None:
    feedback.offered(http_offer("a.0"))
    feedback.offered(http_offer("b.0"))
    feedback.shown("b.0")
    feedback.flush()
    assert [row.id for row in store.read()] == ["b.0"]


def test_the_id_of_an_http_response_stands_for_its_first_choice(feedback: Feedback) -> None:
    feedback.offered(http_offer("a.0"))
    feedback.accepted("cmpl-a")
    fields = feedback.fields_of("a.0")
    assert fields is not None
    assert (fields["accepted"], fields["accepted_length"]) == ("all", 7)


def test_an_acceptance_outranks_typing_whichever_is_told_first(feedback: Feedback) -> None:
    for first, second in ((feedback.typed, feedback.accepted), (feedback.accepted, feedback.typed)):
        feedback.offered(Offer("id-1", Door.LSP, 9))
        first("id-1")
        second("id-1")
        fields = feedback.fields_of("id-1")
        assert fields is not None
        assert (fields["typed"], fields["accepted"]) == (False, "all")


def test_what_is_left_of_a_suggestion_is_the_same_suggestion(
    feedback: Feedback, store: ObservationStore
) -> None:
    feedback.offered(Offer("first", Door.LSP, 9))
    feedback.partly_accepted("first", 4)
    feedback.offered(Offer("rest", Door.LSP, 5), continues="first")
    feedback.accepted("rest")
    feedback.flush()
    (row,) = store.read()
    assert (row.id, row.accepted, row.accepted_chars) == ("first", 2, 9)
