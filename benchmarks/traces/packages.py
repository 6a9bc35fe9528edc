"""Source files of two releases of one package, read from pinned source distributions.

Nothing of an archive is built, installed or run: members are read as text.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pip._internal.commands import create_command
from pip._internal.commands.download import DownloadCommand
from pip._vendor.packaging.specifiers import SpecifierSet

from benchmarks.traces.recordings import language_id_of

SOURCE_SUFFIXES = {".py", ".rs", ".ts", ".tsx"}
# Made by programs, or samples for programs: nobody edits them by hand.
SKIPPED_FOLDERS = {"fixtures", "snapshots", "openapi-gen", "static", "vendor", "node_modules"}
MAX_NUM_LINE_CHARS = 1_000
MAX_NUM_BYTES = 400_000


@dataclass(frozen=True, slots=True)
class Archive:
    """One release's source distribution."""

    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ReleasePair:
    """Two successive releases of ``package``, whose licence lets anyone copy its code."""

    package: str
    licence: str
    before: Archive
    after: Archive

    @property
    def name(self) -> str:
        """What tells the pair from all others."""
        return f"{self.package}-{self.before.version}-{self.after.version}"


_RUFF = (
    Archive("0.12.1", "806bbc17f1104fd57451a98a58df35388ee3ab422e029e8f5cf30aa4af2c138c"),
    Archive("0.12.2", "d7b4f55cd6f325cb7621244f19c873c565a08aff5a4ba9c69aa7355f3f7afd3e"),
    Archive("0.12.3", "f1b5a4b6668fd7b7ea3697d8d98857390b40c1320a63a178eee6be0899ea2d77"),
)
RELEASE_PAIRS = (
    ReleasePair("ruff", "MIT", _RUFF[0], _RUFF[1]),
    ReleasePair("ruff", "MIT", _RUFF[1], _RUFF[2]),
    ReleasePair(
        "mypy",
        "MIT",
        Archive("1.16.0", "84b94283f817e2aa6350a14b4a8fb2a35a53c286f97c9d30f53b63620e7af8ab"),
        Archive("1.17.0", "e5d7ccc08ba089c06e2f5629c660388ef1fee708444f1dee0b9203fa031dee03"),
    ),
    ReleasePair(
        "sqlalchemy",
        "MIT",
        Archive("2.0.40", "d827099289c64589418ebbcaead0145cd19f4e3e8a93919a0100247af245fa00"),
        Archive("2.0.41", "edba70118c4be3c2b1f90754d308d0b79c6fe2c0fdc52d8ddf603916f83f4db9"),
    ),
    ReleasePair(
        "apache-airflow-core",
        "Apache-2.0",
        Archive("3.0.6", "1a18e4ee726592f0c0fb28d27a618e2ecdb01e8b698d28fb3d14ca9e5e42e0da"),
        Archive("3.1.0", "d98f0c1c9226041e23098cd27c7f0b215e3b59984070d9c339aa7f34504107fd"),
    ),
    ReleasePair(
        "jupyterlab-git",
        "BSD-3-Clause",
        Archive("0.34.2", "58d061b87177ae10166440f8762f41f4ba2afac851ce926e68038e70d0f56041"),
        Archive("0.35.0", "fb1da38058ec7ad1a3ffc978aeffa41be7247df203e970067370735b70b8f3dc"),
    ),
    ReleasePair(
        "jupyterlab-git",
        "BSD-3-Clause",
        Archive("0.41.0", "51767daa002f08a7cf0b372114eb706eff2f34f12d70b5347700464e6887483e"),
        Archive("0.42.0", "1859e8c7a2a7c0a585aac516634418ccc4a15e51fd285498deb4490384408829"),
    ),
)


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file that both releases have and whose text differs between them."""

    release: str
    path: str
    language_id: str
    before: str
    after: str

    @property
    def name(self) -> str:
        """What tells the change from all others."""
        return f"{self.release}/{self.path}"


@dataclass(frozen=True, slots=True)
class Release:
    """What changed between two releases, and every source file of the later one by path."""

    name: str
    changed: tuple[ChangedFile, ...]
    sources: Mapping[str, str]


def read_release(pair: ReleasePair, cache_folder: Path) -> Release:
    """Return the changes of ``pair``; archives that ``cache_folder`` lacks are fetched."""
    before = read_sources(cached_archive(pair.package, pair.before, cache_folder))
    after = read_sources(cached_archive(pair.package, pair.after, cache_folder))
    changed = tuple(
        ChangedFile(pair.name, path, language_id_of(path), before[path], text)
        for path, text in sorted(after.items())
        if before.get(path, text) != text
    )
    return Release(pair.name, changed, after)


def read_sources(archive: Path) -> dict[str, str]:
    """Return the text of each source file that people write, by its path in the distribution."""
    sources: dict[str, str] = {}
    with tarfile.open(archive) as members:
        for member in members:
            path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            file = members.extractfile(member) if _is_source(member, path) else None
            text = file.read().decode("utf-8", errors="replace") if file else ""
            if _is_written_by_hand(text):
                sources[str(path)] = text
    return sources


def _is_source(member: tarfile.TarInfo, path: PurePosixPath) -> bool:
    return (
        member.isfile()
        and member.size <= MAX_NUM_BYTES
        and path.suffix in SOURCE_SUFFIXES
        and not SKIPPED_FOLDERS.intersection(path.parts)
        and "generated" not in path.name
    )


def _is_written_by_hand(text: str) -> bool:
    # Line ends other than \n would have to be told apart in every diff, for a handful of files.
    return (
        text != ""
        and "\r" not in text
        and max(map(len, text.split("\n"))) <= MAX_NUM_LINE_CHARS
        and "\ufffd" not in text
    )


def cached_archive(package: str, archive: Archive, cache_folder: Path) -> Path:
    """Return the path of a source distribution whose bytes are the pinned ones.

    Raises:
        LookupError: If the package index does not have it.
        ValueError: If it has other bytes under that name.
    """
    target = cache_folder / f"{package}-{archive.version}.tar.gz"
    if target.is_file() and _sha256(target.read_bytes()) == archive.sha256:
        return target
    content = _download(package, archive.version)
    if _sha256(content) != archive.sha256:
        raise ValueError(
            f"the index has another file for {package} {archive.version} than the one pinned: "
            f"sha256 {_sha256(content)}; use an index that has the original"
        )
    cache_folder.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


def _download(package: str, version: str) -> bytes:
    # pip's command line would build the distribution to learn its metadata, that is, run its
    # code. Its finder and its session obey the same settings (index, proxy, certificates) and
    # only read. Neither is a public interface: a later pip may need another few lines here.
    command = create_command("download")
    assert isinstance(command, DownloadCommand)
    options, _ = command.parse_args(["--no-binary", ":all:", package])
    with command.main_context():
        session = command.get_default_session(options)
        finder = command._build_package_finder(options, session)
        found = finder.find_best_candidate(package, SpecifierSet(f"=={version}"))
        if found.best_candidate is None:
            raise LookupError(
                f"the package index has no source distribution of {package} {version}; "
                "see pip config list for the index that was asked"
            )
        response = session.get(found.best_candidate.link.url_without_fragment)
        response.raise_for_status()
        return response.content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
