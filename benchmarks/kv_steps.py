"""The small steps of a patch: planning, tokenising an edit, moving and storing keys, giving way.

    python -m benchmarks.kv_steps

No figure here is what a user waits for; each is a bound that the design counts on.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import random
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.figures import Figure, timing_figure
from benchmarks.results import write_result
from kvedit.patch import CachePatcher, PatchTarget
from kvedit.plan import plan_patch
from kvedit.policy import PatchMode, PatchPolicy
from kvedit.repair import Vocabulary
from kvedit.retokenize import Retokenizer, TokenizedText
from kvedit.surroundings import PIECE_TOKENS
from models.loader import LoadedModel, load_model
from models.runs import KeptRun
from models.slot_pool import SlotPool
from models.slots import SlotTable
from models.stored_tokens import StoredTokens

NUM_PLANNED, NUM_CACHED = 8192, 2048
NUM_TAKEN = 1500  # by a jump: what a prompt shows of a document


def source_text() -> str:
    """Return the longest modules of the standard library, one behind the other."""
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"), key=lambda p: p.stat().st_size)
    return "".join(path.read_text(encoding="utf-8") for path in paths[-6:])


def timed_ms(work: Callable[[], object], repeats: int) -> list[float]:
    """Return milliseconds of each of ``repeats`` runs."""
    spent = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        spent.append((time.perf_counter() - started) * 1000)
    return spent


def edits_of(token_ids: Sequence[int], rng: random.Random) -> dict[str, list[int]]:
    """Return texts that differ from ``token_ids`` in the ways that people edit."""
    old = list(token_ids)
    places = sorted(rng.sample(range(100, len(old) - 100), 20), reverse=True)
    renamed, several = list(old), list(old)
    for place in places:
        renamed[place] = 1
    for place in places[:5]:
        several[place : place + 3] = [1] * rng.randrange(8)
    block = old[2000:2400]
    return {
        "typing": [*old[:5000], 1, *old[5000:]],
        "insertion": [*old[:3000], *[1] * 60, *old[3000:]],
        "deletion": [*old[:3000], *old[3060:]],
        "multi_place": several,
        "rename": renamed,
        "moved_block": [*old[:2000], *old[2400:6000], *block, *old[6000:]],
        "slid_window": [*old[:8], *old[600:], *[1] * 100],
        "another_text": [token_id + 1 for token_id in reversed(old)],
    }


def plan_figures(token_ids: Sequence[int], repeats: int) -> list[Figure]:
    """Return how long plans for 8k tokens take."""
    edits = edits_of(token_ids, random.Random(0))
    spent = {
        name: timed_ms(functools.partial(plan_patch, token_ids, new), repeats)
        for name, new in edits.items()
    }
    return [timing_figure(f"plan_{name}_ms", values) for name, values in spent.items()]


def tokenise_figures(model: LoadedModel, text: str, repeats: int) -> list[Figure]:
    """Return how long a keystroke in 8k tokens of text takes to tokenise, and all of it."""
    retokenizer = Retokenizer(model.tokenizer)
    known = TokenizedText(retokenizer)
    known.update(text)
    rng = random.Random(0)
    spent, whole = [], []
    for _ in range(repeats):
        at = rng.randrange(len(text))
        text = f"{text[:at]}x{text[at:]}"
        spent += timed_ms(functools.partial(known.update, text), 1)
        whole += timed_ms(functools.partial(model.tokenizer.encode, text), 1)
    return [timing_figure("tokenise_key_ms", spent), timing_figure("tokenise_all_ms", whole)]


def patcher_of(model: LoadedModel, pool: SlotPool) -> CachePatcher:
    """Return what patches tables of ``pool``; texts here have no sentinels."""
    vocabulary = Vocabulary(model.tokenizer.token_bytes, frozenset())
    return CachePatcher(model.decoder, pool, vocabulary, 256)


def cache_figures(model: LoadedModel, token_ids: Sequence[int], repeats: int) -> list[Figure]:
    """Return how long moving the keys of a prompt takes, and how soon healing gives way."""
    pool = model.decoder.new_pool(2 * NUM_CACHED)
    table = SlotTable(pool, NUM_CACHED + 256)
    patcher = patcher_of(model, pool)
    rotation, moved, layers = PatchPolicy(PatchMode.ROTATE), [], []
    patcher.update(table, PatchTarget(token_ids), rotation, lambda: None)
    for number in range(repeats):
        token_ids = [*token_ids[:8], number + 1, *token_ids[8:]]
        _, report = patcher.update(table, PatchTarget(token_ids), rotation, lambda: None)
        moved.append(report.moving_ms)
        layers.append(_time_to_give_way(patcher, table))
    return [timing_figure("move_2k_keys_ms", moved), timing_figure("healing_gives_way_ms", layers)]


def store_figures(model: LoadedModel, token_ids: Sequence[int], repeats: int) -> list[Figure]:
    """Return how long it takes to store a piece of surroundings, and a jump to take a prompt's."""
    pool = model.decoder.new_pool(2 * NUM_CACHED + 512)
    table, other = (SlotTable(pool, NUM_CACHED + 128) for _ in range(2))
    patcher = patcher_of(model, pool)
    patcher.update(table, PatchTarget(token_ids), PatchPolicy(PatchMode.ROTATE), lambda: None)
    stored = StoredTokens(pool, NUM_CACHED)
    stored.replace(range(0), table.slots)
    piece = range(PIECE_TOKENS)
    storing = timed_ms(lambda: stored.replace(piece, table.slots[:PIECE_TOKENS]), repeats)
    run, taking = KeptRun(0, 1, NUM_TAKEN, stored), []
    for _ in range(repeats):
        other.truncate(0)
        taking += timed_ms(functools.partial(other.rearrange, [run]), 1)
    return [timing_figure("store_piece_ms", storing), timing_figure("take_stored_ms", taking)]


def _time_to_give_way(patcher: CachePatcher, table: SlotTable) -> float:
    """Return the longest time between two moments at which healing may be interrupted."""
    seen: list[float] = []

    def checkpoint() -> None:
        seen.append(time.perf_counter())

    patcher.heal(table, len(table), checkpoint)
    return max(b - a for a, b in itertools.pairwise(seen)) * 1000


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=30)
    repeats = parser.parse_args().repeats
    model = load_model("default")
    text = source_text()
    token_ids = model.tokenizer.encode(text)
    kept = text[: len(model.tokenizer.decode(token_ids[:NUM_PLANNED]))]
    figures = [
        *plan_figures(token_ids[:NUM_PLANNED], repeats),
        *tokenise_figures(model, kept, repeats),
        *cache_figures(model, token_ids[:NUM_CACHED], min(repeats, 12)),
        *store_figures(model, token_ids[:NUM_CACHED], min(repeats, 12)),
    ]
    for figure in figures:
        print(f"{figure.name}: {figure.value:.3f} (to {figure.high:.3f})")
    worst = max(f.value for f in figures if f.name.startswith("plan_"))
    figures.append(timing_figure("plan_slowest_kind_ms", [worst]))
    write_result(
        "kv_steps",
        figures,
        num_threads=torch.get_num_threads(),
        settings={"model": "default", "planned_tokens": NUM_PLANNED, "cached_tokens": NUM_CACHED},
    )


if __name__ == "__main__":
    main()
