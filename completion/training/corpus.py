"""Python source on this machine that may be learnt from.

It is the standard library, and packages whose metadata state a permissive licence.
Held out are whole packages, not files: two files of one package share too much for one to say
anything about the other.
"""

from __future__ import annotations

import hashlib
import random
import re
import sysconfig
from collections import defaultdict
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

_PERMISSIVE = re.compile(
    r"\b(mit|bsd|0bsd|apache|psf|isc|python software foundation|zlib|unlicense)\b", re.IGNORECASE
)
_RESTRICTED = re.compile(
    r"\b(a|l)?gpl|\b(affero|lesser|general) |mozilla|\bmpl\b|eclipse|proprietary|\bcc[- ]by",
    re.IGNORECASE,
)
_MAX_LICENCE_LINE = 100  # beyond, the field holds the licence's text, which names others
# Tests repeat themselves, vendored packages repeat others: both would be learnt by heart.
_LEFT_OUT = frozenset({"tests", "test", "testing", "_vendor", "vendor", "idlelib", "site-packages"})
_MIN_FILE_BYTES, _MAX_FILE_BYTES = 1_500, 120_000
_MAX_NUM_FILES = 40  # of one package, so that the largest ones do not outweigh all others
_HELD_OUT_SHARE = 0.15  # of packages


def training_files(seed: int) -> list[Path]:
    """Return the files to learn from, in an order that ``seed`` decides."""
    return _split(seed, is_held_out=False)


def held_out_files(seed: int) -> list[Path]:
    """Return the files to judge by: of other packages than ``training_files`` of the same seed."""
    return _split(seed, is_held_out=True)


def _split(seed: int, *, is_held_out: bool) -> list[Path]:
    shuffle = random.Random(seed)
    chosen: list[Path] = []
    for package, files in sorted(_packages().items()):
        shuffled = shuffle.sample(files, min(len(files), _MAX_NUM_FILES))
        if _is_held_out(package, seed) == is_held_out:
            chosen.extend(shuffled)
    shuffle.shuffle(chosen)
    return chosen


def _is_held_out(package: str, seed: int) -> bool:
    """Decide for each package by itself, so that one more on the machine moves no other."""
    digest = hashlib.blake2b(f"{seed} {package}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) < _HELD_OUT_SHARE * 2**32


def _packages() -> Mapping[str, list[Path]]:
    """Return the usable files by top-level package, in alphabetical order."""
    found: dict[str, set[Path]] = defaultdict(set)
    standard = Path(sysconfig.get_path("stdlib"))
    for path in standard.rglob("*.py"):
        _add(found, path, path.relative_to(standard))
    for distribution in distributions():
        if is_permissive(distribution):
            for file in distribution.files or ():
                _add(found, Path(str(distribution.locate_file(file))), Path(file))
    return {package: sorted(files) for package, files in found.items()}


def _add(found: Mapping[str, set[Path]], path: Path, inside: Path) -> None:
    if inside.suffix != ".py" or ".." in inside.parts or not _LEFT_OUT.isdisjoint(inside.parts):
        return
    if path.is_file() and _MIN_FILE_BYTES <= path.stat().st_size <= _MAX_FILE_BYTES:
        found[inside.parts[0].removesuffix(".py")].add(path)


def is_permissive(distribution: Distribution) -> bool:
    """Whether the metadata of ``distribution`` name a permissive licence and no other."""
    metadata = distribution.metadata
    stated = [
        *(metadata.get_all("License-Expression") or ()),
        *(line for line in metadata.get_all("Classifier") or () if line.startswith("License ::")),
    ]
    stated = stated or [text for text in metadata.get_all("License") or () if _is_name(text)]
    return bool(stated) and any(map(_PERMISSIVE.search, stated)) and not _any_restricted(stated)


def _is_name(text: str) -> bool:
    return len(text) <= _MAX_LICENCE_LINE


def _any_restricted(stated: Iterable[str]) -> bool:
    return any(map(_RESTRICTED.search, stated))
