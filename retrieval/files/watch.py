"""Changes in a workspace folder as they happen, in batches.

Watched is each folder that the index enters and no other: the operating system counts watches, and a
recursive one would follow links out of the workspace. Where watching is impossible, a rescan is
asked for now and then instead.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from watchfiles import Change
from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from retrieval.files.names import FOLDER_MARKERS
from retrieval.files.repository import find_repository, git_folders
from retrieval.files.rules import GIT_IGNORE, OWN_IGNORE, FileRules
from retrieval.files.walk import ExcludedFile, FoundFile, walk_folders

_LOGGER = logging.getLogger(__name__)
_STEP_MS, _DEBOUNCE_MS = 50, 400  # a batch ends with a pause of one step, or when it is this old
_POLL_DELAY_MS = 1_000  # where the system has no events at all
_MAX_NUM_EVENTS = 5_000  # in one batch; beyond, the system may have dropped some as well
_RULE_FILES = FOLDER_MARKERS | {GIT_IGNORE, OWN_IGNORE, ".git"}
_GIT_STATE = frozenset({"HEAD", "exclude"})  # of all that is in .git: the branch, the ignore file
RESCAN_INTERVAL_S = 60.0


@dataclass(frozen=True, slots=True)
class FolderChanges:
    """One batch. Paths are relative to the workspace's folder.

    ``changed`` are files to be read (again). ``deleted`` are files that are gone, or folders that
    are with all that was in them, and may never have been indexed. ``rescan`` says that anything may
    have changed, the rules included: walk again.
    """

    changed: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()
    rescan: bool = False


class FolderWatcher:
    """Watches a folder in a thread of its own until it is stopped."""

    def __init__(
        self,
        make_rules: Callable[[], FileRules],
        on_changes: Callable[[FolderChanges], None],
        *,
        rescan_interval_s: float = RESCAN_INTERVAL_S,
    ) -> None:
        """Report to ``on_changes``, in the watcher's thread.

        ``make_rules`` reads the ignore files; it is called again whenever they changed. Without
        watches a rescan is asked for every ``rescan_interval_s``.
        """
        self._make_rules = make_rules
        self._on_changes = on_changes
        self._rescan_interval_s = rescan_interval_s
        self._stopping = threading.Event()
        self._watching = threading.Event()
        self._problem: str | None = None
        self._thread = threading.Thread(target=self._run, name="fimble-watch", daemon=True)

    @property
    def problem(self) -> str | None:
        """Why changes are not seen as they happen, for people; ``None`` if they are."""
        return self._problem

    def start(self) -> None:
        """Begin to watch. What happens before ``wait_until_watching`` returns may go unseen."""
        self._thread.start()

    def wait_until_watching(self, timeout_s: float | None = None) -> bool:
        """Return whether, within ``timeout_s``, all folders are watched, or cannot be."""
        return self._watching.wait(timeout_s)

    def stop(self) -> None:
        """End within a few dozen milliseconds; ``on_changes`` is not called afterwards."""
        self._stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        rules = self._make_rules()
        watch = self._open(rules)
        self._watching.set()
        while not self._stopping.is_set():
            if watch is None:
                self._wait_for_rescan()
                continue
            events = self._next_events(rules, watch)
            batch = _Batch.of(rules, events)
            if batch.needs_new_watches or self._problem:
                # The new one is open before the old one closes, so nothing falls in between.
                rules = self._make_rules()
                former, watch = watch, None if self._problem else self._open(rules)
                former.close()
                batch = _Batch.of(rules, events)
            self._report(batch.changes)
        if watch is not None:
            watch.close()

    def _next_events(self, rules: FileRules, watch: RustNotify) -> set[tuple[int, str]]:
        """Return the next events, none if it is time to stop or the watch has failed."""
        try:
            raw = watch.watch(_DEBOUNCE_MS, _STEP_MS, 0, self._stopping)
        except (OSError, WatchfilesRustInternalError) as error:
            self._give_up(rules, error)
            return set()
        return raw if isinstance(raw, set) else set()

    def _wait_for_rescan(self) -> None:
        if not self._stopping.wait(self._rescan_interval_s):
            self._report(FolderChanges(rescan=True))

    def _report(self, changes: FolderChanges) -> None:
        if changes != FolderChanges() and not self._stopping.is_set():
            self._on_changes(changes)

    def _open(self, rules: FileRules) -> RustNotify | None:
        """Return a watch on every folder there is when it is complete, ``None`` if that fails."""
        folders = self._folders(rules)
        try:
            while True:
                watch = RustNotify(
                    sorted(folders),
                    debug=False,
                    force_polling=False,
                    poll_delay_ms=_POLL_DELAY_MS,
                    recursive=False,
                    ignore_permission_denied=True,
                )
                # A folder made before the one that holds it was watched went unnoticed.
                missed = self._folders(rules) - folders
                if not missed:
                    return watch
                watch.close()
                folders |= missed
        except (OSError, WatchfilesRustInternalError) as error:
            self._give_up(rules, error)
            return None

    def _folders(self, rules: FileRules) -> set[str]:
        """Return what to watch; it is not complete if it is time to stop."""
        root = find_repository(rules.folder)
        above = [at for at in rules.folder.parents if root is not None and at.is_relative_to(root)]
        folders = {str(at) for at in above}
        folders.update(str(path) for at in above for path in _git_folders_to_watch(at))
        for path, _ in walk_folders(rules):
            folders.add(str(rules.folder / path))
            folders.update(str(found) for found in _git_folders_to_watch(rules.folder / path))
            if self._stopping.is_set():
                break
        return folders

    def _give_up(self, rules: FileRules, error: Exception) -> None:
        self._problem = (
            f"{rules.folder}: changes cannot be watched ({error}); looking for them every "
            f"{self._rescan_interval_s:.0f} s instead. If the system ran out of watches, raise "
            "fs.inotify.max_user_watches, or leave folders out in .fimbleignore, then restart"
        )
        _LOGGER.warning("%s", self._problem)


@dataclass(frozen=True, slots=True)
class _Batch:
    changes: FolderChanges
    needs_new_watches: bool

    @staticmethod
    def of(rules: FileRules, events: Iterable[tuple[int, str]]) -> _Batch:
        """Return what the paths of ``events`` are now: what happened to them last is what counts."""
        events = list(events)
        if len(events) > _MAX_NUM_EVENTS or any(_is_about_rules(path) for _, path in events):
            return _Batch(FolderChanges(rescan=True), needs_new_watches=True)
        changed: set[str] = set()
        deleted: set[str] = set()
        has_new_folders = False
        for event, path in _relative(rules.folder, events):
            kind = _kind(rules.folder / path)
            if kind == stat.S_IFDIR and event == Change.added:
                folders = list(walk_folders(rules, path))
                has_new_folders = has_new_folders or bool(folders)
                changed.update(path for _, entries in folders for path in _found_in(entries))
            elif rules.is_indexed(path):
                changed.add(path)
            elif kind is None and rules.folder_rules(path.rpartition("/")[0]) is not None:
                deleted.add(path)
        return _Batch(FolderChanges(frozenset(changed), frozenset(deleted)), has_new_folders)


def _found_in(entries: Iterable[FoundFile | ExcludedFile]) -> Iterator[str]:
    return (entry.path for entry in entries if isinstance(entry, FoundFile))


def _is_about_rules(path: str) -> bool:
    """Whether the file at ``path`` decides which files are indexed, or which branch is."""
    name = path.rpartition("/")[2]
    return name in _RULE_FILES or (name in _GIT_STATE and "/.git/" in path)


def _relative(folder: Path, events: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    prefix = folder.as_posix().rstrip("/") + "/"
    return ((kind, path.removeprefix(prefix)) for kind, path in events if path.startswith(prefix))


def _kind(path: Path) -> int | None:
    """Return the type bits of what is at ``path``, ``None`` if nothing is."""
    try:
        return stat.S_IFMT(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return None


def _git_folders_to_watch(folder: Path) -> Iterator[Path]:
    for found in git_folders(folder):
        yield from (path for path in (found, found / "info") if path.is_dir())
