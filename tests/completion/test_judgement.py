"""Whether a candidate would break, or add nothing to, the code around it."""

from __future__ import annotations

import pytest

from completion.decoding import GeneratedText
from completion.judgement import REJECTED, SyntaxJudge
from completion.strategy import choose_strategy
from completion.types import CompletionRequest, DocumentSnapshot, FinishReason, TriggerKind
from retrieval.languages import language_for
from retrieval.syntax import SyntaxTree

LADDER = "def f(n):\n    if n > 1:\n        g(1)\n|\n        g(0)\n    return n\n"


def faults(
    text: str,
    generated: str,
    *,
    trigger: TriggerKind = TriggerKind.INVOKED,
    finish_reason: FinishReason = FinishReason.STOP,
    language_id: str = "python",
) -> int:
    """Return the faults of ``generated`` at ``|``."""
    offset = text.index("|")
    document = DocumentSnapshot("file:///a", 1, language_id, text.replace("|", "", 1))
    request = CompletionRequest("1", document, offset, trigger)
    language = language_for(language_id, None)
    assert language is not None
    tree = SyntaxTree.parse(language, document.text)
    judge = SyntaxJudge(request, choose_strategy(request, tree=tree), tree)
    return judge.num_faults(GeneratedText(generated, -1.0, 3, finish_reason))


FINE = {
    "a clause for the block below": (LADDER, "    else:"),
    "a statement of the block around": (LADDER, "        h()"),
    "code behind a comment": ("def f():\n|\n", "    # Say why.\n    return 1"),
    "a comment's own continuation": ("def f():\n    # Say |\n    return 1\n", "why."),
}
BROKEN = {
    "a line that leaves the block below without a header": (LADDER, "    return 0"),
    "an opened bracket that nothing closes": ("x = |\ny = 2\n", "f(1"),
    "comments alone": ("def f():\n|\n    return 1\n", "    # Your code here"),
}


@pytest.mark.parametrize(("text", "generated"), FINE.values(), ids=FINE.keys())
def test_what_fits_has_no_faults(text: str, generated: str) -> None:
    assert faults(text, generated) == 0


@pytest.mark.parametrize(("text", "generated"), BROKEN.values(), ids=BROKEN.keys())
def test_what_does_not_fit_has_faults(text: str, generated: str) -> None:
    assert faults(text, generated) > 0


def test_comments_alone_are_fine_for_somebody_who_did_not_ask() -> None:
    text, generated = BROKEN["comments alone"]
    assert faults(text, generated, trigger=TriggerKind.AUTOMATIC) == 0


def test_text_that_a_limit_cut_is_not_judged() -> None:
    assert faults(*BROKEN["an opened bracket that nothing closes"]) > 0
    cut = FinishReason.LENGTH
    assert faults(*BROKEN["an opened bracket that nothing closes"], finish_reason=cut) == 0


def test_text_that_cannot_be_shown_is_worse_than_any_that_can() -> None:
    assert faults("def f():\n|\n    return 1\n", "    return 1") == REJECTED
