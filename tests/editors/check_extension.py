"""Checks the extension for VS Code: types, lint, unit tests. ``make check`` runs it.

Without a Node.js that is new enough there is nothing to check with, which is said and is no failure;
``make test`` installs one later, for the tests in real editors.
"""

from __future__ import annotations

import subprocess
import sys

from installing import CACHE, NODE_WHEEL, MissingError, node_and_npm, npm_ci, on_path
from installing_vscode import EXTENSION, EXTENSION_NODE

CHECKS = (
    ("types", "typescript/bin/tsc", "--noEmit"),
    ("lint", "eslint/bin/eslint.js", "."),
    ("unit tests", "vitest/vitest.mjs", "run"),
)


def main() -> int:
    """Run all checks and return 1 if any fails."""
    is_here = on_path("node", EXTENSION_NODE) or (CACHE / NODE_WHEEL.replace("==", "-")).exists()
    if not is_here:
        sys.stdout.write("vscode-extension is not checked: there is no Node.js\n")
        return 0
    try:
        node, npm = node_and_npm(EXTENSION_NODE)
        npm_ci(npm, EXTENSION)
    except (MissingError, OSError, subprocess.SubprocessError) as error:
        sys.stdout.write(f"vscode-extension cannot be checked: {error}\n")
        return 1
    failed = [name for name, *command in CHECKS if not passes(node, command)]
    if failed:
        sys.stdout.write(f"vscode-extension: {', '.join(failed)} failed\n")
    return 1 if failed else 0


def passes(node: list[str], command: list[str]) -> bool:
    """Whether one of the tools is content; what it says is shown."""
    program, *words = command
    path = str(EXTENSION / "node_modules" / program)
    return subprocess.run([*node, path, *words], cwd=EXTENSION, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
