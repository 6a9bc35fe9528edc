"""The same prompts continued by transformers: plainly, with prompt lookup, with a small assistant.

It runs the dequantised weights of the same file, as it would for its users. Each way is measured
beside its own plain decoding.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.engine_workers.transformers_eager import load_qwen2
from benchmarks.speculation_asking import Variant, request_of
from benchmarks.speculation_rows import PLAIN, Rival, append, read_lines
from benchmarks.speculation_tasks import SpeculationTask
from completion.config import PromptConfig
from completion.prompt import PromptBuilder
from completion.windows import StickyWindows
from models.loader import default_cache_dir, downloads_folder
from models.registry import RegisteredModel, resolve
from models.sources.packaged import gguf_path
from models.tokenizer import Tokenizer

NUM_LOOKED_UP = 10
MAX_NUM_NEW_TOKENS = 64
DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
LOOKUP, ASSISTED = "prompt_lookup", "assistant"


class RivalBench:
    """A model of transformers, ready to continue any prompt in any of its ways."""

    def __init__(
        self, model: str, draft_model: str | None, dtype: str, tokenizer: Tokenizer, num_prompt: int
    ) -> None:
        self.dtype = dtype
        self._network: Any = load_qwen2(gguf_of(model), DTYPES[dtype])
        self._prompts = PromptBuilder(tokenizer, PromptConfig(max_num_tokens=num_prompt))
        self._ways: dict[str, dict[str, Any]] = {
            PLAIN: {},
            LOOKUP: {"prompt_lookup_num_tokens": NUM_LOOKED_UP},
        }
        if draft_model is not None:
            assistant = load_qwen2(gguf_of(draft_model), DTYPES[dtype])
            self._ways[ASSISTED] = {"assistant_model": assistant}

    @property
    def ways(self) -> frozenset[str]:
        """The names of its ways."""
        return frozenset(self._ways)

    def measure(self, task: SpeculationTask) -> list[Rival]:
        """Return what each way takes for the continuation of ``task``, all in random order."""
        request = request_of(task, task.questions[0], 1, Variant(PLAIN, frozenset()))
        windows = StickyWindows()
        windows.follow(request.document)
        prompt = torch.tensor([self._prompts.build(request, (), windows).token_ids])
        order = random.Random(task.task_id).sample(list(self._ways), len(self._ways))
        first_token_s = self._generate(prompt, {}, 1)[1]  # the prompt, which no way saves
        found = {
            name: self._generate(prompt, self._ways[name], MAX_NUM_NEW_TOKENS) for name in order
        }
        return [
            Rival(
                task_id=task.task_id,
                dtype=self.dtype,
                variant=name,
                num_tokens=len(token_ids) - 1,
                seconds=max(seconds - first_token_s, 1e-3),
                is_same=token_ids == found[PLAIN][0],
            )
            for name, (token_ids, seconds) in found.items()
        ]

    @torch.inference_mode()
    def _generate(
        self, prompt: torch.Tensor, way: dict[str, Any], max_new_tokens: int
    ) -> tuple[list[int], float]:
        started = time.perf_counter()
        ids = self._network.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=sorted(self._prompts.stop_ids),
            pad_token_id=min(self._prompts.stop_ids),
            **way,
        )
        seconds = time.perf_counter() - started
        return ids[0, prompt.shape[1] :].tolist(), seconds


def gguf_of(model: str) -> Path:
    """Return the file of a registered model's weights.

    Raises:
        ValueError: The model is none of those that come as such a file.
    """
    found = resolve(model)
    if not isinstance(found, RegisteredModel):
        raise ValueError(f"{model} is no registered model; transformers is given their files only")
    return gguf_path(found, downloads_folder(default_cache_dir(), found))


def run_transformers(bench: RivalBench, tasks: Sequence[SpeculationTask], path: Path) -> None:
    """Measure the tasks that ``path`` lacks; the first one is done twice to warm up."""
    done: dict[str, set[str]] = {}
    for row in read_rivals(path):
        if row.dtype == bench.dtype:
            done.setdefault(row.task_id, set()).add(row.variant)
    missing = [task for task in tasks if not done.get(task.task_id, set()) >= bench.ways]
    for number, task in enumerate([*missing[:1], *missing]):
        rows = bench.measure(task)
        if number:
            append(path, rows)
            print(f"{number} of {len(missing)}: {rows}", flush=True)


def read_rivals(path: Path) -> list[Rival]:
    """Return the newest row of each task and way."""
    rows = [Rival(**row) for row in read_lines(path)]
    return list({(row.task_id, row.variant, row.dtype): row for row in rows}.values())
