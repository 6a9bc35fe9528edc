"""HumanEval-Infilling as holes in source files: reading, sampling, scoring.

Data: Bavarian et al. 2022, "Efficient Training of Language Models to Fill in the Middle",
arXiv:2207.14255; MIT licence. The files are given by the caller, not kept in this repository.
"""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class HoleLayout(StrEnum):
    """What the engine is shown.

    ``EDITOR``: whole missing lines are an empty line with the cursor on it, as in an editor, so
    the line break that ends the hole belongs to the suffix. ``AS_GIVEN``: prompt and suffix as the
    data set cuts them, where the next line follows the cursor directly. Both are the same for
    holes inside a line.
    """

    EDITOR = "editor"
    AS_GIVEN = "as_given"


@dataclass(frozen=True, slots=True)
class Hole:
    """A cursor between ``prefix`` and ``suffix``, and the text that was there."""

    prefix: str
    suffix: str
    expected: str


@dataclass(frozen=True, slots=True)
class Task:
    """One task of the data set, field for field."""

    task_id: str
    entry_point: str
    prompt: str
    suffix: str
    canonical_solution: str
    test: str

    def hole(self, layout: HoleLayout) -> Hole:
        """Return the hole as ``layout`` shows it."""
        solution = self.canonical_solution
        if layout is HoleLayout.EDITOR and solution.endswith("\n"):
            return Hole(self.prompt, "\n" + self.suffix, solution.removesuffix("\n"))
        return Hole(self.prompt, self.suffix, solution)


def load_tasks(path: Path) -> list[Task]:
    """Return the tasks of a ``.jsonl`` or ``.jsonl.gz`` file in its order."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    return [Task(**json.loads(line)) for line in text.splitlines()]


def sample_tasks(tasks: list[Task], num_tasks: int | None, seed: int = 0) -> list[Task]:
    """Return the first ``num_tasks`` of a seeded shuffle, or all tasks in order for ``None``."""
    if num_tasks is None:
        return tasks
    shuffled = list(tasks)
    random.Random(seed).shuffle(shuffled)
    return shuffled[:num_tasks]


def program_with(task: Task, hole: Hole, text: str) -> str:
    """Return a program that ends normally exactly if ``text`` in the hole passes the checks."""
    checks = f"\n{task.test}\ncheck({task.entry_point})\n"
    return hole.prefix + text + hole.suffix + checks


def is_exact_match(text: str, hole: Hole) -> bool:
    """Return whether ``text`` is what stood in the hole, up to blank text at its right end."""
    return text.rstrip() == hole.expected.rstrip()
