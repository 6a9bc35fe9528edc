"""``fimble dashboard`` and the daemon: the page's address, and a daemon that stays for its page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from lsp_server import cli
from lsp_server.daemon.client import ControlClient
from lsp_server.daemon.paths import RuntimePaths

TEXT = "def add(a, b):\n    return \n"
DOCUMENT = {"uri": "file:///w/a.py", "path": "/w/a.py", "language_id": "python", "text": TEXT}
COMPLETE = {"document": DOCUMENT, "offset": TEXT.index("return ") + 7, "wishes": {}}


@pytest.fixture
def dashboard(
    paths: RuntimePaths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Return ``dashboard(*words)``: what the command printed."""
    monkeypatch.setenv("FIMBLE_SERVER_RUNTIME_DIR", str(paths.folder))

    def run(*words: str) -> str:
        assert cli.main(["dashboard", *words]) == 0
        return capsys.readouterr().out.strip()

    return run


def get(url: str, path: str) -> httpx.Response:
    address = urlsplit(url)
    base = f"{address.scheme}://{address.netloc}"
    body = {"ticket": address.fragment.removeprefix("ticket=")}
    token = httpx.post(f"{base}/dashboard/ticket", json=body).json()["token"]
    return httpx.get(base + path, headers={"Authorization": f"Bearer {token}"})


def test_the_command_prints_one_address_that_shows_every_client_s_requests(
    start_daemon: Callable[..., Any],
    connect: Callable[..., ControlClient],
    dashboard: Callable[..., str],
) -> None:
    start_daemon()
    url = dashboard()
    connect().request("complete", COMPLETE)
    (found,) = get(url, "/v1/explain").json()["explanations"]
    assert (found["door"], found["line"]) == ("control", 2)
    again = dashboard()
    assert again != url  # each address opens the page once
    assert again.partition("#")[0] == url.partition("#")[0]


def test_with_open_the_browser_gets_the_printed_address(
    start_daemon: Callable[..., Any],
    dashboard: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start_daemon()
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    assert [dashboard("--open")] == opened


def test_a_daemon_that_nobody_else_uses_stays_for_an_open_page(
    start_daemon: Callable[..., Any], dashboard: Callable[..., str]
) -> None:
    daemon = start_daemon(idle_shutdown_s=0.5)
    url = dashboard()
    with httpx.Client() as page:
        page.get(url.partition("#")[0])
        daemon._thread.join(2)
        assert daemon._thread.is_alive()
    daemon.join()


def test_a_daemon_that_is_told_to_stop_closes_the_page_s_listener(
    start_daemon: Callable[..., Any], dashboard: Callable[..., str]
) -> None:
    daemon = start_daemon()
    url = dashboard()
    daemon.stop()
    with pytest.raises(httpx.ConnectError):
        get(url, "/v1/explain")
