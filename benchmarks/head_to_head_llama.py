"""A stretch replayed against llama.cpp, as the plugin llama.vim would have it there.

Time is the plugin's clock (``benchmarks.llama_vim``): each request really runs when its moment has
come, and its answer arrives as much later as that took. So pauses cost nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.head_to_head_schedule import Step, Stretch
from benchmarks.head_to_head_scores import Key, Replay, Shown, Side, scored
from benchmarks.llama_server import LlamaServer
from benchmarks.llama_vim import Exchange, LlamaAnswer, LlamaVim, Purpose, Source

LOOKING_MS = 3_000.0  # after a file was opened: its chunk joins the ring
WARM_UP_MS = 120_000.0  # long enough for the first answer and whatever the ring still lacks


def replay_llama(stretch: Stretch, server: LlamaServer, side: Side) -> Replay:
    """Return what ``stretch`` brought and cost, the first prompt not counted."""
    vim = LlamaVim(server.address)
    _warm_up(vim, stretch)
    num_exchanges, cpu_s, start_ms = len(vim.exchanges), server.cpu_s(), vim.now_ms
    keys = [_taken(vim, step, start_ms) for step in stretch.steps]
    exchanges = vim.exchanges[num_exchanges:]
    return Replay(
        stretch_id=stretch.stretch_id,
        language=stretch.language,
        has_jump=stretch.has_jump,
        side=side,
        cpu_s=server.cpu_s() - cpu_s,
        num_asked_tokens=_num_computed(exchanges, [Purpose.COMPLETION]),
        num_computed_tokens=_num_computed(exchanges, list(Purpose)),
        keys=tuple(key for key in keys if key is not None),
    )


def _warm_up(vim: LlamaVim, stretch: Stretch) -> None:
    vim.opened(stretch.path, stretch.start_text, stretch.start_cursor)
    vim.until(LOOKING_MS)
    vim.edited(stretch.start_text, stretch.start_cursor)
    vim.until(vim.now_ms + WARM_UP_MS)


def _taken(vim: LlamaVim, step: Step, start_ms: float) -> Key | None:
    """Let the person do ``step`` and rest; return what a key brought, ``None`` for a mere move."""
    vim.until(start_ms + step.at_ms)
    if step.is_key:
        vim.edited(step.text, step.cursor)
    else:
        vim.moved(step.text, step.cursor)
    vim.until(start_ms + step.at_ms + step.pause_ms)
    return scored(step, shown_by(vim.shown, step)) if step.is_key else None


def shown_by(answer: LlamaAnswer, step: Step) -> Shown | None:
    """Return what the plugin shows at ``step``, ``None`` if that is nothing."""
    if answer.source is Source.NONE:
        return None
    return Shown(
        ms=answer.ms,
        start=step.cursor - answer.num_removed,
        end=step.cursor,
        inserted=answer.text,
        is_from_cache=answer.source is Source.CACHE,
    )


def _num_computed(exchanges: Sequence[Exchange], purposes: Sequence[Purpose]) -> int:
    wanted = (exchange for exchange in exchanges if exchange.purpose in purposes)
    return sum(exchange.reply.num_computed_tokens for exchange in wanted)
