"""What one model computes with: its pool, the documents' caches, and what fills them."""

from __future__ import annotations

from dataclasses import dataclass

from completion.config import CompletionConfig
from completion.generation import Generator
from completion.prompt import PromptBuilder
from completion.sessions import MAX_NUM_NESTED, SessionStore
from kvedit.patch import CachePatcher
from kvedit.repair import Vocabulary
from kvedit.shared import SharedCache
from models.loader import LoadedModel

HEAD_TOKENS = 1024  # for heads of prompts, common to the documents of a repository
DRAFT_SLACK = 64  # slots for rows in flight beyond the longest text


@dataclass(frozen=True, slots=True)
class Caches:
    """The parts, which share one pool. Engine thread only."""

    sessions: SessionStore
    shared: SharedCache
    patcher: CachePatcher
    generator: Generator


def build_caches(model: LoadedModel, config: CompletionConfig, prompts: PromptBuilder) -> Caches:
    """Return the caches of ``model``, empty. On a CPU the pool takes no memory before it is used."""
    engine, decoder = config.engine, model.decoder
    capacity = config.prompt.max_num_tokens + engine.max_new_tokens + DRAFT_SLACK
    # A session holds two tables while the text behind an accepted suggestion is prepared.
    num_session_bytes = 2 * capacity * decoder.bytes_per_token
    num_sessions = max(1, engine.cache_mb * 1_000_000 // num_session_bytes)
    num_shared = HEAD_TOKENS + engine.chunk_tokens
    pool = decoder.new_pool(1 + 2 * (num_sessions + MAX_NUM_NESTED) * capacity + num_shared)
    shared = SharedCache(decoder, pool, num_shared)
    vocabulary = Vocabulary(model.tokenizer.token_bytes, prompts.sentinel_ids)
    patcher = CachePatcher(decoder, pool, vocabulary, engine.prefill_chunk, shared)
    return Caches(
        sessions=SessionStore(pool, capacity, num_sessions),
        shared=shared,
        patcher=patcher,
        generator=Generator(decoder, pool, model.tokenizer, patcher),
    )
