"""What a precision costs: divergence of its predictions from float32 on real source code.

    python -m benchmarks.quality

Every token of every text is predicted from the tokens before it, once in float32 and once in each
precision, and the two distributions are compared: KL(float32 || precision) in nats, and how often
the likeliest token is the same. The text is source code of the standard library and of this
repository, so it is not what the weights were quantised for. Intervals resample texts, not
tokens, since tokens of one text are not independent.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.figures import Figure, mean_figure
from benchmarks.results import ROOT, write_result
from models.loader import LoadedModel, load_model
from models.registry import DEFAULT_MODEL
from models.slots import SlotTable

NUM_CONTEXT_TOKENS = 512
NUM_SKIPPED_TOKENS = 32  # the first predictions of a cut text say little about either precision
LOGIT_ROWS = 64  # rows of logits at once: 64 x 152k x 4 bytes = 39 MB


@dataclass(frozen=True, slots=True)
class Agreement:
    """Means over the predictions of one text."""

    kl_nats: float
    top1_share: float
    loss_increase_nats: float


def sample_texts(num_texts: int, seed: int) -> list[str]:
    """Return files, three of four from the standard library, the rest from this repository."""
    library = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    own = sorted(
        path
        for name in ("models", "completion", "lsp_server")
        for path in (ROOT / name).rglob("*.py")
    )
    rng = random.Random(seed)
    num_own = num_texts // 4
    texts: list[str] = []
    for paths, wanted in ((own, num_own), (library, num_texts - num_own)):
        long_enough = [path for path in paths if path.stat().st_size > 5 * NUM_CONTEXT_TOKENS]
        chosen = rng.sample(long_enough, min(wanted, len(long_enough)))
        texts += [path.read_text(encoding="utf-8", errors="replace") for path in chosen]
    return texts


def cut_window(model: LoadedModel, text: str, rng: random.Random) -> list[int]:
    """Return up to 512 tokens of ``text`` from a random line on."""
    lines = text.splitlines(keepends=True)
    start = rng.randrange(max(1, len(lines) // 2))
    return model.tokenizer.encode("".join(lines[start:]))[:NUM_CONTEXT_TOKENS]


def predict(model: LoadedModel, token_ids: Sequence[int]) -> Tensor:
    """Return the log-probabilities behind each token, [num_tokens, vocab_size]."""
    pool = model.decoder.new_pool(len(token_ids) + 1)
    table = SlotTable(pool, len(token_ids))
    hidden = model.decoder.forward(table.stage(token_ids), pool)
    starts = range(0, len(token_ids), LOGIT_ROWS)
    rows = [model.decoder.logits(hidden[start : start + LOGIT_ROWS]).cpu() for start in starts]
    return F.log_softmax(torch.cat(rows), dim=-1)


def compare(exact: Tensor, approximate: Tensor, token_ids: Sequence[int]) -> Agreement:
    """Return how far ``approximate`` is from ``exact``, both [num_tokens, vocab_size]."""
    exact, approximate = exact[NUM_SKIPPED_TOKENS:-1], approximate[NUM_SKIPPED_TOKENS:-1]
    targets = torch.tensor(token_ids[NUM_SKIPPED_TOKENS + 1 :])[:, None]
    kl = F.kl_div(approximate, exact, log_target=True, reduction="none").sum(dim=-1)
    same = exact.argmax(dim=-1) == approximate.argmax(dim=-1)
    increase = exact.gather(1, targets) - approximate.gather(1, targets)
    return Agreement(kl.mean().item(), same.double().mean().item(), increase.mean().item())


def figures_of(precision: str, agreements: Sequence[Agreement]) -> list[Figure]:
    """Return the figures of one precision over all texts."""
    return [
        mean_figure(f"{precision}_kl", [each.kl_nats for each in agreements], "nats"),
        mean_figure(f"{precision}_top1", [100 * each.top1_share for each in agreements], "%"),
        mean_figure(
            f"{precision}_loss_increase", [each.loss_increase_nats for each in agreements], "nats"
        ),
    ]


def main() -> None:
    """Measure and write ``quality.json``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--precisions", nargs="+", default=["int8", "int4", "bf16"])
    parser.add_argument("--num-texts", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true", help="print, write no result")
    options = parser.parse_args()
    reference = load_model(options.model, precision="float32", allow_network=False)
    rng = random.Random(options.seed)
    texts = sample_texts(options.num_texts, options.seed)
    windows = [
        window
        for text in texts
        if len(window := cut_window(reference, text, rng)) > NUM_CONTEXT_TOKENS // 2
    ]
    models = {
        name: load_model(options.model, precision=name, allow_network=False)
        for name in options.precisions
    }
    found: dict[str, list[Agreement]] = {name: [] for name in models}
    for window in windows:
        exact = predict(reference, window)
        for name, model in models.items():
            found[name].append(compare(exact, predict(model, window), window))
    figures = [figure for name, rows in found.items() for figure in figures_of(name, rows)]
    for figure in figures:
        print(
            f"{figure.name:30} {figure.value:10.4f} {figure.unit}  [{figure.low:.4f}, {figure.high:.4f}]"
        )
    if options.dry_run:
        return
    settings = {
        "model": options.model,
        "seed": options.seed,
        "num_texts": len(windows),
        "median_num_tokens": statistics.median(len(window) for window in windows),
    }
    num_threads = torch.get_num_threads()
    write_result("quality", figures, num_threads=num_threads, settings=settings)


if __name__ == "__main__":
    main()
