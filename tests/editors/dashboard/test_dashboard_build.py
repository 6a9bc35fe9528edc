"""What is committed is what the sources make, and the sources are sound."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

SOURCES = Path(__file__).parents[3] / "lsp_server/dashboard"


def test_the_committed_files_are_what_the_sources_build(
    editor_command: Callable[[str], list[str]], tmp_path: Path
) -> None:
    node = editor_command("dashboard")
    compiler = SOURCES / "node_modules/typescript/bin/tsc"
    subprocess.run([*node, str(compiler)], cwd=SOURCES, check=True)
    subprocess.run([*node, "build.mjs", str(tmp_path)], cwd=SOURCES, check=True)
    built = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_bytes() for path in (SOURCES / "built").iterdir()}
    assert built.keys() == committed.keys()
    assert [name for name in built if built[name] != committed[name]] == []
