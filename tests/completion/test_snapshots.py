"""Documents whose caches outlive the service."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from completion import kept_sessions
from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.scheduler import Checkpoint, Priority
from completion.service import CompletionService
from completion.types import (
    CancellationToken,
    CompletionOutcome,
    CompletionRequest,
    DocumentSnapshot,
    Exactness,
    PromptStats,
    Suggestion,
    TextEdit,
    TriggerKind,
    apply_edits,
)
from kvedit.snapshots import SnapshotStore, TableCopy
from models.loader import LoadedModel

CONFIG = CompletionConfig(
    prompt=PromptConfig(max_num_tokens=1024),
    engine=EngineConfig(
        prefill_chunk=32,
        prefetch_after_acceptance=False,
        max_new_tokens=24,
        heal_after_s=3600,
        around_tokens=0,
    ),
)
FUNCTION = "def f(a, b):\n    total = a\n    \n    return total\n\n\n"
TEXT = FUNCTION * 6
OFFSET = 4 * len(FUNCTION) + FUNCTION.index("    \n") + 4
ABOVE = TextEdit(8, 8, "first, ")

MakeService = Callable[..., CompletionService]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sessions"


@pytest.fixture
def make_service(tiny_model: LoadedModel, folder: Path) -> Iterator[MakeService]:
    made: list[CompletionService] = []

    def make(**engine: object) -> CompletionService:
        chosen = replace(CONFIG.engine, **{"snapshot_folder": folder, **engine})  # type: ignore[arg-type]
        made.append(CompletionService(tiny_model, replace(CONFIG, engine=chosen)))
        return made[-1]

    yield make
    for service in made:
        service.close()


def document_of(owner: str = "one run", name: str = "a.py", text: str = TEXT) -> DocumentSnapshot:
    return DocumentSnapshot(f"file:///w/{name}", 1, "python", text, name, owner=owner)


def edited(document: DocumentSnapshot) -> DocumentSnapshot:
    changed = apply_edits(document.text, [ABOVE])
    return replace(document, version=2, base_version=1, edits=(ABOVE,), text=changed)


def complete(
    service: CompletionService, document: DocumentSnapshot, offset: int = OFFSET
) -> CompletionOutcome:
    service._cache.clear()  # a remembered answer would answer for the engine
    request = CompletionRequest(
        "id", document, offset, trigger=TriggerKind.INVOKED, max_new_tokens=6
    )
    return service.complete(request, CancellationToken())


def stats_of(service: CompletionService, document: DocumentSnapshot) -> PromptStats:
    return complete(service, document).trace.prompt


def wait_until_idle(service: CompletionService) -> None:
    done = threading.Event()
    service._engine.submit(Priority.BATCH, "idle", lambda _: done.set(), CancellationToken())
    assert done.wait(20)


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*"))


def shown(outcome: CompletionOutcome) -> list[tuple[str, float]]:
    """Return texts with their log-probabilities, of which another pass size may change a last bit."""
    assert isinstance(outcome, Suggestion)
    return [(found.text, round(found.logprob, 4)) for found in outcome.candidates]


def is_exact(service: CompletionService, document: DocumentSnapshot) -> bool:
    with service._caches.sessions.borrow(document.key) as session:
        return session is not None and session.table.num_exact() >= session.num_prompt_tokens > 0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_new_service_goes_on_with_the_cache_of_the_one_before(make_service: MakeService) -> None:
    first = make_service()
    before = complete(first, document_of("one run"))
    first.close()
    after = complete(make_service(), document_of("the next run"))
    stats = after.trace.prompt
    assert stats.num_new_tokens == 1  # the last token is always computed: its logits are asked for
    assert stats.num_cached_tokens == stats.num_tokens - 1
    assert after.trace.exactness is Exactness.EXACT
    assert shown(after) == shown(before)


def test_what_was_patched_before_is_called_patched_afterwards(make_service: MakeService) -> None:
    first, document = make_service(), edited(document_of())
    complete(first, document_of())
    before = complete(first, document, OFFSET + len(ABOVE.inserted))
    assert before.trace.exactness is Exactness.PATCHED
    first.close()
    after = complete(make_service(), replace(document, owner="next"), OFFSET + len(ABOVE.inserted))
    assert (after.trace.exactness, after.trace.age) == (Exactness.PATCHED, before.trace.age)
    assert after.trace.prompt.num_new_tokens == 1


def test_a_document_that_changed_meanwhile_is_patched(make_service: MakeService) -> None:
    first = make_service()
    complete(first, document_of())
    first.close()
    changed = document_of("next", text=apply_edits(TEXT, [ABOVE]))
    outcome = complete(make_service(), changed, OFFSET + len(ABOVE.inserted))
    assert outcome.trace.exactness is Exactness.PATCHED
    assert outcome.trace.prompt.num_new_tokens < outcome.trace.prompt.num_tokens / 4


def test_a_healed_cache_that_was_loaded_is_exact(make_service: MakeService) -> None:
    first, document = make_service(), edited(document_of())
    complete(first, document_of())
    complete(first, document, OFFSET + len(ABOVE.inserted))
    first.close()
    second = make_service(heal_after_s=0.01)
    complete(second, document, OFFSET + len(ABOVE.inserted))
    wait_for(lambda: is_exact(second, document))
    healed = complete(second, document, OFFSET + len(ABOVE.inserted))
    fresh = complete(make_service(snapshot_folder=None), document, OFFSET + len(ABOVE.inserted))
    assert healed.trace.exactness is Exactness.EXACT
    assert isinstance(healed, Suggestion)
    assert isinstance(fresh, Suggestion)
    assert healed.text == fresh.text


def test_without_a_folder_nothing_is_written(make_service: MakeService, folder: Path) -> None:
    service = make_service(snapshot_folder=None)
    complete(service, document_of())
    service.forget(document_of().key)
    service.close()
    assert not folder.exists()


def test_a_closed_document_is_written_while_nothing_else_is_to_do(
    make_service: MakeService, folder: Path
) -> None:
    service = make_service()
    complete(service, document_of())
    service.forget(document_of().key)
    wait_until_idle(service)
    wait_until_idle(service)  # the first may have waited before the writing was queued
    assert len(files_in(folder)) == 1
    assert stats_of(service, document_of("another client")).num_new_tokens == 1


def test_a_document_that_makes_room_for_another_comes_back_from_the_disk(
    make_service: MakeService, folder: Path
) -> None:
    service = make_service(cache_mb=1)
    names = [f"{at}.py" for at in range(8)]
    for name in names:
        complete(service, document_of(name=name))
    wait_until_idle(service)
    assert len(service._caches.sessions) < len(names)
    assert files_in(folder)
    assert stats_of(service, document_of(name=names[0])).num_new_tokens == 1


@pytest.mark.parametrize(
    "document",
    [replace(document_of(), path=None), document_of(text=FUNCTION)],
    ids=["no name that lasts", "hardly any text"],
)
def test_what_is_not_worth_it_is_not_written(
    make_service: MakeService, folder: Path, document: DocumentSnapshot
) -> None:
    service = make_service()
    complete(service, document, FUNCTION.index("    \n") + 4)
    service.forget(document.key)
    service.close()
    assert not files_in(folder)


class SlowDisk:
    """Holds writing at its first checkpoint until it may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_writing, self.may_go_on = threading.Event(), threading.Event()
        write = SnapshotStore.write

        def held(
            store: SnapshotStore,
            key: str,
            copied: TableCopy,
            checkpoint: Checkpoint = lambda: None,
        ) -> None:
            def wait() -> None:
                self.is_writing.set()
                while not self.may_go_on.wait(0.001):
                    checkpoint()
                checkpoint()

            write(store, key, copied, wait)

        monkeypatch.setattr(SnapshotStore, "write", held)


def test_a_request_does_not_wait_for_writing(
    make_service: MakeService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, disk = make_service(), SlowDisk(monkeypatch)
    complete(service, document_of())
    service.forget(document_of().key)
    assert disk.is_writing.wait(20)
    complete(service, document_of(name="b.py"))
    # Not yet on the disk, and found all the same.
    assert stats_of(service, document_of("another client")).num_new_tokens == 1
    assert not files_in(folder)
    disk.may_go_on.set()
    wait_until_idle(service)
    assert len(files_in(folder)) == 1


def test_what_waits_to_be_written_is_written_when_the_service_closes(
    make_service: MakeService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, disk = make_service(), SlowDisk(monkeypatch)
    for name in ("a.py", "b.py"):
        complete(service, document_of(name=name))
        service.forget(document_of(name=name).key)
    assert disk.is_writing.wait(20)
    closing = threading.Thread(target=service.close)
    closing.start()
    disk.may_go_on.set()
    closing.join(20)
    assert len(files_in(folder)) == 2


def test_copies_that_wait_are_bounded(
    make_service: MakeService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, disk = make_service(), SlowDisk(monkeypatch)
    monkeypatch.setattr(kept_sessions, "_MAX_NUM_WAITING", 2)
    for at in range(4):
        complete(service, document_of(name=f"{at}.py"))
        service.forget(document_of(name=f"{at}.py").key)
    assert disk.is_writing.wait(20)
    complete(service, document_of(name="last.py"))
    kept = service._caches.sessions._kept
    assert kept is not None
    assert len(kept._waiting) == 2
    disk.may_go_on.set()
    wait_until_idle(service)


def test_closing_twice_is_fine(make_service: MakeService, folder: Path) -> None:
    service = make_service()
    complete(service, document_of())
    for _ in range(2):
        service.close()
    assert len(files_in(folder)) == 1
