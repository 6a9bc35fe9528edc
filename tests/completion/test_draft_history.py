"""What a document may write again: the rest of an earlier suggestion, and deleted text."""

from __future__ import annotations

from dataclasses import replace

from completion.draft_history import DraftHistory
from completion.types import CompletionRequest, DocumentSnapshot, TriggerKind
from models.tokenizer import Tokenizer

ABOVE = "import os\n\n\ndef first():\n    return 1\n\n\ndef second():\n    x = "


def request(prefix: str, suffix: str = "\n") -> CompletionRequest:
    document = DocumentSnapshot("file:///a.py", 1, "python", prefix + suffix)
    return CompletionRequest("1", document, len(prefix), TriggerKind.INVOKED)


def suggested(
    history: DraftHistory,
    at: CompletionRequest,
    tokenizer: Tokenizer,
    healed: str = "",
    forced: str = "",
) -> list[str]:
    material = history.material(at, healed, forced, tokenizer)
    return [tokenizer.decode(token_ids) for token_ids in material.suggested]


def test_the_rest_of_a_suggestion_is_expected_by_who_types_it(tiny_tokenizer: Tokenizer) -> None:
    history = DraftHistory()
    history.note_output(request(ABOVE), "first() + 1")
    assert suggested(history, request(ABOVE), tiny_tokenizer) == ["first() + 1"]
    assert suggested(history, request(ABOVE + "first("), tiny_tokenizer) == [") + 1"]
    assert suggested(history, request(ABOVE + "last("), tiny_tokenizer) == []


def test_an_edit_above_does_not_make_it_forgotten(tiny_tokenizer: Tokenizer) -> None:
    history = DraftHistory()
    history.note_output(request(ABOVE), "first() + 1")
    edited = request("import sys\n" + ABOVE + "fir")
    assert suggested(history, edited, tiny_tokenizer) == ["st() + 1"]


def test_what_is_handed_out_again_stands_in_front(tiny_tokenizer: Tokenizer) -> None:
    history = DraftHistory()
    history.note_output(request(ABOVE), "first() + 1")
    at = request(ABOVE + "fi")
    assert suggested(history, at, tiny_tokenizer, healed="fi") == ["first() + 1"]
    assert suggested(history, at, tiny_tokenizer, healed="fi", forced="rs") == ["first() + 1"]
    assert suggested(history, at, tiny_tokenizer, healed="fi", forced="ve") == []
    forced = history.material(at, "fi", "ve", tiny_tokenizer).forced
    assert tiny_tokenizer.decode(forced) == "five"


def test_deleted_text_and_suggestions_may_be_copied(tiny_tokenizer: Tokenizer) -> None:
    history = DraftHistory()
    history.note_text(ABOVE)
    history.note_text(ABOVE.replace("    return 1\n", ""))
    history.note_text(ABOVE.replace("    return 1\n", "") + "y")  # typing deletes nothing
    history.note_output(request("a = "), "b")
    copied = history.material(request("c"), "", "", tiny_tokenizer).copied
    assert [tiny_tokenizer.decode(token_ids) for token_ids in copied] == ["    return 1\n", "b"]


def test_only_a_few_outputs_are_remembered(tiny_tokenizer: Tokenizer) -> None:
    history = DraftHistory()
    for number in range(50):
        history.note_output(request(f"v{number} = "), f"value{number}")
        history.note_text("x" * 100 * (number % 2))
    material = history.material(request("c"), "", "", tiny_tokenizer)
    assert len(material.copied) <= 10
    assert tiny_tokenizer.decode(material.copied[-6]) == "value49"


def test_the_workspace_is_the_documents(tiny_tokenizer: Tokenizer) -> None:
    at = request("c")
    at = replace(at, document=replace(at.document, workspace="/w"))
    assert DraftHistory().material(at, "", "", tiny_tokenizer).workspace == "/w"
