"""A smaller network that drafts: it may be as wrong as it likes, and the text stays the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from completion.caches import build_caches
from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.errors import DraftModelError, PromptTooLongError
from completion.prompt import PromptBuilder
from completion.scheduler import Checkpoint, Priority, Work
from completion.service import CompletionService
from completion.speculation import draft_model
from completion.speculation.costs import PassCosts
from completion.speculation.draft_model import DraftModel, DraftModelConfig, relative_cost
from completion.speculation.drafter import Drafter, DraftLimits, DraftMaterial
from completion.speculation.lasting import LastingSources
from completion.speculation.source import DraftCache, DraftPlace
from completion.steps import DecodingSteps, run_pass
from completion.types import (
    CancellationToken,
    CompletionRequest,
    DocumentSnapshot,
    Suggestion,
    TriggerKind,
    WorkCancelled,
)
from kvedit.patch import TokenRows
from models.config import ModelConfig
from models.decoder import Decoder
from models.loader import LoadedModel
from models.quantize import Precision
from models.slots import SlotTable
from tests.completion.conftest import byte_tokenizer

TEXT = "def f(a, b):\n    total = a\n    \n    return total\n"

CAPACITY = 200
NUM_DOCUMENTS = 2
MAX_NUM_WAITING = 24
NUM_TOKENS = 24
CONFIG = DraftModelConfig(CAPACITY, NUM_DOCUMENTS, MAX_NUM_WAITING, cost=0.01)
FREE_ROWS = PassCosts({512: {1: 1.0, 32: 1.01}})
VOCABULARY = 60  # of prompts: tokens of text


def prompt(seed: int, num_tokens: int = 80) -> list[int]:
    drawn = random.Random(seed)
    return [drawn.randrange(VOCABULARY) for _ in range(num_tokens)]


def go_on() -> None:
    """Never interrupt."""


class Rig:
    """A draft model, and the work it has left for when nothing else is to do."""

    def __init__(
        self, model: LoadedModel, target: LoadedModel, config: DraftModelConfig = CONFIG
    ) -> None:
        self.target, self.waiting = target, list[Work[None]]()
        self.draft = DraftModel(model, target, frozenset(), config, self.waiting.append)
        lasting = LastingSources(
            target.config.vocab_size, "", networks=[self.draft], is_enabled={"model"}.__contains__
        )
        self.drafter = Drafter(FREE_ROWS, lasting)

    def attach(self, prompt_ids: list[int]) -> None:
        table = SlotTable(self.target.decoder.new_pool(2), 1)
        self.draft.attach(DraftCache(table, prompt_ids))

    def proposed(self, *output: int) -> list[int]:
        return [each.token_id for each in self.draft.propose(DraftPlace(output, output))]

    def rest(self, checkpoint: Checkpoint = go_on) -> None:
        while self.waiting:
            self.waiting.pop()(checkpoint)

    def know(self, prompt_ids: list[int]) -> None:
        self.attach(prompt_ids)
        self.rest()

    def write(self, prompt_ids: list[int]) -> tuple[list[int], int]:
        """Return the likeliest continuation, and the passes it took."""
        limits = DraftLimits(lambda _: False, NUM_TOKENS)
        pool = self.target.decoder.new_pool(CAPACITY + 1)
        table = SlotTable(pool, CAPACITY)
        drafting = self.drafter.begin(DraftCache(table, prompt_ids), DraftMaterial(), limits)
        steps = DecodingSteps(self.target.decoder, pool, table, go_on, drafting)
        places = tuple(range(len(prompt_ids)))
        logits, output = steps.start(TokenRows(tuple(prompt_ids), places)), list[int]()
        num_passes = 1
        while len(output) < NUM_TOKENS:
            output.append(int(logits.argmax()))
            behind = steps.offer(output[-1]) if len(output) < NUM_TOKENS else logits
            if behind is None:
                (behind,) = run_pass(self.target.decoder, pool, [steps], go_on)
                num_passes += 1
            logits = behind
        return output, num_passes


def likeliest(model: LoadedModel, prompt_ids: list[int], num_tokens: int) -> list[int]:
    """Return the likeliest continuation, each token from a prefill of everything before it."""
    output: list[int] = []
    for _ in range(num_tokens):
        pool = model.decoder.new_pool(CAPACITY + 1)
        batch = SlotTable(pool, CAPACITY).stage([*prompt_ids, *output])
        hidden = model.decoder.forward(batch, pool)
        output.append(int(model.decoder.logits(hidden[-1:])[0].argmax()))
    return output


@pytest.fixture(scope="session")
def other_model(tiny_model: LoadedModel) -> LoadedModel:
    """Another random network with the same vocabulary."""
    return random_model(tiny_model, seed=11)


def random_model(like: LoadedModel, seed: int) -> LoadedModel:
    generator = torch.Generator().manual_seed(seed)
    config, size = like.config, like.config.hidden_size
    key = config.num_kv_heads * config.head_dim
    shapes: dict[str, tuple[int, ...]] = {
        "embedding.weight": (config.vocab_size, size),
        "final_norm.weight": (size,),
    }
    for layer in range(config.num_layers):
        shapes |= {
            f"layers.{layer}.attention_norm.weight": (size,),
            f"layers.{layer}.qkv.weight": (size + 2 * key, size),
            f"layers.{layer}.output.weight": (size, size),
            f"layers.{layer}.mlp_norm.weight": (size,),
            f"layers.{layer}.gate_up.weight": (2 * config.intermediate_size, size),
            f"layers.{layer}.down.weight": (size, config.intermediate_size),
        }
    weights = {
        name: torch.randn(shape, generator=generator) * 0.3 for name, shape in shapes.items()
    }
    decoder = Decoder(config, weights, "cpu", Precision.FLOAT32)
    return replace(like, name="other", decoder=decoder)


def test_what_the_target_itself_drafts_is_all_accepted(tiny_model: LoadedModel) -> None:
    rig = Rig(tiny_model, tiny_model)
    rig.know(prompt(1))
    expected = likeliest(tiny_model, prompt(1), NUM_TOKENS)
    rig.attach(prompt(1))
    for num in range(NUM_TOKENS):
        assert rig.proposed(*expected[:num])[0] == expected[num]
    output, num_passes = rig.write(prompt(1))
    assert output == expected
    assert num_passes < NUM_TOKENS / 2


@pytest.mark.parametrize("seed", range(4))
def test_a_network_that_knows_nothing_changes_no_text(
    tiny_model: LoadedModel, other_model: LoadedModel, seed: int
) -> None:
    rig = Rig(other_model, tiny_model)
    rig.know(prompt(seed))
    assert rig.write(prompt(seed))[0] == likeliest(tiny_model, prompt(seed), NUM_TOKENS)
    rig.draft.check()


def test_branches_in_any_order_are_answered_as_by_a_prefill(other_model: LoadedModel) -> None:
    rig, drawn = Rig(other_model, other_model), random.Random(5)
    rig.know(prompt(1))
    for _ in range(12):
        rig.attach(prompt(1))
        output = prompt(drawn.randrange(3), drawn.randrange(12))
        assert rig.proposed(*output)[0] == likeliest(other_model, [*prompt(1), *output], 1)[0]
        rig.draft.check()


def test_a_place_is_computed_once(tiny_model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    rig, num_rows = Rig(tiny_model, tiny_model), list[int]()
    rig.know(prompt(1))
    forward = Decoder.forward

    def counted(self: Decoder, batch: object, *rest: object, **options: object) -> torch.Tensor:
        num_rows.append(batch.num_rows)  # type: ignore[attr-defined]
        return forward(self, batch, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Decoder, "forward", counted)
    for output in ((), (3,), (3, 4), (3,), (), (3, 4)):
        rig.attach(prompt(1))
        rig.proposed(*output)
    assert num_rows == [1, 1]


def test_documents_in_turn_keep_their_caches(tiny_model: LoadedModel) -> None:
    rig = Rig(tiny_model, tiny_model)
    for seed in (1, 2):
        rig.know(prompt(seed))
    for _ in range(2):
        for seed in (1, 2):
            rig.attach(prompt(seed))
            assert rig.proposed()[0] == likeliest(tiny_model, prompt(seed), 1)[0]
    assert rig.waiting == []


@pytest.mark.parametrize("at", [0, 40, 79])
def test_an_edit_is_taken_in_by_the_same_document_and_at_once(
    tiny_model: LoadedModel, at: int
) -> None:
    rig, before = Rig(tiny_model, tiny_model), prompt(1)
    rig.know(before)
    rig.attach([*before[:at], 7, 8, 9, *before[at:]])
    assert rig.proposed() != []
    assert (rig.draft.num_documents, rig.waiting) == (1, [])
    rig.draft.check()


def test_of_many_documents_the_one_unused_for_longest_goes(tiny_model: LoadedModel) -> None:
    rig = Rig(tiny_model, tiny_model)
    for seed in (1, 2, 1, 3, 4, 3, 1):
        rig.know(prompt(seed, CAPACITY - NUM_TOKENS))
        rig.write(prompt(seed, CAPACITY - NUM_TOKENS))
        rig.draft.check()
        assert rig.draft.num_documents <= NUM_DOCUMENTS
    rig.attach(prompt(3, CAPACITY - NUM_TOKENS))
    assert rig.proposed() != []
    rig.attach(prompt(4, CAPACITY - NUM_TOKENS))
    assert rig.proposed() == []


@pytest.mark.parametrize("num_tokens", [CAPACITY + 1, CAPACITY - 1])
def test_what_does_not_fit_gets_no_drafts(tiny_model: LoadedModel, num_tokens: int) -> None:
    rig = Rig(tiny_model, tiny_model)
    rig.know(prompt(1, num_tokens))
    rig.attach(prompt(1, num_tokens))
    assert rig.proposed(1, 2) == []


@pytest.mark.parametrize(
    ("num_tokens", "is_silent"), [(MAX_NUM_WAITING, False), (MAX_NUM_WAITING + 1, True)]
)
def test_a_cold_document_is_left_for_a_time_of_rest(
    tiny_model: LoadedModel, num_tokens: int, is_silent: bool
) -> None:
    rig = Rig(tiny_model, tiny_model)
    rig.attach(prompt(1, num_tokens))
    assert (rig.proposed() == []) is is_silent
    assert len(rig.waiting) == is_silent
    rig.attach(prompt(1, num_tokens))  # before the next pass
    assert len(rig.waiting) == is_silent
    rig.rest()
    rig.attach(prompt(1, num_tokens))
    assert rig.proposed()[0] == likeliest(tiny_model, prompt(1, num_tokens), 1)[0]


def interrupting(num_layers: int, action: Callable[[], None]) -> Checkpoint:
    """Return a checkpoint that does ``action`` when called for the ``num_layers``-th time."""
    num_calls = 0

    def checkpoint() -> None:
        nonlocal num_calls
        num_calls += 1
        if num_calls == num_layers:
            action()

    return checkpoint


def cancel() -> None:
    raise WorkCancelled


@pytest.mark.parametrize("num_layers", range(1, 5))
def test_work_at_rest_that_is_cancelled_leaves_a_valid_cache(
    tiny_model: LoadedModel, num_layers: int
) -> None:
    rig = Rig(tiny_model, tiny_model)
    rig.know(prompt(1))
    changed = prompt(2, 70) + prompt(1)  # two passes
    rig.attach(changed)
    with pytest.raises(WorkCancelled):
        rig.rest(interrupting(num_layers, cancel))
    rig.draft.check()
    assert rig.write(changed)[0] == likeliest(tiny_model, changed, NUM_TOKENS)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("others", [(1,), (1, 3), (3, 4), (3, 4, 5)])
def test_a_request_between_two_layers_takes_the_cache_over(
    tiny_model: LoadedModel, num_layers: int, others: tuple[int, ...]
) -> None:
    rig = Rig(tiny_model, tiny_model)
    rig.know(prompt(1))
    rig.attach([*prompt(2, 70), *prompt(1)])

    def ask() -> None:
        for seed in others:
            rig.write([*prompt(seed), 1, 2])

    rig.rest(interrupting(num_layers, ask))
    rig.draft.check()
    for seed in others:
        expected = likeliest(tiny_model, [*prompt(seed), 1, 2], NUM_TOKENS)
        assert rig.write([*prompt(seed), 1, 2])[0] == expected


def test_a_model_with_other_tokens_is_refused(tiny_model: LoadedModel) -> None:
    other = replace(tiny_model, name="stranger", tokenizer=byte_tokenizer(("else", "return")))
    with pytest.raises(DraftModelError, match=r"stranger cannot draft for tiny: token \d+ is"):
        Rig(other, tiny_model)


def test_the_same_vocabulary_read_twice_is_accepted(tiny_model: LoadedModel) -> None:
    words = ("return", "self", "    ", "        ", " self")
    rig = Rig(replace(tiny_model, tokenizer=byte_tokenizer(words)), tiny_model)
    assert rig.draft.num_documents == 0


def test_a_model_with_a_short_context_is_refused(tiny_model: LoadedModel) -> None:
    short: ModelConfig = replace(tiny_model.config, max_positions=CAPACITY - 1)
    with pytest.raises(PromptTooLongError):
        Rig(replace(tiny_model, config=short), tiny_model)


def test_cost_is_what_the_weights_say(tiny_model: LoadedModel) -> None:
    assert relative_cost(tiny_model, tiny_model) == 1
    assert relative_cost(replace(tiny_model, precision=Precision.INT8), tiny_model) == 0.25
    narrow = replace(tiny_model.config, num_layers=1)
    assert 0.5 < relative_cost(replace(tiny_model, config=narrow), tiny_model) < 1


def test_cost_is_measured_at_rest_unless_it_is_given(tiny_model: LoadedModel) -> None:
    given, measured = (
        Rig(tiny_model, tiny_model, replace(CONFIG, cost=cost)) for cost in (0.01, None)
    )
    for rig in (given, measured):
        rig.know(prompt(1))
    assert given.draft.cost == 0.01
    assert measured.draft.cost not in (0.01, 1)


@pytest.mark.parametrize("cache_mb", [1, 8])
def test_caches_of_both_models_share_the_megabytes(tiny_model: LoadedModel, cache_mb: int) -> None:
    engine = EngineConfig(cache_mb=cache_mb, chunk_tokens=0, around_tokens=0, max_new_tokens=64)
    config = CompletionConfig(prompt=PromptConfig(max_num_tokens=512), engine=engine)
    prompts = PromptBuilder(tiny_model.tokenizer, config.prompt)
    alone = build_caches(tiny_model, config, prompts, lambda _: None)
    both = build_caches(tiny_model, config, prompts, lambda _: None, tiny_model)
    (network,) = [each for each in both.drafter.lasting.of("") if isinstance(each, DraftModel)]
    assert network.num_bytes <= cache_mb * 1_000_000 / 2
    assert both.pool.num_slots <= alone.pool.num_slots


def answers(service: CompletionService) -> list[Suggestion]:
    """Return the answers to a few requests on documents that are edited between them."""
    found = []
    for turn in range(6):
        text = f"# {turn // 2}\n" * (1 + turn) + TEXT
        document = DocumentSnapshot(f"file:///{turn % 2}.py", turn, "python", text)
        offset = text.index("    \n") + 4
        request = CompletionRequest(str(turn), document, offset, TriggerKind.INVOKED, verbatim=True)
        outcome = service.complete(request, CancellationToken())
        assert isinstance(outcome, Suggestion)
        found.append(outcome)
        service._engine.submit(Priority.BATCH, "", lambda _: None, CancellationToken()).result()
    return found


@pytest.mark.parametrize("is_target", [True, False])
def test_the_service_writes_the_same_with_a_draft_model(
    tiny_model: LoadedModel,
    other_model: LoadedModel,
    monkeypatch: pytest.MonkeyPatch,
    is_target: bool,
) -> None:
    for name in ("relative_cost", "measured_cost"):
        monkeypatch.setattr(draft_model, name, lambda *_: 0.01)
    engine = EngineConfig(max_new_tokens=32, prefetch_after_acceptance=False, heal_after_s=3600)
    with_draft = replace(engine, draft_sources=frozenset({"model"}))
    config = CompletionConfig(prompt=PromptConfig(max_num_tokens=512), engine=engine)
    drafting = replace(config, engine=with_draft)
    draft = tiny_model if is_target else other_model
    alone = CompletionService(tiny_model, config)
    both = CompletionService(tiny_model, drafting, None, draft)
    try:
        found = answers(both)
        assert [each.text for each in found] == [each.text for each in answers(alone)]
        evidence = [each.trace.evidence for each in found]
        tokens = [token for one in evidence if one for token in one.output(all_tokens=True)]
        assert not is_target or "model" in {token.origin for token in tokens}
        drafter = both._caches.drafter
        (network,) = [each for each in drafter.lasting.of("") if isinstance(each, DraftModel)]
        assert network.num_documents == 2
        network.check()
    finally:
        alone.close()
        both.close()
