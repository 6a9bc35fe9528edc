"""Builds the server's wheel into ``server/``, from where the package of the extension takes it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

EXTENSION = Path(__file__).resolve().parents[1]


def main() -> int:
    """Replace the wheel that is there; returns the exit code of the build."""
    folder = EXTENSION / "server"
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    return subprocess.run([*command, str(EXTENSION.parent)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
