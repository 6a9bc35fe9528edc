"""The dashboard with the real engine behind it: live requests, and ghost text in the playground."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

GHOST = ".ghost-text-decoration, .ghost-text"
SOURCE = "def add(a, b):\n    return \n"

Visit = Any
Fimble = Callable[..., str]


@pytest.fixture
def url(fimble: Fimble) -> str:
    """An address that opens the page once."""
    return fimble("dashboard").strip()


def text_of(page: Page) -> str:
    """Return what the editor shows, ghost text left out."""
    lines = page.locator(".view-line").evaluate_all(
        """found => found
            .sort((a, b) => parseInt(a.style.top) - parseInt(b.style.top))
            .map(line => [...line.querySelectorAll('span > span')]
                .filter(part => !/ghost-text/.test(part.className))
                .map(part => part.textContent).join(''))"""
    )
    return "\n".join(lines).replace("\u00a0", " ")


def open_playground(visit: Visit, url: str) -> Page:
    page: Page = visit.open(url, "#/playground")
    page.wait_for_selector(".view-line")
    return page


def ghost_text(page: Page) -> list[str]:
    """Return the pieces that the ghost text is drawn in, in no certain order, without blanks."""
    page.wait_for_selector(GHOST)
    return [squeezed(piece) for piece in page.locator(GHOST).all_text_contents()]


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def num_accepted(fimble: Fimble) -> int:
    return int(json.loads(fimble("stats", "--json"))["total"]["accepted"])


def test_an_address_opens_the_page_once_and_the_tab_keeps_it_open(
    visit: Callable[..., Visit], url: str
) -> None:
    first = visit()
    page = first.open(url)
    expect(page.locator(".connection")).to_have_text("Live")
    assert "ticket" not in page.url
    page.reload()
    expect(page.locator(".connection")).to_have_text("Live")
    assert first.said == []
    second = visit().open(url)
    expect(second.get_by_role("heading", name="This page needs its token")).to_be_visible()
    expect(second.locator(".empty .fine")).to_contain_text("opens the page once")


def test_looking_on_loads_no_model_and_the_playground_does(
    visit: Callable[..., Visit], url: str, fimble: Fimble
) -> None:
    opened = visit()
    page = opened.open(url, "#/overview")
    expect(page.get_by_text("None is loaded.")).to_be_visible()
    page.goto(url.partition("#")[0] + "#/playground")
    page.wait_for_selector(".view-line")
    page.get_by_role("button", name="Suggest").click()
    expect(page.locator(".aside-state")).to_contain_text("Loading the model")
    assert ghost_text(page)
    assert opened.said == []


def test_a_request_of_another_client_appears_while_one_looks_on_and_is_explained(
    visit: Callable[..., Visit], url: str, fimble: Fimble, tmp_path: Path
) -> None:
    opened = visit()
    page = opened.open(url)
    (tmp_path / "sums.py").write_text(SOURCE)
    written = fimble("complete", f"{tmp_path / 'sums.py'}:2:12").strip()
    row = page.locator(".row.is-suggestion", has_text="sums.py:2")
    expect(row.locator(".row-text")).to_have_text(written)
    row.click()
    expect(page.locator(".detail .candidate .code")).to_have_text(written)
    expect(page.get_by_role("group", name="The prompt")).to_contain_text("def add(a, b):")
    expect(page.locator(".detail .stagetable").first).to_contain_text("Draft and verify")
    assert opened.said == []


def test_ghost_text_is_the_engine_s_and_tab_accepts_it(
    visit: Callable[..., Visit], url: str, fimble: Fimble, until: Callable[..., Any]
) -> None:
    opened = visit()
    page = open_playground(opened, url)
    page.get_by_role("button", name="Suggest").click()
    ghost = ghost_text(page)
    page.wait_for_selector(".answer")
    output = page.get_by_role("group", name="The output").inner_text()
    assert all(piece in squeezed(output) for piece in ghost)
    assert sum(map(len, ghost)) == len(squeezed(output))
    page.keyboard.press("Tab")
    expect(page.locator(GHOST)).to_have_count(0)
    assert output.strip().splitlines()[0] in text_of(page)
    until(lambda: num_accepted(fimble), "the server knows that it was accepted")
    hosts = {urlsplit(each).netloc for each in opened.asked if each.startswith("http")}
    assert (hosts, opened.said) == ({urlsplit(url).netloc}, [])


def test_typing_on_asks_again_and_the_explanation_is_of_the_newest(
    visit: Callable[..., Visit], url: str
) -> None:
    page = open_playground(visit(), url)
    page.locator(".monaco-editor").first.click(position={"x": 300, "y": 30})
    page.keyboard.press("Control+End")
    page.keyboard.type("\n    def names(self) -> list[str]:\n", delay=40)
    assert "return" in "".join(ghost_text(page))
    page.get_by_role("link", name="All of it").click()
    expect(page.locator(".detail-title")).to_contain_text("inventory.py:20")


def test_candidates_are_shown_beside_the_editor_and_another_is_a_key_away(
    visit: Callable[..., Visit], url: str, until: Callable[..., Any]
) -> None:
    page = open_playground(visit(), url)
    page.get_by_label("Candidates").select_option("3")
    page.get_by_role("button", name="Suggest").click()
    first = ghost_text(page)
    expect(page.locator(".aside .candidate").nth(1)).to_be_visible()
    page.keyboard.press("Alt+]")
    until(lambda: ghost_text(page) != first, "another candidate is shown")


def test_text_beyond_the_basic_plane_is_sent_as_it_is(
    visit: Callable[..., Visit], url: str
) -> None:
    page = open_playground(visit(), url)
    page.locator(".monaco-editor").first.click(position={"x": 300, "y": 30})
    page.keyboard.press("Control+A")
    page.keyboard.insert_text('flags = ["\U0001f600", "\U0001f680"]\n')
    page.keyboard.insert_text("\U0001f600 = 1\nfor flag in ")
    page.get_by_role("button", name="Suggest").click()
    prompt = page.get_by_role("group", name="The prompt")
    expect(prompt).to_contain_text('flags = ["\U0001f600", "\U0001f680"]')
    expect(prompt).to_contain_text("\U0001f600 = 1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_with_the_playground(
    visit: Callable[..., Visit],
    check_accessible: Callable[[Page], None],
    url: str,
    scheme: str,
) -> None:
    page = open_playground(visit(color_scheme=scheme, reduced_motion="reduce"), url)
    page.get_by_role("button", name="Suggest").click()
    page.wait_for_selector(".answer")
    check_accessible(page)


def test_the_keyboard_gets_into_the_editor_and_out_again(
    visit: Callable[..., Visit], url: str
) -> None:
    page = open_playground(visit(), url)
    page.get_by_role("button", name="Suggest").focus()
    page.keyboard.press("Tab")
    inside = "document.activeElement.closest('.monaco-editor') !== null"
    assert page.evaluate(inside)
    page.keyboard.press("Control+m")
    page.keyboard.press("Tab")
    assert not page.evaluate(inside)
