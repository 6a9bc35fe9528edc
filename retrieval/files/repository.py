"""Where git keeps what belongs to a folder, found without running git."""

from __future__ import annotations

from pathlib import Path

from retrieval.files.regular import read_regular_file

_MAX_NUM_BYTES = 4096


def find_repository(folder: Path) -> Path | None:
    """Return the root of the repository that ``folder`` lies in, ``None`` outside of any."""
    return next((at for at in (folder, *folder.parents) if (at / ".git").exists()), None)


def git_folders(root: Path) -> tuple[Path, ...]:
    """Return where git keeps its files for a repository's ``root``: the tree's own, the shared one.

    They differ in a linked worktree and are one folder otherwise. Empty if ``.git`` leads nowhere.
    """
    at = root / ".git"
    if at.is_dir():
        return (at,)
    target = _path_in(at, "gitdir:")
    if target is None or not target.is_dir():
        return ()
    shared = _path_in(target / "commondir", "")
    return (target, shared) if shared is not None and shared.is_dir() else (target,)


def _path_in(file: Path, label: str) -> Path | None:
    """Return the path that ``file`` holds behind ``label``, taken from the folder of the file."""
    content = read_regular_file(file, _MAX_NUM_BYTES)
    text = (content or b"").decode("utf-8", "surrogateescape").strip()
    path = text.removeprefix(label).strip()
    is_path = text.startswith(label) and path and "\0" not in path and len(path) < _MAX_NUM_BYTES
    return file.parent / path if is_path else None
