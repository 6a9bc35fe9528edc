"""Keeps an index in line with the files of its folder: scan, prepare, merge, commit."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from retrieval.files.git_changes import global_excludes
from retrieval.files.rules import FileRules
from retrieval.prepare import prepare
from retrieval.sparse.errors import IndexDamagedError
from retrieval.sparse.index import SparseIndex
from retrieval.sparse.indexed_file import IndexedFile
from retrieval.sparse.merge import plan_merge
from retrieval.sparse.segment import Segment
from retrieval.sparse.store import IndexStore
from retrieval.worker import Job, MergeTask, PrepareTask, Scanned
from retrieval.worker_pool import WorkerPool, batched
from retrieval.workspaces import IndexOptions

logger = logging.getLogger(__name__)

# So few are prepared right here: about as long as a process takes to start.
MAX_NUM_FEW_FILES, _MAX_NUM_FEW_BYTES = 24, 300_000
_BATCH_BYTES, _BATCH_FILES = 6_000_000, 2_000
_COMMIT_EVERY_S = 10.0

Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far indexing is: files of those that have to be looked at, and lines in them."""

    num_files: int
    num_all_files: int
    num_lines: int = 0


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh found: files that belong into the index, and why others do not."""

    num_found: int = 0
    num_changed: int = 0
    num_gone: int = 0
    num_lines: int = 0
    excluded: Mapping[str, int] = field(default_factory=dict)


class IndexKeeper:
    """The one who changes an index on disk. One thread at a time."""

    def __init__(
        self,
        folder: Path,
        options: IndexOptions,
        index: SparseIndex,
        store: IndexStore,
        may_run: Callable[[], bool] = lambda: True,
    ) -> None:
        """Keep ``index``, which holds what ``store`` has; ``folder`` is the workspace.

        Work in the background stands still while ``may_run`` is false.
        """
        self._may_run = may_run
        self._options = options
        self._index, self._store = index, store
        excludes = global_excludes(options.environment)
        self._job = Job(
            folder=str(folder),
            store=str(store.folder),
            max_file_bytes=options.max_file_bytes,
            max_num_files=options.max_num_files,
            global_excludes="" if excludes is None else str(excludes),
            in_background=True,
        )

    def rules(self) -> FileRules:
        """Return what belongs into the index, as the ignore files say now."""
        return self._job.rules

    def refresh(
        self,
        check: Check,
        progress: Callable[[IndexProgress], None] = lambda _: None,
        *,
        in_background: bool = True,
    ) -> Refreshed:
        """Bring the index in line with the whole folder.

        Args:
            check: Called several times a second; whatever it raises ends the work, and what was
                committed stays.
            progress: Told how far the work is.
            in_background: Give way to every other process.

        Raises:
            RetrievalError: A worker failed, or the index cannot be written.
        """
        job = replace(self._job, in_background=in_background)
        with WorkerPool(job, self._options.num_workers, self._may_run) as pool:
            found = self._scan(pool, check)
            self._index.remove(found.gone)
            num_lines = self._take_in(pool, found.changed, check, progress)
            if found.gone or found.changed:
                self._store.commit(self._index.segments)
        self._merge(job, check)
        num_changed, num_gone = len(found.changed), len(found.gone)
        if found.num_found > self._options.max_num_files:
            logger.warning(
                "%s has %d files, of which %d are indexed; leave folders out with .fimbleignore",
                job.folder,
                found.num_found,
                self._options.max_num_files,
            )
        return Refreshed(found.num_found, num_changed, num_gone, num_lines, found.excluded)

    def refresh_files(self, paths: Iterable[str], check: Check) -> None:
        """Bring the index in line with a few files, by relative path; raises as ``refresh`` does."""
        rules, known = self.rules(), self._index.stamps()
        room = max(0, self._options.max_num_files - len(known))
        changed: list[tuple[str, int]] = []
        gone: list[str] = []
        for path in paths:
            check()
            status = self._status(path) if rules.is_indexed(path) else None
            stamp = known.get(path)
            if status is None:
                gone += [path] if stamp is not None else []
            elif stamp is None:
                changed += [(path, status.st_size)] if room > 0 else []
                room -= 1
            elif (stamp.mtime_ns, stamp.size_bytes) != (status.st_mtime_ns, status.st_size):
                changed.append((path, status.st_size))
        if not changed and not gone:
            return
        with WorkerPool(self._job, self._options.num_workers, self._may_run) as pool:
            self._index.remove(gone)
            self._take_in(pool, changed, check)
            self._store.commit(self._index.segments)
        self._merge(self._job, check)

    def _status(self, path: str) -> os.stat_result | None:
        """Return what ``lstat`` says of a file; None if it is not there any more."""
        try:
            return os.lstat(Path(self._job.folder, path))
        except OSError:
            return None

    def _scan(self, pool: WorkerPool, check: Check) -> Scanned:
        """Return what is not as it was indexed; an index that got damaged meanwhile begins anew."""
        folders = (live.segment.folder for live in self._index.segments)
        if all(folder is not None and folder.is_dir() for folder in folders):
            try:
                return pool.scan(check)
            except IndexDamagedError as error:
                logger.warning("%s", error)
        else:
            logger.warning("%s was deleted in part; its index is built anew", self._store.folder)
        empty = Segment.build(()).write(self._store.new_segment_folder())
        self._index.replace(self._index.segments, empty)
        self._store.commit(self._index.segments)
        return pool.scan(check)

    def _take_in(
        self,
        pool: WorkerPool,
        files: Iterable[tuple[str, int]],
        check: Check,
        progress: Callable[[IndexProgress], None] = lambda _: None,
    ) -> int:
        """Index files; returns how many lines they have."""
        wanted = list(files)
        num_bytes = sum(size for _, size in wanted)
        if len(wanted) <= MAX_NUM_FEW_FILES and num_bytes <= _MAX_NUM_FEW_BYTES:
            return self._add_here([path for path, _ in wanted], check)
        tasks = (
            PrepareTask(paths, str(self._store.new_segment_folder()))
            for paths in batched(wanted, _BATCH_BYTES, _BATCH_FILES)
        )
        num_files = num_lines = 0
        committed_at = time.monotonic()
        progress(IndexProgress(0, len(wanted)))
        for made in pool.make(tasks, check):
            self._index.add(Segment.open(Path(made.target)))
            num_files, num_lines = num_files + made.num_files, num_lines + made.num_lines
            progress(IndexProgress(num_files, len(wanted), num_lines))
            if time.monotonic() - committed_at > _COMMIT_EVERY_S:
                self._store.commit(self._index.segments)
                committed_at = time.monotonic()
        return num_lines

    def _add_here(self, paths: Iterable[str], check: Check) -> int:
        """Index files in this process; those that vanished are dropped by the next scan."""
        job = self._job
        files: list[IndexedFile] = []
        for path in paths:
            check()
            file = prepare(Path(job.folder), path, job.max_file_bytes)
            files += [] if file is None else [file]
        if files:
            segment = Segment.build(files).write(self._store.new_segment_folder())
            self._index.add(segment)
        return sum(file.chunks[-1].end_line for file in files if file.chunks)

    def _merge(self, job: Job, check: Check) -> None:
        """Merge segments until the index is well as it is.

        In a process of its own: those that prepared files hold memory, and a merge needs its share.
        """
        while inputs := plan_merge(self._index.segments):
            task = MergeTask(
                [str(live.segment.folder) for live in inputs],
                [sorted(live.dead) for live in inputs],
                str(self._store.new_segment_folder()),
            )
            with WorkerPool(job, 1, self._may_run) as pool:
                for made in pool.make([task], check):
                    self._index.replace(inputs, Segment.open(Path(made.target)))
            self._store.commit(self._index.segments)
