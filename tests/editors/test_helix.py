"""Helix, which has no ghost text, and shows suggestions in its completion list."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROWS, COLUMNS = 30, 100
TAB, ENTER, CONTROL_S = "\t", "\r", "\x13"
# Escape and a colon that follow one another at once are a chord to a terminal.
KEYS = '[keys.insert]\nC-s = ":write"\n'
AREA = "def fläche(breite, höhe):\n    \n\n\nprint(fläche(breite=2, höhe=3))\n"
EXPECTED = "    return breite * höhe"
# What moves the cursor and colours the text that a terminal is sent.
ESCAPES = re.compile(
    r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][0-9A-Za-z]|[=>78])"
)
LANGUAGES = """
[language-server.fimble]
command = "{program}"
args = {arguments}

[language-server.fimble.config.completion]
deadline_ms = 120000

[language-server.fimble.config.model]
offline = true

[[language]]
name = "python"
language-servers = ["fimble"]
"""


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, words: list[str]) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execvp(words[0], words)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._written = b""

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def draws(self, text: str) -> bool:
        """Take what it draws, and tell whether it ever has drawn this in one go."""
        while select.select([self._fd], [], [], 0)[0]:
            try:
                self._written += os.read(self._fd, 65536)
            except OSError:  # it has ended
                break
        return text in ESCAPES.sub("", self._written.decode(errors="replace"))

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._fd)


@pytest.fixture
def helix(
    editor_command: Callable[[str], list[str]],
    server_words: Callable[..., dict[str, Any]],
    clean_environment: Callable[[Path], list[str]],
    tmp_path: Path,
) -> Iterator[Terminal]:
    (tmp_path / "shapes.py").write_text(AREA, encoding="utf-8")
    (tmp_path / "helix.log").touch()
    server = server_words("lsp", "--standalone", "--wait-for-model", home=tmp_path)
    program, *arguments = server["command"]
    words = [*clean_environment(tmp_path), "TERM=xterm-256color", *editor_command("helix")]
    folder = tmp_path / "config/helix"
    folder.mkdir()
    languages = LANGUAGES.format(program=program, arguments=json.dumps(arguments))
    (folder / "languages.toml").write_text(languages)
    (folder / "config.toml").write_text(KEYS)
    log = ["-v", "--log", str(tmp_path / "helix.log")]
    terminal = Terminal([*words, *log, str(tmp_path / "shapes.py")])
    yield terminal
    terminal.close()


def saved(path: Path) -> list[str]:
    """Return the lines of a file, none in the moment in which Helix puts a new one into its place."""
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []


def test_the_rest_of_the_line_is_taken_from_the_list(
    helix: Terminal, until: Callable[[Callable[[], Any], str], Any], tmp_path: Path
) -> None:
    # It asks nobody for a list that is not there yet.
    log, shapes = tmp_path / "helix.log", tmp_path / "shapes.py"
    until(lambda: helix.draws("") and '"initialized"' in log.read_text(), "the server answers")
    helix.press("2GAreturn breite * hö")
    until(lambda: helix.draws(" höhe text "), "the list is there, with the kind of its item")
    helix.press(f"{TAB}{ENTER}{CONTROL_S}")
    until(lambda: EXPECTED in saved(shapes), "it is taken")
