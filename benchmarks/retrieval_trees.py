"""Folders of real sources with a wanted number of lines, and the places in them to ask at.

What a tree cannot give in files as they are comes from copies of it, in which names that few files
have get another ending, files among them. What is everywhere stays the same word: so does a growing
code base add words of its own to those of its language and its libraries.
"""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from retrieval.files.names import exclusion_by_name, holds_records
from retrieval.files.reading import TextFile, read_text
from retrieval.files.rules import FileRules
from retrieval.files.walk import FoundFile, walk
from retrieval.keywords import keywords_of
from retrieval.languages import grammar_for, language_for
from retrieval.terms import names_in

MAX_NUM_BYTES = 1_000_000
MAX_NUM_FILES_OF_OWN_NAME = 20  # in more files a name is common property
_NAME = re.compile(r"\b[^\W\d]\w*")
_SEED = 0


@dataclass(frozen=True, slots=True)
class Source:
    """A file below the tree it was read from."""

    path: PurePosixPath
    text: str

    @property
    def num_lines(self) -> int:
        """How many lines end in it."""
        return self.text.count("\n")


def build_tree(source: Path, target: Path, num_lines: int) -> int:
    """Fill the new folder ``target`` with ``num_lines`` lines or a few more; return those as they were.

    The others are in copies.

    Raises:
        ValueError: ``source`` has no sources.
        FileExistsError: ``target`` is there already.
    """
    num_real = 0
    partial = target.with_name(f"{target.name}.partial")
    partial.mkdir(parents=True)
    for file in sources_in(source):
        _write(partial, file)
        num_real += file.num_lines
        if num_real >= num_lines:
            break
    if num_real == 0:
        raise ValueError(f"{source} holds no sources that could be indexed")
    if num_real < num_lines:
        _write_copies(source, partial, num_lines - num_real)
    partial.rename(target)
    return num_real


def _write_copies(source: Path, target: Path, num_lines: int) -> None:
    own = own_names(sources_in(source))
    number = 0
    while num_lines > 0:
        number += 1
        for file in sources_in(source):
            copy = renamed(file, number, own)
            _write(target, copy)
            num_lines -= copy.num_lines
            if num_lines <= 0:
                return


def sources_in(tree: Path) -> Iterator[Source]:
    """Yield the sources below ``tree`` that an index takes, one top folder after the other.

    The order of these folders is drawn, the same each time: a part of all is a mix of packages.
    Links are not followed, and what is ignored where ``tree`` stands does not matter here.
    """
    tops = sorted(tree.iterdir())
    random.Random(_SEED).shuffle(tops)
    for top in tops:
        paths = sorted(top.rglob("*")) if top.is_dir() and not top.is_symlink() else [top]
        for path in paths:
            found = _text_of(path)
            if found is not None:
                yield Source(PurePosixPath(path.relative_to(tree).as_posix()), found)


def _text_of(path: Path) -> str | None:
    name = path.name
    if grammar_for("", name) is None or holds_records(name) or exclusion_by_name(name):
        return None
    found = read_text(path, MAX_NUM_BYTES)
    return found.text if isinstance(found, TextFile) and found.text else None


def own_names(files: Iterator[Source]) -> frozenset[str]:
    """Return the names that few files have, those left out that cannot get another ending."""
    counts: Counter[str] = Counter()
    for file in files:
        counts.update(set(names_in(file.text)))
    return frozenset(
        name
        for name, num_files in counts.items()
        if num_files <= MAX_NUM_FILES_OF_OWN_NAME and name[-1].isalpha()
    )


def renamed(file: Source, number: int, own: Set[str]) -> Source:
    """Return copy ``number``, from 1, of ``file``: names in ``own`` and its path end differently.

    The ending becomes part of the last word of a name, so that it is no word that all copies share.
    """
    repeats, letter = divmod(number - 1, 26)
    ending = "x" + chr(ord("a") + letter) * (1 + repeats)
    keywords = keywords_of(language_for("", file.path.name))

    def other(match: re.Match[str]) -> str:
        name = match[0]
        if name not in own or name in keywords:
            return name
        return name + (ending.upper() if name.isupper() else ending)

    top, *rest = file.path.parts
    folder = PurePosixPath(f"{top}{ending}") if rest else PurePosixPath()
    below = PurePosixPath(*rest[:-1]) if rest else PurePosixPath()
    stem = file.path.stem if file.path.stem.endswith("_") else f"{file.path.stem}{ending}"
    path = folder / below / f"{stem}{file.path.suffix}"
    return Source(path, _NAME.sub(other, file.text))


def _write(folder: Path, file: Source) -> None:
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(file.text, encoding="utf-8", errors="surrogatepass", newline="")


@dataclass(frozen=True, slots=True)
class AskedPlace:
    """A cursor in a file as it is; ``path`` is relative to the tree, and a language is known."""

    path: str
    language_id: str
    text: str
    offset: int


def places_in(tree: Path, num_places: int, seed: int) -> list[AskedPlace]:
    """Return random places in lines that are not blank; a file as often as it is long.

    Raises:
        ValueError: The tree has no sources.
    """
    sizes = _sizes(tree)
    if not sizes:
        raise ValueError(f"{tree} holds no sources to ask in")
    rng = random.Random(seed)
    paths, ends = list(sizes), list(itertools.accumulate(sizes.values()))
    found: list[AskedPlace] = []
    while len(found) < num_places:
        (path,) = rng.choices(paths, cum_weights=ends)
        place = _place_in(path, _text_of(tree / path) or "", rng)
        found += [] if place is None else [place]
    return found


def _place_in(path: str, text: str, rng: random.Random) -> AskedPlace | None:
    """Return a place in a line by lot, behind its indentation; None if that line is blank."""
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    line = lines[at]
    if not line.strip():
        return None
    start = sum(len(before) + 1 for before in lines[:at])
    column = rng.randint(len(line) - len(line.lstrip()), len(line))
    language = language_for("", path)
    language_id = language.language_ids[0] if language else "plaintext"
    return AskedPlace(path, language_id, text, start + column)


def _sizes(tree: Path) -> Mapping[str, int]:
    return {
        entry.path: entry.size
        for entry in walk(FileRules(tree, max_num_bytes=MAX_NUM_BYTES))
        if isinstance(entry, FoundFile) and grammar_for("", entry.path) is not None
    }
