"""Proposals of the first layers, against those layers run on a cache of their own."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from completion.speculation.early_exit import EarlyExit
from completion.speculation.source import DraftCache, DraftPlace
from models.exit_head import ExitHead, ExitWeights, normalised
from models.loader import LoadedModel
from models.slots import SlotTable

PROMPT = [5, 9, 13, 7, 40, 41]
OUTPUT = (11, 12, 60)
LAYER, INNER, NUM_TOKENS = 1, 16, 90


def exit_head(model: LoadedModel) -> ExitHead:
    generator = torch.Generator().manual_seed(2)
    size = model.config.hidden_size
    weights = {
        "norm": torch.ones(2 * size),
        "mix.weight": torch.randn(size + 2 * INNER, 2 * size, generator=generator),
        "down.weight": torch.randn(size, INNER, generator=generator),
    }
    token_ids = torch.randperm(model.config.vocab_size, generator=generator)[:NUM_TOKENS]
    return ExitHead(model.decoder, ExitWeights.encode(LAYER, token_ids, weights))


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt with ``num_cached`` of prompt and output in its table."""

    source: EarlyExit
    table: SlotTable
    head: ExitHead


def request_with(model: LoadedModel, num_cached: int, capacity: int = 64) -> Request:
    pool = model.decoder.new_pool(128)
    table = SlotTable(pool, capacity)
    if num_cached:
        model.decoder.forward(table.stage([*PROMPT, *OUTPUT][:num_cached]), pool)
        table.commit()
    head = exit_head(model)
    source = EarlyExit(model.decoder, pool, head)
    source.attach(DraftCache(table, PROMPT))
    return Request(source, table, head)


def proposed(source: EarlyExit, output: tuple[int, ...] = OUTPUT) -> list[int]:
    place = DraftPlace((*PROMPT, *output), output)
    return [proposal.token_id for proposal in source.propose(place)]


def early_states(model: LoadedModel) -> torch.Tensor:
    """Return states behind the exit layer of prompt and output, in one pass on an empty cache."""
    pool = model.decoder.new_pool(128)
    batch = SlotTable(pool, 64).stage([*PROMPT, *OUTPUT])
    return model.decoder.forward(batch, pool, layers=range(LAYER))


def best_two(head: ExitHead, state: torch.Tensor) -> list[int]:
    return [head.token_ids[at] for at in head.logits(state)[0].topk(2).indices.tolist()]


@pytest.mark.parametrize("num_cached", [len(PROMPT), len(PROMPT) + 1, len(PROMPT) + 2])
def test_proposals_are_those_of_the_layers_run_by_hand(
    tiny_model: LoadedModel, num_cached: int
) -> None:
    asked = request_with(tiny_model, num_cached)
    state = asked.head.state(early_states(tiny_model)[-1:], None)
    assert proposed(asked.source) == best_two(asked.head, state)


def test_each_draft_is_told_what_was_made_of_the_one_before(tiny_model: LoadedModel) -> None:
    asked = request_with(tiny_model, len(PROMPT) + 1)
    known = torch.randn(tiny_model.config.hidden_size, generator=torch.Generator().manual_seed(1))
    asked.source.attach(DraftCache(asked.table, PROMPT, known))
    hidden = early_states(tiny_model)
    state = asked.head.state(hidden[-2:-1], normalised(known[None]))
    state = asked.head.state(hidden[-1:], state)
    assert proposed(asked.source) == best_two(asked.head, state)


def test_the_table_is_as_before(tiny_model: LoadedModel) -> None:
    asked = request_with(tiny_model, len(PROMPT))
    slots, num_free = list(asked.table.slots), asked.table.num_free
    assert proposed(asked.source)
    assert (asked.table.slots, asked.table.num_free) == (slots, num_free)
    asked.table.check()


def test_a_state_of_another_request_is_forgotten(tiny_model: LoadedModel) -> None:
    asked = request_with(tiny_model, len(PROMPT))
    expected = proposed(asked.source)
    told = torch.ones(tiny_model.config.hidden_size)
    asked.source.attach(DraftCache(asked.table, PROMPT, told))
    asked.source.attach(DraftCache(asked.table, PROMPT))
    assert proposed(asked.source) == expected


@pytest.mark.parametrize(
    ("num_cached", "output", "capacity"),
    [
        (0, (), 64),
        (len(PROMPT) - 1, (), 64),  # the prompt's last pass has not run
        (len(PROMPT), (), 64),  # nothing that is not cached
        (len(PROMPT), OUTPUT, len(PROMPT) + 2),  # three rows, two slots
    ],
)
def test_nothing_is_proposed_without_a_row_or_a_slot(
    tiny_model: LoadedModel, num_cached: int, output: tuple[int, ...], capacity: int
) -> None:
    asked = request_with(tiny_model, num_cached, capacity)
    assert proposed(asked.source, output) == []


def test_an_exit_that_is_sure_says_what_its_head_says(tiny_model: LoadedModel) -> None:
    asked = request_with(tiny_model, len(PROMPT))
    head = asked.head
    expected = head.logits(head.state(early_states(tiny_model)[-1:], None))[0]
    sureness = float(torch.softmax(expected, -1).max())
    cache = DraftCache(asked.table, PROMPT)
    found = asked.source.decide(cache, OUTPUT, sureness - 1e-3)
    assert found is not None
    torch.testing.assert_close(found[torch.tensor(head.token_ids)], expected)
    assert int(torch.isfinite(found).sum()) == NUM_TOKENS
    assert asked.source.decide(cache, OUTPUT, sureness + 1e-3) is None


def test_nothing_is_proposed_before_a_request(tiny_model: LoadedModel) -> None:
    pool = tiny_model.decoder.new_pool(16)
    assert proposed(EarlyExit(tiny_model.decoder, pool, exit_head(tiny_model))) == []


def test_costs_are_a_share_of_a_pass(tiny_model: LoadedModel) -> None:
    source = request_with(tiny_model, 0).source
    assert 1 < source.cost < 2  # twice: one layer of two, most of a small vocabulary, the map
