"""Records of the engine name the request that it works for."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from completion.context import ContextRoom, NoContext
from completion.service import CompletionService
from completion.types import CancellationToken, CompletionRequest, ContextChunk
from lsp_server.logs import client_scope, configure_logging, request_scope
from lsp_server.settings import LogFormat, LogLevel, ServerSettings
from models.loader import LoadedModel

logger = logging.getLogger(__name__)


class ToldContext(NoContext):
    """A source of repository context that says when it was asked."""

    def chunks(self, request: CompletionRequest, room: ContextRoom) -> tuple[ContextChunk, ...]:
        logger.info("retrieval")
        return ()


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    root, pygls = logging.getLogger(), logging.getLogger("pygls")
    handlers, level, pygls_level = root.handlers[:], root.level, pygls.level
    path = tmp_path / "log"
    configure_logging(
        ServerSettings(log_file=str(path), log_level=LogLevel.INFO, log_format=LogFormat.JSON)
    )
    yield path
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    pygls.setLevel(pygls_level)


def test_each_stage_on_the_engine_names_its_own_request(
    tiny_model: LoadedModel, ask: Any, log_file: Path
) -> None:
    """Three at once, each from a thread of its own: retrieval, decoding, and what was prepared."""
    service = CompletionService(tiny_model, context=ToldContext())
    template = ask("def f(a):\n    ‸\n", invoked=True)

    def complete(number: int) -> None:
        document = replace(template.document, uri=f"file:///{number}")
        request = replace(template, request_id=f"r{number}", document=document, max_new_tokens=4)
        with client_scope(f"editor {number}"), request_scope(request.request_id):
            service.complete(request, CancellationToken(), lambda _text: logger.info("decoding"))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda number: copy_context().run(complete, number), range(3)))
    service.close()
    records = [json.loads(line) for line in log_file.read_text().splitlines()]
    on_engine = [record for record in records if record["logger"] == __name__]
    assert {record["thread"] for record in on_engine} == {"engine"}
    for number in range(3):
        mine = [record for record in on_engine if record["request"] == f"r{number}"]
        assert {"retrieval", "decoding"} <= {record["message"] for record in mine}
        assert {record["client"] for record in mine} == {f"editor {number}"}
    assert {record["request"] for record in on_engine} == {"r0", "r1", "r2"}
