"""What clients set reaches the engine through every door, though they share one service."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.dynamic.controller import StopController, write_controller
from completion.dynamic.features import NUM_FEATURES
from completion.service import CompletionService
from completion.types import CompletionRequest, DocumentSnapshot, NoSuggestionReason
from kvedit.policy import PatchMode
from lsp_server.api import Wishes, build_request
from lsp_server.host import ModelHost
from lsp_server.requests import LEAST_TOP_P, Asked, new_request
from lsp_server.settings import CompletionSettings, EngineSettings, Settings
from models.loader import LoadedModel

TEXT = "def f(a, b):\n    total = \n    return total\n"
LINE, COLUMN = 1, len("    total = ")
SETTINGS = Settings(
    completion=CompletionSettings(temperature=0.7, top_p=0.5, top_k=7),
    engine=EngineSettings(min_confidence=0.3, speculation=False, patching=PatchMode.EXACT),
)
EXPECTED = (0.7, 0.5, 7, 0.3, False, PatchMode.EXACT)
HTTP: dict[str, tuple[str, dict[str, Any]]] = {
    "OpenAI's": ("/v1/completions", {"prompt": "x = "}),
    "Tabby's": ("/v1/completions", {"segments": {"prefix": "x = "}}),
    "llama.cpp's": ("/infill", {"input_prefix": "x = ", "input_suffix": ""}),
}


def followed(request: CompletionRequest) -> tuple[object, ...]:
    """Return what a request took over from settings."""
    sampling = (request.temperature, request.top_p, request.top_k)
    return (*sampling, request.min_confidence, request.use_speculation, request.patching)


@pytest.mark.parametrize("words", HTTP)
def test_a_door_of_http_sends_all_that_is_set(serve: Any, make_service: Any, words: str) -> None:
    service = make_service()
    path, body = HTTP[words]
    serve(service, settings=SETTINGS).request("POST", path, json=body)
    assert [followed(request) for request in service.requests] == [EXPECTED]


def test_a_document_that_stays_follows_what_is_set(serve: Any, make_service: Any) -> None:
    service = make_service()
    server = serve(service, settings=SETTINGS)
    opened = server.request("POST", "/v1/documents", json={"text": "x = "}).json()
    path = f"/v1/documents/{opened['id']}"
    edit = {"start": 0, "end": 0, "text": "a"}
    server.request("POST", f"{path}/edits", json={"edits": [edit]})
    server.request("POST", f"{path}/complete", json={"offset": 0})
    prepared = [request for request, _ in service.prepared]
    assert [followed(each) for each in (*prepared, *service.requests)] == [EXPECTED] * 2


async def test_an_editor_and_what_is_prepared_for_it_follow_what_is_set(
    connected: Callable[..., Any], initialize: Callable[..., Any], service: Any
) -> None:
    flags = {
        "server.wait_for_model": "true",
        "completion.temperature": "0.7",
        "completion.top_p": "0.5",
        "completion.top_k": "7",
        "engine.min_confidence": "0.3",
        "engine.speculation": "false",
        "engine.patching": "exact",
    }
    async with connected(**flags) as client:
        await initialize(client)
        client.open("x = ")
        await client.response(client.complete(0, 4))
        at = {"line": 0, "character": 4}
        client.change(2, {"range": {"start": at, "end": at}, "text": "a"})
        await client.response(client.complete(0, 5))
    prepared = [request for request, _ in service.prepared]
    assert prepared
    assert {followed(each) for each in (*prepared, *service.requests)} == {EXPECTED}


def test_a_script_and_the_command_line_follow_what_is_set() -> None:
    document = DocumentSnapshot("untitled:a", 1, "python", "x = ")
    assert followed(build_request(document, 4, SETTINGS, {})) == EXPECTED
    wishes: Wishes = {"temperature": 0.0, "patching": PatchMode.WINDOW}
    wished = build_request(document, 4, SETTINGS, wishes)
    assert followed(wished) == (0.0, *EXPECTED[1:-1], PatchMode.WINDOW)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"temperature": 1e-9, "top_p": 0.0}, (0.0, LEAST_TOP_P, 7)),
        ({"temperature": None, "top_k": None}, (0.7, 0.5, 7)),
        ({"temperature": 0.0, "top_k": 0}, (0.0, 0.5, 0)),
    ],
)
def test_nothing_said_is_not_the_same_as_nothing_wanted(
    asked: Asked, expected: tuple[float, float, int]
) -> None:
    document = DocumentSnapshot("untitled:a", 1, "python", "x = ")
    request = new_request(document, 4, SETTINGS, **asked)
    assert (request.temperature, request.top_p, request.top_k) == expected


async def test_two_editors_with_one_service_have_thresholds_of_their_own(
    connected: Callable[..., Any],
    initialize: Callable[..., Any],
    tiny_model: LoadedModel,
    tmp_path: Path,
) -> None:
    mean = np.zeros(NUM_FEATURES, dtype=np.float32)
    output = np.zeros(1 + NUM_FEATURES, dtype=np.float32)
    output[0] = -math.log(9)  # every line is right in one of ten
    controller = StopController(mean, mean + 1, output, np.zeros(3, dtype=np.float32))
    write_controller(controller, tmp_path, tiny_model.fingerprint)
    built: list[Settings] = []

    def build(settings: Settings, _progress: object) -> CompletionService:
        built.append(settings)
        engine = EngineConfig(
            max_new_tokens=24,
            prefetch_after_acceptance=False,
            trained_folder=tmp_path,
            min_confidence=settings.engine.min_confidence,
        )
        return CompletionService(
            tiny_model, CompletionConfig(PromptConfig(max_num_tokens=512), engine)
        )

    host = ModelHost(build)
    is_given_up: list[bool] = []
    for owner, threshold in (("a", "0.05"), ("b", "0.15"), ("c", "0.05")):
        flags = {"server.wait_for_model": "true", "engine.min_confidence": threshold}
        flags |= {"completion.deadline_ms": "20000", "learning.enabled": "false"}
        async with connected(host=host, owner=owner, **flags) as client:
            await initialize(client)
            client.open(TEXT)
            await client.response(client.complete(LINE, COLUMN, triggerKind=2))
        found = host.explanations.newest(1)[0]
        reason = getattr(found.outcome, "reason", None)
        is_given_up.append(reason is NoSuggestionReason.UNLIKELY_WANTED)
    host.close()
    assert is_given_up == [False, True, False]
    assert len(built) == 1
