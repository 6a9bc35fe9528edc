"""Lines that a model completed, as numbers: what a stop controller learns from and is judged by.

A row of the file holds no text: what the model thought of each token, and whether the line came out
as it was written. Rows that are there are not made again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from completion.caches import Caches, build_caches
from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.decoding import GenerationParams
from completion.dynamic.controller import LineEnd
from completion.dynamic.features import LineFeatures, LinePlace, TokenTrace, trace_token
from completion.generation import Generation, GenerationHooks
from completion.indentation import allowed_indentations
from completion.postprocess.pipeline import RejectedText, postprocess
from completion.prompt import PromptBuilder, line_start
from completion.speculation.drafter import DraftMaterial
from completion.stopping import StopMonitor
from completion.strategy import Scope, Strategy, choose_strategy
from completion.training.stop_places import StopPlace
from completion.types import CompletionRequest
from completion.windows import StickyWindows
from kvedit.policy import PatchMode, PatchPolicy
from models.loader import LoadedModel
from models.progress import Progress, ProgressCallback
from models.slots import SlotTable

_MAX_PROMPT_TOKENS, _MAX_NEW_TOKENS = 560, 48


@dataclass(frozen=True, slots=True)
class StopExample:
    """One completed line; examples of one ``group`` were asked for in the same line of a file.

    ``chosen_ms`` is when each token was chosen, from the first on.
    """

    name: str
    group: str
    is_right: bool
    place: LinePlace
    traces: tuple[TokenTrace, ...]
    chosen_ms: tuple[float, ...]

    def features(self) -> npt.NDArray[np.float32]:
        """Return what a controller sees behind each token, [num_tokens, num_features]."""
        line = LineFeatures(self.place)
        return np.stack([line.add(trace) for trace in self.traces])


class StopExamples:
    """The rows of one file, and what is still to be made of them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[StopExample]:
        """Return the examples that are there; a row that was cut short is left out."""
        if not self._path.exists():
            return
        for row in self._path.read_text(encoding="utf-8").split("\n")[:-1]:
            yield _read(row)

    def collect(
        self,
        stage: str,
        model: LoadedModel,
        groups: Sequence[Sequence[StopPlace]],
        progress: ProgressCallback,
    ) -> list[StopExample]:
        """Return the examples of ``groups``, completing the lines that are not there yet."""
        known = {example.name: example for example in self}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._drop_cut_row()
        completer, done = _Completer(model), 0
        total = sum(map(len, groups))
        found: list[StopExample] = []
        for number, group in enumerate(groups):
            names = [place.request.request_id for place in group]
            if not known.keys() >= set(names):
                made = completer.complete(group, str(number))
                known.update((example.name, example) for example in made)
                self._append(made)
            found.extend(known[name] for name in names)
            done += len(group)
            progress(Progress(stage, done, total, "lines"))
        return found

    def _append(self, examples: Sequence[StopExample]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(_written(example) + "\n" for example in examples)

    def _drop_cut_row(self) -> None:
        if self._path.exists():
            text = self._path.read_text(encoding="utf-8")
            self._path.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")


class _Completer:
    """Completes lines with a model of its own caches, as a service does without retries."""

    def __init__(self, model: LoadedModel) -> None:
        config = CompletionConfig(
            prompt=PromptConfig(max_num_tokens=_MAX_PROMPT_TOKENS, context_share=0.0),
            engine=EngineConfig(
                cache_mb=1, max_new_tokens=_MAX_NEW_TOKENS, chunk_tokens=0, around_tokens=0
            ),
        )
        self._prompts = PromptBuilder(model.tokenizer, config.prompt)
        self._caches: Caches = build_caches(model, config, self._prompts, lambda _: None)
        self._capacity = _MAX_PROMPT_TOKENS + 2 * _MAX_NEW_TOKENS

    def complete(self, group: Sequence[StopPlace], name: str) -> list[StopExample]:
        """Return an example for each of the places in one line, which share their prompt."""
        table, windows = SlotTable(self._caches.pool, self._capacity), StickyWindows()
        try:
            return [self._complete(place, name, table, windows) for place in group]
        finally:
            table.close()

    def _complete(
        self, place: StopPlace, group: str, table: SlotTable, windows: StickyWindows
    ) -> StopExample:
        request = place.request
        strategy = choose_strategy(request, scope=Scope.LINE)
        recorder = _Recorder(LinePlace.at(strategy.cursor))
        windows.follow(request.document)
        prompt = self._prompts.build(request, (), windows)
        found = self._caches.generator.generate(
            table,
            prompt,
            PatchPolicy(mode=PatchMode.EXACT),
            self._params(request, strategy),
            GenerationHooks(
                new_monitor=lambda: StopMonitor(request, strategy),
                num_faults=lambda _: 0,
                checkpoint=lambda: None,
                new_watch=lambda: recorder,
            ),
            material=DraftMaterial(),
        )
        return StopExample(
            name=request.request_id,
            group=group,
            is_right=_is_right(place, strategy, found),
            place=recorder.place,
            traces=tuple(recorder.traces),
            chosen_ms=tuple((at - recorder.chosen_s[0]) * 1000 for at in recorder.chosen_s),
        )

    def _params(self, request: CompletionRequest, strategy: Strategy) -> GenerationParams:
        return GenerationParams(
            max_new_tokens=_MAX_NEW_TOKENS,
            stop_ids=self._prompts.stop_ids,
            indentations=allowed_indentations(strategy.cursor, request.prefix),
            typed_blanks=strategy.cursor.left,
            is_one_line=True,
        )


class _Recorder:
    """Keeps the traces of the first line; gives nothing up."""

    confidence: float | None = None

    def __init__(self, place: LinePlace) -> None:
        self.place = place
        self.traces: list[TokenTrace] = []
        self.chosen_s: list[float] = []
        self._end = LineEnd(place)

    def push(
        self, logits: Tensor, logprob: float, text: str, *, is_forced: bool, is_last: bool
    ) -> None:
        if not self._end.has_come:
            self.chosen_s.append(time.perf_counter())
            has_ended = self._end.push(text, is_last=is_last)
            self.traces.append(
                trace_token(logits, logprob, text, is_forced=is_forced, has_ended=has_ended)
            )


def _is_right(place: StopPlace, strategy: Strategy, found: Generation) -> bool:
    """Whether the cursor's line is what was written once the suggestion is accepted."""
    request = place.request
    result = postprocess(found.candidates[0].text, request, strategy)
    if isinstance(result, RejectedText):
        return False
    text, start = request.document.text, line_start(request.prefix)
    accepted = text[: result.replace_start] + result.text + text[result.replace_end :]
    right = request.suffix.split("\n", 1)[0]
    wanted = text[start : request.offset] + place.truth + right
    return accepted[start:].split("\n", 1)[0].rstrip() == wanted.rstrip()


def _written(example: StopExample) -> str:
    row = {
        "name": example.name,
        "group": example.group,
        "is_right": example.is_right,
        "place": asdict(example.place),
        "traces": [_rounded(trace) for trace in example.traces],
        "chosen_ms": [round(at, 1) for at in example.chosen_ms],
    }
    return json.dumps(row)


def _rounded(trace: TokenTrace) -> list[float]:
    return [round(number, 5) if isinstance(number, float) else number for number in astuple(trace)]


def _read(row: str) -> StopExample:
    found = json.loads(row)
    return StopExample(
        name=found["name"],
        group=found["group"],
        is_right=found["is_right"],
        place=LinePlace(**found["place"]),
        traces=tuple(TokenTrace(*trace) for trace in found["traces"]),
        chosen_ms=tuple(found["chosen_ms"]),
    )
