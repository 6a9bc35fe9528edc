"""What is learnt in a workspace is kept for it, and for no other one."""

from __future__ import annotations

from pathlib import Path

from completion.speculation.lasting import LastingSources
from completion.speculation.source import DraftPlace

TEXT = [1, 2, 3, 4, 5] * 4


def lasting(folder: Path | None, *enabled: str) -> LastingSources:
    names = enabled or ("recycled", "ngrams")
    return LastingSources(100, "tiny", folder, is_enabled=names.__contains__)


def proposed(sources: LastingSources, workspace: str, *tail: int) -> list[int]:
    place = DraftPlace(tail, ())
    found = [each.propose(place) for each in sources.of(workspace)]
    return [proposal.token_id for each in found for proposal in each]


def test_what_was_learnt_comes_back_in_the_next_run(tmp_path: Path) -> None:
    first = lasting(tmp_path)
    first.learn_text("/w", TEXT)
    assert proposed(first, "/w", 2, 3) == [4]
    first.save()
    assert proposed(lasting(tmp_path), "/w", 2, 3) == [4]
    assert proposed(lasting(tmp_path), "/other", 2, 3) == []


def test_what_belongs_to_no_workspace_is_not_kept(tmp_path: Path) -> None:
    sources = lasting(tmp_path)
    sources.learn_text("", TEXT)
    assert proposed(sources, "", 2, 3) == [4]
    sources.save()
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_that_makes_room_is_saved(tmp_path: Path) -> None:
    sources = lasting(tmp_path)
    for number in range(9):
        sources.learn_text(f"/w{number}", TEXT)
    assert len(list(tmp_path.iterdir())) == 5
    assert proposed(sources, "/w0", 2, 3) == [4]


def test_a_source_that_is_switched_off_neither_learns_nor_drafts(tmp_path: Path) -> None:
    sources = lasting(tmp_path, "recycled")
    sources.learn_text("/w", TEXT)
    assert [each.name for each in sources.of("/w")] == ["recycled"]
    assert proposed(sources, "/w", 2, 3) == []
