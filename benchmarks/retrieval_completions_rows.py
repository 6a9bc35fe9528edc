"""What a run keeps of each task and variant, as lines of files that a later run goes on with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measured:
    """What was suggested for one task under one variant, and what it cost.

    ``line`` is what stands between the cursor and the end of its line once the suggestion is
    accepted; it is empty if there was none, and ``end`` then says why. ``num_unseen`` identifiers
    of the truth stand in other files only. Scores are 0 to 100.
    ``identifier_f1`` is ``None`` if the truth has no identifier. ``best_similarity`` is the
    highest score of a similar chunk as a share of the query's for itself, before any threshold;
    0 for a document that stands alone. ``sources`` are those of the chunks that were shown.
    """

    task_id: str
    kind: str
    package: str
    language_id: str
    variant: str
    max_num_prompt_tokens: int
    truth: str
    num_unseen: int
    line: str
    end: str
    is_match: bool
    edit_similarity: float
    identifier_f1: float | None
    best_similarity: float
    sources: list[str]
    num_context_tokens: int
    num_prompt_tokens: int
    retrieval_ms: float
    prefill_ms: float
    decode_ms: float
    total_ms: float


def rows_path(work: Path, variant: str, max_num_prompt_tokens: int) -> Path:
    """Return where the rows of a variant are kept."""
    return work / f"retrieval_completions-{variant}-{max_num_prompt_tokens}.jsonl"


def read_rows(path: Path) -> list[Measured]:
    """Return the rows of a file, none if there is no file.

    A last line that was not written to its end counts as missing.
    """
    return [Measured(**json.loads(line)) for line in _whole_lines(path)]


def append_row(path: Path, row: Measured) -> None:
    """Add a row to a file; what a killed run left unfinished there is dropped first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        file.seek(0)
        text = file.read()
        file.truncate(len(text[: text.rfind("\n") + 1].encode()))
        file.write(json.dumps(asdict(row)) + "\n")


def _whole_lines(path: Path) -> Iterator[str]:
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        yield from (line for line in lines if line.endswith("\n"))
