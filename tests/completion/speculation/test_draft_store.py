"""What drafts are learnt from survives the process, and a broken file does no harm."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from completion.speculation.draft_store import DraftStore
from completion.speculation.ngrams import RepositoryNgrams
from completion.speculation.recycled import RecycledTokens
from completion.speculation.source import DraftPlace, VerifiedPass

VOCAB_SIZE = 151_936
WORKSPACE = Path("workspace")


class Sources:
    """A source of each kind, and what they propose behind 1, 2."""

    def __init__(self, vocab_size: int = VOCAB_SIZE) -> None:
        self.recycled, self.ngrams = RecycledTokens(vocab_size), RepositoryNgrams(vocab_size)
        self.all = [self.recycled, self.ngrams]

    def learn(self, token_id: int) -> Sources:
        self.ngrams.learn_text([1, 2, token_id])
        self.recycled.learn(VerifiedPass([2], [1], np.full((1, 1), token_id)))
        return self

    def proposed(self) -> list[list[int]]:
        place = DraftPlace((1, 2), ())
        return [[proposal.token_id for proposal in each.propose(place)] for each in self.all]


def store(folder: Path, fingerprint: str = "f", workspace: Path = WORKSPACE) -> DraftStore:
    return DraftStore(folder / "drafts", fingerprint, workspace)


def loaded(opened: DraftStore) -> list[list[int]]:
    sources = Sources()
    opened.load(sources.all)
    return sources.proposed()


def files(folder: Path) -> list[Path]:
    return sorted((folder / "drafts").iterdir())


def test_what_was_learnt_is_there_again(tmp_path: Path) -> None:
    store(tmp_path).save(Sources().learn(7).all)
    assert loaded(store(tmp_path)) == [[7], [7]]


def test_the_last_save_counts(tmp_path: Path) -> None:
    for token_id in (7, 8):
        store(tmp_path).save(Sources().learn(token_id).all)
    assert loaded(store(tmp_path)) == [[8], [8]]
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("other", [{"fingerprint": "g"}, {"workspace": Path("another")}])
def test_models_and_workspaces_have_files_of_their_own(
    tmp_path: Path, other: dict[str, str]
) -> None:
    store(tmp_path).save(Sources().learn(7).all)
    assert loaded(store(tmp_path, **other)) == [[], []]  # type: ignore[arg-type]
    store(tmp_path, **other).save(Sources().learn(8).all)  # type: ignore[arg-type]
    assert loaded(store(tmp_path)) == [[7], [7]]


def test_without_a_file_nothing_is_known(tmp_path: Path) -> None:
    assert loaded(store(tmp_path)) == [[], []]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:10],
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
        lambda content: bytes([content[0] ^ 1]) + content[1:],
        lambda content: b"\xff" * 40,
        lambda content: content + bytes(8 << 20),
    ],
    ids=["empty", "digest_cut", "cut", "longer", "bit", "first_bit", "noise", "huge"],
)
def test_a_broken_file_is_as_none(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    store(tmp_path).save(Sources().learn(7).all)
    [path] = files(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    assert loaded(store(tmp_path)) == [[], []]
    store(tmp_path).save(Sources().learn(8).all)
    assert loaded(store(tmp_path)) == [[8], [8]]


def test_a_file_under_another_name_is_as_none(tmp_path: Path) -> None:
    store(tmp_path, "g").save(Sources().learn(7).all)
    [path] = files(tmp_path)
    path.rename(path.with_name(path.name.replace("g-", "f-")))
    assert loaded(store(tmp_path)) == [[], []]


def test_what_does_not_fit_a_source_leaves_it_as_it_was(tmp_path: Path) -> None:
    store(tmp_path).save(Sources().learn(70).all)
    sources = Sources(vocab_size=9).learn(3)
    store(tmp_path).load(sources.all)
    assert sources.proposed() == [[3], [3]]


def test_a_source_that_was_not_saved_leaves_the_others_their_own(tmp_path: Path) -> None:
    store(tmp_path).save([Sources().learn(7).recycled])
    assert loaded(store(tmp_path)) == [[7], []]


def test_files_and_folder_are_the_users_alone_and_do_not_name_the_workspace(tmp_path: Path) -> None:
    store(tmp_path).save(Sources().learn(7).all)
    [path] = files(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert str(WORKSPACE) not in path.name


def test_the_oldest_files_make_room(tmp_path: Path) -> None:
    sources = Sources().learn(7).all
    for at, name in enumerate("abc"):
        store(tmp_path, name).save(sources)
        for path in (tmp_path / "drafts").glob(f"{name}-*"):
            os.utime(path, ns=(at, at))
    one = files(tmp_path)[0].stat().st_size
    DraftStore(tmp_path / "drafts", "d", WORKSPACE, max_bytes=2 * one).save(sources)
    assert [path.name[0] for path in files(tmp_path)] == ["c", "d"]


def test_files_of_others_are_let_alone(tmp_path: Path) -> None:
    (tmp_path / "drafts").mkdir()
    other = tmp_path / "drafts" / "notes.txt"
    other.write_bytes(bytes(100))
    DraftStore(tmp_path / "drafts", "f", WORKSPACE, max_bytes=0).save(Sources().all)
    assert len(other.read_bytes()) == 100


def test_a_save_that_fails_keeps_the_last_one_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space")

    store(tmp_path).save(Sources().learn(7).all)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr("os.replace", fail)
        store(tmp_path).save(Sources().learn(8).all)
    assert loaded(store(tmp_path)) == [[7], [7]]
    assert len(files(tmp_path)) == 1
    assert "no space" in caplog.text


def test_a_full_file_can_be_read_again(tmp_path: Path) -> None:
    sources, rng = Sources(), np.random.default_rng(0)
    sources.learn(7)
    for _ in range(8):
        sources.ngrams.learn_text(rng.integers(1000, VOCAB_SIZE, 7000))
    token_ids = rng.permutation(np.arange(3, VOCAB_SIZE))[:40_000]
    sources.recycled.learn(VerifiedPass(token_ids.tolist(), [None] * 40_000, np.zeros((40_000, 8))))
    store(tmp_path).save(sources.all)
    again = Sources()
    store(tmp_path).load(again.all)
    for before, after in zip(sources.all, again.all, strict=True):
        for name, array in before.arrays().items():
            assert np.array_equal(array, after.arrays()[name])
    assert files(tmp_path)[0].stat().st_size < 4 << 20
