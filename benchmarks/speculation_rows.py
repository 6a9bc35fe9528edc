"""What a run keeps of each task and variant, as lines of files that a later run goes on with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PLAIN, MERGED = "plain", "merged"


@dataclass(frozen=True, slots=True)
class Measured:
    """All questions of one task under one variant.

    ``num_remembered`` questions were answered without the model; the other figures are of the rest.
    ``num_passes`` counts the prompt's last pass, which may verify drafts, too. ``passes_ms`` is the
    time of all of them: the prompt was in the cache but for its last token. ``digest`` is that of
    the texts.
    """

    task_id: str
    workload: str
    category: str
    variant: str
    num_questions: int
    num_remembered: int
    num_passes: int
    num_drafted: int
    num_accepted: int
    passes_ms: float
    num_computed: int
    digest: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One prompt under one variant beside plain decoding.

    ``first_difference`` is the index of the first other token, ``None`` if all ``num_tokens`` are
    the same.
    """

    task_id: str
    kind: str
    precision: str
    variant: str
    num_tokens: int
    num_drafted: int
    num_accepted: int
    first_difference: int | None


@dataclass(frozen=True, slots=True)
class Rival:
    """One prompt continued by transformers in one of its ways."""

    task_id: str
    dtype: str
    variant: str
    num_tokens: int
    seconds: float
    is_same: bool


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file; a last line that was not written to its end is missing."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def append(path: Path, rows: Sequence[Measured | Compared | Rival]) -> None:
    """Add rows to a file; what a killed run left unfinished there is dropped first."""
    append_lines(path, [asdict(row) for row in rows])


def append_lines(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Add rows that are given by their fields; otherwise as ``append``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        file.seek(0)
        text = file.read()
        file.truncate(len(text[: text.rfind("\n") + 1].encode()))
        file.write("".join(json.dumps(row) + "\n" for row in rows))


def by_task(rows: Sequence[Measured]) -> dict[str, dict[str, Measured]]:
    """Return the newest row of each task and variant: variants of one task were timed in turn."""
    found: dict[str, dict[str, Measured]] = {}
    for row in rows:
        found.setdefault(row.task_id, {})[row.variant] = row
    return found
