"""Judges while a line is written whether it will be what its author would have written.

After "When Neural Code Completion Models Size up the Situation" (ICSE 2024): the network stays as
it is, and a small one, trained on what the first computes anyway, says "go on" or "stop".
"""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from completion.dynamic.features import NAMES, LineFeatures, LinePlace, trace_token
from completion.types import FinishReason
from models.errors import CorruptWeightsError, ModelError, UnsupportedModelError
from models.trained import TrainedFile, find_trained, read_trained, trained_path, write_trained

logger = logging.getLogger(__name__)

STOP = "stop"
"""The kind of trained file."""

_ARRAYS = ("mean", "scale", "output", "plain")
_MAX_DEVIATIONS = 6.0  # of a feature from its mean: further out nothing was learnt
_Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StopController:
    """The probability that a line comes out right, from its features so far.

    Logistic regression on standardised features, calibrated; all arrays are float32. ``output``
    begins with the bias. ``plain`` are the coefficients for a text that was not followed: of 1, of
    its mean and of its total log-probability.
    """

    mean: _Array  # [num_features]
    scale: _Array  # [num_features]
    output: _Array  # [1 + num_features]
    plain: _Array  # [3]

    def probability(self, features: _Array) -> float:
        """Return P(the line comes out right) behind a token with ``features`` [num_features]."""
        return _logistic(float(self.output[0] + self.output[1:] @ self.standardised(features)))

    def standardised(self, features: _Array) -> _Array:
        """Return ``features`` [..., num_features] as deviations from what was seen in training."""
        deviations: _Array = (features - self.mean) / self.scale
        return deviations.clip(-_MAX_DEVIATIONS, _MAX_DEVIATIONS)

    def plain_probability(self, logprob: float, num_tokens: int) -> float:
        """Return the same for a whole text, of which only the log-probabilities are known."""
        if not num_tokens:
            return 0.0
        bias, of_mean, of_total = self.plain.tolist()
        return _logistic(bias + of_mean * logprob / num_tokens + of_total * logprob)


class LineEnd:
    """Where a first line ends: blank lines in front of the first word do not end it."""

    def __init__(self, place: LinePlace) -> None:
        self._is_blank = place.is_blank_left
        self.has_come = False

    def push(self, text: str, *, is_last: bool) -> bool:
        """Take the next piece of text, which may be the last; return whether the line has ended."""
        if self._is_blank:
            text = text.lstrip()
        self._is_blank = self._is_blank and not text
        self.has_come = is_last or "\n" in text
        return self.has_come


class LineWatch:
    """Follows the first line of one text. Engine thread only."""

    def __init__(
        self,
        controller: StopController,
        place: LinePlace,
        threshold: float,
        block_threshold: float = 0.0,
    ) -> None:
        """Call a line unwanted where its probability falls below ``threshold``; 0 never does.

        A whole line below ``block_threshold`` is too unsure for others to follow it.
        """
        self._controller, self._threshold = controller, threshold
        self._block_threshold = block_threshold
        self._features = LineFeatures(place)
        self._end = LineEnd(place)
        self.confidence: float | None = None

    def push(
        self, logits: Tensor, logprob: float, text: str, *, is_forced: bool, is_last: bool
    ) -> FinishReason | None:
        """Take the next token; return why the text is not worth going on with, if it is not.

        Args:
            logits: What it was chosen from, [vocab_size].
            logprob: Its own.
            text: What it adds to the suggestion.
            is_forced: Whether text had to be spelled there.
            is_last: Whether the text ends with it.
        """
        if self._end.has_come:
            return None
        has_ended = self._end.push(text, is_last=is_last)
        trace = trace_token(logits, logprob, text, is_forced=is_forced, has_ended=has_ended)
        self.confidence = self._controller.probability(self._features.add(trace))
        if self.confidence < self._threshold:
            return FinishReason.UNWANTED
        is_unsure = has_ended and self.confidence < self._block_threshold
        return FinishReason.UNSURE if is_unsure else None


@dataclass(frozen=True, slots=True)
class LineJudge:
    """A controller and what is asked of it.

    Lines below ``min_confidence`` are given up, and nothing follows those below
    ``min_block_confidence``.
    """

    controller: StopController
    min_confidence: float
    min_block_confidence: float = 0.0

    def watch(self, place: LinePlace, *, may_stop: bool) -> LineWatch:
        """Return what follows a line at ``place``; unless it ``may_stop``, it only judges."""
        if not may_stop or not self.min_confidence:
            return LineWatch(self.controller, place, 0.0)
        return LineWatch(self.controller, place, self.min_confidence, self.min_block_confidence)


def write_controller(
    controller: StopController, folder: Path, fingerprint: str, threshold: float | None = None
) -> Path:
    """Write ``controller``, which was trained on the model ``fingerprint``; return the file.

    ``threshold`` is noted for people: the ``min_confidence`` that its training suggests.
    """
    path = trained_path(folder, fingerprint, STOP)
    tensors = {name: torch.from_numpy(getattr(controller, name)) for name in _ARRAYS}
    notes = {"features": json.dumps(NAMES), "threshold": str(threshold)}
    write_trained(path, STOP, fingerprint, TrainedFile(tensors, notes))
    return path


def read_controller(folder: Path, fingerprint: str) -> StopController:
    """Return the controller of the model ``fingerprint``.

    Raises:
        UnsupportedModelError: The file was made for another model or for other features.
        CorruptWeightsError: It is missing or damaged.
    """
    path = trained_path(folder, fingerprint, STOP)
    trained = read_trained(path, STOP, fingerprint)
    if trained.notes.get("features") != json.dumps(NAMES):
        raise UnsupportedModelError(f"{path} was trained on other features; train it again")
    try:
        arrays = {name: trained.tensors[name].numpy() for name in _ARRAYS}
    except KeyError as error:
        raise CorruptWeightsError(f"{path} lacks the array {error}; train it again") from error
    controller = StopController(**arrays)
    if not _fits(controller):
        raise CorruptWeightsError(f"{path} holds arrays of other shapes; train it again")
    return controller


def find_judge(
    folder: Path | None, fingerprint: str, min_confidence: float, min_block_confidence: float = 0.0
) -> LineJudge | None:
    """Return the judge for the model ``fingerprint``, None if nobody trained one that can be used.

    One in ``folder`` goes before the one that comes with fimble.
    """
    path = find_trained(fingerprint, STOP, folder)
    if path is None:
        return None
    try:
        controller = read_controller(path.parent, fingerprint)
        return LineJudge(controller, min_confidence, min_block_confidence)
    except ModelError as error:
        logger.warning("suggestions are not judged while they are written: %s", error)
        return None


def _fits(controller: StopController) -> bool:
    shapes = {"mean": len(NAMES), "scale": len(NAMES), "output": 1 + len(NAMES), "plain": 3}
    arrays = {name: getattr(controller, name) for name in _ARRAYS}
    return all(
        array.shape == (shapes[name],) and array.dtype == np.float32 and np.isfinite(array).all()
        for name, array in arrays.items()
    )


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-min(max(value, -30.0), 30.0)))
