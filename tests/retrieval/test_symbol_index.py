"""What names in open documents lead to, as an index of a workspace tells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from retrieval.keeper import Refreshed
from retrieval.open_text import OpenText
from retrieval.query import Query, query_of
from retrieval.snippet import Snippet
from retrieval.workspace import WorkspaceIndex

Write = Callable[[Mapping[str, str | bytes]], None]
OpenIndex = Callable[..., WorkspaceIndex]
Refresh = Callable[[WorkspaceIndex], Refreshed]
Shown = Callable[..., OpenText]
Eventually = Callable[[Callable[[], object]], None]

TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
PYTHON = {
    "shop/orders.py": (
        "class Order:\n"
        '    """One purchase."""\n\n'
        f'    token = "{TOKEN}"\n\n'
        "    def total(self, currency: str) -> int:\n"
        "        return 1\n\n"
        "    def cancel(self) -> None: ...\n\n\n"
        "def unrelated_thing(): ...\n"
    ),
    "shop/app.py": (
        "from shop.orders import Order, unrelated_thing\n\n\n"
        "def show(order: Order) -> None:\n"
        "    order.\n"
    ),
}
TYPESCRIPT = {
    "src/orders.ts": (
        "/** One purchase. */\n"
        "export class Order {\n"
        f'  token = "{TOKEN}";\n'
        "  total(currency: string): number { return 1; }\n"
        "  cancel(): void {}\n"
        "}\n"
        "export function unrelatedThing(): void {}\n"
    ),
    "src/app.ts": (
        'import { Order, unrelatedThing } from "./orders";\n\n'
        "function show(order: Order): void {\n"
        "  order.\n"
        "}\n"
    ),
}
PROJECTS = [(PYTHON, "shop/app.py", "shop/orders.py"), (TYPESCRIPT, "src/app.ts", "src/orders.ts")]
projects = pytest.mark.parametrize(
    ("files", "path", "imported"), PROJECTS, ids=["python", "typescript"]
)


def imported_snippets(index: WorkspaceIndex, path: str, query: str, line: str) -> list[Snippet]:
    return index.symbols.imported(path, query_of(query, 0, None), line)


def at_cursor(index: WorkspaceIndex, path: str, text: str) -> list[Snippet]:
    """Return what is shown for a cursor behind ``order.``."""
    tree = index.tree(path)
    assert tree is not None
    return index.symbols.at_cursor(path, tree, text.index("order.\n") + 6, "order.")


@pytest.fixture
def opened(
    open_index: OpenIndex, write: Write, refresh: Refresh, shown: Shown
) -> Callable[[Mapping[str, str], str], WorkspaceIndex]:
    """Return an index of files, one of which is open and prepared."""

    def open_one(files: Mapping[str, str], path: str) -> WorkspaceIndex:
        write(files)
        index = open_index()
        refresh(index)
        index.note(shown(path, files[path]))
        index.prepare_symbols(path)
        return index

    return open_one


@projects
def test_outlines_of_imported_names_say_what_they_are(
    files: Mapping[str, str], path: str, imported: str, opened: Callable[..., WorkspaceIndex]
) -> None:
    index = opened(files, path)
    (snippet,) = imported_snippets(index, path, "order", "order = 1")
    assert (snippet.path, snippet.reason) == (imported, "defines Order, imported here")
    assert "total" in snippet.text
    assert "return 1" not in snippet.text
    assert TOKEN not in snippet.text
    (used,) = imported_snippets(index, path, "order", "x = Order()")
    assert used.reason == "defines Order, used in this line"


@projects
def test_what_shares_no_word_with_the_query_is_left_out(
    files: Mapping[str, str], path: str, imported: str, opened: Callable[..., WorkspaceIndex]
) -> None:
    index = opened(files, path)
    assert imported_snippets(index, path, "nothing here", "") == []
    assert index.symbols.imported(path, Query(), "") == []
    assert len(imported_snippets(index, path, "unrelated total", "")) == 2


@projects
def test_behind_a_receiver_its_type_is_shown(
    files: Mapping[str, str], path: str, imported: str, opened: Callable[..., WorkspaceIndex]
) -> None:
    index = opened(files, path)
    first, *_ = at_cursor(index, path, files[path])
    assert (first.path, first.score) == (imported, 1.0)
    assert "cancel" in first.text
    assert TOKEN not in first.text


def test_what_an_open_document_defines_counts_unsaved(
    opened: Callable[..., WorkspaceIndex], shown: Shown
) -> None:
    index = opened(PYTHON, "shop/app.py")
    changed = PYTHON["shop/orders.py"].replace("cancel", "refund")
    index.note(shown("shop/orders.py", changed))
    index.prepare_symbols("shop/app.py")
    (snippet,) = imported_snippets(index, "shop/app.py", "order", "")
    assert "refund" in snippet.text
    assert TOKEN not in snippet.text


def test_nothing_is_known_of_a_document_that_was_closed(
    opened: Callable[..., WorkspaceIndex],
) -> None:
    index = opened(PYTHON, "shop/app.py")
    index.drop("shop/app.py", "editor")
    assert imported_snippets(index, "shop/app.py", "order", "") == []
    index.prepare_symbols("shop/app.py")
    assert imported_snippets(index, "shop/app.py", "order", "") == []


def test_a_document_is_prepared_although_nobody_searched(
    start_index: OpenIndex, shown: Shown, eventually: Eventually
) -> None:
    index = start_index(PYTHON)
    index.note(shown("shop/app.py", PYTHON["shop/app.py"]))
    eventually(lambda: imported_snippets(index, "shop/app.py", "order", ""))


def test_what_names_lead_to_follows_the_files(
    start_index: OpenIndex, shown: Shown, eventually: Eventually, write: Write, folder: Path
) -> None:
    index = start_index(PYTHON)
    index.note(shown("shop/app.py", PYTHON["shop/app.py"]))
    write({"shop/orders.py": "class Order:\n    def refund(self) -> None: ...\n"})

    def outlines() -> str:
        found = imported_snippets(index, "shop/app.py", "order", "")
        return "".join(snippet.text for snippet in found)

    eventually(lambda: "refund" in outlines())
    (folder / "shop" / "orders.py").unlink()
    eventually(lambda: outlines() == "")
