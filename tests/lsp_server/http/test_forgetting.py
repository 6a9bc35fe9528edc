"""Documents that make room for others, while requests are at work on them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from lsp_server.http import prompts
from lsp_server.http.forgetting import Forgetting


def test_what_nobody_uses_is_forgotten_at_once_and_the_rest_when_its_last_request_ends() -> None:
    forgotten: list[str] = []
    forgetting = Forgetting(forgotten.append)
    forgetting.forget("idle")
    assert forgotten == ["idle"]
    forgetting.begin("busy")
    forgetting.begin("busy")
    forgetting.forget("busy")
    forgetting.end("busy")
    assert forgotten == ["idle"]
    forgetting.end("busy")
    assert forgotten == ["idle", "busy"]


def test_what_is_used_again_is_kept() -> None:
    forgotten: list[str] = []
    forgetting = Forgetting(forgotten.append)
    forgetting.begin("a")
    forgetting.forget("a")
    forgetting.begin("a")
    forgetting.end("a")
    forgetting.end("a")
    assert forgotten == []
    forgetting.forget("a")
    assert forgotten == ["a"]


def test_more_documents_than_are_kept_take_the_engine_from_nobody(
    serve: Any, make_service: Any, monkeypatch: Any, wait: Callable[..., None]
) -> None:
    monkeypatch.setattr(prompts, "MAX_NUM_DOCUMENTS", 1)
    service = make_service()
    service.gate.clear()
    server = serve(service)
    answers: list[Any] = []

    def ask(number: int) -> None:
        answers.append(server.post({"prompt": f"{number} " * 50}))

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for number, thread in enumerate(asking):
        thread.start()
        wait(lambda number=number: len(service.requests) == number + 1)
    assert service.forgotten == []
    service.gate.set()
    for thread in asking:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 3
    keys = {request.document.key for request in service.requests[:2]}
    wait(lambda: set(service.forgotten) == keys)
