"""What of a workspace's folder is not as it was indexed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from retrieval.files.exclusion import Exclusion
from retrieval.files.rules import FileRules
from retrieval.files.walk import FoundFile, walk
from retrieval.stamp import Stamp

_NUM_FILES_BETWEEN_CHECKS = 256


@dataclass(frozen=True, slots=True)
class Changes:
    """``changed`` files are new or differ; ``gone`` ones are no longer there, or ignored now.

    ``num_found`` files belong into the index, of which no more than the limit are looked at.
    ``excluded`` counts files and whole folders by the reason.
    """

    changed: tuple[FoundFile, ...]
    gone: tuple[str, ...]
    num_found: int
    excluded: Mapping[Exclusion, int]


def find_changes(
    rules: FileRules,
    stamps: Mapping[str, Stamp],
    max_num_files: int,
    check: Callable[[], None],
) -> Changes:
    """Compare the folder of ``rules`` with what is indexed, by times and sizes.

    Args:
        rules: What belongs into the index.
        stamps: What is in it.
        max_num_files: Files beyond so many are left out.
        check: Called often; whatever it raises ends the scan.
    """
    changed: list[FoundFile] = []
    excluded: Counter[Exclusion] = Counter()
    seen: set[str] = set()
    num_found = 0
    for entry in walk(rules):
        if (num_found + excluded.total()) % _NUM_FILES_BETWEEN_CHECKS == 0:
            check()
        if not isinstance(entry, FoundFile):
            excluded[entry.reason] += 1
            continue
        num_found += 1
        if num_found > max_num_files:
            continue
        seen.add(entry.path)
        stamp = stamps.get(entry.path)
        if stamp is None or (stamp.mtime_ns, stamp.size_bytes) != (entry.mtime_ns, entry.size):
            changed.append(entry)
    gone = tuple(path for path in stamps if path not in seen)
    return Changes(tuple(changed), gone, num_found, excluded)
