"""The folder nvim/ in Neovim 0.12, which has ghost text, and in 0.11, where the plugin draws it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
NEOVIMS = ("neovim", "old-neovim")
SPACES = ("nvim.lsp.inline_completion", "fimble")


class Plugin:
    """A Neovim with the plugin in front of a scripted server, which offers ``OFFERS``."""

    AREA = "return width * height"
    LOOP = "for größe in sizes:\n        print(größe)\n        total += größe"
    OFFERS = (AREA, "return width + height", LOOP)

    def __init__(self, neovim: Any, record: Path, until: Callable[..., Any]) -> None:
        self.neovim, self._record, self.until = neovim, record, until

    def open(self, text: str = "\n", name: str = "shapes.py") -> None:
        self.neovim.open(name, text)
        # Whatever it was sent before is in the record once it answers.
        self.lua_client("client:request_sync('testing/nothing', {}, 10000)")
        self._record.write_text("")

    def type(self, typed: str, offer: str) -> None:
        """Begin an offer in insert mode and wait for the rest of it."""
        self.neovim.keys(f"<Esc>i{typed}")
        self.wait_for_ghost(offer.removeprefix(typed))

    def type_area(self) -> None:
        """Open a file and begin its only line, which two offers continue."""
        self.open()
        self.type("return wid", self.AREA)

    def type_area_again(self) -> None:
        """Begin the line anew, in the file as it is."""
        self.neovim.keys("<Esc>ccreturn wid")
        self.wait_for_ghost("th * height")

    def health(self) -> str:
        """What ``:checkhealth fimble`` says."""
        self.neovim.lua("vim.cmd('checkhealth fimble')")
        text = "\n".join(self.neovim.lines)
        self.neovim.keys("<Esc>:bwipeout!<CR>")
        return text

    @property
    def errors(self) -> str:
        """The last error message of Neovim's; empty if there was none since it was taken."""
        text: str = self.neovim.lua("local text = vim.v.errmsg; vim.v.errmsg = ''; return text")
        return text

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All that the server got since the file was opened."""
        return [json.loads(line) for line in self._record.read_text().splitlines()]

    def received(self, method: str) -> list[Any]:
        """The parameters of the messages of this kind since the file was opened."""
        return [found["params"] for found in self.messages if found.get("method") == method]

    def wait_ms(self, duration_ms: int) -> None:
        """Let this time go by in Neovim, for whatever it might do by then."""
        self.neovim.lua(
            "Waited = false; vim.defer_fn(function() Waited = true end, ...)", duration_ms
        )
        self.until(lambda: self.neovim.lua("return Waited"), "the time is over")

    def wait_for(self, method: str) -> Any:
        return self.until(lambda: self.received(method), f"the server gets {method}")[-1]

    def wait_until_accepted_to(self, text: str) -> None:
        """Wait until the server has learnt that its item's text was taken as far as ``text``."""
        method = "textDocument/didPartiallyAcceptCompletion"
        told = self.until(
            lambda: [p for p in self.received(method) if p["acceptedLength"] == len(text)],
            f"the server learns of {len(text)} units",
        )
        assert told[-1]["item"]["insertText"].startswith(text)

    @property
    def ghost(self) -> str:
        """All ghost text, with line ends."""
        return self.line_and_ghost[1]

    @property
    def line_and_ghost(self) -> tuple[str, str]:
        """The line of the cursor and all ghost text, of one moment."""
        line, ghost = self.neovim.lua(
            """
            local lines = {}
            for _, name in ipairs(...) do
              local space = vim.api.nvim_create_namespace(name)
              local marks = vim.api.nvim_buf_get_extmarks(0, space, 0, -1, { details = true })
              for _, mark in ipairs(marks) do
                local drawn = vim.list_extend({ mark[4].virt_text or {} }, mark[4].virt_lines or {})
                for _, line in ipairs(drawn) do
                  local text = ''
                  for _, part in ipairs(line) do
                    text = text .. part[1]
                  end
                  table.insert(lines, text)
                end
              end
            end
            return { vim.api.nvim_get_current_line(), table.concat(lines, '\\n') }
            """,
            list(SPACES),
        )
        return line, ghost

    def wait_for_ghost(self, text: str) -> None:
        self.until(lambda: self.ghost == text, f"the ghost text is {text!r}")

    def wait_for_lines(self, *lines: str) -> None:
        self.until(lambda: self.neovim.lines == list(lines), f"the text is {lines}")

    def wait_for_status(self, text: str) -> None:
        self.until(lambda: f"[{text}]" in self.neovim.screen[-2], f"the status line says {text}")

    def tell(self, **params: Any) -> None:
        """Let the server say this of itself."""
        self.lua_client(
            "client:notify('testing/tell', ...)", {"method": "fimble/status", "params": params}
        )

    def lua_client(self, code: str, *arguments: Any) -> Any:
        client = "local client = vim.lsp.get_clients({ name = 'fimble' })[1]"
        return self.neovim.lua(f"{client}; {code}", *arguments)


def start(
    start_neovim: Callable[..., Any],
    until: Callable[..., Any],
    home: Path,
    name: str,
    delay_s: float,
) -> Plugin:
    record = home / "record.jsonl"
    record.touch()
    words = [str(HERE / "scripted_server.py"), str(record), json.dumps(Plugin.OFFERS), str(delay_s)]
    server = [sys.executable, "-I", *words, "lsp"]
    neovim = start_neovim(home=home, name=name, init="neovim_plugin/plugin.lua", server=server)
    return Plugin(neovim, record, until)


@pytest.fixture(scope="module", params=NEOVIMS)
def plugin(
    request: pytest.FixtureRequest,
    start_neovim: Callable[..., Any],
    until: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Plugin:
    return start(start_neovim, until, tmp_path_factory.mktemp("p"), request.param, 0.0)


@pytest.fixture(scope="module", params=NEOVIMS)
def late(
    request: pytest.FixtureRequest,
    start_neovim: Callable[..., Any],
    until: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Plugin:
    """The same with a server that answers late, whatever has become of the text meanwhile."""
    return start(start_neovim, until, tmp_path_factory.mktemp("l"), request.param, 0.4)


@pytest.fixture
def switched_on_again(plugin: Plugin) -> Iterator[None]:
    yield
    plugin.neovim.keys("<Esc>:Fimble enable<CR>:Fimble enable buffer<CR>:Fimble enable python<CR>")
