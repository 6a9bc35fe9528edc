"""``/dashboard/``: files for everybody, which show nothing without the token."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lsp_server.http.dashboard import FOLDER, add_dashboard

Serve = Callable[..., Any]
SOURCES = FOLDER.parent
TOKEN = "0123456789abcdef-token"
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def without_token(running: Any, path: str, **options: Any) -> httpx.Response:
    return httpx.get(running.url.removesuffix("/v1") + path, **options)


@pytest.fixture
def running(serve: Serve, small_service: Any) -> Any:
    return serve(small_service, token=TOKEN)


@pytest.fixture
def small_service() -> object:
    return object()


def test_the_page_and_all_it_names_come_without_a_token(running: Any) -> None:
    page = without_token(running, "/dashboard/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    named = re.findall(r'(?:src|href)="\./([^"]+)"', page.text)
    assert {Path(name).suffix for name in named} == {".js", ".css"}
    for name in named:
        assert without_token(running, f"/dashboard/{name}").status_code == 200


@pytest.mark.parametrize("path", ["/v1/explain", "/v1/live", "/v1/stats", "/v1/models", "/metrics"])
def test_what_it_shows_needs_the_token(running: Any, path: str) -> None:
    assert without_token(running, path).status_code == 401


def test_the_page_may_load_and_run_nothing_but_its_own_files(running: Any) -> None:
    (policy,) = without_token(running, "/dashboard/").headers.get_list("content-security-policy")
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert allowed["default-src"] == "'none'"
    assert allowed["script-src"] == allowed["connect-src"] == allowed["font-src"] == "'self'"
    assert allowed["frame-ancestors"] == "'none'"
    assert "unsafe-eval" not in policy
    (other,) = without_token(running, "/health").headers.get_list("content-security-policy")
    assert other.startswith("default-src 'none'")


def test_files_with_a_digest_in_their_names_are_kept_by_browsers_and_the_page_is_not(
    running: Any,
) -> None:
    page = without_token(running, "/dashboard/")
    script = re.findall(r'src="\./(main-[^"]+)"', page.text)[0]
    assert page.headers["cache-control"] == "no-cache"
    assert "immutable" in without_token(running, f"/dashboard/{script}").headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    [
        "/dashboard/no-such.js",
        "/dashboard/sources.sha256",
        "/dashboard/../access.py",
        "/dashboard/%2e%2e/package.json",
        "/dashboard/..%2fpackage.json",
        "/dashboard/src/main.tsx",
    ],
)
def test_there_are_no_other_files(running: Any, path: str) -> None:
    answer = without_token(running, path)
    assert answer.status_code in (401, 404)
    assert "fimble-dashboard" not in answer.text


def test_a_link_in_another_page_opens_it_and_nothing_else_of_another_page_may(
    running: Any,
) -> None:
    assert without_token(running, "/dashboard/", headers=LINK).status_code == 200
    embedded = {**LINK, "Sec-Fetch-Dest": "iframe"}
    assert without_token(running, "/dashboard/", headers=embedded).status_code == 403
    fetched = {**LINK, "Sec-Fetch-Mode": "cors"}
    assert without_token(running, "/dashboard/", headers=fetched).status_code == 403
    assert without_token(running, "/v1/stats", headers=LINK).status_code == 403


def test_the_address_without_its_last_slash_leads_there(running: Any) -> None:
    answer = without_token(running, "/dashboard")
    assert (answer.status_code, answer.headers["location"]) == (307, "/dashboard/")


def test_a_copy_without_the_built_files_says_how_to_make_them(tmp_path: Path) -> None:
    app = FastAPI()
    add_dashboard(app, tmp_path)
    answer = TestClient(app).get("/dashboard/")
    assert answer.status_code == 503
    assert "make dashboard" in answer.text


def test_the_built_files_are_those_of_the_sources() -> None:
    digest = hashlib.sha256()
    sources = [*(path for path in (SOURCES / "src").rglob("*") if path.is_file())]
    names = [path.relative_to(SOURCES).as_posix() for path in sources]
    for name in sorted([*names, "build.mjs", "package-lock.json"]):
        digest.update(f"{name}\0".encode() + (SOURCES / name).read_bytes() + b"\0")
    built = (FOLDER / "sources.sha256").read_text().strip()
    assert built == digest.hexdigest(), "run `make dashboard` and commit what it makes"


def test_the_lock_file_names_no_registry() -> None:
    assert "resolved" not in (SOURCES / "package-lock.json").read_text()
