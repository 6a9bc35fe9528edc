from __future__ import annotations

import pytest
import torch

from models.likeliest import likeliest


@pytest.mark.parametrize(
    "shape", [(5,), (151_936,), (3, 151_936), (2, 2, 4_000), (1, 1_280), (2, 1_281)]
)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_they_are_those_that_topk_finds(shape: tuple[int, ...], count: int) -> None:
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))
    values, token_ids = likeliest(logits, count)
    expected = torch.topk(logits, count)
    assert torch.equal(values, expected.values)
    assert torch.equal(token_ids, expected.indices)


def test_impossible_tokens_and_equal_ones_are_no_obstacle() -> None:
    logits = torch.full((4_000,), float("-inf"))
    logits[3_999] = logits[7] = 1.0
    values, token_ids = likeliest(logits, 3)
    assert values.tolist() == [1.0, 1.0, float("-inf")]
    assert set(token_ids[:2].tolist()) == {7, 3_999}
