from __future__ import annotations

import random
from collections import Counter

import pytest

from benchmarks.left_to_right_cases import (
    MIN_CONTEXT_SHARE,
    MIN_NUM_TOKENS_BEHIND,
    ContextSize,
    NextLineCase,
    next_line_cases,
)
from benchmarks.left_to_right_edits import EditKind, LineEdit, applied, edits_towards, undone
from benchmarks.left_to_right_imports import Repository
from benchmarks.left_to_right_targets import Setting, is_code, targets_of

NUM_CONTEXT = 600


def num_tokens(line: str) -> int:
    return len(line) // 4 + 1


SIZE = ContextSize(NUM_CONTEXT, num_tokens)


def module(number: int) -> str:
    """Return a file that imports from the two files after it, and names what it took more than once."""
    first, second = (number + 1) % 12, (number + 2) % 12
    functions = "".join(
        f"def run_{number}_{idx}(value):\n"
        f"    total_{idx} = value * {idx} + {number}\n"
        f"    result_{idx} = work_{first}(total_{idx})\n"
        f"    print('the result is', result_{idx})\n"
        f"    return Tool{second}(result_{idx})\n\n\n"
        for idx in range(12)
    )
    return (
        f"import os\nfrom pack.file_{first} import work_{first}\n"
        f"from .file_{second} import (\n    Tool{second},\n)\n\n\n"
        f"class Tool{number}:\n    pass\n\n\n"
        f"def work_{number}(value):\n    return os.fspath(value)\n\n\n{functions}"
    )


@pytest.fixture(scope="module")
def repository() -> Repository:
    sources = {f"src/pack/file_{number}.py": module(number) for number in range(12)}
    return Repository("pack-1-2", {"src/pack/__init__.py": "VERSION = 1\n", **sources})


def cases_of(
    repository: Repository, kind: EditKind, count: int = 30, seed: int = 0
) -> list[NextLineCase]:
    return next_line_cases([repository], kind, seed, count, SIZE)


IMPORTING = {
    "src/pack/sub/a.py": (
        "import os, pack.util\nfrom pack.base import Base as Root, run\nfrom .. import types\n"
        "from . import b\nfrom ..base import (\n    stop,  # a comment, with a comma\n)\n"
        "import pack.sub.b as other\nfrom typing import Any\n    from pack.base import *\n"
    ),
    "ui/src/view.tsx": (
        "import React from 'react';\nimport Button, {\n  type Size,\n  low as high,\n} from './button';\n"
        'import * as api from "src/api";\nimport type { Item } from "../src/api";\n'
    ),
    "crates/one/src/deep/mod.rs": (
        "use std::fmt;\nuse crate::{base::Base, deep::leaf::{self, Leaf as Other}};\n"
        "pub(crate) use two::Thing;\nuse super::base::*;\nuse self::leaf::Third;\n"
    ),
}
OTHER_FILES = (
    *("src/pack/__init__.py", "src/pack/base.py", "src/pack/util.py", "src/pack/types.py"),
    *("src/pack/sub/__init__.py", "src/pack/sub/b.py", "src/pack/sub/typing.py"),
    *("ui/src/button.tsx", "ui/src/api/index.ts"),
    *("crates/one/src/lib.rs", "crates/one/src/base.rs", "crates/one/src/deep/leaf.rs"),
    "crates/two/src/lib.rs",
)
PACK, ONE = "src/pack", "crates/one/src"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "src/pack/sub/a.py",
            {
                ("pack.util", "", f"{PACK}/util.py"),
                ("Root", "Base", f"{PACK}/base.py"),
                ("run", "run", f"{PACK}/base.py"),
                ("types", "", f"{PACK}/types.py"),
                ("b", "", f"{PACK}/sub/b.py"),
                ("stop", "stop", f"{PACK}/base.py"),
                ("other", "", f"{PACK}/sub/b.py"),
            },
        ),
        (
            "ui/src/view.tsx",
            {
                ("Button", "Button", "ui/src/button.tsx"),
                ("Size", "Size", "ui/src/button.tsx"),
                ("high", "low", "ui/src/button.tsx"),
                ("api", "", "ui/src/api/index.ts"),
                ("Item", "Item", "ui/src/api/index.ts"),
            },
        ),
        (
            "crates/one/src/deep/mod.rs",
            {
                ("Base", "Base", f"{ONE}/base.rs"),
                ("leaf", "", f"{ONE}/deep/leaf.rs"),
                ("Other", "Leaf", f"{ONE}/deep/leaf.rs"),
                ("Thing", "Thing", "crates/two/src/lib.rs"),
                ("Third", "Third", f"{ONE}/deep/leaf.rs"),
            },
        ),
    ],
)
def test_imported_names_lead_to_the_files_of_the_repository(
    path: str, expected: set[tuple[str, str, str]]
) -> None:
    files = Repository("r", {**IMPORTING, **dict.fromkeys(OTHER_FILES, "x = 1\n")})
    found = files.imports(path)
    wanted = {entry for entry in expected if len(entry[0]) > 1}  # one letter is found everywhere
    assert {(each.name, each.defined, each.path) for each in found.names} == wanted
    assert found.lines == set(range(IMPORTING[path].count("\n")))


def test_setting_says_whether_a_line_uses_other_files_and_whether_for_the_first_time() -> None:
    above = "from pack.other import Tool, make\n" + "value = 1  # Tool\n" * 9
    lines = {
        "tool = Tool(value)": Setting.CROSS_FILE_FIRST,
        "again = Tool(make)": Setting.CROSS_FILE_FIRST,
        "third = Tool(again)": Setting.CROSS_FILE_RANDOM,
        "self.Tool = third.make": Setting.IN_FILE,
        "print('a Tool of make')": Setting.IN_FILE,
    }
    others = "# Tool(value) comes here\n\nx = 1\n    from pack.other import fourth\n"
    sources = {"pack/a.py": above + "\n".join(lines) + f"\n{others}", "pack/other.py": "x = 1\n"}
    repository = Repository("r", sources)
    found = {
        target.line(repository): target.setting for target in targets_of(repository, "pack/a.py")
    }
    assert found == lines
    assert list(targets_of(repository, "pack/other.py")) == []


def test_line_inside_of_a_docstring_is_no_code() -> None:
    text = (
        "from . import other\n" * 10
        + 'def run():\n    """Do\n    other things.\n    """\n    run()\n'
    )
    repository = Repository("r", {"p/a.py": text, "p/other.py": "x = 1\n"})
    found = {target.line(repository): target for target in targets_of(repository, "p/a.py")}
    assert not is_code(repository, found["    other things."])
    assert is_code(repository, found["def run():"])


def check(case: NextLineCase, repository: Repository) -> None:
    """Every promise that holds for all kinds; the edits were checked when it was made."""
    assert undone(case.after, case.edits) == case.before != case.after
    path, _, number = case.case_id.split("/", 3)[3].rpartition(":")
    lines = repository.sources[path].splitlines(keepends=True)
    assert lines[int(number) - 1] == f"{case.truth}\n" != case.after[-1]
    own = case.after[case.after.index(f"# {path}\n") + 1 :]
    assert list(own) == lines[int(number) - 1 - len(own) : int(number) - 1]
    assert MIN_CONTEXT_SHARE * NUM_CONTEXT <= sum(map(num_tokens, case.after)) <= NUM_CONTEXT
    behind = case.after[max(edit.stop for edit in case.edits) :]
    assert sum(map(num_tokens, behind)) >= MIN_NUM_TOKENS_BEHIND
    assert min(edit.start for edit in case.edits) >= 1


@pytest.mark.parametrize("kind", EditKind)
def test_cases_keep_their_promises_and_are_the_same_every_time(
    repository: Repository, kind: EditKind
) -> None:
    cases = cases_of(repository, kind)
    assert len({case.case_id for case in cases}) == len(cases) == 30
    assert set(Counter(case.setting for case in cases).values()) == {10}
    for case in cases:
        check(case, repository)
    assert cases_of(repository, kind, count=7) == cases[:7]
    assert cases_of(repository, kind, seed=1) != cases


def test_cases_of_a_kind_do_what_it_says(repository: Repository) -> None:
    for case in cases_of(repository, EditKind.INSERTION):
        assert [edit.deleted for edit in case.edits] == [()]
        assert 1 <= len(case.edits[0].inserted) <= 20
    for case in cases_of(repository, EditKind.DELETION):
        assert [edit.inserted for edit in case.edits] == [()]
        assert 1 <= len(case.edits[0].deleted) <= 20
    cases = cases_of(repository, EditKind.MULTI_PLACE)
    assert {len(case.edits) for case in cases} == {2, 3, 4, 5}
    assert all(bool(edit.inserted) != bool(edit.deleted) for case in cases for edit in case.edits)


def test_context_shows_the_file_that_a_cross_file_line_uses(repository: Repository) -> None:
    for case in cases_of(repository, EditKind.INSERTION):
        if case.setting is Setting.IN_FILE:
            continue
        used = case.truth.partition("work_")[2] or case.truth.partition("Tool")[2]
        assert f"# src/pack/file_{used.partition('(')[0]}.py\n" in case.after


def test_repository_that_cannot_fill_the_context_gives_no_case(repository: Repository) -> None:
    size = ContextSize(100 * NUM_CONTEXT, num_tokens)
    assert next_line_cases([repository], EditKind.INSERTION, 0, 5, size) == []


def test_edits_are_refused_where_other_lines_stand() -> None:
    edit = LineEdit(1, ("b\n",), ("c\n",))
    assert applied(("a\n", "b\n"), [edit]) == ("a\n", "c\n")
    with pytest.raises(ValueError, match="not those that the edit deletes"):
        applied(("a\n", "x\n"), [edit])


@pytest.mark.parametrize("num_lines", [0, 1, 2, 3, 40])
@pytest.mark.parametrize("kind", EditKind)
def test_edits_are_undone_and_done_again(kind: EditKind, num_lines: int) -> None:
    lines = [f"line number {idx}\n" for idx in range(num_lines)]
    for seed in range(20):
        rng = random.Random(seed)
        edits = edits_towards(lines, kind, lambda count: ["gone now\n"] * count, rng)
        assert applied(undone(lines, edits), edits) == tuple(lines)
        assert edits or num_lines < 40
