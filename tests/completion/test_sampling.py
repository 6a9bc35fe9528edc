"""Sampling against the distribution it promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from completion.sampling import SamplingParams, choose, distribution, log_probability, restrict

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, -5.0])


def test_zero_temperature_takes_the_likeliest() -> None:
    assert choose(LOGITS, SamplingParams(), None) == 0


def test_top_k_and_top_p_drop_the_unlikely() -> None:
    assert torch.count_nonzero(distribution(LOGITS, SamplingParams(1.0, top_k=2))) == 2
    kept = distribution(LOGITS, SamplingParams(1.0, top_p=0.7))
    plain = torch.softmax(LOGITS, -1)
    assert kept[2] == 0
    torch.testing.assert_close(kept[:2], plain[:2] / plain[:2].sum())
    assert torch.count_nonzero(distribution(LOGITS, SamplingParams(1.0, top_p=0.01))) == 1


def test_drawn_frequencies_match_the_distribution() -> None:
    params = SamplingParams(0.8)
    generator = torch.Generator().manual_seed(0)
    num_draws = 4000
    counts = np.bincount([choose(LOGITS, params, generator) for _ in range(num_draws)], minlength=5)
    expected = distribution(LOGITS, params).numpy() * num_draws
    chi_square = float(((counts - expected) ** 2 / np.maximum(expected, 1e-9)).sum())
    assert chi_square < 18.5  # 4 degrees of freedom, p = 0.001


def test_a_seed_repeats_the_draws() -> None:
    draws = [
        [
            choose(LOGITS, SamplingParams(1.0), torch.Generator().manual_seed(seed))
            for seed in range(20)
        ]
        for _ in range(2)
    ]
    assert draws[0] == draws[1]
    assert len(set(draws[0])) > 1


def test_restricting_leaves_only_the_allowed() -> None:
    kept = restrict(LOGITS, np.array([1, 3]))
    assert kept.argmax() == 1
    assert torch.isinf(kept[[0, 2, 4]]).all()


def test_log_probability_is_the_models_own() -> None:
    total = sum(math.exp(log_probability(LOGITS, token_id)) for token_id in range(5))
    assert math.isclose(total, 1.0, rel_tol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((-1.0,), "temperature"), ((1.0, 0.0), "top_p"), ((1.0, 1.0, -2), "top_k")],
)
def test_impossible_parameters_are_named(arguments: tuple[float, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SamplingParams(*arguments)  # type: ignore[arg-type]
