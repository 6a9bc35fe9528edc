"""What a run keeps of each case and policy, as lines of files that a later run goes on with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class Cost:
    """What one policy spends on one case, up to the logits of the first token.

    ``network`` names weights and precision, ``device`` what computed. ``num_stale`` tokens were
    kept and are not exact. ``full_ms`` is what full recomputation took in this case.
    """

    network: str
    device: str
    case_id: str
    kind: str
    num_context: int
    policy: str
    num_tokens: int
    num_computed: int
    num_stale: int
    ms: float
    full_ms: float


@dataclass(frozen=True, slots=True)
class Measured(Cost):
    """What one policy spends on one case, and what it answers, beside what the oracle answers."""

    setting: str
    language: str
    kl: float
    is_same_top: bool
    is_same_line: bool
    is_match: bool
    edit_similarity: float
    line: str


Row = TypeVar("Row", bound=Cost)


def read_rows(kind: type[Row], paths: Sequence[Path]) -> list[Row]:
    """Return the rows of files; a last line that was not written to its end counts as missing."""
    return [
        kind(**json.loads(line))
        for path in paths
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True)
        if line.endswith("\n")
    ]


def append_rows(path: Path, rows: Sequence[Cost]) -> None:
    """Add all rows of a case to a file; what a killed run left unfinished there is dropped first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        file.seek(0)
        text = file.read()
        file.truncate(len(text[: text.rfind("\n") + 1].encode()))
        file.write("".join(f"{json.dumps(asdict(row))}\n" for row in rows))
