"""The parts of the comparison that need no server: scores, what is shown and said, the report."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import head_to_head, head_to_head_report
from benchmarks.daemon import LspClient
from benchmarks.head_to_head_fimble import (
    Asked,
    Editor,
    Message,
    message_of,
    num_new_tokens,
    position_at,
    reason_of,
)
from benchmarks.head_to_head_fimble import shown_by as shown_by_fimble
from benchmarks.head_to_head_llama import shown_by as shown_by_llama
from benchmarks.head_to_head_report import figures_of, percentile
from benchmarks.head_to_head_schedule import Language, Step, Stretch
from benchmarks.head_to_head_scores import (
    Key,
    Replay,
    Shown,
    Side,
    append_replay,
    read_replays,
    scored,
)
from benchmarks.llama_vim import LlamaAnswer, Source
from benchmarks.traces.recordings import Origin
from completion.types import TextEdit

# --- scores


def step_at(before: str, after: str, truth: str | None, pause_ms: float = 300) -> Step:
    edits = (TextEdit(len(before) - 1, len(before) - 1, before[-1]),)
    return Step(0, pause_ms, edits, before + after, len(before), truth)


def insertion(step: Step, text: str, ms: float = 20) -> Shown:
    return Shown(ms, step.cursor, step.cursor, text, is_from_cache=False)


@pytest.mark.parametrize(
    ("before", "after", "truth", "suggested", "num_correct", "is_match"),
    [
        ("x\n  a = ", "\n", "b + c", "b + c", 5, True),
        ("x\n  a = ", "\n", "b + c", "b + c\n  d", 5, True),
        ("x\n  a = ", "\n", "b + c", "b + d", 4, False),
        ("x\n  a = ", "\n", "b + c", "z", 0, False),
        ("x\n  a = ", "\n", "b + c  ", "b + c", 5, True),
        ("f(", ")\n", "a)", "a", 2, True),
        ("f(", ")\n", "a)", "a,\n  b", 1, False),
        ("f(", "\n", None, "a", 0, False),
    ],
)
def test_the_line_a_suggestion_leaves_is_compared_with_the_one_the_person_left(
    before: str, after: str, truth: str | None, suggested: str, num_correct: int, is_match: bool
) -> None:
    step = step_at(before, after, truth)
    found = scored(step, insertion(step, suggested))
    assert (found.num_correct, found.is_match) == (num_correct, is_match)


@pytest.mark.parametrize(("text", "ms"), [("b", 300.1), ("  \n", 20.0), ("", 20.0)])
def test_what_is_late_or_blank_was_not_shown(text: str, ms: float) -> None:
    step = step_at("a = ", "\n", "b")
    assert scored(step, insertion(step, text, ms)).ms is None


@pytest.mark.parametrize(("truth", "is_telling"), [("a)", True), (")", False), ("", False)])
def test_a_key_is_telling_if_the_person_went_on_in_the_line(truth: str, is_telling: bool) -> None:
    assert scored(step_at("f(", ")\n", truth), None).is_telling is is_telling


# --- what each side shows


def test_llama_vim_puts_its_text_in_place_of_blanks_before_the_cursor() -> None:
    step = step_at("if a:\n     ", "\n", None)
    shown = shown_by_llama(LlamaAnswer("    b", 5, 7.0, Source.SERVER), step)
    assert shown == Shown(7.0, step.cursor - 5, step.cursor, "    b", is_from_cache=False)


def asked_with(inserted: str, end: int) -> Asked:
    ends = {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": end}}
    return Asked(1, is_over=True, ms=7.0, items=[{"insertText": inserted, "range": ends}])


def test_an_editor_shows_what_goes_on_from_the_typed_part_of_the_line() -> None:
    step = step_at("🙂\n  f(", ")\n", None)
    why = {"prompt": {"num_tokens": 0}}
    shown = shown_by_fimble(asked_with("  f(a, b)", 5), why, step)
    assert shown == Shown(7.0, step.cursor, step.cursor + 1, "a, b)", is_from_cache=True)


def test_an_editor_does_not_show_what_begins_otherwise() -> None:
    step = step_at("\n  f(", ")\n", None)
    assert shown_by_fimble(asked_with("  g(a)", 5), None, step) is None


def test_an_answer_that_the_server_explains_twice_counts_once() -> None:
    prompts = {"a": {"num_new": 2, "num_healed": 1}, "b": {"num_new": 4, "num_healed": 0}}
    whys = [{"id": name, "prompt": prompt} for name, prompt in prompts.items()]
    assert num_new_tokens([*whys, whys[0], None]) == 7


# --- what the editor says


def applied(text: str, changes: Sequence[Any]) -> str:
    for change in changes:
        lines = text.splitlines(keepends=True)
        start, end = (
            sum(map(len, lines[: at["line"]])) + at["character"]
            for at in (change["range"]["start"], change["range"]["end"])
        )
        text = text[:start] + change["text"] + text[end:]
    return text


def test_changes_lead_the_server_to_the_same_text() -> None:
    edits = (TextEdit(2, 4, "é\n🙂"), TextEdit(0, 0, "x\n"), TextEdit(6, 7, ""))
    step = Step(0, 30, edits, "x\n🙂\né\nb\nc", 5, None)
    assert applied("🙂\na\nb\nc", message_of("🙂\na\nb\nc", step).changes) == step.text


class FakeClient(LspClient):
    """Keeps what an editor says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.responses: list[asyncio.Future[dict[str, Any]]] = []

    def notify(self, method: str, params: Any) -> None:
        self.said.append(method)

    def request(self, method: str, params: Any) -> tuple[int, asyncio.Future[dict[str, Any]]]:
        self.said.append(method)
        self.responses.append(asyncio.get_running_loop().create_future())
        return len(self.responses), self.responses[-1]


PRESS = Message([], position_at("", 0))


async def test_the_next_key_takes_the_open_question_back() -> None:
    client = FakeClient()
    editor = Editor(client, "file:///a.py")
    editor.press(PRESS)
    editor.press(PRESS)
    assert client.said[2:] == [
        "textDocument/didChange",
        "$/cancelRequest",
        "textDocument/inlineCompletion",
    ]


async def test_an_answer_is_kept_and_the_server_asked_for_its_reason() -> None:
    client = FakeClient()
    asked = Editor(client, "file:///a.py").press(PRESS)
    client.responses[0].set_result({"result": {"items": [1]}})
    await asyncio.sleep(0)
    assert (asked.items, client.said[-1]) == ([1], "fimble/why")


async def test_a_question_taken_back_has_no_answer() -> None:
    client = FakeClient()
    asked = Editor(client, "file:///a.py").press(PRESS)
    client.responses[0].set_result({"error": {"code": -32800}})
    await asyncio.sleep(0)
    assert (asked.is_over, asked.items, await asked.explanation()) == (True, None, None)


# --- replays and the report


def shown_key(ms: float | None, *, is_match: bool = False, pause_ms: float = 300) -> Key:
    return Key(pause_ms, ms, False, "a = b" if is_match else "", "a = b", True, 0)


def replay_of(side: str, keys: Sequence[Key], stretch_id: str = "one", **changes: Any) -> Replay:
    made = Side(side, "made up", 1)
    replay = Replay(stretch_id, "python", False, made, len(keys) * 0.5, 10, None, tuple(keys))
    return replace(replay, **changes)


def values_of(*replays: Replay) -> dict[str, float]:
    return {figure.name: figure.value for figure in figures_of(replays)}


def test_a_replay_is_read_as_it_was_written(tmp_path: Path) -> None:
    replays = [replay_of("fimble", [shown_key(3.5), shown_key(None)], num_computed_tokens=5)]
    append_replay(tmp_path, replays[0])
    assert read_replays(tmp_path) == replays


def test_each_measurement_is_compared_with_the_quantisation_that_is_best_at_it() -> None:
    values = values_of(
        replay_of("fimble", [shown_key(20.0), shown_key(20.0, is_match=True)]),
        replay_of("llama_a", [shown_key(80.0), shown_key(80.0)]),
        replay_of("llama_b", [shown_key(100.0, is_match=True), shown_key(100.0, is_match=True)]),
    )
    assert values["python_paused_line_p50_ratio"] == 20 / 80
    assert values["all_paused_match_change"] == -50


def test_a_line_that_never_came_was_waited_for_until_the_next_key() -> None:
    values = values_of(
        replay_of("fimble", [shown_key(30.0)] * 3),
        replay_of("llama_a", [shown_key(3.0), shown_key(None), shown_key(None)]),
    )
    assert values["python_every_line_p50_ratio"] == 10
    assert values["python_every_waited_p50_ratio"] == 0.1
    assert values["python_every_both_line_p50_ratio"] == 10


def test_a_side_that_shows_nothing_has_no_time_to_compare_with() -> None:
    values = values_of(
        replay_of("fimble", [shown_key(9.0)]), replay_of("llama_a", [shown_key(None)])
    )
    assert "python_every_line_p50_ratio" not in values
    assert values["python_every_llama_a_shown"] == 0


def test_short_pauses_count_for_every_key_only() -> None:
    keys = [shown_key(9.0, pause_ms=249), shown_key(11.0, pause_ms=250)]
    values = values_of(replay_of("fimble", keys), replay_of("llama_a", keys))
    assert values["python_paused_fimble_line_ms_p50"] == 11
    assert values["python_every_fimble_line_ms_p50"] == 10


def test_stretches_that_one_side_lacks_are_left_out() -> None:
    values = values_of(
        replay_of("fimble", [shown_key(9.0)]),
        replay_of("llama_a", [shown_key(9.0)]),
        replay_of("fimble", [shown_key(500.0)] * 5, stretch_id="two"),
    )
    assert values["all_every_fimble_line_ms_p50"] == 9


def test_tokens_are_compared_only_where_both_sides_tell_of_all() -> None:
    keys = [shown_key(9.0)] * 2
    theirs = replay_of("llama_a", keys, num_computed_tokens=20)
    ours = replay_of("fimble", keys, num_computed_tokens=5)
    assert values_of(ours, theirs)["all_computed_tokens_ratio"] == 0.25
    assert "all_computed_tokens_ratio" not in values_of(replay_of("fimble", keys), theirs)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([4.0], 95, 4.0), ([1.0, 3.0], 50, 2.0), ([5.0, 1.0, 3.0], 50, 3.0), ([0.0, 10.0], 95, 9.5)],
)
def test_percentile_lies_between_its_neighbours(
    values: list[float], percent: float, expected: float
) -> None:
    assert percentile(values, percent) == pytest.approx(expected)


def test_a_key_with_nothing_to_show_has_the_servers_reason() -> None:
    taken_back, empty = Asked(1, is_over=True), Asked(2, is_over=True, ms=5.0, items=[])
    assert reason_of(taken_back, None) == "late"
    assert reason_of(empty, {"reason": "unlikely_wanted"}) == "unlikely_wanted"
    step = step_at("a = ", "\n", "b")
    assert scored(step, None, "unlikely_wanted").reason == "unlikely_wanted"
    late = Shown(step.pause_ms + 1, step.cursor, step.cursor, "b", False)
    assert scored(step, late).reason == "late"
    assert scored(step, replace(late, ms=1.0)).reason == ""


def test_the_report_says_how_often_each_reason_was_given() -> None:
    unlikely = replace(shown_key(None), reason="unlikely_wanted")
    keys = [shown_key(9.0), unlikely, unlikely, replace(unlikely, reason="late")]
    values = values_of(replay_of("fimble", keys), replay_of("llama_a", keys[:1] * 4))
    assert values["all_paused_fimble_none_unlikely_wanted"] == 50
    assert values["all_paused_fimble_none_late"] == 25
    assert not [name for name in values if "llama_a_none" in name]


def test_report_names_everything_it_measured_in_words_that_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for side in ("fimble", "llama_a"):
        append_replay(tmp_path, replay_of(side, [shown_key(9.0)]))
    written: list[list[str]] = []

    def write(benchmark: str, figures: Sequence[Any], **_: Any) -> Path:
        written.append([figure.name for figure in figures])
        return Path(f"{benchmark}.json")

    monkeypatch.setattr(head_to_head, "write_result", write)
    head_to_head.report(argparse.Namespace(work=tmp_path, dry_run=False, name="head_to_head"))
    assert len(set(written[0])) == len(written[0]) > 20


def test_report_refuses_replays_with_different_numbers_of_threads(tmp_path: Path) -> None:
    append_replay(tmp_path, replay_of("fimble", [shown_key(9.0)]))
    theirs = replace(replay_of("llama_a", [shown_key(9.0)]), side=Side("llama_a", "", 2))
    append_replay(tmp_path, theirs)
    with pytest.raises(ValueError, match="use a work folder for each number of threads"):
        head_to_head.report(argparse.Namespace(work=tmp_path, dry_run=False))


# --- the run


def test_each_side_is_first_in_its_turn() -> None:
    sides = ["a", "b", "c"]
    assert [head_to_head.in_turn(sides, number)[0] for number in range(4)] == ["a", "b", "c", "a"]


def test_a_resumed_run_replays_only_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = step_at("a = ", "\n", "b")
    stretch = Stretch(
        "one", Language.PYTHON, "python", "a.py", Origin.RELEASE, False, "", 0, (step,)
    )
    append_replay(tmp_path, replay_of("fimble", [shown_key(9.0)], stretch_id=stretch.stretch_id))
    replayed: list[str] = []

    def run(stretch: Stretch, side: str) -> Replay:
        replayed.append(side)
        return replay_of(side, [shown_key(9.0)], stretch_id=stretch.stretch_id)

    sides = {side: lambda one, side=side: run(one, side) for side in ("fimble", "llama_a")}
    monkeypatch.setattr(head_to_head, "sides_of", lambda _: sides)
    monkeypatch.setattr(head_to_head, "chosen_stretches", lambda _: [stretch])
    head_to_head.replay_missing(argparse.Namespace(work=tmp_path))
    assert replayed == ["llama_a"]
    assert len(head_to_head_report.complete_stretches(read_replays(tmp_path))) == 1


@pytest.mark.parametrize(
    "argv", [["--work", "w"], ["--work", "w", "--data", "d", "--cache", "c", "--gguf", "m.gguf"]]
)
def test_a_run_without_its_sources_or_its_rival_is_refused(argv: list[str]) -> None:
    with pytest.raises(SystemExit):
        head_to_head.parse_options(argv)
