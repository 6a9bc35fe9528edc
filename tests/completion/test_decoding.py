"""One continuation, driven by scripted logits."""

from __future__ import annotations

import math

import pytest
import torch

from completion.decoding import (
    Branch,
    BranchQueue,
    DecodingRun,
    GeneratedText,
    GenerationParams,
    cut_to_word,
)
from completion.stopping import StopMonitor
from completion.strategy import choose_strategy
from completion.types import CompletionRequest, DocumentSnapshot, FinishReason, TriggerKind
from models.tokenizer import Tokenizer

PROBABILITIES = (0.9, 0.8, 0.7, 0.6, 0.5)


def scripted(tokenizer: Tokenizer, text: str) -> list[torch.Tensor]:
    """Return logits under which greedy decoding writes ``text``, byte by byte."""
    rows = []
    for char, probability in zip(text, PROBABILITIES, strict=False):
        rest = (1 - probability) / (tokenizer.vocab_size - 1)
        row = torch.full((tokenizer.vocab_size,), math.log(rest))
        row[tokenizer.encode(char)[0]] = math.log(probability)
        rows.append(row)
    return rows


def decode(
    tokenizer: Tokenizer, text: str, stop: tuple[str, ...] = (), max_new_tokens: int = 5
) -> tuple[GeneratedText, BranchQueue]:
    document = DocumentSnapshot("file:///a.py", 1, "python", "x = \n")
    request = CompletionRequest("1", document, 4, TriggerKind.INVOKED, stop=stop)
    monitor = StopMonitor(request, choose_strategy(request))
    params = GenerationParams(max_new_tokens, stop_ids=frozenset())
    run = DecodingRun(tokenizer, None, params, monitor, None, "", "")
    branches = BranchQueue()
    for logits in scripted(tokenizer, text):
        if run.advance(logits, branches) is None:
            break
    assert run.result is not None
    return run.result, branches


@pytest.mark.parametrize(
    ("text", "stop", "kept", "num_kept"),
    [("abcde", (), "abcde", 5), ("abcde", ("d",), "abc", 3), ("ab;de", (";",), "ab", 2)],
)
def test_only_tokens_that_are_kept_count(
    tiny_tokenizer: Tokenizer, text: str, stop: tuple[str, ...], kept: str, num_kept: int
) -> None:
    generated, _ = decode(tiny_tokenizer, text, stop)
    assert generated.text == ("" if not stop else kept)
    if stop:
        assert generated.num_tokens == num_kept
        expected = sum(math.log(p) for p in PROBABILITIES[:num_kept])
        assert math.isclose(generated.logprob, expected, rel_tol=1e-5)


def test_the_likeliest_other_beginning_comes_first(tiny_tokenizer: Tokenizer) -> None:
    _, branches = decode(tiny_tokenizer, "abcde")
    first, second = branches.pop(), branches.pop()
    assert first is not None
    assert second is not None
    assert first.logprob >= second.logprob
    assert len(first.token_ids) == len(first.logprobs)


def test_a_branch_is_queued_once() -> None:
    branches = BranchQueue()
    for _ in range(2):
        branches.add(Branch((1, 2), (-0.1, -0.2)))
    assert branches.pop() == Branch((1, 2), (-0.1, -0.2))
    assert branches.pop() is None


def test_the_token_limit_ends_at_a_word(tiny_tokenizer: Tokenizer) -> None:
    generated, _ = decode(tiny_tokenizer, "a(bcd", max_new_tokens=4)
    assert generated.finish_reason is FinishReason.LENGTH
    assert generated.text == "a("
    assert cut_to_word("return valu") == "return"
