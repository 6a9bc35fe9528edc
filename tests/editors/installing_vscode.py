"""VS Code as code-server packs it, a browser to look at it with, and the tools of our extension."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from installing import (
    CACHE,
    MissingError,
    checked,
    node_and_npm,
    npm_ci,
    on_path,
    only,
    run,
    write,
)

# It asks for this generation of Node.js and ends at once on an older one.
CODE_SERVER, CODE_SERVER_NODE = "code-server@4.139.1", (24, 0)
BROWSERS, BROWSER_VERSION = ("chromium", "chromium-browser", "google-chrome"), (120, 0)
EXTENSION = Path(__file__).resolve().parents[2] / "vscode-extension"
# What ESLint asks for.
EXTENSION_NODE = (20, 19)


def extension() -> list[str]:
    """Return the command of Node.js, after installing what checks and builds the extension."""
    runtime, npm = node_and_npm(EXTENSION_NODE)
    npm_ci(npm, EXTENSION)
    return runtime


def code_server() -> list[str]:
    """Return the command of VS Code's own server, without what code-server wraps around it.

    No install script runs: what they would compile is not needed to edit and to test.
    """
    runtime, npm = node_and_npm(CODE_SERVER_NODE)
    root = CACHE / CODE_SERVER.replace("@", "-")
    inner = "node_modules/code-server/lib/vscode"
    if not root.exists():
        part = root.with_name(f"{root.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        write(part / "package.json", '{"private": true}')
        words = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"]
        run([*npm, *words, CODE_SERVER], cwd=part)
        run([*npm, *words], cwd=part / inner)
        part.rename(root)
    return checked([*runtime, only(root, f"{inner}/out/server-main.js")], (1, 91))


def chromium() -> list[str]:
    """Return the command of a Chromium, one word, as the tools that drive it want."""
    for name in BROWSERS:
        if found := on_path(name, BROWSER_VERSION):
            return found
    root = CACHE / "chromium"
    if not root.exists():
        part = root.with_name(f"{root.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        unpack_chromium(part)
        part.rename(root)
    return checked([str(root / "start")], BROWSER_VERSION)


def unpack_chromium(root: Path) -> None:
    """Unpack the Chromium of this machine's release, and what it lacks here, into ``root``."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise MissingError(f"none of {', '.join(BROWSERS)} on PATH, and no apt to get one")
    root.mkdir()
    planned = run(["apt-get", "-s", "--no-install-recommends", "install", "chromium"])
    names = [line.split()[1] for line in planned.splitlines() if line.startswith("Inst ")]
    run(["apt-get", "-qq", "-o", "APT::Sandbox::User=", "download", *names], cwd=root)
    for package in sorted(root.glob("*.deb")):
        run(["dpkg-deb", "-x", str(package), str(root)])
        package.unlink()
    start = root / "start"
    write(start, START)
    start.chmod(0o755)
    try:
        run([str(start), "--version"])
    except subprocess.CalledProcessError as error:
        raise MissingError(f"Debian's chromium does not start: {error.stderr}") from error


START = """#!/bin/sh
root=$(dirname "$(readlink -f "$0")")
libraries=
for folder in "$root"/usr/lib/*-linux-gnu*; do
  libraries=$libraries$folder:$folder/pulseaudio:
done
LD_LIBRARY_PATH=$libraries$LD_LIBRARY_PATH exec "$root/usr/lib/chromium/chromium" "$@"
"""
