"""Chromium, pages opened in it, and servers with made-up requests or the real engine behind them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

HERE = Path(__file__).resolve().parent
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 40_000


@pytest.fixture(scope="module")  # its event loop would be in the way of other clients
def browser(editor_command: Callable[[str], list[str]]) -> Iterator[Browser]:
    (program,) = editor_command("chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield chromium
        chromium.close()


class Visit:
    """A page that was opened in a profile of its own, and what it did."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        self._context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
        self._context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self._context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, url: str, view: str = "") -> Page:
        self.page.goto(url)
        self.page.wait_for_selector(".connection.is-live, .connection.is-refused")
        if view:
            self.page.goto(url.partition("#")[0] + view)
        return self.page

    def close(self) -> None:
        self._context.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Return ``visit(**options)``: a browser with a profile of its own, before its first page."""
    visits: list[Visit] = []

    def start(**options: Any) -> Visit:
        visits.append(Visit(browser, **options))
        return visits[-1]

    yield start
    for each in visits:
        each.close()


@pytest.fixture(scope="session")
def check_accessible() -> Callable[[Page], None]:
    def check(page: Page) -> None:
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()

    return check


@pytest.fixture(scope="module")
def made_up() -> Iterator[Callable[..., str]]:
    """Return ``made_up(*words)``: the address of a page with requests that nobody made."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> str:
        command = [sys.executable, str(HERE / "made_up.py"), *words]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout is not None
        return started[-1].stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def fimble(
    tmp_path_factory: pytest.TempPathFactory, clean_environment: Callable[[Path], list[str]]
) -> Iterator[Callable[..., str]]:
    """Return ``fimble(*words)``: what the command printed; its daemon ends with the module."""
    home = tmp_path_factory.mktemp("h")
    environment = clean_environment(home)

    def run(*words: str) -> str:
        variables = ["FIMBLE_MODEL_OFFLINE=true", "FIMBLE_COMPLETION_DEADLINE_MS=120000"]
        command = [*environment, *variables, sys.executable, "-I", "-m", "lsp_server", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    run("daemon", "stop")
