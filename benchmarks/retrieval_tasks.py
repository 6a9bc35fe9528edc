"""Places in real repositories at which a completion is wanted, and what a retriever should find.

Four kinds. Two stand where a name is used that another file defines: at the start of the line, or
at the name itself. One stands where the next release added or changed lines, whatever they need.
One stands in lines that need no other file, where context can only distract.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby, islice
from pathlib import Path

from benchmarks.retrieval_quality_definitions import Definition, ImportedDefinitions, Use
from benchmarks.retrieval_quality_identifiers import identifiers, words
from benchmarks.retrieval_quality_packages import RETRIEVAL_PAIRS, Repository, read_repository
from benchmarks.retrieval_quality_python import PythonUses
from benchmarks.traces.case import Question, in_turn, rest_of_line
from benchmarks.traces.hunks import FileDiff, diff_of, lines_of
from benchmarks.traces.packages import ChangedFile
from benchmarks.traces.recordings import language_id_of

MIN_NUM_LINES_ABOVE = 15  # what follows the head of a file is hardly ever typed last
MAX_NUM_TASKS_PER_FILE = 2
MAX_NUM_TASKS_PER_DEFINITION = 2
MAX_NUM_HUNK_LINES = 30  # more is a moved or a generated part
MIN_NUM_LINE_CHARS = 8  # not counting blanks, of a line that is wanted

_LIST_ENTRY = re.compile(r"\w+[,;]?")  # of what a file passes on


class TaskKind(StrEnum):
    """Where the cursor stands."""

    LINE_START = "line_start"  # of a line that uses a name of another file
    SYMBOL = "symbol"  # right before such a name
    EDIT = "edit"  # where the next release wrote something
    IN_FILE = "in_file"  # inside of a line all of whose names stand elsewhere in its file


@dataclass(frozen=True, slots=True, eq=False)
class RetrievalTask:
    """At ``offset`` of ``text`` a completion is wanted; ``truth`` was written there.

    ``text`` is an open document, without ``truth`` and with nothing that stands for it. ``files``
    are all files of the repository by path, the same object for all tasks of ``package``. What it
    has at ``path`` is an older text or holds the truth: ``text`` takes its place.

    ``definitions`` is what the truth uses of other files, for the kinds LINE_START and SYMBOL, and
    empty for the others. ``unseen`` are identifiers of the truth that ``text`` does not hold and
    some other file does.
    """

    task_id: str
    kind: TaskKind
    package: str
    language_id: str
    files: Mapping[str, str] = field(repr=False)
    path: str
    text: str = field(repr=False)
    offset: int
    truth: str
    definitions: tuple[Definition, ...]
    unseen: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Place:
    """``text[start:end]`` is what is wanted; ``definitions`` is what it uses."""

    path: str
    text: str
    start: int
    end: int
    definitions: tuple[Definition, ...] = ()


def retrieval_tasks(cache_folder: Path, seed: int, count: int) -> list[RetrievalTask]:
    """Return up to ``count`` tasks of each kind, the same ones for the same arguments.

    They are spread evenly over packages, and sorted by them. A smaller ``count`` gives a part of
    the same tasks. Archives that ``cache_folder`` lacks are fetched.
    """
    repositories = [read_repository(pair, cache_folder) for pair in RETRIEVAL_PAIRS]
    return tasks_of(repositories, seed, count)


def tasks_of(repositories: Sequence[Repository], seed: int, count: int) -> list[RetrievalTask]:
    """Return up to ``count`` tasks of each kind out of ``repositories``, as said above."""
    found: list[RetrievalTask] = []
    uses = {repository.name: _UsesOf(repository) for repository in repositories}
    for kind in TaskKind:
        streams = [
            _tasks(repository, uses[repository.name], kind, seed) for repository in repositories
        ]
        spread = in_turn(streams)
        found += [task for task, _ in zip(spread, range(count), strict=False)]
    return sorted(found, key=lambda task: (task.package, task.kind, task.task_id))


class _UsesOf:
    """The uses in the files of one repository: by syntax trees in Python, by rules elsewhere."""

    def __init__(self, repository: Repository) -> None:
        self._python = PythonUses(repository.files)
        self._others = ImportedDefinitions(repository.name, repository.files)
        self._known: dict[str, list[Use]] = {}

    def of_file(self, path: str) -> list[Use]:
        if path not in self._known:
            is_python = path.endswith(".py")
            found = self._python.uses(path) if is_python else list(self._others.uses(path))
            self._known[path] = found
        return self._known[path]


def _tasks(
    repository: Repository, uses: _UsesOf, kind: TaskKind, seed: int
) -> Iterator[RetrievalTask]:
    rng = random.Random(f"{seed}/{kind}/{repository.name}")
    if kind is TaskKind.EDIT:
        files = rng.sample(repository.changed, len(repository.changed))
        streams = [_edits(file, rng) for file in files]
    else:
        paths = rng.sample(sorted(repository.files), len(repository.files))
        streams = [_places_of_file(repository, uses, kind, path, rng) for path in paths]
    num_of_definition: Counter[Definition] = Counter()
    for place in in_turn(streams):
        num_of_definition.update(place.definitions)
        if all(
            num_of_definition[each] <= MAX_NUM_TASKS_PER_DEFINITION for each in place.definitions
        ):
            yield _task(repository, kind, place)


def _task(repository: Repository, kind: TaskKind, place: _Place) -> RetrievalTask:
    text, truth = _without(place)
    language_id = language_id_of(place.path)
    missing = _named(place.text, place.start, place.end, language_id) - words(text)
    held = {each for each in missing if repository.is_held_elsewhere(each, place.path)}
    told = hashlib.sha256(repr((place.path, place.start, truth)).encode()).hexdigest()[:10]
    return RetrievalTask(
        task_id=f"{kind}/{repository.name}/{place.path}#{told}",
        kind=kind,
        package=repository.name,
        language_id=language_id,
        files=repository.files,
        path=place.path,
        text=text,
        offset=place.start,
        truth=truth,
        definitions=place.definitions,
        unseen=frozenset(held),
    )


def _without(place: _Place) -> tuple[str, str]:
    text = place.text
    return text[: place.start] + text[place.end :], text[place.start : place.end]


def _named(text: str, start: int, end: int, language_id: str) -> set[str]:
    """Return the identifiers of code in ``text[start:end]``, whose strings may begin before."""
    found = identifiers(text, language_id)
    return {each.name for each in found if start <= each.offset < end}


def _places_of_file(
    repository: Repository, uses: _UsesOf, kind: TaskKind, path: str, rng: random.Random
) -> Iterator[_Place]:
    text = repository.files[path]
    found = uses.of_file(path)
    is_free = kind is TaskKind.IN_FILE
    places = _free_places(path, text, found, rng) if is_free else _use_places(text, kind, found)
    yield from _sample(list(places), rng)


def _sample(places: Sequence[_Place], rng: random.Random) -> Iterator[_Place]:
    """Return as many places as a file may have, drawn from those that are worth a task."""
    drawn = rng.sample(places, len(places))
    return islice(filter(_is_wanted, drawn), MAX_NUM_TASKS_PER_FILE)


def _use_places(text: str, kind: TaskKind, uses: Sequence[Use]) -> Iterator[_Place]:
    """Yield a place for each line that uses something: up to its end, which is wanted."""
    for start, in_line in groupby(uses, lambda use: text.rfind("\n", 0, use.offset) + 1):
        found = list(in_line)
        line = rest_of_line(text, start)
        indented = start + len(line) - len(line.lstrip())
        at = indented if kind is TaskKind.LINE_START else found[0].offset
        definitions = tuple(dict.fromkeys(use.definition for use in found))
        yield _Place(found[0].path, text, at, start + len(line), definitions)


def _free_places(path: str, text: str, uses: Sequence[Use], rng: random.Random) -> Iterator[_Place]:
    """Yield places before a name in lines whose names all stand elsewhere, and come from here."""
    imported = {use.definition.name for use in uses}
    num_words = Counter(each.name for each in identifiers(text, language_id_of(path)))
    found = identifiers(text, language_id_of(path))
    for start, in_line in groupby(found, lambda each: text.rfind("\n", 0, each.offset) + 1):
        names = list(in_line)
        counted = Counter(each.name for each in names)
        line = rest_of_line(text, start)
        is_free = all(num_words[name] > num for name, num in counted.items())
        if is_free and not imported & counted.keys() and not _is_import(line) and len(names) > 1:
            yield _Place(path, text, rng.choice(names[1:]).offset, start + len(line))


def _is_import(line: str) -> bool:
    return line.lstrip().startswith(("import ", "from ", "use ", "pub use ", "export "))


def _edits(file: ChangedFile, rng: random.Random) -> Iterator[_Place]:
    """Yield what the later release wrote into the file, hunk by hunk."""
    diff = diff_of(file.before, file.after)
    starts = diff.offsets(diff.new_parts)
    hunks = [_hunk(file, diff, starts, hunk_idx) for hunk_idx in range(diff.num_hunks)]
    yield from _sample([place for place in hunks if place is not None], rng)


def _hunk(file: ChangedFile, diff: FileDiff, starts: Sequence[int], hunk_idx: int) -> _Place | None:
    """Return the hunk without the blanks at both its ends; ``None`` if it writes nothing."""
    parts = [idx for idx in diff.parts_of(hunk_idx) if diff.parts[idx].new.strip()]
    if not parts:
        return None
    start, end = starts[parts[0]], starts[parts[-1]] + len(diff.parts[parts[-1]].new)
    wanted = file.after[start:end]
    start += len(wanted) - len(wanted.lstrip())
    place = _Place(file.path, file.after, start, start + len(wanted.strip()))
    lines = [line for line in lines_of(wanted) if line.strip()]
    is_code = bool(_named(file.after, place.start, place.end, file.language_id))
    is_small = len(lines) <= MAX_NUM_HUNK_LINES
    return place if is_small and is_code and not _is_import(lines[0]) else None


def _is_wanted(place: _Place) -> bool:
    """Whether the truth is long enough and does not stand in the document already."""
    text, truth = _without(place)
    first = truth.partition("\n")[0]
    return (
        text.count("\n", 0, place.start) >= MIN_NUM_LINES_ABOVE
        and len("".join(truth.split())) >= MIN_NUM_LINE_CHARS
        and _LIST_ENTRY.fullmatch(truth) is None
        and Question(text, place.start, first).is_telling
    )
