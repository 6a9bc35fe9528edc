"""Workspaces on disk, and a git that knows nothing of the user's configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Write = Callable[[Mapping[str, str | bytes]], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "workspace"
    path.mkdir()
    return path


@pytest.fixture
def write(folder: Path) -> Write:
    """Write files by their path below the workspace's folder."""

    def write_all(files: Mapping[str, str | bytes]) -> None:
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)

    return write_all


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    return {"HOME": str(home), "PATH": os.environ.get("PATH", os.defpath)}


@pytest.fixture
def git(folder: Path, environment: dict[str, str]) -> Callable[..., str]:
    """Run git in the workspace's folder, or in the one given as ``at``."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    identity = {
        f"GIT_{who}_{what}": f"{who}@example.org" if what == "EMAIL" else who
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }

    def run(*arguments: str, at: Path = folder, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ("git", *arguments),
            cwd=at,
            env=environment | identity,
            input=stdin,
            capture_output=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        return done.stdout.decode("utf-8", "surrogateescape")

    return run
