"""What one model computes with: its pool, the documents' caches, and what fills them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from completion.config import CompletionConfig, EngineConfig
from completion.dynamic.controller import LineJudge, find_judge
from completion.generation import Generator
from completion.kept_sessions import KeptSessions
from completion.prompt import PromptBuilder
from completion.scheduler import Checkpoint, Work
from completion.sessions import MAX_NUM_NESTED, SessionStore
from completion.speculation.costs import CostStore, PassCosts, calibrate
from completion.speculation.draft_model import DraftModel, DraftModelConfig
from completion.speculation.drafter import Drafter
from completion.speculation.early_exit import EarlyExit, load_early_exit
from completion.speculation.lasting import LastingSources
from kvedit.patch import CachePatcher
from kvedit.repair import Vocabulary
from kvedit.shared import SharedCache
from kvedit.snapshots import SnapshotStore
from kvedit.surroundings import WORK_TOKENS, Surroundings
from models.loader import LoadedModel
from models.slot_pool import SlotPool
from models.slots import SlotTable
from models.stored_tokens import StoredTokens

HEAD_TOKENS = 1024  # for heads of prompts, common to the documents of a repository
_DRAFT_SLACK = 64  # slots for rows in flight beyond the longest text
_BESIDE_SLACK = 384  # and, of a document, for two more blocks beside the first
_DRAFT_SHARE = 0.25  # of the megabytes, for documents of a draft model
_MAX_NUM_DRAFTED = 4


@dataclass(frozen=True, slots=True)
class Caches:
    """The parts, which share one pool. Engine thread only."""

    pool: SlotPool
    num_around: int  # tokens stored of a document
    around: SlotTable | None  # where they are computed; None: not at all
    sessions: SessionStore
    shared: SharedCache
    patcher: CachePatcher
    generator: Generator
    judge: LineJudge | None  # of lines while they are written; None for a model without one
    drafter: Drafter
    chores: tuple[Work[None], ...]  # to be done once, when nothing else is to do

    def new_around(self) -> Surroundings | None:
        """Return an empty store for what stands around a document's prompt, None if there is none."""
        if self.around is None:
            return None
        return Surroundings(self.patcher, self.pool, self.around, self.num_around)


def table_capacity(config: CompletionConfig) -> int:
    """Return how many slots a document's table needs, in tokens."""
    num_tokens = config.prompt.max_num_tokens + config.engine.max_new_tokens
    return num_tokens + _DRAFT_SLACK + _BESIDE_SLACK


def build_caches(
    model: LoadedModel,
    config: CompletionConfig,
    prompts: PromptBuilder,
    when_idle: Callable[[Work[None]], None],
    draft: LoadedModel | None = None,
) -> Caches:
    """Return the caches of ``model``, empty; ``when_idle`` queues work that can wait.

    On a CPU the pool takes no memory before it is used. Caches of the ``draft`` model, if there is
    one, come out of the same megabytes.

    Raises:
        DraftModelError: The draft model has another vocabulary.
        PromptTooLongError: Its context is too short.
    """
    engine, decoder = config.engine, model.decoder
    capacity = table_capacity(config)
    # A session holds two tables while the text behind an accepted suggestion is prepared.
    num_stored_bytes = engine.around_tokens * StoredTokens.bytes_per_token(decoder.config)
    num_bytes = 2 * capacity * decoder.bytes_per_token + num_stored_bytes
    num_work = WORK_TOKENS if engine.around_tokens else 0
    networks = _networks(draft, model, prompts, engine, capacity, when_idle)
    num_other_bytes = sum(network.num_bytes for network in networks)
    num_other_bytes += num_work * decoder.bytes_per_token
    num_sessions = max(1, (engine.cache_mb * 1_000_000 - num_other_bytes) // num_bytes)
    num_tables = num_sessions + MAX_NUM_NESTED
    num_shared = HEAD_TOKENS + engine.chunk_tokens
    floor = 1 + num_tables * 2 * capacity
    pool = decoder.new_pool(floor + num_work + num_shared)
    shared = SharedCache(decoder, pool, num_shared, floor)
    vocabulary = Vocabulary(model.tokenizer.token_bytes, prompts.sentinel_ids)
    patcher = CachePatcher(decoder, pool, vocabulary, engine.prefill_chunk, shared)
    costs, calibration = _pass_costs(model, engine)
    lasting = LastingSources(
        model.config.vocab_size,
        model.fingerprint,
        engine.draft_folder,
        networks,
        is_enabled=engine.draft_sources.__contains__,
    )
    drafter = Drafter(costs, lasting)
    chores: list[Work[None]] = [] if calibration is None else [calibration]
    if EarlyExit.name in engine.draft_sources or engine.early_exit:
        chores.insert(0, _exit_loading(drafter, model, pool, engine.trained_folder))
    return Caches(
        pool=pool,
        num_around=engine.around_tokens,
        around=SlotTable(pool, num_work, floor=floor) if num_work else None,
        sessions=SessionStore(
            pool, capacity, num_sessions, _kept_sessions(model, engine, pool, when_idle)
        ),
        shared=shared,
        patcher=patcher,
        generator=Generator(decoder, pool, model.tokenizer, patcher, drafter),
        judge=_judge(model, engine),
        drafter=drafter,
        chores=tuple(chores),
    )


def _judge(model: LoadedModel, config: EngineConfig) -> LineJudge | None:
    thresholds = config.min_confidence, config.min_block_confidence
    return find_judge(config.trained_folder, model.fingerprint, *thresholds)


def _exit_loading(
    drafter: Drafter, model: LoadedModel, pool: SlotPool, folder: Path | None
) -> Work[None]:
    """Return the work that gives ``drafter`` an early exit, if there is one."""

    def work(checkpoint: Checkpoint) -> None:
        early_exit = load_early_exit(model, pool, folder, checkpoint)
        if early_exit is not None:
            drafter.early_exit = early_exit
            drafter.lasting.add_network(early_exit)

    return work


def _networks(
    draft: LoadedModel | None,
    model: LoadedModel,
    prompts: PromptBuilder,
    engine: EngineConfig,
    capacity: int,
    when_idle: Callable[[Work[None]], None],
) -> list[DraftModel]:
    """Return what drafts for ``model`` by computing, with room for a few prompts."""
    if draft is None:
        return []
    num_bytes = int(engine.cache_mb * 1_000_000 * _DRAFT_SHARE)
    num_fitting = num_bytes // (capacity * draft.decoder.bytes_per_token)
    config = DraftModelConfig(capacity, max(1, min(_MAX_NUM_DRAFTED, num_fitting)))
    return [DraftModel(draft, model, prompts.sentinel_ids, config, when_idle)]


def _pass_costs(model: LoadedModel, config: EngineConfig) -> tuple[PassCosts, Work[None] | None]:
    """Return what passes cost, and the work that measures it if that was not done before."""
    if config.calibration_folder is None:
        return PassCosts(), None
    num_threads = torch.get_num_threads()
    folder, device = config.calibration_folder, str(model.device)
    store = CostStore(folder, model.fingerprint, device, num_threads)
    known = store.read()
    costs = PassCosts(known)
    return costs, None if known is not None else calibrate(costs, store, model.decoder)


def _kept_sessions(
    model: LoadedModel,
    config: EngineConfig,
    pool: SlotPool,
    when_idle: Callable[[Work[None]], None],
) -> KeptSessions | None:
    """Return what keeps sessions on disk, None where the settings name no folder."""
    if config.snapshot_folder is None:
        return None
    max_bytes = config.snapshot_mb * 1_000_000
    store = SnapshotStore(config.snapshot_folder, model.fingerprint, max_bytes)
    return KeptSessions(store, pool, when_idle)
