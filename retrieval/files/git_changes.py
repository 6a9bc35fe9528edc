"""What git knows about a workspace beyond its files: which of them changed, what the user ignores.

A repository may be hostile: it was downloaded, and its ``.git/config`` names programs. Git is run
such that it starts none of them, writes nothing, asks nobody and fetches nothing.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from retrieval.files.repository import find_repository

_TIMEOUT_S = 5.0
_LOCAL_SCOPES = ("local", "worktree")
_SAFE_OPTIONS = (
    "--no-pager",
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "protocol.allow=never"),
    *("-c", "safe.bareRepository=explicit"),
)
_LIST_CONFIG = ("--list", "--name-only", "--show-scope", "-z")
_STATUS_OPTIONS = (
    "--porcelain=v2",
    "-z",
    "--untracked-files=all",
    "--ignore-submodules=all",
    "--no-renames",
    "--",
    ".",
)
_SAFE_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C",
}


def changed_files(
    folder: Path, environment: Mapping[str, str], *, timeout_s: float = _TIMEOUT_S
) -> tuple[str, ...]:
    """Return the files below ``folder`` that differ from the last commit, untracked ones included.

    They are relative to ``folder`` and sorted. Deleted and ignored files, and what is in submodules,
    are left out. Empty where there is no repository, no git, or no answer in ``timeout_s``.
    """
    folder = folder.resolve()
    root = find_repository(folder)
    if root is None:
        return ()
    listed = _run(folder, environment, timeout_s, "config", *_LIST_CONFIG)
    filters = [] if listed is None else _filter_keys(listed)
    # Git takes what is before the first "=" for the key: such a filter cannot be switched off.
    if listed is None or any("=" in key for key in filters):
        return ()
    status = _run(
        folder,
        environment,
        timeout_s,
        *(option for key in filters for option in ("-c", f"{key}=")),
        "status",
        *_STATUS_OPTIONS,
    )
    prefix = folder.relative_to(root).as_posix() + "/" if folder != root else ""
    paths = (path for path in _changed(status or "") if path.startswith(prefix))
    return tuple(sorted({path.removeprefix(prefix) for path in paths}))


def global_excludes(
    environment: Mapping[str, str], *, timeout_s: float = _TIMEOUT_S
) -> Path | None:
    """Return the file of patterns that the user ignores in every repository; it may not exist.

    ``None`` if the user has no home. What a repository sets here is not asked.
    """
    outside = Path(os.sep)
    found = _run(
        outside, environment, timeout_s, "config", "--type=path", "-z", "--get", "core.excludesFile"
    )
    if found:
        return Path(found.removesuffix("\0"))
    home = environment.get("HOME")
    config = environment.get("XDG_CONFIG_HOME") or (os.path.join(home, ".config") if home else None)
    return Path(config, "git", "ignore") if config else None


def _run(
    folder: Path, environment: Mapping[str, str], timeout_s: float, *arguments: str
) -> str | None:
    """Return what git prints, or ``None`` if it fails, is missing or takes too long."""
    kept = {name: value for name, value in environment.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ("git", *_SAFE_OPTIONS, *arguments),
            cwd=folder,
            env=kept | _SAFE_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "surrogateescape")


def _filter_keys(listed: str) -> list[str]:
    """Return the settings by which the repository itself has programs read its files.

    ``git status`` runs a clean filter on each file whose time changed. The user's own filters stay.
    """
    fields = listed.split("\0")
    keys = zip(fields[::2], fields[1::2], strict=False)
    return [key for scope, key in keys if scope in _LOCAL_SCOPES and key.startswith("filter.")]


def _changed(status: str) -> Iterator[str]:
    """Yield the paths, relative to the repository's root, of ``git status --porcelain=v2 -z``."""
    num_fields = {"1": 8, "u": 10, "?": 1}  # before the path
    for record in status.split("\0"):
        kind = record[:1]
        if kind not in num_fields:
            continue
        *fields, path = record.split(" ", num_fields[kind])
        if kind == "?" or "D" not in fields[1]:
            yield path
