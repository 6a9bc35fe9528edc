"""Every real edit there is, and the cases of one category out of all of them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.traces import from_releases, from_traces, renames
from benchmarks.traces.case import EditCase, EditCategory, in_turn
from benchmarks.traces.packages import RELEASE_PAIRS, ChangedFile, Release, read_release
from benchmarks.traces.recordings import Origin, Trace, rust_trace, vscode_traces
from benchmarks.traces.typing_model import typed_trace

MIN_NUM_CHARS = 9_000  # about 2,500 tokens: enough to fill the prompt

# Two of three moments turn out not to be telling; of a modelled history one or two are used.
MAX_NUM_TYPING_TRIES = {Origin.KEYSTROKES: 800, Origin.RECORDING: 400, Origin.RELEASE: 40}


@dataclass(frozen=True, slots=True)
class Sources:
    """Histories of people, and the changes between releases."""

    traces: tuple[Trace, ...]
    releases: tuple[Release, ...]


def load_sources(data_folder: Path, cache_folder: Path) -> Sources:
    """Return everything; archives that ``cache_folder`` lacks are fetched from the package index.

    Documents in languages that fimble does not know are left out.
    """
    traces = [rust_trace(data_folder), *vscode_traces(data_folder)]
    return Sources(
        tuple(trace for trace in traces if trace.language_id != "plaintext"),
        tuple(read_release(pair, cache_folder) for pair in RELEASE_PAIRS),
    )


def edit_cases(
    sources: Sources,
    category: EditCategory,
    *,
    seed: int = 0,
    count: int,
    min_num_chars: int = MIN_NUM_CHARS,
) -> list[EditCase]:
    """Return up to ``count`` different cases, the same ones for the same arguments.

    They are spread over origins, within these over languages, within these over files; made-up
    renames come after all real ones. A smaller ``count`` gives the beginning of the same list.

    Args:
        sources: What ``load_sources`` returns.
        category: What is edited between the two questions.
        seed: Names the sample.
        count: How many are wanted; there may be fewer.
        min_num_chars: Shorter documents are left out, which most of the recorded ones are.
    """
    found: dict[str, EditCase] = {}
    for case in _all_cases(sources, category, seed, min_num_chars):
        if len(case.after) >= min_num_chars:
            found.setdefault(case.case_id, case)
        if len(found) == count:
            break
    return list(found.values())


def _all_cases(
    sources: Sources, category: EditCategory, seed: int, min_num_chars: int
) -> Iterator[EditCase]:
    files = [
        (release, file)
        for release in sources.releases
        for file in release.changed
        if len(file.after) >= min_num_chars
    ]
    random.Random(f"{seed}/{category}").shuffle(files)
    of_files = [
        (file.language_id, _cases_of_file(release, file, category, seed)) for release, file in files
    ]
    if category is EditCategory.RENAME:
        made_up = [(file.language_id, _made_up_renames(file, seed)) for _, file in files]
        return itertools.chain(_spread(of_files), _spread(made_up))
    of_people = [(trace.origin, _cases_of_trace(trace, category, seed)) for trace in sources.traces]
    return _spread([*of_people, (Origin.RELEASE, _spread(of_files))])


def _spread(streams: Sequence[tuple[str, Iterator[EditCase]]]) -> Iterator[EditCase]:
    groups: dict[str, list[Iterator[EditCase]]] = {}
    for group, stream in streams:
        groups.setdefault(group, []).append(stream)
    return in_turn([in_turn(group) for group in groups.values()])


def _cases_of_trace(trace: Trace, category: EditCategory, seed: int) -> Iterator[EditCase]:
    rng = _rng(seed, category, trace.name)
    match category:
        case EditCategory.TYPING:
            yield from from_traces.typing_cases(trace, rng, MAX_NUM_TYPING_TRIES[trace.origin])
        case EditCategory.JUMP:
            yield from from_traces.jump_cases(trace, rng)
        case EditCategory.INSERTION | EditCategory.DELETION | EditCategory.MULTI_PLACE:
            yield from from_traces.away_cases(trace, rng, category)
        case EditCategory.RENAME | EditCategory.CHUNK:
            return  # a history shows no other file, and tells a rename from no other change


def _cases_of_file(
    release: Release, file: ChangedFile, category: EditCategory, seed: int
) -> Iterator[EditCase]:
    rng = _rng(seed, category, file.name)
    match category:
        case EditCategory.TYPING | EditCategory.JUMP:
            yield from _cases_of_trace(typed_trace(file, seed), category, seed)
        case EditCategory.CHUNK:
            yield from from_releases.chunk_cases(file, rng, release.sources)
        case EditCategory.RENAME:
            yield from renames.real_rename_cases(file, rng)
        case EditCategory.INSERTION | EditCategory.DELETION | EditCategory.MULTI_PLACE:
            yield from from_releases.away_cases(file, rng, category)


def _made_up_renames(file: ChangedFile, seed: int) -> Iterator[EditCase]:
    yield from renames.synthetic_rename_cases(file, _rng(seed, Origin.SYNTHETIC, file.name))


def _rng(seed: int, purpose: str, name: str) -> random.Random:
    return random.Random(f"{seed}/{purpose}/{name}")
