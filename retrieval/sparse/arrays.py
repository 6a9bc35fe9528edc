"""Folders of arrays that come into being whole or not at all, and are read without being loaded.

    folder/contents.json      schema, and of each array its type, length and perhaps checksum
    folder/<name>.npy         one-dimensional, little endian

A folder is written under another name and renamed once every byte of it is on the disk.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from retrieval.sparse.errors import IndexDamagedError, IndexSchemaError, IndexWriteError

SCHEMA_VERSION = 2
PARTIAL_PREFIX = "partial-"
# Reading a small array whole costs microseconds. A large one would have to be loaded to check it.
_MAX_NUM_CHECKED_BYTES = 1 << 16
_CONTENTS = "contents.json"
_DONT_NEED: int | None = getattr(mmap, "MADV_DONTNEED", None)  # Windows has none

# Columns differ in type; whoever takes one out of the mapping knows which it is.
AnyArray = npt.NDArray[Any]


class ArrayWriter:
    """One array under construction: parts are appended, the length is known at the end."""

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.length = 0
        self._path = path
        self._file: BinaryIO = path.open("wb")
        self._write_header()

    def append(self, part: AnyArray) -> None:
        """Add ``part`` at the end, converted to the array's type."""
        self._file.write(np.ascontiguousarray(part, self.dtype).data)
        self.length += len(part)

    def close(self) -> None:
        """Put the length into the header and flush everything to the disk."""
        self._file.seek(0)
        self._write_header()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def abandon(self) -> None:
        """Let go of the file without finishing it."""
        with suppress(OSError):  # what is still buffered is not wanted any more
            self._file.close()

    def described(self) -> dict[str, object]:
        """Return this array's line of the table of contents."""
        is_checked = self.length * self.dtype.itemsize <= _MAX_NUM_CHECKED_BYTES
        checksum = zlib.crc32(self._path.read_bytes()) if is_checked else None
        return {"dtype": self.dtype.str, "length": self.length, "crc32": checksum}

    def _write_header(self) -> None:
        # NumPy pads the header so that its size does not depend on the length.
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self._file, header)


class FolderWriter:
    """The arrays of one folder under construction."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, ArrayWriter] = {}

    def column(self, name: str, dtype: npt.DTypeLike) -> ArrayWriter:
        """Return the writer of a new array ``name``."""
        little_endian = np.dtype(dtype).newbyteorder("<")
        writer = ArrayWriter(self._folder / f"{name}.npy", little_endian)
        self._writers[name] = writer
        return writer

    def finish(self) -> None:
        """Complete all arrays and write the table of contents."""
        for writer in self._writers.values():
            writer.close()
        arrays = {name: writer.described() for name, writer in self._writers.items()}
        contents = json.dumps({"schema": SCHEMA_VERSION, "arrays": arrays}, sort_keys=True)
        write_durably(self._folder / _CONTENTS, contents.encode())
        flush_folder(self._folder)

    def abandon(self) -> None:
        """Let go of all files."""
        for writer in self._writers.values():
            writer.abandon()


@contextmanager
def new_folder(target: Path) -> Iterator[FolderWriter]:
    """Write the folder ``target``, which appears when the block ends without an error.

    Raises:
        IndexWriteError: The system refused a write; nothing is left behind.
    """
    partial = target.with_name(PARTIAL_PREFIX + target.name)
    with write_errors(target):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        writer = FolderWriter(partial)
        try:
            yield writer
            writer.finish()
            partial.rename(target)
            flush_folder(target.parent)
        finally:
            writer.abandon()
            shutil.rmtree(partial, ignore_errors=True)


def read_folder(folder: Path) -> tuple[Mapping[str, AnyArray], str]:
    """Return the arrays of ``folder``, mapped into memory read-only, and a digest of its contents.

    Raises:
        IndexDamagedError: Something is missing, cut short or fails its checksum.
        IndexSchemaError: The folder has another layout.
        FileNotFoundError: There is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    try:
        encoded = (folder / _CONTENTS).read_bytes()
        contents = json.loads(encoded)
        check_schema(contents["schema"], folder)
        arrays = {
            name: _mapped(folder / f"{name}.npy", described)
            for name, described in contents["arrays"].items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError) as error:
        raise damaged(folder, str(error)) from error
    return arrays, blake2b(encoded, digest_size=16).hexdigest()


def let_go(array: AnyArray, end: int) -> None:
    """Give the memory of ``array[:end]`` back, where ``array`` is one of ``read_folder``.

    What is looked at again is read again. Without this, all that was ever looked at counts as used
    by this process, until the system is short of memory.
    """
    file = array.base
    if (
        _DONT_NEED is None
        or not isinstance(file, np.memmap)
        or not isinstance(file.base, mmap.mmap)
    ):
        return
    num_bytes = file.offset + end * array.itemsize
    whole_pages = num_bytes // mmap.PAGESIZE * mmap.PAGESIZE
    if whole_pages:
        file.base.madvise(_DONT_NEED, 0, whole_pages)


def check_schema(found: object, place: Path) -> None:
    """Raise IndexSchemaError unless ``found`` is the version this program writes."""
    if found != SCHEMA_VERSION:
        raise IndexSchemaError(
            f"{place} has layout {found!r}, and this version of fimble reads {SCHEMA_VERSION}; "
            "build the index anew"
        )


def damaged(place: Path, what: str) -> IndexDamagedError:
    """Return the error that says ``place`` is damaged, and how."""
    return IndexDamagedError(f"{place} is damaged ({what}); build the index anew")


@contextmanager
def write_errors(place: Path) -> Iterator[None]:
    """Turn the system's refusal to write into IndexWriteError."""
    try:
        yield
    except OSError as error:
        raise IndexWriteError(
            f"the index cannot be written to {place} ({error}); free some space or give the "
            "permission, then try again: what was complete is kept"
        ) from error


def write_durably(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a loss of power."""
    if os.name == "nt":
        return  # Windows opens no folders, and journals their changes itself
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _mapped(path: Path, described: Mapping[str, object]) -> AnyArray:
    array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    found = (array.dtype.str, array.shape)
    if found != (described["dtype"], (described["length"],)):
        raise ValueError(f"{path.name} holds {found}, not {dict(described)}")
    checksum = described["crc32"]
    if checksum is not None and zlib.crc32(path.read_bytes()) != checksum:
        raise ValueError(f"{path.name} fails its checksum")
    return array
