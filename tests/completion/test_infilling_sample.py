"""Stop rules and filters must not destroy a right answer, nor keep what runs on behind it.

The sample is 90 tasks of HumanEval-Infilling (MIT; see its README). The right answer is fed as a
model would stream it, followed by what instruct models add.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from completion.postprocess import PostprocessedText, postprocess
from completion.stopping import StopMonitor
from completion.strategy import Scope, choose_strategy
from completion.types import CompletionRequest, DocumentSnapshot, TriggerKind

SAMPLE = Path(__file__).parents[1] / "fixtures" / "humaneval_infilling" / "sample.jsonl"
Task = dict[str, str]


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    return [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]


def completed(task: Task, run_on: str, scope: Scope | None) -> str:
    """Return the document after the suggestion that comes of the right answer and ``run_on``."""
    text = task["prompt"] + task["suffix"]
    request = CompletionRequest(
        "1",
        DocumentSnapshot("u", 1, "python", text),
        len(task["prompt"]),
        TriggerKind.INVOKED,
    )
    strategy = choose_strategy(request, scope=scope)
    monitor = StopMonitor(request, strategy)
    stream = task["canonical_solution"] + run_on
    for start in range(0, len(stream), 5):
        if monitor.push(stream[start : start + 5]) is not None:
            break
    else:
        monitor.finish()
    result = postprocess(monitor.text, request, strategy)
    if not isinstance(result, PostprocessedText):
        return f"rejected by {result.filter_name}"
    return text[: result.replace_start] + result.text + text[result.replace_end :]


def share_kept(tasks: list[Task], kind: str, run_on: str, scope: Scope | None = None) -> float:
    chosen = [task for task in tasks if task["task_id"].startswith(kind)]
    assert chosen
    num_kept = 0
    for task in chosen:
        expected = task["prompt"] + task["canonical_solution"] + task["suffix"]
        ending = task["suffix"][:400] if run_on == "suffix" else run_on
        result = without_blank_lines(completed(task, ending, scope))
        num_kept += result == without_blank_lines(expected)
    return num_kept / len(chosen)


def without_blank_lines(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n") if line.strip())


@pytest.mark.parametrize(
    "run_on",
    [
        "",
        "suffix",
        "\n\n# Example usage:\nprint(1)\n",
        "\n```\nExplanation: it works.\n",
        "<|endoftext|>",
    ],
)
def test_a_right_line_survives_whatever_follows_it(tasks: list[Task], run_on: str) -> None:
    assert share_kept(tasks, "SingleLine", run_on, Scope.LINE) == 1.0
    assert share_kept(tasks, "SingleLine", run_on) >= 0.99


@pytest.mark.parametrize("run_on", ["", "suffix", "\n\n\ndef check(f):\n    assert f(1)\n"])
def test_right_lines_survive_a_repeated_suffix_and_further_functions(
    tasks: list[Task], run_on: str
) -> None:
    assert share_kept(tasks, "MultiLine", run_on) >= 0.96


@pytest.mark.parametrize("run_on", ["", "suffix"])
def test_most_random_spans_survive(tasks: list[Task], run_on: str) -> None:
    assert share_kept(tasks, "RandomSpan", run_on) >= 0.9
