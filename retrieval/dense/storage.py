"""A folder that holds one saved state: complete, or the one before.

    manifest.json                what the state belongs to, and its files with their checksums
    <name>-<random>.bin          files of the state, written before the manifest names them

The manifest is replaced last and atomically, so a process that dies at any moment leaves the old
state or the new one. One process writes at a time (the caller's lock); any number may read.
"""

from __future__ import annotations

import json
import os
import secrets
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from retrieval.dense.errors import VectorsCorruptError, VectorsMismatchError, VectorsNotSavedError

_SCHEMA = 1
_MANIFEST = "manifest.json"
_SUFFIX = ".bin"
_BLOCK_BYTES = 1 << 20
# What a manifest may cause that is not what was written; its files are known to be intact.
_UNREADABLE = (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError)

Write = Callable[[BinaryIO], object]
T = TypeVar("T")


def save(folder: Path, identity: Mapping[str, str | int], files: Mapping[str, Write]) -> None:
    """Replace the state in ``folder``, which is made if it is not there.

    Args:
        folder: Belongs to the state alone.
        identity: What ``load`` must be given to get the state back.
        files: What writes each file, by the file's name in the state.

    Raises:
        VectorsNotSavedError: It could not be written; the state before is untouched.
    """
    token = secrets.token_hex(8)
    paths = {name: folder / f"{name}-{token}{_SUFFIX}" for name in files}
    draft = folder / f"{_MANIFEST}-{token}{_SUFFIX}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, path in paths.items():
            _write(path, files[name])
        listed = {name: [path.name, _checksum(path)] for name, path in paths.items()}
        manifest = {"schema": _SCHEMA, "identity": dict(identity), "files": listed}
        _write(draft, lambda file: file.write(json.dumps(manifest).encode()))
        os.replace(draft, folder / _MANIFEST)
    except OSError as error:
        _delete([draft, *paths.values()])
        raise VectorsNotSavedError(f"cannot save vectors in {folder}: {error}") from error
    _flush_folder(folder)
    _delete(set(folder.glob(f"*{_SUFFIX}")).difference(paths.values()))


def load(
    folder: Path,
    identity: Mapping[str, str | int],
    build: Callable[[Mapping[str, Path]], T],
) -> T | None:
    """Return what ``build`` makes of the state's files, by name; None if nothing was saved.

    Raises:
        VectorsMismatchError: The state was saved with another identity or by another version.
        VectorsCorruptError: The state cannot be read.
    """
    while True:
        text = _manifest_text(folder)
        if text is None:
            return None
        try:
            return build(_checked_files(folder, text, identity))
        except _UNREADABLE as error:
            if _manifest_text(folder) != text:
                continue  # another process saved meanwhile, and deleted what was being read
            raise VectorsCorruptError(
                f"the vectors in {folder} are damaged ({error}); delete the folder to embed anew"
            ) from error


def _manifest_text(folder: Path) -> bytes | None:
    try:
        return (folder / _MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise VectorsCorruptError(f"cannot read the vectors in {folder}: {error}") from error


def _checked_files(folder: Path, text: bytes, identity: Mapping[str, str | int]) -> dict[str, Path]:
    """Return the paths that a manifest names; raises one of ``_UNREADABLE`` if they are not so."""
    manifest = json.loads(text)
    found = (manifest.get("schema"), manifest.get("identity"))
    if found != (_SCHEMA, dict(identity)):
        raise VectorsMismatchError(
            f"the vectors in {folder} are of {found}, not of {(_SCHEMA, dict(identity))}"
        )
    paths = {}
    for name, (file_name, checksum) in manifest["files"].items():
        paths[name] = folder / Path(file_name).name
        if _checksum(paths[name]) != checksum:
            raise ValueError(f"{file_name} has changed")
    return paths


def _checksum(path: Path) -> int:
    """Return the CRC-32 of a file: it tells damage, at a gigabyte a second, and not malice."""
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _write(path: Path, write: Write) -> None:
    """Write ``path``, readable by this user alone, through to the disk."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    with suppress(OSError):  # some file systems cannot; then a loss of power may undo the save
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink()
