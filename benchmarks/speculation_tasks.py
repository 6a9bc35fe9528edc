"""What speculation is measured on: typing, HumanEval-Infilling, lines and blocks of held-out files."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from benchmarks.head_to_head_schedule import Language, Stretch
from benchmarks.head_to_head_stretches import stretches
from benchmarks.humaneval_tasks import HoleLayout, load_tasks, sample_tasks
from benchmarks.traces.sources import Sources
from completion.training.corpus import held_out_files
from completion.types import TextEdit, TriggerKind

MULTI_LINE = "HumanEval-MultiLineInfilling.jsonl.gz"
NUM_MULTI_LINE = 200  # what the humaneval benchmark draws
MAX_NUM_TOKENS = 256
MIN_PAUSE_MS = 250.0  # about what a client waits for, so that shorter ones get no answer
MIN_NUM_LINES = 200  # of a file in which somebody types
BLOCK_LINES = range(3, 26)
LONG_BLOCK = 8  # lines
MIN_LINE_CHARS = 12
_CUT = re.compile(r"[\s(\[{=.,:]")


class Workload(StrEnum):
    """Where requests come from. ``REPLAY`` asks where a person pauses, ``KEYS`` after each key."""

    REPLAY = "replay"
    KEYS = "keys"
    HUMANEVAL = "humaneval"
    LINES = "lines"
    BLOCKS = "blocks"


@dataclass(frozen=True, slots=True)
class Question:
    """A moment at which is asked; ``edits`` lead here from the task's question before."""

    text: str
    offset: int
    trigger: TriggerKind
    edits: tuple[TextEdit, ...] = ()


@dataclass(frozen=True, slots=True)
class SpeculationTask:
    """One document and what is asked about it, in order."""

    task_id: str
    workload: Workload
    category: str
    path: str
    language_id: str
    questions: tuple[Question, ...]


# Text of its own: what is measured must not have been seen.
_WARM_UP_TEXT = "def mean(values: list[float]) -> float:\n    "
WARM_UP = SpeculationTask(
    "warm_up",
    Workload.BLOCKS,
    "short",
    "warm_up.py",
    "python",
    (Question(_WARM_UP_TEXT + "\n", len(_WARM_UP_TEXT), TriggerKind.INVOKED),),
)


def typing_tasks(
    sources: Sources, workload: Workload, count: int, num_keys: int, seed: int
) -> list[SpeculationTask]:
    """Return up to ``count`` stretches of typing, spread over languages."""
    share = -(-count // len(Language))
    found = [
        stretches(
            sources,
            language,
            count=share,
            num_keys=num_keys,
            seed=seed,
            min_num_lines=MIN_NUM_LINES,
        )
        for language in Language
    ]
    in_turn = [group[row] for row in range(share) for group in found if row < len(group)]
    return [task_of_stretch(stretch, workload) for stretch in in_turn[:count]]


def task_of_stretch(stretch: Stretch, workload: Workload) -> SpeculationTask:
    """Return ``stretch`` as questions at its pauses or at each of its keys."""
    min_pause_ms = MIN_PAUSE_MS if workload is Workload.REPLAY else 0.0
    questions, edits = [], list[TextEdit]()
    for step in stretch.steps:
        edits += step.edits
        if step.is_key and step.pause_ms >= min_pause_ms:
            asked = Question(step.text, step.cursor, TriggerKind.AUTOMATIC, tuple(edits))
            questions.append(asked)
            edits.clear()
    name = f"{workload}/{stretch.stretch_id}"
    place = (stretch.language.value, stretch.path, stretch.language_id)
    return SpeculationTask(name, workload, *place, tuple(questions))


def humaneval_tasks(data: Path, count: int) -> list[SpeculationTask]:
    """Return the first ``count`` holes of the sample that the humaneval benchmark draws."""
    tasks = sample_tasks(load_tasks(data / MULTI_LINE), NUM_MULTI_LINE)[:count]
    holes = [(task.task_id, task.hole(HoleLayout.EDITOR)) for task in tasks]
    return [
        _of_file(
            Workload.HUMANEVAL,
            "all",
            task_id,
            Question(hole.prefix + hole.suffix, len(hole.prefix), TriggerKind.INVOKED),
        )
        for task_id, hole in holes
    ]


def file_tasks(workload: Workload, count: int, seed: int) -> list[SpeculationTask]:
    """Return lines or blocks that are missing from ``count`` held-out files, one of each."""
    choose = line_of if workload is Workload.LINES else block_of
    found: list[SpeculationTask] = []
    for path in held_out_files(seed):
        if len(found) == count:
            break
        text = path.read_text(encoding="utf-8", errors="replace")
        name = f"{path.parent.name}/{path.name}"
        chosen = choose(text, random.Random(f"{seed}/{workload}/{name}"))
        if chosen is not None and name not in {task.path for task in found}:
            found.append(_of_file(workload, chosen[0], name, chosen[1]))
    return found


def line_of(text: str, rng: random.Random) -> tuple[str, Question] | None:
    """Return a line of code without its end, and whether little or much of it is there.

    None if ``text`` has no code that can be told from prose.
    """
    lines = text.splitlines(keepends=True)
    numbers = sorted({node.lineno for node in _nodes(text) if isinstance(node, ast.stmt)})
    fitting = [at for at in numbers if len(lines[at - 1].strip()) >= MIN_LINE_CHARS and at > 1]
    if not fitting:
        return None
    chosen = rng.choice(fitting)
    line = lines[chosen - 1].rstrip("\r\n")
    first = len(line) - len(line.lstrip())
    cuts = [match.end() for match in _CUT.finditer(line, first) if match.end() < len(line) - 2]
    if not cuts:
        return None
    cut = rng.choice(cuts)
    before = "".join(lines[: chosen - 1]) + line[:cut]
    after = lines[chosen - 1][len(line) :] + "".join(lines[chosen:])
    category = "begun" if cut - first < (len(line) - first) / 2 else "half_written"
    return category, Question(before + after, len(before), TriggerKind.AUTOMATIC)


def block_of(text: str, rng: random.Random) -> tuple[str, Question] | None:
    """Return a block without its body, and whether that is short or long; None if there is none."""
    bodies = [body for node in _nodes(text) if (body := _body(node)) is not None]
    if not bodies:
        return None
    first, last = rng.choice(sorted(bodies))
    lines = text.splitlines(keepends=True)
    opening = lines[first - 1]
    before = "".join(lines[: first - 1]) + opening[: len(opening) - len(opening.lstrip())]
    question = Question(before + "\n" + "".join(lines[last:]), len(before), TriggerKind.INVOKED)
    return "long" if last - first + 1 >= LONG_BLOCK else "short", question


def _nodes(text: str) -> Iterator[ast.AST]:
    try:
        yield from ast.walk(ast.parse(text))
    except (SyntaxError, ValueError):
        return


def _body(node: ast.AST) -> tuple[int, int] | None:
    """Return the first and last line of the statements of a block, None for anything else."""
    if not isinstance(node, ast.FunctionDef | ast.For | ast.While | ast.If | ast.With | ast.Try):
        return None
    is_told = isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None
    body = node.body[1:] if is_told else node.body
    if not body or body[0].lineno == node.lineno:
        return None
    first, last = _first_line(body[0]), body[-1].end_lineno or body[-1].lineno
    return (first, last) if last - first + 1 in BLOCK_LINES else None


def _first_line(statement: ast.stmt) -> int:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return min([statement.lineno, *(each.lineno for each in statement.decorator_list)])
    return statement.lineno


def _of_file(workload: Workload, category: str, name: str, question: Question) -> SpeculationTask:
    return SpeculationTask(f"{workload}/{name}", workload, category, name, "python", (question,))


def spread(groups: Sequence[Sequence[SpeculationTask]]) -> list[SpeculationTask]:
    """Return the tasks of all groups in turn, so that any part of a run is balanced."""
    longest = max(map(len, groups), default=0)
    return [group[row] for row in range(longest) for group in groups if row < len(group)]
