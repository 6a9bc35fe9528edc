"""Which prompts are taken for versions of one document."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from completion.types import apply_edits
from lsp_server.http.prompts import MAX_NUM_DOCUMENTS, PromptTable, PromptText

HEAD = "def a_function_with_a_long_name(and_arguments):\n    value = and_arguments + 1\n"
PROMPT = PromptText(HEAD + "    return", "\n", "http:")


def ignore(_: str) -> None: ...


def test_a_prompt_that_grows_stays_one_document() -> None:
    table = PromptTable(ignore)
    first = table.snapshot(PROMPT)
    second = table.snapshot(replace(PROMPT, prefix=PROMPT.prefix + " va"))
    assert (second.key, second.base_version) == (first.key, first.version)
    assert second.version > first.version


def test_other_text_and_other_users_are_other_documents() -> None:
    table = PromptTable(ignore)
    keys = {
        table.snapshot(prompt).key
        for prompt in (
            PROMPT,
            replace(PROMPT, prefix="class Other:\n" + PROMPT.prefix),
            replace(PROMPT, owner="http:somebody"),
            replace(PROMPT, path="a.py"),
            replace(PROMPT, path="b.py"),
        )
    }
    assert len(keys) == 5


def test_a_path_names_one_document_whatever_its_text() -> None:
    table = PromptTable(ignore)
    first = table.snapshot(replace(PROMPT, path="a.py"))
    second = table.snapshot(PromptText("x", "y", "http:", "a.py"))
    assert first.key == second.key


def test_the_document_unused_for_longest_makes_room() -> None:
    forgotten: list[str] = []
    table = PromptTable(forgotten.append)
    first = table.snapshot(PROMPT)
    for number in range(MAX_NUM_DOCUMENTS):
        table.snapshot(PromptText(f"{number} " * 50, "", "http:"))
    assert forgotten == [first.key]
    table.clear()
    assert len(forgotten) == MAX_NUM_DOCUMENTS + 1


@given(st.lists(st.tuples(st.text("ab\n"), st.text("ab\n")), min_size=2, max_size=6))
def test_edits_lead_from_each_version_to_the_next(texts: list[tuple[str, str]]) -> None:
    table = PromptTable(ignore)
    known: dict[int, str] = {}
    for prefix, suffix in texts:
        document = table.snapshot(PromptText(prefix, suffix, "http:"))
        assert document.text == prefix + suffix
        if document.base_version is not None:
            assert apply_edits(known[document.base_version], document.edits) == document.text
        known[document.version] = document.text
