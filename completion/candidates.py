r"""Several candidates of one prompt, side by side.

    the first    prompt a b c d e      notes in its first tokens where it could go on otherwise
    branches     prompt - a x . .      one pass takes a step of all: the weights are read once,
                       \- a b y .      and so is the prompt

A branch starts at the likeliest other token. Texts that are drawn all start behind the prompt, each
with draws of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from completion.decoding import (
    BRANCH_STEPS,
    Branch,
    BranchQueue,
    DecodingRun,
    GeneratedText,
    GenerationParams,
)
from completion.speculation.tree import MAX_NUM_DRAFTS
from completion.steps import DecodingSteps

_NUM_SPARE = 1  # begun beside what is missing: a row is cheap, beginning late is not

RunPass = Callable[[Sequence[DecodingSteps]], list[Tensor]]


@dataclass(frozen=True, slots=True)
class CandidateRules:
    """What makes a text a candidate.

    Attributes:
        new_run: Begins the n-th text.
        finish: Returns the n-th text with all that is known of it.
        num_faults: Judges a text; 0 is fine.
    """

    new_run: Callable[[int], DecodingRun]
    finish: Callable[[int, GeneratedText], GeneratedText]
    num_faults: Callable[[GeneratedText], int]


@dataclass(slots=True, eq=False)
class _Text:
    """One continuation under way; once it has ended, ``candidate`` and what is wrong with it."""

    number: int
    run: DecodingRun
    steps: DecodingSteps
    candidate: GeneratedText | None = None
    num_faults: int = 0

    @property
    def is_fork(self) -> bool:
        """Whether its table is its own, beside the session's."""
        return self.number > 0


class CandidateSearch:
    """Looks for candidates of one prompt until there are enough that are fine."""

    def __init__(self, params: GenerationParams, rules: CandidateRules, run_pass: RunPass) -> None:
        """``run_pass`` returns the logits behind each of several texts, all of which wait for one."""
        self._params, self._rules, self._run_pass = params, rules, run_pass
        self._branches = BranchQueue()
        self._texts: list[_Text] = []  # the likeliest first
        self.num_passes = 0

    def find(self, steps: DecodingSteps, logits: Tensor) -> list[GeneratedText]:
        """Return distinct continuations of the prompt that ``logits`` stand behind, best first."""
        self._begin(steps, Branch(), logits)
        try:
            while not self._is_settled():
                self._branch(steps)
                waiting = self._under_way()
                if not waiting:
                    break  # all were tried
                self.num_passes += 1
                found = self._run_pass([text.steps for text in waiting])
                for text, behind in zip(waiting, found, strict=True):
                    self._go_on(text, behind)
        finally:
            for text in self._under_way():
                if text.is_fork:
                    text.steps.close()
        ranked = sorted(self._distinct(), key=lambda text: text.num_faults)
        found_texts = [text.candidate for text in ranked if text.candidate is not None]
        return found_texts[: self._params.num_candidates]

    def _branch(self, steps: DecodingSteps) -> None:
        """Begin what is missing, once it is known where texts can branch off."""
        params, under_way = self._params, self._under_way()
        first, is_drawn = self._texts[0], params.sampling.temperature > 0
        is_early = first.candidate is None and len(first.steps.output) < BRANCH_STEPS
        if (is_early and not is_drawn) or params.deadline.has_passed:
            return
        num_missing = params.num_candidates - sum(not text.num_faults for text in self._distinct())
        if len(under_way) >= num_missing:
            return
        # Texts may turn out equal once stop rules have cut them, so a few more are tried.
        num_left = 2 * params.num_candidates - 1 + params.max_num_retries - len(self._texts)
        num_spare = _NUM_SPARE if params.is_distinct else 0
        num_new = min(num_left, num_missing + num_spare - len(under_way))
        self._make_room(steps, num_new)
        # One is tried in any case, else there would be none.
        num_fitting = max(self._num_fitting(steps), 0 if under_way else 1)
        for _ in range(min(num_new, num_fitting)):
            branch = Branch() if is_drawn else self._branches.pop()
            if branch is None:
                return
            self._begin(steps.fork(branch), branch, steps.prompt_logits)

    def _make_room(self, steps: DecodingSteps, num_wanted: int) -> None:
        """Free what the first text took, if it has ended and ``num_wanted`` more do not fit."""
        if self._texts[0].candidate is not None and self._num_fitting(steps) < num_wanted:
            steps.rewind()

    def _num_fitting(self, steps: DecodingSteps) -> int:
        """Return how many more texts have room."""
        size = self._params.max_new_tokens + 1 + MAX_NUM_DRAFTS
        num_promised = sum(size - len(text.steps.output) for text in self._under_way())
        return (steps.num_free - num_promised) // size

    def _begin(self, steps: DecodingSteps, branch: Branch, prompt_logits: Tensor) -> None:
        number = len(self._texts)
        text = _Text(number, self._rules.new_run(number), steps)
        self._texts.append(text)
        text.run.begin(branch)
        self._note_end(text)
        self._go_on(text, None if branch.token_ids else prompt_logits)

    def _go_on(self, text: _Text, logits: Tensor | None) -> None:
        """Append tokens until the text ends or waits for a pass."""
        while logits is not None:
            token_id = text.run.advance(logits, self._branches)
            self._note_end(text)
            if token_id is None:
                return
            logits = text.steps.offer(token_id, may_exit=text.run.is_free)

    def _note_end(self, text: _Text) -> None:
        if text.run.result is None:
            return
        candidate = self._rules.finish(text.number, text.run.result)
        if candidate.written is not None:  # for those who ask who drafted its tokens
            written = replace(candidate.written, origins=text.steps.origins)
            candidate = replace(candidate, written=written)
        text.candidate, text.num_faults = candidate, self._rules.num_faults(candidate)
        if text.is_fork:
            text.steps.close()

    def _under_way(self) -> list[_Text]:
        return [text for text in self._texts if text.candidate is None]

    def _distinct(self) -> list[_Text]:
        """Return the texts that have ended and differ from all that are likelier."""
        found: dict[str, _Text] = {}
        for text in self._texts:
            if text.candidate is not None:
                found.setdefault(self._key(text), text)
        return list(found.values())

    def _is_settled(self) -> bool:
        """Whether enough texts are fine, and none under way is likelier than those."""
        keys: set[str] = set()
        for text in self._texts:
            if text.candidate is None:
                return False
            if not text.num_faults:
                keys.add(self._key(text))
            if len(keys) >= self._params.num_candidates:
                return True
        return False

    def _key(self, text: _Text) -> str:
        if text.candidate is None or not self._params.is_distinct:
            return str(text.number)
        return text.candidate.text.strip()
