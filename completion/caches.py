"""What one model computes with: its pool, the documents' caches, and what fills them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from completion.config import CompletionConfig, EngineConfig
from completion.generation import Generator
from completion.kept_sessions import KeptSessions
from completion.prompt import PromptBuilder
from completion.scheduler import Work
from completion.sessions import MAX_NUM_NESTED, SessionStore
from kvedit.patch import CachePatcher
from kvedit.repair import Vocabulary
from kvedit.shared import SharedCache
from kvedit.snapshots import SnapshotStore
from models.errors import PoolFullError
from models.loader import LoadedModel
from models.slot_pool import SlotPool
from models.slots import SlotTable

HEAD_TOKENS = 1024  # for heads of prompts, common to the documents of a repository
DRAFT_SLACK = 64  # slots for rows in flight beyond the longest text


@dataclass(frozen=True, slots=True)
class Caches:
    """The parts, which share one pool. Engine thread only."""

    pool: SlotPool
    num_around: int
    floor: int  # the slots below are the sessions' own
    sessions: SessionStore
    shared: SharedCache
    patcher: CachePatcher
    generator: Generator

    def new_around(self) -> SlotTable | None:
        """Return an empty table for the surroundings of a prompt, None if there is no room for it."""
        try:
            return SlotTable(self.pool, self.num_around, floor=self.floor)
        except PoolFullError:
            return None


def build_caches(
    model: LoadedModel,
    config: CompletionConfig,
    prompts: PromptBuilder,
    when_idle: Callable[[Work[None]], None],
) -> Caches:
    """Return the caches of ``model``, empty; ``when_idle`` queues work that can wait.

    On a CPU the pool takes no memory before it is used.
    """
    engine, decoder = config.engine, model.decoder
    capacity = config.prompt.max_num_tokens + engine.max_new_tokens + DRAFT_SLACK
    # A session holds two tables while the text behind an accepted suggestion is prepared.
    # The surroundings begin with a sentinel, and rows in flight need room there, too.
    num_around = engine.around_tokens + DRAFT_SLACK if engine.around_tokens else 0
    num_bytes = (2 * capacity + num_around) * decoder.bytes_per_token
    num_sessions = max(1, engine.cache_mb * 1_000_000 // num_bytes)
    num_tables = num_sessions + MAX_NUM_NESTED
    num_shared = HEAD_TOKENS + engine.chunk_tokens
    floor = 1 + num_tables * 2 * capacity
    pool = decoder.new_pool(floor + num_sessions * num_around + num_shared)
    shared = SharedCache(decoder, pool, num_shared, floor)
    vocabulary = Vocabulary(model.tokenizer.token_bytes, prompts.sentinel_ids)
    patcher = CachePatcher(decoder, pool, vocabulary, engine.prefill_chunk, shared)
    return Caches(
        pool=pool,
        num_around=num_around,
        floor=floor,
        sessions=SessionStore(
            pool, capacity, num_sessions, _kept_sessions(model, engine, pool, when_idle)
        ),
        shared=shared,
        patcher=patcher,
        generator=Generator(decoder, pool, model.tokenizer, patcher),
    )


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
