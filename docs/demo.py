"""Real completions in files of this repository: ``make demo``.

Each hole is cut into a file in memory: what followed the cursor is taken out, the model fills it,
and what was there is shown beside it. Holes are found by their text, so they survive changes
around them; a hole whose text is gone is an error.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from completion.types import Suggestion
from lsp_server.api import Completer
from lsp_server.report import as_sentence

ROOT = Path(__file__).resolve().parent.parent
BOLD, DIM, GREEN, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Hole:
    """A cursor behind ``before``, whose following text ``removed`` is taken out."""

    path: str
    before: str
    removed: str

    def cut(self) -> tuple[str, str]:
        """Return the file's text before and after the hole.

        Raises:
            LookupError: If the text of the hole does not stand exactly once in the file.
        """
        text = (ROOT / self.path).read_text(encoding="utf-8")
        count = text.count(self.before + self.removed)
        if count != 1:
            raise LookupError(
                f"{self.path} holds {self.before + self.removed!r} {count} times, not once; "
                "update HOLES in docs/demo.py"
            )
        prefix, suffix = text.split(self.before + self.removed)
        return prefix + self.before, suffix


HOLES = (
    Hole(
        "completion/sampling.py",
        "        if self.top_k < 0:\n            ",
        'raise ValueError(f"top_k is {self.top_k}; it must be 0 or more")',
    ),
    Hole(
        "completion/sampling.py",
        "    drawn = torch.multinomial(",
        "distribution(logits, params), 1, generator=generator)",
    ),
    Hole(
        "completion/sampling.py",
        "    kept = torch.full_like(",
        """logits, float("-inf"))
    at = torch.from_numpy(allowed).to(logits.device)
    kept[at] = logits[at]
    return kept""",
    ),
    Hole(
        "models/norm.py",
        "    def __init__(self, weight: Tensor, bias: Tensor, eps: float) -> None:\n        ",
        "self._weight, self._bias, self._eps = weight, bias, eps",
    ),
    Hole(
        "benchmarks/figures.py",
        "    median = statistics.median(samples)\n    mean = ",
        "statistics.fmean(samples)",
    ),
)


def show(completer: Completer, hole: Hole, *, colour: bool) -> bool:
    """Complete ``hole`` and print it; return whether there was a suggestion."""
    bold, dim, green, plain = (BOLD, DIM, GREEN, PLAIN) if colour else ("", "", "", "")
    prefix, suffix = hole.cut()
    outcome = completer.complete_text(prefix, suffix, language_id="python", path=hole.path)
    line = prefix.rsplit("\n", 1)[1]
    _print(f"{bold}{hole.path}:{prefix.count(chr(10)) + 1}{plain}")
    for above in prefix.splitlines()[-3:-1]:
        _print(f"  {dim}{above}{plain}")
    if not isinstance(outcome, Suggestion):
        _print(f"  {line}{green}▏{plain} {as_sentence(outcome)}")
        return False
    _print(f"  {line}{green}{bold}{outcome.text}{plain}")
    _print(f"  {dim}in the file: {hole.removed}{plain}")
    timings, prompt = outcome.trace.timings_ms, outcome.trace.prompt
    _print(
        f"  {timings.total:.0f} ms: prefill {timings.prefill:.0f} ms for {prompt.num_new_tokens} "
        f"of {prompt.num_tokens} tokens, decode {timings.decode:.0f} ms"
    )
    _print("")
    return True


def main() -> int:
    """Show all holes; the exit status is 1 if one stayed empty."""
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    started = time.perf_counter()
    with Completer() as completer:
        completer.load()
        _print(f"model ready in {time.perf_counter() - started:.1f} s\n")
        shown = [show(completer, hole, colour=colour) for hole in HOLES]
    return 0 if all(shown) else 1


def _print(text: str) -> None:
    sys.stdout.write(text.replace("\n", "\n  ").rstrip(" ") + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
