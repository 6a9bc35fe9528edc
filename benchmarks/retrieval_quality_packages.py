"""The repositories that retrieval is judged on: two releases each of packages of many files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.retrieval_quality_identifiers import words
from benchmarks.traces.packages import (
    RELEASE_PAIRS,
    Archive,
    ChangedFile,
    ReleasePair,
    cached_archive,
    read_sources,
)
from benchmarks.traces.recordings import language_id_of

_PAIRS = (
    ReleasePair(
        "rich",
        "MIT",
        Archive("13.9.4", "439594978a49a09530cff7ebc4b5c7103ef57baf48d5ea3184f21d9a2befa098"),
        Archive("14.1.0", "e497a48b844b0320d45007cdebfeaeed8db2a4f4bcf49f15e455cfc4af11eaa8"),
    ),
    ReleasePair(
        "textual",
        "MIT",
        Archive("3.7.1", "a76ba0c8a6c194ef24fd5c3681ebfddca55e7127c064a014128c84fbd7f5d271"),
        Archive("4.0.0", "1cab4ea3cfc0e47ae773405cdd6bc2a17ed76ff7b648379ac8017ea89c5ad28c"),
    ),
    ReleasePair(
        "pytest",
        "MIT",
        Archive("8.3.5", "f4efe70cc14e511565ac476b57c279e12a855b11f48f212af1080ef2263d3845"),
        Archive("8.4.0", "14d920b48472ea0dbf68e45b96cd1ffda4705f33307dcc86c676c1b5104838a6"),
    ),
    ReleasePair(
        "scrapy",
        "BSD-3-Clause",
        Archive("2.12.0", "d66d6e76009b12447604196875a463b61d10721140032a8084a0a52df7f4788f"),
        Archive("2.13.0", "9661629805ff0e43054cc1306d9b13236c6bb9565d8d8e303a332c8da045d90f"),
    ),
    ReleasePair(
        "poetry",
        "MIT",
        Archive("2.0.1", "a2987c3162f6ded6db890701a6fc657d2cfcc702e9421ef4c345211c8bffc5d5"),
        Archive("2.1.0", "fe86f70f06f307db9ceb093b66bb85f1391f078eec1b5eda0f52e78541d17105"),
    ),
    ReleasePair(
        "black",
        "MIT",
        Archive("24.10.0", "846ea64c97afe3bc677b761787993be4991810ecc7a4a937816dd6bddedc4875"),
        Archive("25.1.0", "33496d5cd1222ad73391352b4ae8da15253c5de89b93a80b3e2c8d9a19ec2666"),
    ),
    ReleasePair(
        "sphinx",
        "BSD-2-Clause",
        Archive("8.1.3", "43c1911eecb0d3e161ad78611bc905d1ad0e523e4ddc202a58a821773dc4c927"),
        Archive("8.2.0", "5b0067853d6e97f3fa87563e3404ebd008fce03525b55b25da90706764da6215"),
    ),
    ReleasePair(
        "aiohttp",
        "Apache-2.0",
        Archive("3.11.18", "ae856e1138612b7e412db63b7708735cff4d38d0399f6a5435d3dac2669f558a"),
        Archive("3.12.0", "e3f0a2b4d7fb16c0d584d9b8860f1e46d39f7d93372b25a6f80c10015a7acdab"),
    ),
    ReleasePair(
        "celery",
        "BSD-3-Clause",
        Archive("5.4.0", "504a19140e8d3029d5acad88330c541d4c3f64c789d85f94756762d8bca7e706"),
        Archive("5.5.0", "10d49f9926d16237310109b0e6e1e2f7a2133b84e684bb36534d7663e66919bb"),
    ),
)
# A package's later pair holds nearly the files of its earlier one.
RETRIEVAL_PAIRS = (*_PAIRS, *{pair.package: pair for pair in RELEASE_PAIRS}.values())


@dataclass(frozen=True)
class Repository:
    """All source files of the earlier release by path, and what the later one changed in them."""

    name: str
    files: Mapping[str, str]
    changed: tuple[ChangedFile, ...]

    @cached_property
    def num_files_with(self) -> Counter[str]:
        """How many files hold each word."""
        return Counter(word for text in self.files.values() for word in words(text))

    def is_held_elsewhere(self, word: str, path: str) -> bool:
        """Whether a file other than the one at ``path`` holds ``word``."""
        own = word in words(self.files[path]) if self.num_files_with[word] == 1 else False
        return self.num_files_with[word] > own


def read_repository(pair: ReleasePair, cache_folder: Path) -> Repository:
    """Return the repository of ``pair``; archives that ``cache_folder`` lacks are fetched."""
    before = read_sources(cached_archive(pair.package, pair.before, cache_folder))
    after = read_sources(cached_archive(pair.package, pair.after, cache_folder))
    return Repository(pair.name, before, _changed(pair.name, before, after))


def _changed(
    name: str, before: Mapping[str, str], after: Mapping[str, str]
) -> tuple[ChangedFile, ...]:
    return tuple(
        ChangedFile(name, path, language_id_of(path), before[path], text)
        for path, text in sorted(after.items())
        if before.get(path, text) != text
    )
