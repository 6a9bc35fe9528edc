"""What is shown beside a document: from every source, within the budget, and steady."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from retrieval.context import ContextFinder, Place
from retrieval.keeper import Refreshed
from retrieval.open_text import OpenText
from retrieval.snippet import Snippet, SnippetSource
from retrieval.workspace import WorkspaceIndex

Write = Callable[[Mapping[str, str | bytes]], None]
OpenIndex = Callable[..., WorkspaceIndex]
Refresh = Callable[[WorkspaceIndex], Refreshed]
Shown = Callable[..., OpenText]

TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
FILES = {
    "shop/orders.py": (
        "class Order:\n"
        "    def total(self, currency: str) -> int:\n"
        "        return self.price_table[currency]\n\n"
        "    def cancel(self) -> None: ...\n"
    ),
    "shop/invoices.py": (
        "def invoice_total(order, currency):\n"
        '    """Add up the price_table of an order."""\n'
        "    amount = order.total(currency)\n"
        "    return format_amount(amount, currency)\n"
    ),
    "shop/notes.py": (
        f'def remember(note):\n    token = "{TOKEN}"\n    return send_note(note, token)\n'
    ),
    "shop/app.py": (
        "from shop.orders import Order\n\n\n"
        "def show(order: Order, currency: str) -> str:\n"
        "    amount = order.\n"
        "    \n"
        "    return format_amount(amount, currency)\n"
    ),
}
APP = FILES["shop/app.py"]


def cost(snippet: Snippet) -> int:
    return 8 + len(snippet.text) // 4


def place(text: str, behind: str, **others: str | bool | float) -> Place:
    """Return the place in ``shop/app.py`` behind the first ``behind``, all of it visible."""
    at = text.index(behind) + len(behind)
    return Place("shop/app.py", "python", text, at, (0, len(text)), **others)  # type: ignore[arg-type]


@pytest.fixture
def index(open_index: OpenIndex, write: Write, refresh: Refresh, shown: Shown) -> WorkspaceIndex:
    """Return an index with ``shop/app.py`` open and prepared."""
    write(FILES)
    opened = open_index()
    refresh(opened)
    opened.note(shown("shop/app.py", APP))
    opened.prepare_symbols("shop/app.py")
    return opened


def find(index: WorkspaceIndex, where: Place, budget: int = 2_000) -> tuple[Snippet, ...]:
    return ContextFinder(index).find(where, budget, cost)


def of(found: tuple[Snippet, ...], source: SnippetSource) -> list[Snippet]:
    return [snippet for snippet in found if snippet.source is source]


def test_similar_lines_are_shown_and_say_why(index: WorkspaceIndex) -> None:
    similar = of(find(index, place(APP, "return format_amount(")), SnippetSource.SIMILAR)
    assert similar[-1].path == "shop/invoices.py"
    assert similar[-1].text == FILES["shop/invoices.py"]
    assert similar[-1].reason == "shares amount, format"


def test_definitions_of_imported_names_are_shown_as_outlines(index: WorkspaceIndex) -> None:
    where = place(APP, "def show(order: Order")
    outlines = of(find(index, where), SnippetSource.DEFINITION)
    assert [(each.path, each.reason) for each in outlines] == [
        ("shop/orders.py", "defines Order, used in this line")
    ]
    assert "def total(self, currency: str) -> int" in outlines[0].text
    assert "price_table" not in outlines[0].text


def test_the_type_of_the_receiver_stands_next_to_the_cursor(index: WorkspaceIndex) -> None:
    last = find(index, place(APP, "amount = order."))[-1]
    assert (last.path, last.source) == ("shop/orders.py", SnippetSource.DEFINITION)


def test_nothing_that_the_prompt_shows_is_shown_again(index: WorkspaceIndex, shown: Shown) -> None:
    found = find(index, place(APP, "amount = order."))
    assert found
    assert all(snippet.path != "shop/app.py" for snippet in found)
    index.drop("shop/app.py", "editor")  # a document that no editor has told of
    found = find(index, place(APP, "return format_amount("))
    assert found
    assert all(snippet.path != "shop/app.py" for snippet in found)


def test_the_rest_of_a_long_document_is_found(index: WorkspaceIndex, shown: Shown) -> None:
    far = "def format_amount(amount, currency):\n    return f'{amount} {currency}'\n\n\n"
    between = "".join(f"UNRELATED_{number} = {number}\n" for number in range(300))
    text = far + between + APP
    index.note(shown("shop/app.py", text, 2))
    at = text.index("return format_amount(amount, currency)")
    where = Place("shop/app.py", "python", text, at, (at - 200, len(text)))
    assert any(
        snippet.path == "shop/app.py" and "def format_amount" in snippet.text
        for snippet in find(index, where)
    )


def test_recent_edits_are_shown(index: WorkspaceIndex, shown: Shown) -> None:
    text = FILES["shop/notes.py"]
    index.note(shown("shop/notes.py", text))
    edited = text.replace("send_note", "deliver")
    at = text.index("send_note")
    index.note(shown("shop/notes.py", edited, 2, base_version=1, edits=((at, at + 9, "deliver"),)))
    (edit,) = of(find(index, place(APP, "amount = order.")), SnippetSource.RECENT_EDIT)
    assert (edit.path, edit.reason) == ("shop/notes.py", "edited just now")
    assert "deliver" in edit.text
    assert TOKEN not in edit.text


def test_edits_that_were_thrown_away_are_not_shown(index: WorkspaceIndex, shown: Shown) -> None:
    text = FILES["shop/notes.py"]
    index.note(shown("shop/notes.py", text))
    index.note(shown("shop/notes.py", "#\n" + text, 2, base_version=1, edits=((0, 0, "#\n"),)))
    index.drop("shop/notes.py", "editor")
    found = find(index, place(APP, "amount = order."))
    assert of(found, SnippetSource.RECENT_EDIT) == []


def test_secrets_are_not_shown(index: WorkspaceIndex) -> None:
    where = place(APP.replace("    \n", "    send_note(note, remember, token)\n"), "send_note(")
    found = find(index, where)
    assert any(snippet.path == "shop/notes.py" for snippet in found)
    assert all(TOKEN not in snippet.text for snippet in found)


def test_what_is_shown_stays_while_a_line_is_typed(index: WorkspaceIndex, shown: Shown) -> None:
    finder, text = ContextFinder(index), APP.replace("order.\n", "order.total(currency)\n")
    index.note(shown("shop/app.py", text, 2))
    behind = "total(currency)\n    "
    first = finder.find(place(text, behind), 2_000, cost)
    assert first
    for version, character in enumerate("send_note(note, remember, token)", start=3):
        at = text.index(behind) + len(behind)
        text = text[:at] + character + text[at:]
        behind += character
        index.note(
            shown(
                "shop/app.py",
                text,
                version,
                base_version=version - 1,
                edits=((at, at, character),),
            )
        )
        where = place(text, behind)
        assert where.line == 5
        assert finder.find(where, 2_000, cost) == first
    rested = finder.find(place(text, behind, has_rested=True), 2_000, cost)
    assert any(snippet.path == "shop/notes.py" for snippet in rested)


@pytest.mark.parametrize("behind", ["amount = order.", "return format_amount("])
def test_the_budget_is_kept(behind: str, index: WorkspaceIndex) -> None:
    finder = ContextFinder(index)
    for budget in (*range(0, 200, 7), *range(200, 0, -7)):
        for where in (place(APP, behind), place(APP, "def show(")):
            found = finder.find(where, budget, cost)
            assert sum(map(cost, found)) <= budget
            assert all(snippet.text for snippet in found)


def test_a_file_that_changed_is_not_shown_as_it_was(
    index: WorkspaceIndex, refresh: Refresh, folder: Path
) -> None:
    finder = ContextFinder(index)
    shows = finder.find(place(APP, "return format_amount("), 2_000, cost)
    assert any(snippet.text == FILES["shop/invoices.py"] for snippet in shows)
    changed = "import math\n\n\n" + FILES["shop/invoices.py"].replace("amount =", "result =")
    (folder / "shop" / "invoices.py").write_text(changed)
    for _ in range(2):  # before the index knows of it, and behind
        for where in (place(APP, "from shop"), place(APP, "return format_amount(")):
            for snippet in finder.find(where, 2_000, cost):
                if snippet.path == "shop/invoices.py":
                    lines = changed.splitlines(keepends=True)[snippet.start_line : snippet.end_line]
                    assert snippet.text == "".join(lines)
        refresh(index)
    assert any("result =" in each.text for each in find(index, place(APP, "return format_amount(")))


def test_a_shown_file_that_grew_in_front_is_shown_where_it_is_now(
    index: WorkspaceIndex, shown: Shown
) -> None:
    finder, path = ContextFinder(index), "shop/invoices.py"
    finder.find(place(APP, "return format_amount("), 2_000, cost)
    index.note(shown(path, "import math\n" * 5 + FILES[path]))
    found = finder.find(place(APP, "amount = order."), 2_000, cost)
    (snippet,) = (each for each in found if each.path == path)
    lines = ("import math\n" * 5 + FILES[path]).splitlines(keepends=True)
    assert snippet.text == "".join(lines[snippet.start_line : snippet.end_line])


def test_without_an_index_of_anything_nothing_is_shown(open_index: OpenIndex) -> None:
    assert find(open_index(), place(APP, "amount = order.")) == ()
