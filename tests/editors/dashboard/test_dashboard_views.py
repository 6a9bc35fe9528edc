"""The dashboard's views as people meet them: by mouse and keyboard, in light and dark."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

Visit = Any
MadeUp = Callable[..., Any]
CheckAccessible = Callable[[Page], None]

VIEWS = {
    "": ".row",
    "#/requests/richest": ".prompt",
    "#/requests/nothing-1": ".stagetable",
    "#/requests/cancelled-2": ".detail .fine",
    "#/requests/from-richest": ".origin",
    "#/overview": ".figures",
}
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def url(made_up: MadeUp) -> str:
    """The address of a page with requests of every kind."""
    return str(made_up("0"))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_no_fault_with_a_view(
    visit: Callable[..., Visit],
    check_accessible: CheckAccessible,
    url: str,
    view: str,
    scheme: str,
) -> None:
    page = visit(color_scheme=scheme, reduced_motion="reduce").open(url, view)
    page.wait_for_selector(VIEWS[view])
    check_accessible(page)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_no_fault_where_there_is_nothing_to_show(
    visit: Callable[..., Visit], check_accessible: CheckAccessible, made_up: MadeUp, scheme: str
) -> None:
    address = made_up("0", "empty")
    page = visit(color_scheme=scheme, reduced_motion="reduce").open(address)
    expect(page.get_by_role("heading", name="Nobody has asked")).to_be_visible()
    check_accessible(page)
    page.goto(address.partition("#")[0] + "#/overview")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    check_accessible(page)


def test_views_say_nothing_on_the_console_and_load_nothing_from_elsewhere(
    visit: Callable[..., Visit], url: str
) -> None:
    opened = visit()
    page = opened.open(url)
    for view, wanted in VIEWS.items():
        page.goto(url.partition("#")[0] + view)
        page.wait_for_selector(wanted)
    assert opened.said == []
    hosts = {urlsplit(each).netloc for each in opened.asked if not each.startswith("data:")}
    assert hosts == {urlsplit(url).netloc}


def test_the_token_leaves_the_address_and_survives_a_reload(
    visit: Callable[..., Visit], url: str
) -> None:
    page = visit().open(url)
    assert "token" not in page.url
    page.reload()
    page.wait_for_selector(".row")


def test_an_address_that_is_opened_in_the_tab_of_an_older_page_opens_it(
    visit: Callable[..., Visit], url: str
) -> None:
    page = visit().open(url.partition("#")[0])
    expect(page.get_by_role("heading", name="This page needs its token")).to_be_visible()
    page.goto(url)  # changes nothing but what stands behind the #
    page.wait_for_selector(".row")
    assert "token" not in page.url


@pytest.mark.parametrize("hash_", ["#/requests/%", "#/requests/%E0%A4%A", "#/nothing", "#%"])
def test_addresses_that_somebody_mistyped_show_the_page_all_the_same(
    visit: Callable[..., Visit], url: str, hash_: str
) -> None:
    opened = visit()
    page = opened.open(url)
    page.goto(url.partition("#")[0] + hash_)
    page.reload()
    page.wait_for_selector(".row")


def test_an_answer_from_memory_says_where_it_is_from_and_leads_there(
    visit: Callable[..., Visit], url: str
) -> None:
    page = visit().open(url, "#/requests/from-richest")
    expect(page.locator(".origin")).to_contain_text("it was kept from request richest")
    expect(page.locator(".detail")).to_contain_text("No engine was needed")
    page.locator(".origin a").click()
    expect(page.get_by_role("group", name="The prompt")).to_be_visible()
    page.goto(url.partition("#")[0] + "#/requests/from-forgotten")
    expect(page.locator(".origin")).to_contain_text("from an earlier answer")
    page.goto(url.partition("#")[0] + "#/requests/prepared")
    expect(page.locator(".origin")).to_contain_text("before anybody asked")


def test_a_document_of_any_name_is_shown_by_it_and_never_as_markup(
    visit: Callable[..., Visit], url: str
) -> None:
    page = visit().open(url, "#/requests/prepared")
    expect(page.locator(".detail-title")).to_contain_text("100%<b>.py")
    assert page.locator(".detail-title b").count() == 0


def test_who_hears_the_page_is_told_what_others_see_by_colour(
    visit: Callable[..., Visit], url: str
) -> None:
    page = visit().open(url, "#/requests/richest")
    prompt = page.get_by_role("group", name="The prompt")
    expect(prompt).to_be_visible()
    told = prompt.locator("mark").evaluate_all("all => all.map(one => one.ariaDescription)")
    assert {each.split(",")[0] for each in told} == {"patched", "new", "healed"}
    output = page.get_by_role("group", name="The output")
    assert "Copied from the document" in (
        output.locator("mark").first.get_attribute("aria-description") or ""
    )


def test_without_the_token_the_page_shows_no_text_and_says_what_to_do(
    visit: Callable[..., Visit], check_accessible: CheckAccessible, url: str
) -> None:
    page = visit().open(url.partition("#")[0])
    expect(page.get_by_role("heading", name="This page needs its token")).to_be_visible()
    expect(page.locator("code")).to_have_text("fimble dashboard --open")
    assert "inventory" not in page.content()
    check_accessible(page)


def test_all_of_a_view_is_reached_by_the_keyboard(visit: Callable[..., Visit], url: str) -> None:
    page = visit().open(url)
    page.wait_for_selector(".row")
    reached = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim().slice(0, 24)"))
    assert reached[0] == "Skip to the content"
    assert reached[2:5] == ["Requests", "Overview", "Playground"]
    assert [each.split()[0] for each in reached[6:10]] == ["All", "Suggestions", "Nothing", "Taken"]
    assert reached[11].startswith("Suggestion at src/")


def test_arrow_keys_go_through_the_list_and_show_what_they_pass(
    visit: Callable[..., Visit], url: str
) -> None:
    page = visit().open(url)
    page.locator(".row").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".row[aria-current]")).to_contain_text("The cursor stands inside a word")
    expect(page.locator(".detail .lead")).to_contain_text("The cursor stands inside a word")


def test_home_and_end_lead_to_the_ends_of_the_list(visit: Callable[..., Visit], url: str) -> None:
    page = visit().open(url)
    page.locator(".row").first.focus()
    page.keyboard.press("End")
    expect(page.locator(".row").last).to_be_focused()
    page.keyboard.press("Home")
    expect(page.locator(".row").first).to_be_focused()


def test_enter_opens_a_request_and_tab_goes_on_into_its_prompt(
    visit: Callable[..., Visit], url: str
) -> None:
    page = visit().open(url)
    page.locator(".row.is-suggestion").nth(2).focus()  # with many behind it
    page.keyboard.press("Enter")
    page.wait_for_selector(".prompt")
    labels = []
    for _ in range(4):
        page.keyboard.press("Tab")
        labels.append(page.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert labels == [
        "Explanation",
        "The suggested text",
        "The prompt",
        None,
    ]  # then what is folded


def test_kinds_of_tokens_differ_in_more_than_colour(visit: Callable[..., Visit], url: str) -> None:
    page = visit().open(url, "#/requests/richest")
    page.wait_for_selector(".prompt")

    def lines(kinds: tuple[str, ...]) -> set[str]:
        style = "getComputedStyle(document.querySelector('.code .token.is-%s')).textDecorationLine"
        line = style.replace("textDecorationLine", "textDecorationStyle")
        return {f"{page.evaluate(style % kind)} {page.evaluate(line % kind)}" for kind in kinds}

    assert len(lines(("exact", "patched", "new", "healed"))) == 4
    drafts = tuple(f"draft-{number}" for number in range(6))
    assert len(lines(("target", *drafts))) == 7


def test_a_folded_stretch_of_the_prompt_opens(visit: Callable[..., Visit], url: str) -> None:
    page = visit().open(url, "#/requests/richest")
    prompt = page.get_by_role("group", name="The prompt")
    before = len(prompt.inner_text())
    prompt.get_by_role("button", name="characters more").click()
    assert len(prompt.inner_text()) > before + 1000
    expect(prompt).to_be_focused()  # the button is gone, and the keyboard goes on from here


def test_filters_show_one_kind_of_outcome(visit: Callable[..., Visit], url: str) -> None:
    page = visit().open(url)
    button = page.get_by_role("button", name="Nothing shown")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".row.is-nothing")).to_have_count(page.locator(".row").count())


def test_requests_arrive_while_one_looks_on_and_can_be_held_back(
    visit: Callable[..., Visit], made_up: MadeUp
) -> None:
    address = made_up("0.1")
    page = visit().open(address)
    page.wait_for_selector('.row[data-id="later-1"]')
    page.get_by_role("button", name="Pause").click()
    num_rows = page.locator(".row").count()
    go_on = page.get_by_role("button", name=re.compile(r"Show \d+ new"))
    go_on.wait_for()  # there is something to show
    assert page.locator(".row").count() == num_rows
    go_on.click()
    page.wait_for_selector(f".list li:nth-child({num_rows + 1})")


def test_the_chosen_theme_stays_and_follows_the_system_otherwise(
    visit: Callable[..., Visit], url: str
) -> None:
    page = visit(color_scheme="dark").open(url)
    theme = "document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "dark"
    page.emulate_media(color_scheme="light")
    page.wait_for_selector("html[data-theme=light]")
    page.get_by_role("button", name="Theme: as the system").click()
    page.get_by_role("button", name="Theme: light").click()
    page.reload()
    page.wait_for_selector(".row")
    assert page.evaluate(theme) == "dark"


def test_a_request_that_is_forgotten_says_so(visit: Callable[..., Visit], url: str) -> None:
    page = visit().open(url, "#/requests/long-ago")
    expect(page.get_by_role("heading", name="This request is forgotten")).to_be_visible()


@pytest.mark.parametrize("width", [420, 900])
def test_nothing_is_cut_off_on_narrow_screens(
    visit: Callable[..., Visit], url: str, width: int
) -> None:
    page = visit().open(url)
    page.set_viewport_size({"width": width, "height": 800})
    for view, wanted in VIEWS.items():
        page.goto(url.partition("#")[0] + view)
        page.wait_for_selector(wanted)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
