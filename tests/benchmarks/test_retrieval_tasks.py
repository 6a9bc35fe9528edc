from __future__ import annotations

import textwrap
from collections import Counter

import pytest

from benchmarks.retrieval_quality_definitions import ImportedDefinitions
from benchmarks.retrieval_quality_identifiers import identifiers, words
from benchmarks.retrieval_quality_packages import Repository
from benchmarks.retrieval_quality_python import PythonUses
from benchmarks.retrieval_tasks import (
    MAX_NUM_TASKS_PER_DEFINITION,
    MAX_NUM_TASKS_PER_FILE,
    RetrievalTask,
    TaskKind,
    tasks_of,
)
from benchmarks.traces.packages import ChangedFile

NUM_FILES = 8


def module(number: int) -> str:
    """Return a file that uses a function of the file after it and a class of the one after that."""
    first, second = (number + 1) % NUM_FILES, (number + 2) % NUM_FILES
    functions = "".join(
        f"def run_{number}_{idx}(value):\n"
        f"    total_{idx} = value * {idx} + {number}\n"
        f"    return work_{first}(total_{idx}, Tool{second})\n\n\n"
        for idx in range(8)
    )
    return (
        f'"""File {number}."""\n\nfrom .file_{first} import work_{first}\n'
        f"from pack.file_{second} import (\n    Tool{second},\n)\n\n\n"
        f"class Tool{number}:\n    pass\n\n\n"
        f"def work_{number}(value, tool):\n    return tool\n\n\n{functions}"
    )


@pytest.fixture(scope="module")
def repository() -> Repository:
    files = {f"src/pack/file_{number}.py": module(number) for number in range(NUM_FILES)}
    changed = tuple(
        ChangedFile("pack-1-2", path, "python", before, with_new_lines(before, number))
        for number, (path, before) in enumerate(files.items())
    )
    return Repository("pack-1-2", {"src/pack/__init__.py": "VERSION = 1\n", **files}, changed)


def with_new_lines(before: str, number: int) -> str:
    other = (number + 4) % NUM_FILES
    written = f"    added = run_{other}_3(value) + unheard_of\n    # in words alone\n"
    place = f"    total_5 = value * 5 + {number}\n"
    return before.replace(place, place + written) + "\n\n# the end\n"


def tasks(repository: Repository, kind: TaskKind, count: int = 30) -> list[RetrievalTask]:
    found = [task for task in tasks_of([repository], 0, count) if task.kind is kind]
    assert found
    return found


def completed(task: RetrievalTask) -> str:
    return task.text[: task.offset] + task.truth + task.text[task.offset :]


@pytest.mark.parametrize("kind", [TaskKind.LINE_START, TaskKind.SYMBOL])
def test_definition_of_what_the_truth_uses_is_in_another_file(
    repository: Repository, kind: TaskKind
) -> None:
    for task in tasks(repository, kind):
        assert completed(task) == repository.files[task.path]
        assert task.definitions
        for definition in task.definitions:
            assert definition.path != task.path
            assert definition.name in task.truth
            (line,) = definition.lines
            shown = repository.files[definition.path].split("\n")[line]
            assert shown.startswith((f"def {definition.name}(", f"class {definition.name}:"))


def test_cursor_is_behind_the_indentation_or_right_before_the_name(repository: Repository) -> None:
    for task in tasks(repository, TaskKind.LINE_START):
        assert task.text[: task.offset].endswith("\n    ")
        assert task.truth.startswith("return work_")
    for task in tasks(repository, TaskKind.SYMBOL):
        assert task.truth.startswith("work_")


def test_edit_shows_the_later_file_without_what_it_writes(repository: Repository) -> None:
    after = {file.path: file.after for file in repository.changed}
    found = tasks(repository, TaskKind.EDIT)
    for task in found:
        assert completed(task) == after[task.path]
        assert task.truth.startswith("added = run_")
        assert task.files[task.path] != completed(task)
    # Comments alone are no code to complete: the words at the end of the files are no task.
    assert len(found) == NUM_FILES


def test_unseen_identifiers_are_held_by_other_files_only(repository: Repository) -> None:
    for task in tasks(repository, TaskKind.EDIT):
        (name,) = task.unseen  # neither what no file holds, nor what the file itself does
        assert name.startswith("run_")
        assert name not in words(task.text)
        others = (text for path, text in task.files.items() if path != task.path)
        assert any(name in words(text) for text in others)


def test_lines_that_need_no_other_file_name_only_what_stands_around(repository: Repository) -> None:
    for task in tasks(repository, TaskKind.IN_FILE):
        assert completed(task) == repository.files[task.path]
        assert {each.name for each in identifiers(task.truth, "python")} <= words(task.text)
        assert not task.definitions
        assert not task.unseen
        assert "work_" not in task.truth


def test_fewer_tasks_are_a_part_of_the_same_and_another_seed_gives_others(
    repository: Repository,
) -> None:
    def ids(seed: int, count: int) -> set[str]:
        return {task.task_id for task in tasks_of([repository], seed, count)}

    assert ids(0, 9) == ids(0, 9)
    assert ids(0, 4) < ids(0, 9)
    assert ids(0, 4) != ids(1, 4)


def test_no_file_and_no_definition_has_many_tasks(repository: Repository) -> None:
    found = tasks(repository, TaskKind.SYMBOL, 1000)
    of_file = Counter(task.path for task in found)
    of_definition = Counter(each for task in found for each in task.definitions)
    assert max(of_file.values()) <= MAX_NUM_TASKS_PER_FILE
    assert max(of_definition.values()) <= MAX_NUM_TASKS_PER_DEFINITION


# --- what a file uses

PACK = {
    "src/pack/__init__.py": "from .deep import Deep as Deep\nfrom .stars import *\n",
    "src/pack/deep.py": "class Deep:\n    pass\n",
    "src/pack/stars.py": "def shining():\n    pass\n\n\ndef _hidden():\n    pass\n",
    "src/pack/maybe.py": (
        "try:\n    import fast\n    def quick(): ...\nexcept ImportError:\n    def quick(): ...\n"
    ),
    "src/pack/circle.py": "from .circle import nothing\n",
    "src/pack/broken.py": "def (:\n",
}


def python_uses(source: str) -> list[tuple[str, str, tuple[int, ...]]]:
    """Return what ``source`` uses: the text from there, and path and lines of the definition."""
    text = textwrap.dedent(source)
    found = PythonUses({**PACK, "src/pack/here.py": text}).uses("src/pack/here.py")
    return [
        (text[use.offset :].split("\n")[0], use.definition.path, use.definition.lines)
        for use in found
    ]


@pytest.mark.parametrize(
    ("source", "used"),
    [
        ("from pack import Deep\nDeep()\n", ("Deep()", "src/pack/deep.py", (0,))),
        ("from . import deep\nx = deep.Deep()\n", ("Deep()", "src/pack/deep.py", (0,))),
        ("import pack.deep as d\nx = d.Deep\n", ("Deep", "src/pack/deep.py", (0,))),
        ("from pack import shining as s\ns()\n", ("s()", "src/pack/stars.py", (0,))),
        ("import pack\n'é🙂', pack.shining\n", ("shining", "src/pack/stars.py", (0,))),
        ("from .maybe import quick\nquick()\n", ("quick()", "src/pack/maybe.py", (2, 4))),
    ],
)
def test_python_use_leads_to_its_definition(
    source: str, used: tuple[str, str, tuple[int, ...]]
) -> None:
    assert python_uses(source) == [used]


@pytest.mark.parametrize(
    "source",
    [
        "from pack import Deep\ndef f(Deep): return Deep\n",  # may be another
        "from pack import _hidden\n_hidden()\n",
        "from pack.circle import nothing\nnothing()\n",
        "from pack.broken import f\nf()\n",
        "from pack.none import f\nf()\n",
        "from pack import Deep\n'Deep'  # Deep\n",
        "import deep\ndeep.Deep\n",  # from elsewhere: the package's own is pack.deep
        "from pack import Deep\nDeep(\n",  # no Python
        "",
    ],
)
def test_python_use_that_leads_nowhere_is_none(source: str) -> None:
    assert python_uses(source) == []


def test_typescript_and_rust_uses_are_followed_through_files_that_pass_names_on() -> None:
    files = {
        "src/a.ts": "import { Box, other } from './index';\nlet x = new Box(); // Box\nx.Box;\n",
        "src/index.ts": "import { Box } from './box';\nexport { Box };\n",
        "src/box.ts": "const y = 1;\nexport default class Box {\n}\n",
        "r/src/lib.rs": "mod a;\nmod b;\n",
        "r/src/a.rs": 'use crate::b::{run, Plan};\nfn f(p: Plan) { run(p); b"run"; }\n',
        "r/src/b.rs": "pub struct Plan;\n\npub(crate) async fn run(p: Plan) {}\n",
    }
    found = ImportedDefinitions("mixed", files)
    used = {
        path: [(use.definition.path, use.definition.name, use.definition.lines) for use in uses]
        for path in files
        if (uses := list(found.uses(path)))
    }
    assert used == {
        "src/a.ts": [("src/box.ts", "Box", (1,))],
        "src/index.ts": [("src/box.ts", "Box", (1,))],
        "r/src/a.rs": [("r/src/b.rs", "Plan", (0,)), ("r/src/b.rs", "run", (2,))],
    }


@pytest.mark.parametrize(
    ("language_id", "code"),
    [
        ("python", "name = f(\"text\", r'''more\ntext''')  # word\n\"\"\"open text"),
        ("typescript", "name: string = `text ${more}` /* word\nword */ + 'text' // word"),
        ("typescriptreact", "return name; // word"),
        ("rust", 'let name: &\'a str = "text\ntext"; // word'),
    ],
)
def test_identifiers_are_of_code_only(language_id: str, code: str) -> None:
    found = list(identifiers(code, language_id))
    assert [each.name for each in found] == ["name"]
    assert code[found[0].offset :].startswith("name")
