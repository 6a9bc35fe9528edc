"""Where the last edits were, and what stands there now."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.snippet import Snippet, SnippetSource
from retrieval.sources.recent_edits import RecentEdits, RecentEditsRules

NUM_LINES = 200


class Workspace:
    """Files of numbered lines that someone edits, and what is remembered of it."""

    def __init__(self, rules: RecentEditsRules | None = None) -> None:
        self.texts: dict[str, str] = {}
        self.recent = RecentEdits(rules or RecentEditsRules(num_context_lines=0))

    def edit(
        self, line: int, inserted: str, *, path: str = "a.py", num_deleted: int = 0, at_s: float = 0
    ) -> None:
        """Insert at the beginning of ``line``, behind deleting lines from there on."""
        text = self.texts.setdefault(path, "".join(f"{at}\n" for at in range(NUM_LINES)))
        lines = text.splitlines(keepends=True)
        start = len("".join(lines[:line]))
        end = start + len("".join(lines[line : line + num_deleted]))
        self.recent.note(path, text, [(start, end, inserted)], at_s)
        self.texts[path] = text[:start] + inserted + text[end:]

    def lines_of(self, path: str, start: int, end: int) -> str | None:
        text = self.texts.get(path)
        return None if text is None else "".join(text.splitlines(keepends=True)[start:end])

    def snippets(self, path: str = "b.py", line: int = 0, now_s: float = 0) -> list[Snippet]:
        return self.recent.snippets(self.lines_of, path, line, now_s)

    def shown(self, path: str = "b.py", line: int = 0) -> list[str]:
        return [each.text for each in self.snippets(path, line)]


@pytest.fixture
def workspace() -> Workspace:
    return Workspace()


def test_nothing_was_edited_yet(workspace: Workspace) -> None:
    assert workspace.snippets() == []


def test_an_edit_is_shown_with_the_lines_around_it() -> None:
    workspace = Workspace(RecentEditsRules())
    workspace.edit(10, "new ")
    assert workspace.snippets() == [
        Snippet(
            "a.py",
            7,
            14,
            "7\n8\n9\nnew 10\n11\n12\n13\n",
            1.0,
            SnippetSource.RECENT_EDIT,
            "edited just now",
        )
    ]


@pytest.mark.parametrize(
    ("line", "first"), [(0, "new 0\n1\n2\n3\n"), (199, "196\n197\n198\nnew 199\n")]
)
def test_there_need_not_be_lines_around_it(line: int, first: str) -> None:
    workspace = Workspace(RecentEditsRules())
    workspace.edit(line, "new ")
    assert workspace.shown() == [first]


@pytest.mark.parametrize(
    ("second", "at_s", "shown"),
    [
        (11, 1, ["a10\nb11\n"]),
        (18, 1, ["a10\n11\n12\n13\n14\n15\n16\n17\nb18\n"]),
        (20, 1, ["b20\n", "a10\n"]),
        (11, 60, ["b11\n", "a10\n"]),
        (10, 60, ["ba10\n"]),
        (2, 1, ["b2\n3\n4\n5\n6\n7\n8\n9\na10\n"]),
    ],
)
def test_edits_near_in_place_and_time_are_one(
    workspace: Workspace, second: int, at_s: int, shown: list[str]
) -> None:
    workspace.edit(10, "a")
    workspace.edit(second, "b", at_s=at_s)
    assert workspace.shown() == shown


@pytest.mark.parametrize(
    ("line", "inserted", "num_deleted"),
    [(0, "x\ny\n", 0), (0, "", 5), (3, "x\n", 4), (90, "x\n", 0), (90, "", 9)],
)
def test_regions_move_with_edits_in_front_of_them(
    workspace: Workspace, line: int, inserted: str, num_deleted: int
) -> None:
    workspace.edit(50, "new ")
    workspace.edit(line, inserted, num_deleted=num_deleted, at_s=60)
    assert "new 50\n" in workspace.shown()


def test_what_was_deleted_is_not_remembered(workspace: Workspace) -> None:
    workspace.edit(50, "new ")
    workspace.edit(40, "", num_deleted=20, at_s=60)
    assert workspace.shown() == ["60\n"]


def test_of_a_long_region_the_end_that_was_edited_last_is_shown(workspace: Workspace) -> None:
    for at in range(40):
        workspace.edit(10 + at, f"new{at}\n")
    (shown,) = workspace.shown()
    assert shown.count("\n") == 20
    assert "new39\n" in shown


def test_edits_near_to_the_cursor_are_not_shown(workspace: Workspace) -> None:
    workspace.edit(50, "new ")
    assert workspace.shown(path="a.py", line=50) == []
    assert workspace.shown(path="a.py", line=90) == []
    assert workspace.shown(path="a.py", line=91) == ["new 50\n"]
    assert workspace.shown(path="a.py", line=9) == ["new 50\n"]
    assert workspace.shown(path="b.py", line=50) == ["new 50\n"]


def test_the_last_eight_regions_are_shown(workspace: Workspace) -> None:
    for at in range(12):
        workspace.edit(at, "new ", path=f"{at}.py", at_s=at)
    assert workspace.shown() == [f"new {at}\n" for at in range(11, 3, -1)]


def test_of_a_file_the_last_eight_regions_are_remembered(workspace: Workspace) -> None:
    for at in range(10):
        workspace.edit(20 * at, "new ", at_s=at)
    assert workspace.shown() == [f"new {20 * at}\n" for at in range(9, 1, -1)]


def test_files_edited_long_ago_are_forgotten() -> None:
    workspace = Workspace(RecentEditsRules(max_num_files=2, num_context_lines=0))
    for path in ("a.py", "b.py", "a.py", "c.py"):
        workspace.edit(1, "new ", path=path)
    assert {each.path for each in workspace.snippets(path="z.py")} == {"a.py", "c.py"}


def test_files_that_cannot_be_read_are_passed_over(workspace: Workspace) -> None:
    workspace.edit(1, "new ")
    workspace.edit(1, "\n", path="b.py")
    del workspace.texts["a.py"]
    workspace.texts["b.py"] = "\n \n"
    assert workspace.shown(path="z.py") == []


def test_a_forgotten_file_is_not_shown(workspace: Workspace) -> None:
    workspace.edit(1, "new ")
    workspace.recent.forget("a.py")
    workspace.recent.forget("never heard of")
    assert workspace.shown() == []


def test_the_work_of_a_tool_is_no_edit(workspace: Workspace) -> None:
    workspace.edit(1, "new ")
    workspace.recent.note("a.py", workspace.texts["a.py"], [(0, 0, "x")] * 33, 1.0)
    assert workspace.shown() == []


def test_edits_of_one_notification_follow_each_other(workspace: Workspace) -> None:
    workspace.texts["a.py"] = "x\ny\n" * 30
    workspace.recent.note("a.py", workspace.texts["a.py"], [(0, 0, "1\n2\n"), (4, 5, "z")], 0.0)
    workspace.texts["a.py"] = "1\n2\nz\n" + workspace.texts["a.py"][2:]
    assert workspace.shown() == ["1\n2\nz\n"]


@pytest.mark.parametrize(
    ("age_s", "reason"),
    [
        (-5, "edited just now"),
        (59, "edited just now"),
        (60, "edited 1 minute ago"),
        (150, "edited 2 minutes ago"),
        (3600, "edited 1 hour ago"),
        (9000, "edited 2 hours ago"),
    ],
)
def test_the_reason_says_how_long_ago(workspace: Workspace, age_s: int, reason: str) -> None:
    workspace.edit(1, "new ")
    assert [each.reason for each in workspace.snippets(now_s=age_s)] == [reason]


EDITS = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(["x", "\n", "x\ny\nz\n", ""]), st.integers(0, 4)),
    max_size=15,
)


@given(EDITS)
def test_any_edits_leave_regions_that_are_lines_of_the_text(
    edits: list[tuple[int, str, int]],
) -> None:
    workspace = Workspace()
    workspace.texts["a.py"] = "".join(f"{at}\n" for at in range(30))
    for at_s, (line, inserted, num_deleted) in enumerate(edits):
        workspace.edit(line, inserted, num_deleted=num_deleted, at_s=20.0 * at_s)
        num_lines = workspace.texts["a.py"].count("\n") + 1
        for each in workspace.snippets():
            assert 0 <= each.start_line < each.end_line <= num_lines
            assert each.text == workspace.lines_of("a.py", each.start_line, each.end_line)
    assert len(workspace.snippets()) <= 8
