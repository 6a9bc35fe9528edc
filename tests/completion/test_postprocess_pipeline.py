"""The row of filters as a whole: what reaches the document. ``‸`` marks the cursor."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.decoding import GeneratedText
from completion.generation import Generation
from completion.outcome import conclude
from completion.postprocess import PostprocessedText, RejectedText, postprocess
from completion.strategy import choose_strategy
from completion.types import (
    CompletionRequest,
    CompletionTrace,
    DocumentSnapshot,
    FinishReason,
    NoSuggestion,
    NoSuggestionReason,
    PromptStats,
    SpeculationStats,
    TriggerKind,
)

Ask = Callable[..., CompletionRequest]
AWS_KEY = "AKIA" + "QZXJWVKPTMRBHDNS"  # made up, and put together so that no scanner finds it


def document_after(request: CompletionRequest, text: str) -> str:
    result = postprocess(text, request, choose_strategy(request))
    assert isinstance(result, PostprocessedText), result
    document = request.document.text
    return document[: result.replace_start] + result.text + document[result.replace_end :]


@pytest.mark.parametrize(
    ("language_id", "marked", "text", "expected"),
    [
        ("python", "print(‸)\n", "'a')\nb", "print('a')\n"),
        ("python", "def f(‸)\n", "a, b):\n    return a", "def f(a, b):\n"),
        ("python", "def f():\n    ‸\n", "    return 1  \nf()", "def f():\n    return 1\n"),
        ("typescript", "const a = f(‸);\n", "b, [c]);\nnext();", "const a = f(b, [c]);\n"),
        ("typescript", "if (a) {\n  ‸\n}\n", "b();\n  c();\n}\n", "if (a) {\n  b();\n  c();\n}\n"),
        ("javascript", "x.map((y) => {‸})", "\n  return y;\n})", "x.map((y) => {\n  return y;\n})"),
        ("java", "foo(‸);\n", "bar(1), 2);", "foo(bar(1), 2);\n"),
        ("go", "func f() {\n\t‸\n}\n", "if a {\n        b()\n    }\n}", "func f() {\n\tif a {\n\t\tb()\n\t}\n}\n"),
        ("rust", "let v = vec![‸];\n", "1, 2];", "let v = vec![1, 2];\n"),
        ("cpp", "std::cout << ‸;\n", "x << y;", "std::cout << x << y;\n"),
        ("c", "int main() {\n  ‸", "return 0;\n}\nint f() {", "int main() {\n  return 0;\n}"),
        ("cobol", "do (‸)\n", "x)\n", "do (x)\n"),
        ("python", "def f():\n‸    return x\n", "    x = 1\n", "def f():\n    x = 1\n    return x\n"),
    ],
)  # fmt: skip
def test_the_document_is_right_after_acceptance(
    ask: Ask, language_id: str, marked: str, text: str, expected: str
) -> None:
    assert document_after(ask(marked, language_id), text) == expected


def test_inserted_text_uses_the_line_ending_of_the_document(ask: Ask) -> None:
    request = ask("a = 1\r\ndef f():\r\n    ‸\r\n\r\nb = 1\r\n")
    expected = "a = 1\r\ndef f():\r\n    x = 1\r\n    return x\r\n\r\nb = 1\r\n"
    assert document_after(request, "x = 1\n    return x\n") == expected
    assert document_after(request, "x = 1\r\n    return x\r\n") == expected


@pytest.mark.parametrize(
    ("marked", "text", "reason", "filter_name"),
    [
        ("x = ‸", "", NoSuggestionReason.EMPTY_OUTPUT, "reject_empty"),
        ("x = ‸", "  \n", NoSuggestionReason.BLANK_OUTPUT, "reject_blank"),
        ("total = 1\n‸", "total = 1", NoSuggestionReason.REPEATS_PREFIX, "reject_repeated_lines_above"),
        ("‸\ntotal_sum = 1\n", "total_sum = 1", NoSuggestionReason.REPEATS_SUFFIX, "limit_scope"),
        ("key = ‸", f"'{AWS_KEY}'", NoSuggestionReason.HOLDS_SECRET, "reject_secrets"),
    ],
)  # fmt: skip
def test_a_rejection_names_its_reason_and_its_filter(
    ask: Ask, marked: str, text: str, reason: NoSuggestionReason, filter_name: str
) -> None:
    request = ask(marked)
    result = postprocess(text, request, choose_strategy(request))
    assert result == RejectedText(reason, filter_name)


@pytest.mark.parametrize("finish_reason", FinishReason)
def test_a_secret_is_the_reason_whatever_ended_the_text(
    ask: Ask, finish_reason: FinishReason
) -> None:
    request = ask("key = ‸")
    generated = GeneratedText(f"'{AWS_KEY}'", -1.0, 3, finish_reason)
    generation = Generation((generated,), PromptStats(), 0, SpeculationStats(), 0.0, 0.0, 0.0)
    outcome = conclude(request, choose_strategy(request), generation, CompletionTrace())
    assert isinstance(outcome, NoSuggestion)
    assert outcome.reason is NoSuggestionReason.HOLDS_SECRET


FRAGMENTS = st.lists(
    st.sampled_from(
        ["x", "foo(", ")", "}", "{", "]", "[", "\n", "\n    ", "\t", " ", "'", '"', "😀", "\r\n", "return y"]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@given(
    st.sampled_from(["python", "typescript", "go", "rust", "none"]),
    FRAGMENTS,
    FRAGMENTS,
    FRAGMENTS,
    st.booleans(),
)
def test_the_replaced_range_is_on_the_cursors_line_and_the_text_is_worth_showing(
    language_id: str, prefix: str, suffix: str, text: str, invoked: bool
) -> None:
    request = CompletionRequest(
        "1",
        DocumentSnapshot("u", 1, language_id, prefix + suffix),
        len(prefix),
        TriggerKind.INVOKED if invoked else TriggerKind.AUTOMATIC,
    )
    result = postprocess(text, request, choose_strategy(request))
    if isinstance(result, PostprocessedText):
        assert result.text.strip()
        assert result.replace_start == request.offset
        assert "\n" not in request.document.text[result.replace_start : result.replace_end]
