"""Left-to-right cases: other files' lines, then the file up to a line, which is to be predicted.

    # other/file.py     a stretch of a file that is imported, or of a neighbour
    ...
    # this/file.py      the end of what stands above the line
    ...

The setting is that of RepoBench (Liu et al. 2023, arXiv:2306.03091), the edits are those of "Let the
Code LLM Edit Itself When You Edit the Code" (PIE): the context is taken as it ends up, and before
the edit a stretch of it was missing, or another one was there, or several such things.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.left_to_right_edits import EditKind, LineEdit, applied, edits_towards, undone
from benchmarks.left_to_right_imports import Repository
from benchmarks.left_to_right_targets import Setting, Target, is_code, targets_of
from benchmarks.traces.case import in_turn
from benchmarks.traces.hunks import lines_of
from benchmarks.traces.recordings import language_id_of
from retrieval.languages import language_for

MAX_NUM_LINE_TOKENS = 32
MIN_NUM_TOKENS_BEHIND = 16  # of the context, behind the last edit
MIN_CONTEXT_SHARE = 0.9  # of the size that is asked for
MAX_OWN_SHARE = 0.5  # what the file itself may fill
NUM_PART_LINES = (20, 60)
_DEFINITION = (
    r"\b(?:def|class|fn|struct|enum|trait|type|interface|const|static|let|var|function|macro_rules!)"
    r"\s+{name}\b|^{name}\s*[:=]"
)


@dataclass(frozen=True, slots=True)
class NextLineCase:
    """``edits`` lead from the lines ``before`` to ``after``, which ``truth`` follows in the file."""

    case_id: str
    kind: EditKind
    setting: Setting
    language: str
    before: tuple[str, ...]
    edits: tuple[LineEdit, ...]
    after: tuple[str, ...]
    truth: str

    def __post_init__(self) -> None:
        if applied(self.before, self.edits) != self.after:
            raise ValueError(f"{self.case_id}: the edits do not lead from before to after")


@dataclass(frozen=True, slots=True)
class ContextSize:
    """How many tokens a context has, and how the tokens of a line are counted."""

    num_context: int
    num_tokens: Callable[[str], int]

    def num_fitting(self, lines: Sequence[str], budget: int) -> int:
        """Return how many of ``lines``, from the first on, take no more than ``budget`` tokens."""
        for num_lines, line in enumerate(lines):
            budget -= self.num_tokens(line)
            if budget < 0:
                return num_lines
        return len(lines)

    def total(self, lines: Sequence[str]) -> int:
        """Return how many tokens ``lines`` take."""
        return sum(map(self.num_tokens, lines))


def next_line_cases(
    repositories: Sequence[Repository], kind: EditKind, seed: int, count: int, size: ContextSize
) -> list[NextLineCase]:
    """Return up to ``count`` cases, the same ones for the same arguments.

    Settings take turns, within these languages do, and no file gives two cases of one setting. A
    smaller ``count`` gives the beginning of the same list.

    Args:
        repositories: Where files come from.
        kind: What happens to the context.
        seed: Names the sample.
        count: How many are wanted; there may be fewer.
        size: Of the context, which a case may fall short of by a tenth.
    """
    languages = sorted({_group(path) for each in repositories for path in each.sources})
    of_settings = [
        in_turn([_cases_of(repositories, kind, setting, name, seed, size) for name in languages])
        for setting in Setting
    ]
    return list(itertools.islice(in_turn(of_settings), count))


def _cases_of(
    repositories: Sequence[Repository],
    kind: EditKind,
    setting: Setting,
    language: str,
    seed: int,
    size: ContextSize,
) -> Iterator[NextLineCase]:
    files = [
        (repository, path)
        for repository in repositories
        for path in sorted(repository.sources)
        if _group(path) == language
    ]
    random.Random(f"{seed}/{kind}/{setting}/{language}").shuffle(files)
    for repository, path in files:
        rng = random.Random(f"{seed}/{kind}/{setting}/{repository.name}/{path}")
        wanted = [found for found in targets_of(repository, path) if found.setting is setting]
        rng.shuffle(wanted)
        case = wanted and _case(repository, wanted[0], kind, rng, size)
        if case:
            yield case


def _case(
    repository: Repository, target: Target, kind: EditKind, rng: random.Random, size: ContextSize
) -> NextLineCase | None:
    """Return a case of ``target``, None if it is no code, or the repository too small."""
    truth = target.line(repository)
    if size.num_tokens(truth) > MAX_NUM_LINE_TOKENS or not is_code(repository, target):
        return None
    after = tuple(_context(repository, target, rng, size))
    if size.total(after) < MIN_CONTEXT_SHARE * size.num_context:
        return None
    behind = size.num_fitting(after[::-1], MIN_NUM_TOKENS_BEHIND - 1) + 1
    others = _others(repository, target.path, rng)
    edits = edits_towards(
        after[: len(after) - behind],
        kind,
        lambda num_lines: _stretch(repository, others, num_lines, rng),
        rng,
    )
    if not edits:
        return None
    return NextLineCase(
        case_id=f"{kind}/{target.setting}/{repository.name}/{target.path}:{target.line_idx + 1}",
        kind=kind,
        setting=target.setting,
        language=_group(target.path),
        before=undone(after, edits),
        edits=edits,
        after=after,
        truth=truth,
    )


def _context(
    repository: Repository, target: Target, rng: random.Random, size: ContextSize
) -> list[str]:
    """Return the lines in front of the target, as many as fit."""
    above = lines_of(repository.sources[target.path])[: target.line_idx]
    num_own = size.num_fitting(above[::-1], int(MAX_OWN_SHARE * size.num_context))
    own = [_headline(target.path), *above[len(above) - num_own :]]
    left = size.num_context - size.total(own)
    parts: list[list[str]] = []
    for part in _parts(repository, target, rng):
        fitting = part[: size.num_fitting(part, left)]
        if len(fitting) < 2:  # the line that names the file, and nothing of it
            break
        parts.append(fitting)
        left -= size.total(fitting)
    rng.shuffle(parts)
    return [*(line for part in parts for line in part), *own]


def _parts(repository: Repository, target: Target, rng: random.Random) -> Iterator[list[str]]:
    """Yield stretches of other files: what the target uses, what else is imported, neighbours."""
    imported = [name for name in target.imported if name not in target.used]
    rng.shuffle(imported)
    starts: dict[str, str] = {}
    for name in (*target.used, *imported):
        starts.setdefault(name.path, name.defined)
    for path, defined in starts.items():
        lines = _whole_lines(repository.sources[path])
        yield _part(path, lines, _definition(lines, defined), rng)
    for path in _others(repository, target.path, rng):
        if path not in starts:
            lines = _whole_lines(repository.sources[path])
            yield _part(path, lines, rng.randrange(len(lines)), rng)


def _part(path: str, lines: Sequence[str], start: int, rng: random.Random) -> list[str]:
    return [_headline(path), *lines[start : start + rng.randint(*NUM_PART_LINES)]]


def _others(repository: Repository, path: str, rng: random.Random) -> list[str]:
    """Return the other files of the language in random order, those of the same folder first."""
    group, folder = _group(path), path.rpartition("/")[0]
    others = [each for each in sorted(repository.sources) if each != path and _group(each) == group]
    rng.shuffle(others)
    return sorted(others, key=lambda each: each.rpartition("/")[0] != folder)


def _stretch(
    repository: Repository, paths: Sequence[str], num_lines: int, rng: random.Random
) -> list[str]:
    """Return ``num_lines`` lines of one of the files, fewer if it is shorter."""
    lines = _whole_lines(repository.sources[rng.choice(paths)])
    start = rng.randrange(max(1, len(lines) - num_lines + 1))
    return lines[start : start + num_lines]


def _definition(lines: Sequence[str], name: str) -> int:
    """Return the line that defines ``name``, the first one if none seems to."""
    pattern = re.compile(_DEFINITION.format(name=re.escape(name)))
    found = (line_idx for line_idx, line in enumerate(lines) if name and pattern.search(line))
    return next(found, 0)


def _headline(path: str) -> str:
    language = language_for("", path)
    marker = "#" if language is None else language.line_comment
    return f"{marker} {path}\n"


def _whole_lines(text: str) -> list[str]:
    return lines_of(text if text.endswith("\n") else f"{text}\n")


def _group(path: str) -> str:
    return language_id_of(path).removesuffix("react")
