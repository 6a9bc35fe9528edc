"""Real editors as users have them; `install.py` beside this file says where they come from."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import platformdirs
import pynvim
import pytest

T = TypeVar("T")
Command = list[str]

HERE = Path(__file__).resolve().parent
# Before any test changes the environment: this is where `make test` has put things.
MANIFEST = platformdirs.user_cache_path("fimble-test-editors", appauthor=False) / "editors.json"
FIMBLE = [sys.executable, "-I", "-m", "lsp_server"]
# A busy test machine must not turn a slow answer into none.
OPTIONS = {"completion": {"deadline_ms": 120_000}, "model": {"offline": True}}
PATIENCE_S = 60.0
POLL_S = 0.01


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            for name in ("editor", "e2e", "weights"):
                item.add_marker(name)


def editor_command(name: str) -> Command:
    """Return how to start an editor; skip the test without it, except where all must be there."""
    entry: dict[str, Any] = {"missing": "run tests/editors/install.py"}
    if MANIFEST.exists():
        entry = json.loads(MANIFEST.read_text()).get(name, entry)
    if "command" not in entry:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            f"{name} is not here: {entry['missing']}"
        )
    command: Command = entry["command"]
    return command


def until(check: Callable[[], T], what: str) -> T:
    """Return the first true value of ``check``."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (value := check()):
        if time.monotonic() > deadline_s:
            pytest.fail(f"waited {PATIENCE_S:.0f} s in vain until {what}; last: {value!r}")
        time.sleep(POLL_S)
    return value


def clean_environment(home: Path) -> list[str]:
    """Return the words that start a program without the settings of who runs the tests."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "OMP_NUM_THREADS") if name in os.environ
    }
    for name in ("CONFIG", "DATA", "STATE", "RUNTIME"):
        folder = home / name.lower()
        folder.mkdir(mode=0o700, exist_ok=True)
        kept[f"XDG_{name}_{'DIR' if name == 'RUNTIME' else 'HOME'}"] = str(folder)
    # The weights are here, whatever the other folders are.
    kept["XDG_CACHE_HOME"] = str(platformdirs.user_cache_path())
    return ["env", "-i", "LANG=C.UTF-8", *(f"{name}={value}" for name, value in kept.items())]


def server_words(*words: str, home: Path) -> dict[str, Any]:
    """Return how an editor starts ``fimble *words``, and the options it sends."""
    return {"command": [*clean_environment(home), *FIMBLE, *words], "options": OPTIONS}


class Neovim:
    """A Neovim with a screen, typed into by keys and looked at as a person would."""

    COLUMNS, ROWS = 100, 30

    def __init__(
        self, command: Command, server: dict[str, Any], home: Path, init: str = "init.lua"
    ) -> None:
        wanted = json.dumps(server)
        words = [*clean_environment(home), f"EDITOR_TEST_SERVER={wanted}", *command]
        flags = ["--embed", "-n", "-i", "NONE", "-u", str(HERE / init)]
        self.home = home
        self.nvim = pynvim.attach("child", argv=[*words, *flags])
        self.nvim.ui_attach(self.COLUMNS, self.ROWS, rgb=True, ext_linegrid=True)

    def close(self) -> None:
        with contextlib.suppress(EOFError, OSError):  # it hangs up before it answers
            self.nvim.command("qall!")
        self.nvim.close()

    def lua(self, code: str, *arguments: Any) -> Any:
        if self.nvim.api.get_mode()["blocking"]:  # a request would wait for ever
            pytest.fail("Neovim waits for a key")
        return self.nvim.exec_lua(code, *arguments)

    def open(self, name: str, text: str) -> None:
        """Open a file of this text and wait until the server knows it."""
        path = self.home / name
        path.write_text(text, encoding="utf-8")
        self.keys("<Esc>")
        self.nvim.command(f"edit! {path}")
        until(self.is_attached, "the server answers")

    def is_attached(self) -> bool:
        if self.lua("return Exited"):
            pytest.fail(f"the server has ended; Neovim's log:\n{self.log}")
        clients = "#vim.lsp.get_clients({ bufnr = 0, name = 'fimble' })"
        return bool(self.lua(f"return {clients} > 0 and {clients.strip('#')}[1].initialized"))

    def keys(self, keys: str) -> None:
        """Press keys, in Neovim's notation; a literal less-than sign is ``<lt>``."""
        pressed = 0
        raw = keys.encode()
        while pressed < len(raw):
            pressed += self.nvim.input(raw[pressed:].decode())

    def append_to_line(self, number: int, keys: str) -> None:
        """Type at the end of a line, the first being 1."""
        self.keys(f"<Esc>{number}GA{keys}")

    @property
    def lines(self) -> list[str]:
        return list(self.nvim.current.buffer[:])

    @property
    def cursor_line(self) -> str:
        return str(self.nvim.current.line)

    @property
    def screen(self) -> list[str]:
        """The rows as they are drawn, ghost text and all, without blanks at their ends."""
        return [
            "".join(cells).rstrip()
            for cells in self.lua(
                """
                vim.cmd.redraw()
                local rows = {}
                for row = 1, ... do
                  local cells = {}
                  for column = 1, vim.o.columns do
                    table.insert(cells, vim.fn.screenstring(row, column))
                  end
                  table.insert(rows, cells)
                end
                return rows
                """,
                self.ROWS,
            )
        ]

    def row(self, number: int) -> str:
        """The row of the screen that shows a line of the file; the first line is 1."""
        top: int = self.nvim.funcs.line("w0")
        return self.screen[number - top]

    @property
    def encoding(self) -> str:
        """The unit of positions that Neovim and the server have agreed on."""
        return str(self.lua("return vim.lsp.get_clients({ bufnr = 0 })[1].offset_encoding"))

    @property
    def ghost_text(self) -> str:
        """The ghost text's first line from the cursor on; empty if there is none."""
        text: str = self.lua(
            """
            local space = vim.api.nvim_create_namespace('nvim.lsp.inline_completion')
            local marks = vim.api.nvim_buf_get_extmarks(0, space, 0, -1, { details = true })
            return marks[1] and marks[1][4].virt_text[1][1] or ''
            """
        )
        return text

    def requests(self, method: str) -> list[dict[str, Any]]:
        """What was asked so far: ``position``, ``answered`` and maybe ``result`` or ``error``."""
        return [record for record in self.lua("return Requests") if record["method"] == method]

    def asked(self) -> list[dict[str, Any]]:
        return self.requests("textDocument/inlineCompletion")

    def has_asked_here(self) -> bool:
        """Whether the newest request for ghost text is about where the cursor is now."""
        row, column = self.nvim.current.window.cursor
        here = {"line": row - 1, "character": column}  # both count bytes
        return bool(self.asked()) and self.asked()[-1]["position"] == here

    def is_at_rest(self) -> bool:
        """Whether Neovim has asked about where the cursor is now and got all its answers."""
        return self.has_asked_here() and all(record["answered"] for record in self.asked())

    @property
    def log(self) -> str:
        """The end of Neovim's own log, with what the server wrote to standard error."""
        path = self.home / "state/nvim/lsp.log"
        return path.read_text()[-4000:] if path.exists() else ""

    @property
    def notes(self) -> list[str]:
        """What the server had shown to the user."""
        return list(self.lua("return Notes"))


StartNeovim = Callable[..., Neovim]


@pytest.fixture(scope="module")
def start_neovim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartNeovim]:
    """Return ``start(*words, home=..., name=...)``: a Neovim whose server is ``fimble *words``.

    ``init`` is its configuration, beside this file; ``server`` stands in for fimble.
    """
    started: list[Neovim] = []

    def start(
        *words: str,
        home: Path | None = None,
        name: str = "neovim",
        init: str = "init.lua",
        server: Command | None = None,
    ) -> Neovim:
        command = editor_command(name)
        home = home or tmp_path_factory.mktemp("n")
        wanted = server_words(*words, home=home)
        if server is not None:
            wanted["command"] = [*clean_environment(home), *server]
        started.append(Neovim(command, wanted, home, init))
        return started[-1]

    yield start
    for neovim in started:
        neovim.close()


@pytest.fixture(scope="session", name="until")
def _until() -> Callable[[Callable[[], T], str], T]:
    return until


@pytest.fixture(scope="session", name="editor_command")
def _editor_command() -> Callable[[str], Command]:
    return editor_command


@pytest.fixture(scope="session", name="server_words")
def _server_words() -> Callable[..., dict[str, Any]]:
    return server_words


@pytest.fixture(scope="session", name="clean_environment")
def _clean_environment() -> Callable[[Path], list[str]]:
    return clean_environment
