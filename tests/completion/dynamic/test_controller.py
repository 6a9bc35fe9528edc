"""The stop controller: what it says of a line, and which files it takes."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from completion.dynamic.controller import (
    STOP,
    LineEnd,
    LineJudge,
    LineWatch,
    StopController,
    find_judge,
    read_controller,
    write_controller,
)
from completion.dynamic.features import NAMES, NUM_FEATURES, LineFeatures, LinePlace, trace_token
from completion.types import FinishReason
from models.errors import CorruptWeightsError, UnsupportedModelError
from models.trained import TrainedFile, trained_path, write_trained

BLANK = LinePlace(True, "", 0, False, 0, False)
CALL = LinePlace(False, "(", 5, True, 1, False)
LOGITS = torch.tensor([0.0, 1.0, 3.0, -1.0])
FINGERPRINT = "0123456789abcdef-int8-v1"


def controller(bias: float, **weights: float) -> StopController:
    """Return one whose log-odds are ``bias`` and the weighted features."""
    output = np.zeros(1 + NUM_FEATURES, dtype=np.float32)
    output[0] = bias
    for name, weight in weights.items():
        output[1 + NAMES.index(name)] = weight
    mean = np.zeros(NUM_FEATURES, dtype=np.float32)
    plain = np.array([0.5, 1.0, 0.25], dtype=np.float32)
    return StopController(mean, np.ones_like(mean), output, plain)


def push(watch: LineWatch, text: str = "x", *, is_last: bool = False) -> FinishReason | None:
    return watch.push(LOGITS, -0.2, text, is_forced=False, is_last=is_last)


def test_a_trace_holds_what_slow_code_finds() -> None:
    trace = trace_token(LOGITS, -0.2, "ab", is_forced=True, has_ended=False)
    shares = [math.exp(x) for x in LOGITS.tolist()]
    shares = [share / sum(shares) for share in shares]
    assert trace.entropy == pytest.approx(-sum(p * math.log(p) for p in shares), abs=1e-5)
    assert trace.margin == pytest.approx(2.0, abs=1e-5)
    assert (trace.num_chars, trace.is_within_word, trace.is_forced) == (2, True, True)


def test_a_token_that_cannot_come_has_no_part_in_the_entropy() -> None:
    logits = torch.tensor([0.0, float("-inf"), 0.0])
    trace = trace_token(logits, -0.7, "a", is_forced=False, has_ended=False)
    assert trace.entropy == pytest.approx(math.log(2), abs=1e-5)


def test_the_vector_has_a_number_for_every_name() -> None:
    features = dict(
        zip(
            NAMES,
            LineFeatures(CALL)
            .add(trace_token(LOGITS, -0.5, "a ", is_forced=False, has_ended=True))
            .tolist(),
            strict=True,
        )
    )
    assert features["behind_opener"] == features["has_text_right"] == features["depth"] == 1
    assert features["sum_logprob"] == features["mean_logprob"] == features["logprob"] == -0.5
    assert features["has_ended"] == 1
    assert features["is_within_word"] == 0


def test_forced_tokens_do_not_count_as_the_models_own() -> None:
    line = LineFeatures(CALL)
    line.add(trace_token(LOGITS, -9.0, "a", is_forced=True, has_ended=False))
    features = dict(
        zip(
            NAMES,
            line.add(trace_token(LOGITS, -0.5, "b", is_forced=False, has_ended=False)),
            strict=True,
        )
    )
    assert features["sum_logprob"] == features["min_logprob"] == -0.5
    assert features["forced_logprob"] == -9.0


@pytest.mark.parametrize(
    ("place", "pieces", "ended_at"),
    [
        (BLANK, ("\n", "  ", "x", "\n"), 3),
        (BLANK, ("a\nb",), 0),
        (CALL, ("\n",), 0),
        (CALL, ("a", "b"), None),
    ],
)
def test_where_a_line_ends(place: LinePlace, pieces: tuple[str, ...], ended_at: int | None) -> None:
    end = LineEnd(place)
    found = [end.push(piece, is_last=False) for piece in pieces]
    assert (found.index(True) if True in found else None) == ended_at


def test_a_line_is_given_up_below_the_threshold_only() -> None:
    sure, unsure = controller(3.0), controller(-3.0)
    assert push(LineWatch(sure, CALL, 0.5)) is None
    assert push(LineWatch(unsure, CALL, 0.5)) is FinishReason.UNWANTED
    assert push(LineWatch(unsure, CALL, 0.0)) is None


def test_nothing_follows_a_whole_line_that_is_unsure() -> None:
    watch = LineWatch(controller(-1.0), CALL, 0.1, 0.5)
    assert push(watch, "a") is None
    assert push(watch, "\n") is FinishReason.UNSURE
    assert push(LineWatch(controller(1.0), CALL, 0.1, 0.5), "\n") is None


def test_whoever_may_not_stop_or_has_no_threshold_never_does() -> None:
    for judge, may_stop in (
        (LineJudge(controller(-9.0), 0.0, 0.5), True),
        (LineJudge(controller(-9.0), 0.5, 0.5), False),
    ):
        assert push(judge.watch(CALL, may_stop=may_stop), "\n") is None


def test_nothing_is_judged_behind_the_first_line() -> None:
    watch = LineWatch(controller(1.0, num_tokens=-5.0), CALL, 0.2)
    assert watch.confidence is None
    push(watch, "a\n")
    first = watch.confidence
    assert not any(push(watch) for _ in range(20))
    assert watch.confidence == first


def test_a_text_that_was_not_followed_is_judged_by_its_log_probabilities() -> None:
    expected = 1 / (1 + math.exp(-(0.5 - 0.5 + 0.25 * -1.0)))
    assert controller(0.0).plain_probability(-1.0, 2) == pytest.approx(expected)
    assert controller(0.0).plain_probability(0.0, 0) == 0.0


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    written = controller(-1.0, logprob=2.0)
    write_controller(written, tmp_path, FINGERPRINT)
    features = np.arange(NUM_FEATURES, dtype=np.float32) / 10
    read = read_controller(tmp_path, FINGERPRINT)
    assert read.probability(features) == written.probability(features)


def test_another_models_file_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_controller(controller(0.0), tmp_path, FINGERPRINT)
    other = "f" * 16 + "-int8-v1"
    path.rename(trained_path(tmp_path, other, STOP))
    with pytest.raises(UnsupportedModelError, match="another model"):
        read_controller(tmp_path, other)
    with caplog.at_level(logging.WARNING):
        assert find_judge(tmp_path, other, 0.1) is None
    assert "not judged" in caplog.text


def test_other_features_are_refused(tmp_path: Path) -> None:
    path = trained_path(tmp_path, FINGERPRINT, STOP)
    write_trained(path, STOP, FINGERPRINT, TrainedFile({}, {"features": "[]"}))
    with pytest.raises(UnsupportedModelError, match="other features"):
        read_controller(tmp_path, FINGERPRINT)


@pytest.mark.parametrize("size", [0, NUM_FEATURES])
def test_damage_is_told(tmp_path: Path, size: int) -> None:
    path = write_controller(controller(0.0), tmp_path, FINGERPRINT)
    whole = read_controller(tmp_path, FINGERPRINT)
    metadata = _metadata(path)
    tensors = {"output": torch.zeros(size), "plain": torch.from_numpy(whole.plain)}
    if size:
        tensors |= {"mean": torch.from_numpy(whole.mean), "scale": torch.from_numpy(whole.scale)}
    save_file(tensors, path, metadata)
    with pytest.raises(CorruptWeightsError, match="train it again"):
        read_controller(tmp_path, FINGERPRINT)


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        return dict(file.metadata())


def test_without_a_file_nobody_judges(tmp_path: Path) -> None:
    assert find_judge(tmp_path, FINGERPRINT, 0.1) is None
