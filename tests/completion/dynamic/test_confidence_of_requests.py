"""A request that says how sure a line has to be."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.dynamic.controller import StopController, write_controller
from completion.dynamic.features import NUM_FEATURES
from completion.service import CompletionService
from completion.types import (
    CancellationToken,
    CompletionRequest,
    DocumentSnapshot,
    NoSuggestionReason,
    TriggerKind,
)
from models.loader import LoadedModel

TEXT = "def f(a, b):\n    total = \n    return total\n"
OFFSET = TEXT.index("= \n") + 2


@pytest.mark.parametrize(
    ("configured", "requested", "is_given_up"),
    [(0.05, None, False), (0.05, 0.15, True), (0.15, None, True), (0.15, 0.05, False)],
)
def test_the_requests_threshold_counts_instead_of_the_configured_one(
    tiny_model: LoadedModel,
    tmp_path: Path,
    configured: float,
    requested: float | None,
    is_given_up: bool,
) -> None:
    mean = np.zeros(NUM_FEATURES, dtype=np.float32)
    output = np.zeros(1 + NUM_FEATURES, dtype=np.float32)
    output[0] = -math.log(9)  # every line is right in one of ten
    controller = StopController(mean, mean + 1, output, np.zeros(3, dtype=np.float32))
    write_controller(controller, tmp_path, tiny_model.fingerprint)
    engine = EngineConfig(
        max_new_tokens=24,
        prefetch_after_acceptance=False,
        trained_folder=tmp_path,
        min_confidence=configured,
    )
    service = CompletionService(
        tiny_model, CompletionConfig(PromptConfig(max_num_tokens=512), engine)
    )
    request = CompletionRequest(
        "id-1", DocumentSnapshot("file:///w/a.py", 1, "python", TEXT), OFFSET, TriggerKind.AUTOMATIC
    )
    try:
        outcome = service.complete(replace(request, min_confidence=requested), CancellationToken())
    finally:
        service.close()
    reason = getattr(outcome, "reason", None)
    assert (reason is NoSuggestionReason.UNLIKELY_WANTED) == is_given_up
