"""Trains the controller that gives up lines which will not be wanted."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from completion.dynamic.controller import StopController, write_controller
from completion.training.corpus import held_out_files, training_files
from completion.training.stop_curve import JudgedLine, best_threshold, judge
from completion.training.stop_examples import StopExample, StopExamples
from completion.training.stop_places import stop_places
from models.loader import LoadedModel
from models.progress import ProgressCallback

NUM_TRAINING, NUM_HELD_OUT = 775, 1108  # completed lines; more changed nothing from 550 on
MAX_LOST = 0.02  # of right lines
_NUM_FOLDS, _NUM_WAYS = 5, 6
_PENALTY = 1e-2  # of squared weights; by the likelihood of lines left out
_NUM_STEPS = 12  # of Newton, which has long converged then
_MIN_SCALE = 1e-3
_Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StopTraining:
    """A trained controller, and the threshold that lines left out of its training suggest."""

    controller: StopController
    threshold: float


def train_stop(model: LoadedModel, folder: Path, progress: ProgressCallback, seed: int = 0) -> Path:
    """Train the stop controller of ``model`` on this machine's code; return its file in ``folder``.

    Takes four minutes on two idle CPU cores. What is interrupted goes on from the last line that
    ``folder`` holds.
    """
    examples = training_examples(model, folder, progress, seed)
    trained = train(examples, seed)
    return write_controller(trained.controller, folder, model.fingerprint, trained.threshold)


def training_examples(
    model: LoadedModel, folder: Path, progress: ProgressCallback, seed: int = 0
) -> list[StopExample]:
    """Return the lines to learn from, completing those that ``folder`` lacks."""
    groups = stop_places(training_files(seed), NUM_TRAINING, seed)
    rows = StopExamples(folder / f"stop-training-{seed}.jsonl")
    return rows.collect("completing lines", model, groups, progress)


def held_out_examples(
    model: LoadedModel, folder: Path, progress: ProgressCallback, seed: int = 0
) -> list[StopExample]:
    """Return lines of other packages, to judge by."""
    groups = stop_places(held_out_files(seed), NUM_HELD_OUT, seed)
    rows = StopExamples(folder / f"stop-held-out-{seed}.jsonl")
    return rows.collect("completing held-out lines", model, groups, progress)


def train(examples: Sequence[StopExample], seed: int = 0) -> StopTraining:
    """Return a controller that learnt from all ``examples``.

    It is calibrated (Platt), and the threshold chosen, by controllers that learnt from four fifths
    of them, on the fifth that each has not seen; the examples are parted in several ways, because
    few lines decide where the threshold falls.
    """
    left_out = [
        line
        for way in range(_NUM_WAYS)
        for learnt, others in _folds(examples, f"{seed} {way}")
        for line in judge(fit(learnt), others)
    ]
    bias, slope = _platt(left_out)
    controller = _rescaled(fit(examples), bias, slope)
    rescaled = [_rescaled_line(line, bias, slope) for line in left_out]
    return StopTraining(controller, best_threshold(rescaled, MAX_LOST, _NUM_WAYS))


def fit(examples: Sequence[StopExample]) -> StopController:
    """Return the penalised logistic regression on every token of ``examples``.

    A line counts as much as the root of its number of tokens: those of one line say much the same.
    """
    rows = [example.features() for example in examples]
    features = np.concatenate(rows)
    mean, scale = features.mean(0), np.maximum(features.std(0), _MIN_SCALE)
    untrained = np.zeros(1 + len(mean), dtype=np.float32)
    controller = StopController(mean, scale, untrained, _plain(examples))
    lengths = np.array([len(each) for each in rows])
    weights = np.repeat(lengths**-0.5, lengths).astype(np.float32)
    is_right = np.array([float(example.is_right) for example in examples], dtype=np.float32)
    inputs = controller.standardised(features)
    return replace(controller, output=_regress(inputs, np.repeat(is_right, lengths), weights))


def _plain(examples: Sequence[StopExample]) -> _Floats:
    """Return the coefficients of 1, the mean and the total log-probability of whole lines."""
    logprobs = [[trace.logprob for trace in example.traces] for example in examples]
    inputs = np.array([(sum(each) / len(each), sum(each)) for each in logprobs], dtype=np.float32)
    is_right = np.array([float(example.is_right) for example in examples], dtype=np.float32)
    return _regress(inputs, is_right, np.ones(len(examples), dtype=np.float32))


def _regress(
    inputs: _Floats, wanted: _Floats, weights: _Floats, penalty: float = _PENALTY
) -> _Floats:
    """Return bias and weights of the logistic regression of ``wanted`` on ``inputs``, by Newton."""
    given = np.column_stack([np.ones(len(inputs)), inputs]).astype(np.float64)
    share = weights / weights.sum()
    pull = np.full(given.shape[1], 2 * penalty)
    pull[0] = 0.0  # the bias goes free
    output = np.zeros(given.shape[1])
    for _ in range(_NUM_STEPS):
        found = 1 / (1 + np.exp(-given @ output))
        slope = given.T @ (share * (found - wanted)) + pull * output
        curvature = (given.T * (share * found * (1 - found))) @ given + np.diag(pull)
        output -= np.linalg.solve(curvature, slope)
    return output.astype(np.float32)


def _folds(
    examples: Sequence[StopExample], seed: str
) -> list[tuple[list[StopExample], list[StopExample]]]:
    """Return ways to part the examples into learnt and left out; a group is never parted."""
    groups = sorted({example.group for example in examples})
    random.Random(seed).shuffle(groups)
    fold_of = {group: at % _NUM_FOLDS for at, group in enumerate(groups)}
    parts = []
    for fold in range(_NUM_FOLDS):
        learnt = [example for example in examples if fold_of[example.group] != fold]
        parts.append((learnt, [each for each in examples if fold_of[each.group] == fold]))
    return parts


def _platt(lines: Sequence[JudgedLine]) -> tuple[float, float]:
    """Return (bias, slope) of the log-odds that fit best what became of whole ``lines``."""
    odds = np.array([[_log_odds(line.probabilities[-1])] for line in lines], dtype=np.float32)
    is_right = np.array([float(line.example.is_right) for line in lines], dtype=np.float32)
    equal = np.ones(len(lines), dtype=np.float32)
    bias, slope = _regress(odds, is_right, equal, penalty=0.0).tolist()
    return bias, slope


def _rescaled(controller: StopController, bias: float, slope: float) -> StopController:
    output = (controller.output * slope).astype(np.float32)
    output[0] += bias
    return replace(controller, output=output)


def _rescaled_line(line: JudgedLine, bias: float, slope: float) -> JudgedLine:
    odds = [bias + slope * _log_odds(found) for found in line.probabilities]
    return replace(line, probabilities=tuple(1 / (1 + np.exp(-each)) for each in odds))


def _log_odds(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))
