"""Drafts may change the number of passes, never what is decoded nor what the cache holds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from completion.decoding import Branch
from completion.sampling import SamplingParams, choose, distribution
from completion.speculation.costs import PassCosts
from completion.speculation.drafter import Drafter, DraftLimits, DraftMaterial
from completion.speculation.lasting import LastingSources
from completion.speculation.source import DraftCache, DraftPlace, DraftSource, Proposal
from completion.steps import DecodingSteps, EarlyChoice, run_pass
from kvedit.patch import TokenRows
from models.loader import LoadedModel
from models.slot_pool import SlotPool
from models.slots import SlotTable

PROMPT = [5, 9, 13, 7, 5, 9, 40, 41, 42, 5, 9]
NUM_TOKENS = 10
FREE = PassCosts({512: {1: 1.0, 64: 1.001}})  # so that whatever is proposed is verified


class Scripted(DraftSource):
    """Proposes what a function of the place says."""

    name = "scripted"
    grades = (0.9, 0.3)

    def __init__(self, propose: dict[tuple[int, ...], Sequence[int]]) -> None:
        self._propose = propose

    def propose(self, place: DraftPlace) -> list[Proposal]:
        found = self._propose.get(place.output, ())
        return [Proposal(token_id, min(rank, 1)) for rank, token_id in enumerate(found)]


class Decoding:
    """One table of the tiny model, decoded with the drafts of ``source`` or without any."""

    def __init__(
        self,
        model: LoadedModel,
        source: DraftSource | None = None,
        early: EarlyChoice | None = None,
    ) -> None:
        self.model = model
        self.pool = SlotPool(model.config, 256)
        self.table = SlotTable(self.pool, 200)
        drafting = None
        if source is not None:
            lasting = LastingSources(
                model.config.vocab_size,
                "tiny",
                networks=[source],
                is_enabled=source.name.__eq__,
            )
            limits = DraftLimits(lambda _: False, 64)
            cache = DraftCache(self.table, PROMPT)
            drafting = Drafter(FREE, lasting).begin(cache, DraftMaterial(), limits)
        self.drafting, self.num_passes = drafting, 0
        self.steps = DecodingSteps(
            model.decoder, self.pool, self.table, lambda: None, drafting, early
        )

    def start(self) -> torch.Tensor:
        self.num_passes = 1
        return self.steps.start(TokenRows(tuple(PROMPT), tuple(range(len(PROMPT)))))

    def append(self, token_id: int, *, may_exit: bool = False) -> torch.Tensor:
        logits = self.steps.offer(token_id, may_exit=may_exit)
        return self.passed() if logits is None else logits

    def passed(self) -> torch.Tensor:
        self.num_passes += 1
        return run_pass(self.model.decoder, self.pool, [self.steps], self.checkpoint)[0]

    def checkpoint(self) -> None:
        """Go on."""

    def greedy(self, num_tokens: int = NUM_TOKENS, *, may_exit: bool = False) -> list[int]:
        logits, output = self.start(), []
        for _ in range(num_tokens):
            output.append(int(logits.argmax()))
            logits = self.append(output[-1], may_exit=may_exit)
        self.steps.settle()
        return output

    def contents(self) -> tuple[torch.Tensor, torch.Tensor]:
        self.table.check()
        return self.pool.contents(self.table.slots)


def assert_same_cache(one: Decoding, other: Decoding) -> None:
    assert one.table.token_ids == other.table.token_ids
    for left, right in zip(one.contents(), other.contents(), strict=True):
        torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-4)


def chain(tokens: Sequence[int]) -> dict[tuple[int, ...], Sequence[int]]:
    return {tuple(tokens[:at]): [tokens[at]] for at in range(len(tokens))}


@pytest.fixture(scope="module")
def plain(tiny_model: LoadedModel) -> Decoding:
    decoding = Decoding(tiny_model)
    decoding.greedy()
    return decoding


def output_of(decoding: Decoding) -> list[int]:
    return decoding.table.token_ids[len(PROMPT) :]


def test_right_drafts_are_confirmed_by_the_pass_of_the_prompt(
    tiny_model: LoadedModel, plain: Decoding
) -> None:
    drafted = Decoding(tiny_model, Scripted(chain(output_of(plain))))
    assert drafted.greedy() == output_of(plain)
    assert drafted.num_passes == 1
    assert plain.num_passes == NUM_TOKENS + 1
    assert_same_cache(drafted, plain)


@pytest.mark.parametrize("num_right", range(NUM_TOKENS))
def test_the_cache_is_that_of_plain_decoding_after_any_number_of_accepted_drafts(
    tiny_model: LoadedModel, plain: Decoding, num_right: int
) -> None:
    truth = output_of(plain)
    wrong = [(token_id + 1) % 200 for token_id in truth[num_right:]]
    drafted = Decoding(tiny_model, Scripted(chain([*truth[:num_right], *wrong])))
    assert drafted.greedy() == truth
    assert drafted.drafting is not None
    assert drafted.drafting.counts.num_accepted == num_right
    assert_same_cache(drafted, plain)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_tree_of_drafts_changes_what_is_decoded(
    tiny_model: LoadedModel, plain: Decoding, data: st.DataObject
) -> None:
    truth = output_of(plain)
    proposals: dict[tuple[int, ...], Sequence[int]] = {}
    for at in range(len(truth)):
        others = data.draw(st.lists(st.integers(0, 200), max_size=3))
        place = tuple(truth[:at])
        proposals[place] = list(
            dict.fromkeys([*others, *truth[at : at + data.draw(st.integers(0, 1))]])
        )
        for other in others:  # what stands behind a rejected draft goes with it
            proposals.setdefault(
                (*place, other), data.draw(st.lists(st.integers(0, 200), max_size=2))
            )
    drafted = Decoding(tiny_model, Scripted(proposals))
    assert drafted.greedy() == truth
    assert_same_cache(drafted, plain)


def test_rows_missing_in_the_middle_of_a_prompt_are_computed_with_drafts_behind_it(
    tiny_model: LoadedModel, plain: Decoding
) -> None:
    drafted = Decoding(tiny_model, Scripted(chain(output_of(plain))))
    first = drafted.table.stage(PROMPT[:4])
    tiny_model.decoder.forward(first, drafted.pool)
    drafted.table.commit()
    rest = TokenRows(tuple(PROMPT[4:]), tuple(range(4, len(PROMPT))))
    logits, output = drafted.steps.start(rest), []
    while len(output) < NUM_TOKENS:
        output.append(int(logits.argmax()))
        logits = drafted.append(output[-1])
    drafted.steps.settle()
    assert output == output_of(plain)
    assert_same_cache(drafted, plain)


def logits_behind(decoding: Decoding, *branches: Branch) -> list[torch.Tensor]:
    """Return the logits behind each of ``branches``, all from one pass."""
    forks = [decoding.steps.fork(branch) for branch in branches]
    try:
        return run_pass(decoding.model.decoder, decoding.pool, forks, lambda: None)
    finally:
        for fork in forks:
            fork.close()
        decoding.table.check()


def test_forks_see_what_they_have_in_common_and_not_each_other(
    tiny_model: LoadedModel, plain: Decoding
) -> None:
    truth = output_of(plain)
    other = [(token_id + 1) % 200 for token_id in truth]
    branches = [
        Branch((*truth[:3], other[3]), (0.0,) * 4),
        Branch((*truth[:3], other[3], truth[4]), (0.0,) * 5),
        Branch((other[0],), (0.0,)),
    ]
    alone = Decoding(tiny_model)
    alone.start()
    expected = [logits_behind(alone, branch)[0] for branch in branches]
    drafted = Decoding(tiny_model, Scripted(chain(truth)))
    drafted.greedy()
    for found, wanted in zip(logits_behind(drafted, *branches), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    assert drafted.table.token_ids == [*PROMPT, *truth]  # the first text stays
    assert_same_cache(drafted, plain)


def test_forks_decode_side_by_side_what_each_decodes_alone(
    tiny_model: LoadedModel, plain: Decoding
) -> None:
    truth = output_of(plain)
    starts = [(truth[0], (truth[1] + step) % 200) for step in (1, 2, 3)]

    def texts(decoding: Decoding, *beginnings: tuple[int, int]) -> list[list[int]]:
        decoding.greedy()
        forks = [decoding.steps.fork(Branch(tokens, (0.0, 0.0))) for tokens in beginnings]
        outputs = [list(tokens) for tokens in beginnings]
        while waiting := [at for at, output in enumerate(outputs) if len(output) < 8]:
            decoder, pool = decoding.model.decoder, decoding.pool
            found = run_pass(decoder, pool, [forks[at] for at in waiting], lambda: None)
            for at, behind in zip(waiting, found, strict=True):
                logits: torch.Tensor | None = behind
                while logits is not None and len(outputs[at]) < 8:
                    outputs[at].append(int(logits.argmax()))
                    logits = forks[at].offer(outputs[at][-1])
        for fork in forks:
            fork.close()
        return outputs

    alone = [texts(Decoding(tiny_model), start)[0] for start in starts]
    proposals = chain(alone[1]) | chain(alone[2])  # drafts of different lengths beside each other
    beside = Decoding(tiny_model, Scripted(proposals))
    assert texts(beside, *starts) == alone
    beside.table.check()
    assert output_of(beside) == truth


def test_a_text_that_makes_room_for_forks_leaves_the_prompt(
    tiny_model: LoadedModel, plain: Decoding
) -> None:
    decoding = Decoding(tiny_model)
    decoding.greedy()
    num_free = decoding.steps.num_free
    decoding.steps.rewind()
    assert decoding.table.token_ids == PROMPT
    assert decoding.steps.num_free > num_free
    branch = Branch(tuple(output_of(plain)[:2]), (0.0, 0.0))
    fresh = Decoding(tiny_model)
    fresh.start()
    (found,), (wanted,) = logits_behind(decoding, branch), logits_behind(fresh, branch)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


class Cancelled(Exception):
    pass


def test_a_pass_that_is_cancelled_leaves_the_tokens_that_were_chosen(
    tiny_model: LoadedModel, plain: Decoding
) -> None:
    truth = output_of(plain)
    drafted = Decoding(tiny_model, Scripted(chain(truth[:4])))
    drafted.start()
    for token_id in truth[:4]:
        drafted.append(token_id)

    def stop() -> None:
        raise Cancelled

    assert drafted.steps.offer(truth[4]) is None
    with pytest.raises(Cancelled):
        run_pass(tiny_model.decoder, drafted.pool, [drafted.steps], stop)
    drafted.steps.settle()
    drafted.table.discard()
    drafted.table.check()
    assert drafted.table.token_ids == [*PROMPT, *truth[:4]]


SAMPLING = SamplingParams(temperature=1.0, top_k=5)


def sampled(decoding: Decoding, seed: int, num_tokens: int) -> list[int]:
    random = torch.Generator().manual_seed(seed)
    logits, output = decoding.start(), []
    for _ in range(num_tokens):
        output.append(choose(logits, SAMPLING, random))
        logits = decoding.append(output[-1])
    decoding.steps.settle()
    decoding.table.truncate(0)
    return output


def likeliest_first(model: LoadedModel) -> Scripted:
    decoding = Decoding(model)
    first = decoding.start().topk(5).indices.tolist()
    proposals: dict[tuple[int, ...], Sequence[int]] = {(): first[1:4]}
    for token_id in first[1:4]:
        (logits,) = logits_behind(decoding, Branch((token_id,), (0.0,)))
        proposals[token_id,] = logits.topk(2).indices.tolist()
    return Scripted(proposals)


def test_with_a_seed_drafts_do_not_change_what_is_drawn(tiny_model: LoadedModel) -> None:
    source = likeliest_first(tiny_model)
    for seed in range(20):
        plain, drafted = Decoding(tiny_model), Decoding(tiny_model, source)
        assert sampled(drafted, seed, 6) == sampled(plain, seed, 6)


def test_accepted_drafts_are_distributed_as_the_model_says(tiny_model: LoadedModel) -> None:
    decoding = Decoding(tiny_model)
    first = distribution(decoding.start(), SAMPLING)
    expected: dict[tuple[int, int], float] = {}
    for token_id in first.nonzero().flatten().tolist():
        (logits,) = logits_behind(decoding, Branch((token_id,), (0.0,)))
        second = distribution(logits, SAMPLING)
        for other in second.nonzero().flatten().tolist():
            expected[token_id, other] = float(first[token_id] * second[other])
    source, num_draws = likeliest_first(tiny_model), 600
    counts = dict.fromkeys(expected, 0)
    drafted = Decoding(tiny_model, source)
    for seed in range(num_draws):
        drafted.steps = DecodingSteps(
            tiny_model.decoder, drafted.pool, drafted.table, lambda: None, drafted.drafting
        )
        one, other = sampled(drafted, seed, 2)
        counts[one, other] += 1
    assert drafted.drafting is not None
    assert drafted.drafting.counts.num_accepted > num_draws / 10  # else nothing was tested
    scale = num_draws / sum(expected.values())
    statistic = sum(
        (counts[pair] - share * scale) ** 2 / (share * scale) for pair, share in expected.items()
    )
    assert statistic < chi_square_limit(len(expected) - 1)


def chi_square_limit(freedom: int) -> float:
    """Return what a chi-square variable exceeds once in 10,000 times (Wilson and Hilferty)."""
    spread = 2 / (9 * freedom)
    return freedom * (1 - spread + 3.72 * spread**0.5) ** 3


def sure_behind(model: LoadedModel, tokens: Sequence[int], lengths: Sequence[int]) -> EarlyChoice:
    """Return an early exit that is sure of ``tokens`` behind outputs of ``lengths``, of no others."""

    def decide(output: Sequence[int], _state: torch.Tensor | None) -> torch.Tensor | None:
        if len(output) not in lengths:
            return None
        logits = torch.zeros(model.config.vocab_size)
        logits[tokens[len(output)]] = 9.0
        return logits

    return decide


def test_tokens_of_an_early_exit_are_computed_by_the_next_pass(
    tiny_model: LoadedModel, plain: Decoding
) -> None:
    early = sure_behind(tiny_model, output_of(plain), [1, 2, 5])
    exiting = Decoding(tiny_model, early=early)
    assert exiting.greedy(may_exit=True) == output_of(plain)
    assert exiting.num_passes == plain.num_passes - 3
    assert_same_cache(exiting, plain)


def test_drafts_and_an_early_exit_go_together(tiny_model: LoadedModel, plain: Decoding) -> None:
    tokens = output_of(plain)
    early = sure_behind(tiny_model, tokens, [2, 3])
    exiting = Decoding(tiny_model, Scripted({tuple(tokens[:4]): tokens[4:5]}), early)
    assert exiting.greedy(may_exit=True) == tokens
    assert exiting.num_passes == plain.num_passes - 3
    assert_same_cache(exiting, plain)


def test_another_branch_begins_without_what_waited(
    tiny_model: LoadedModel, plain: Decoding
) -> None:
    tokens = output_of(plain)
    exiting = Decoding(tiny_model, early=sure_behind(tiny_model, tokens, range(1, NUM_TOKENS)))
    exiting.start()
    for token_id in tokens[:3]:
        exiting.append(token_id, may_exit=True)
    (found,) = logits_behind(exiting, Branch(tuple(tokens[:2]), (0.0, 0.0)))
    fresh = Decoding(tiny_model)
    fresh.start()
    expected = [fresh.append(token_id) for token_id in tokens[:2]][-1]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_nobody_exits_who_may_not(tiny_model: LoadedModel, plain: Decoding) -> None:
    careful = Decoding(tiny_model, early=sure_behind(tiny_model, [0] * 99, range(99)))
    assert careful.greedy() == output_of(plain)
    assert careful.num_passes == plain.num_passes
