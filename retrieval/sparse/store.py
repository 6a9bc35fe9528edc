"""The index on disk: a manifest, and the segments it names.

    folder/manifest.json      which segments, and which of their files are dead
    folder/segments/<name>/   one folder a segment, never changed once it is there
    folder/writer.lock        held by the one process that may change anything

Only the manifest is ever replaced, in one step of the file system. So whenever the writer dies the
index is in the state of its last ``commit``, and segments that no manifest came to name are removed
by the next writer.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import filelock

from retrieval.sparse.arrays import (
    SCHEMA_VERSION,
    check_schema,
    damaged,
    flush_folder,
    write_durably,
    write_errors,
)
from retrieval.sparse.corpus import LiveSegment
from retrieval.sparse.errors import IndexDamagedError, IndexLockedError
from retrieval.sparse.segment import Segment

_MANIFEST = "manifest.json"
_SEGMENTS = "segments"


class IndexStore:
    """One process's access to an index on disk: that of its only writer, or of a reader."""

    def __init__(self, folder: Path, lock: filelock.BaseFileLock | None) -> None:
        """Use ``for_writing`` or ``for_reading``; ``lock`` is held, or None for a reader."""
        self._folder = folder
        self._lock = lock
        self._named: frozenset[str] = frozenset()

    @classmethod
    def for_writing(cls, folder: Path) -> IndexStore:
        """Return access that may change the index, made if there is none, until ``close``.

        Raises:
            IndexLockedError: Another process is the writer.
            IndexWriteError: The folder cannot be made.
        """
        with write_errors(folder):
            (folder / _SEGMENTS).mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(folder / "writer.lock", thread_local=False)
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout as error:
                raise IndexLockedError(
                    f"another process is writing the index in {folder}; open it for reading"
                ) from error
        return cls(folder, lock)

    @classmethod
    def for_reading(cls, folder: Path) -> IndexStore:
        """Return access that changes nothing and locks nobody out."""
        return cls(folder, None)

    @property
    def folder(self) -> Path:
        """Where the index is."""
        return self._folder

    @property
    def is_writer(self) -> bool:
        """Whether this access may change the index."""
        return self._lock is not None

    def load(self) -> tuple[LiveSegment, ...]:
        """Return the segments of the last commit, mapped; none if there never was one.

        A writer removes what an earlier one left unfinished, so it must not have begun to write.

        Raises:
            IndexDamagedError: Something is missing or contradicts itself: ``clear``, build anew.
            IndexSchemaError: Another version wrote the index: the same.
        """
        while True:
            manifest = self._manifest_bytes()
            try:
                return self._load(manifest)
            except (FileNotFoundError, IndexDamagedError) as error:
                # The writer may have committed meanwhile, and removed what is no longer needed.
                if self._manifest_bytes() != manifest:
                    continue
                if isinstance(error, IndexDamagedError):
                    raise
                raise damaged(self._folder, f"no segment {error}") from error

    def new_segment_folder(self) -> Path:
        """Return the folder a new segment is to be written to; every call another one."""
        return self._folder / _SEGMENTS / uuid.uuid4().hex

    def commit(self, segments: Sequence[LiveSegment]) -> None:
        """Make ``segments`` the state of the index, and remove those of the last one not needed now.

        Commit what was added before merging it: a segment that was never committed stays on the
        disk until the next ``load``.

        Raises:
            IndexLockedError: This is a reader's access.
            IndexWriteError: The system refused, and the former state stands.
            ValueError: A segment was not written to a folder of this store.
        """
        if self._lock is None:
            raise IndexLockedError(f"the index in {self._folder} was opened for reading")
        names = [self._name_of(live.segment) for live in segments]
        described = [
            {"name": name, "digest": live.segment.digest, "dead": sorted(live.dead)}
            for name, live in zip(names, segments, strict=True)
        ]
        content = {
            "schema": SCHEMA_VERSION,
            "segments": described,
            "checksum": _checksum(described),
        }
        manifest = self._folder / _MANIFEST
        partial = manifest.with_suffix(".partial")
        with write_errors(self._folder):
            write_durably(partial, json.dumps(content).encode())
            os.replace(partial, manifest)
            flush_folder(self._folder)
        obsolete = self._named.difference(names)
        self._named = frozenset(names)
        for name in obsolete:
            self._remove(name)

    def clear(self) -> None:
        """Commit an index without segments, and remove everything else; raises IndexWriteError."""
        self.commit(())
        self._sweep()

    def close(self) -> None:
        """Let another process be the writer."""
        if self._lock is not None:
            self._lock.release()

    def _load(self, manifest: bytes | None) -> tuple[LiveSegment, ...]:
        described = [] if manifest is None else self._described(manifest)
        segments = []
        for name, digest, dead in described:
            segment = Segment.open(self._folder / _SEGMENTS / name)
            if segment.digest != digest:
                raise damaged(self._folder, f"segment {name} is not the one the manifest names")
            if dead and not 0 <= min(dead) <= max(dead) < len(segment.files):
                raise damaged(self._folder, f"dead files that segment {name} does not have")
            segments.append(LiveSegment(segment, dead))
        self._named = frozenset(name for name, _, _ in described)
        if self._lock is not None:
            self._sweep()
        return tuple(segments)

    def _manifest_bytes(self) -> bytes | None:
        """Return the manifest; None before the first commit."""
        manifest = self._folder / _MANIFEST
        try:
            return manifest.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise damaged(manifest, str(error)) from error

    def _described(self, manifest: bytes) -> list[tuple[str, str, frozenset[int]]]:
        """Return the name, the digest and the dead files of each segment."""
        place = self._folder / _MANIFEST
        try:
            content = json.loads(manifest)
            check_schema(content["schema"], place)
            described = content["segments"]
            if content["checksum"] != _checksum(described):
                raise ValueError("its checksum is wrong")
            return [(part["name"], part["digest"], frozenset(part["dead"])) for part in described]
        except (ValueError, LookupError, TypeError) as error:
            raise damaged(place, str(error)) from error

    def _name_of(self, segment: Segment) -> str:
        folder = segment.folder
        if folder is None or folder.parent != self._folder / _SEGMENTS:
            raise ValueError(f"a segment in {folder} cannot be committed to {self._folder}")
        return folder.name

    def _sweep(self) -> None:
        """Remove the segments the manifest does not name."""
        for path in (self._folder / _SEGMENTS).iterdir():
            if path.name not in self._named:
                self._remove(path.name)

    def _remove(self, name: str) -> None:
        # Who has it mapped keeps it on POSIX. Where that is an error, the next writer removes it.
        shutil.rmtree(self._folder / _SEGMENTS / name, ignore_errors=True)


def _checksum(described: object) -> str:
    return blake2b(json.dumps(described).encode(), digest_size=16).hexdigest()
