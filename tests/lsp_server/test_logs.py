"""Where records go, what they say of their origin, and what they never say."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
import sys
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from completion.types import CompletionRequest
from lsp_server.logs import NUM_OLD_FILES, client_scope, configure_logging, request_scope
from lsp_server.settings import LogFormat, LogLevel, ServerSettings

logger = logging.getLogger(__name__)

Connect = Callable[..., Any]
Initialize = Callable[..., Any]


def log_to(
    path: Path,
    log_format: LogFormat = LogFormat.JSON,
    level: LogLevel = LogLevel.INFO,
    max_mb: int = 10,
) -> None:
    configure_logging(
        ServerSettings(
            log_file=str(path), log_level=level, log_format=log_format, log_max_mb=max_mb
        )
    )


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_for_people_names_client_and_request(tmp_path: Path) -> None:
    log_to(tmp_path / "log", LogFormat.TEXT)
    logger.info("before")
    with client_scope("editor"), request_scope("r1"):
        logger.warning("%d of them", 3)
    before, within = (tmp_path / "log").read_text().splitlines()
    assert before.endswith(f"INFO [- -] {__name__}: before")
    assert within.endswith(f"WARNING [editor r1] {__name__}: 3 of them")


def test_a_json_line_has_the_same_and_the_traceback(tmp_path: Path) -> None:
    log_to(tmp_path / "log")
    with client_scope("editor"), request_scope("r1"):
        try:
            raise ZeroDivisionError("two\nlines")
        except ZeroDivisionError:
            logger.exception("failed")
    logger.info("after \ud800 '\u2028'")
    failed, after = records(tmp_path / "log")
    assert (failed["client"], failed["request"], failed["level"]) == ("editor", "r1", "ERROR")
    assert failed["message"] == "failed"
    assert "Traceback" in failed["error"]
    assert failed["error"].endswith("ZeroDivisionError: two\nlines")
    assert (after["client"], after["request"], "error" in after) == (None, None, False)
    assert after["time"].endswith("+00:00")


def test_names_end_with_their_block_and_nest(tmp_path: Path) -> None:
    log_to(tmp_path / "log")
    with client_scope("a"):
        with client_scope("b"), request_scope("r"):
            logger.info("inner")
        logger.info("outer")
    assert [(line["client"], line["request"]) for line in records(tmp_path / "log")] == [
        ("b", "r"),
        ("a", None),
    ]


async def test_tasks_and_threads_carry_the_names_of_whoever_started_them(tmp_path: Path) -> None:
    log_to(tmp_path / "log")

    async def answer(number: int) -> None:
        with request_scope(f"r{number}"):
            await asyncio.sleep(0)
            logger.info("task %d", number)
            thread = Thread(target=copy_context().run, args=(logger.info, "thread %d", number))
            thread.start()
            thread.join()

    with client_scope("editor"):
        await asyncio.gather(*(answer(number) for number in range(3)))
    found = {
        (line["message"], line["client"], line["request"]) for line in records(tmp_path / "log")
    }
    assert found == {
        (f"{kind} {number}", "editor", f"r{number}")
        for kind in ("task", "thread")
        for number in range(3)
    }


def test_a_full_file_is_put_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    log_to(tmp_path / "log", max_mb=1)
    for number in range(6 * 10):
        logger.info("%d %s", number, "x" * 100_000)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["log", *(f"log.{number}" for number in range(1, NUM_OLD_FILES + 1))]
    assert all(path.stat().st_size <= 1_000_000 for path in tmp_path.iterdir())
    assert "59" in records(tmp_path / "log")[-1]["message"][:3]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such bits")
def test_only_the_user_may_read_the_log(tmp_path: Path) -> None:
    log_to(tmp_path / "log", max_mb=1)
    for _ in range(20):
        logger.info("%s", "x" * 100_000)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_the_settings_file_comes_before_the_default_one(tmp_path: Path) -> None:
    configure_logging(ServerSettings(log_level=LogLevel.INFO), str(tmp_path / "default"))
    logger.info("one")
    set_ = ServerSettings(log_level=LogLevel.INFO, log_file=str(tmp_path / "set"))
    configure_logging(set_, str(tmp_path / "default"))
    logger.info("two")
    assert (tmp_path / "default").read_text().endswith("one\n")
    assert (tmp_path / "set").read_text().endswith("two\n")


async def test_a_request_is_named_from_its_message_to_the_thread_that_answers_it(
    connected: Connect, initialize: Initialize, service: Any, tmp_path: Path
) -> None:
    log_to(tmp_path / "log")

    def answer(request: CompletionRequest) -> Any:
        logging.getLogger("engine").info("at work for %s", request.request_id)
        return service.suggestion(request)

    service.outcome = answer
    with client_scope("editor"):
        async with connected(**{"server.wait_for_model": "true"}) as client:
            await initialize(client)
            for name in ("a", "b"):
                client.open("x = ", uri=f"file:///{name}.py")
            ids = [client.complete(0, 4, uri=f"file:///{name}.py") for name in ("a", "b")]
            for msg_id in ids:
                await client.response(msg_id)
    found = records(tmp_path / "log")
    for request in service.requests:
        mine = [line for line in found if line["request"] == request.request_id]
        assert f"at work for {request.request_id}" in {line["message"] for line in mine}
        assert any(line["logger"].startswith("lsp_server.features") for line in mine)
        assert {line["client"] for line in mine} == {"editor"}
    assert len({request.request_id for request in service.requests}) == 2


SECRET = "marker_of_the_source"


@pytest.mark.parametrize("level", [LogLevel.INFO, LogLevel.DEBUG])
async def test_source_text_is_in_the_log_at_debug_and_never_above(
    connected: Connect, initialize: Initialize, service: Any, tmp_path: Path, level: LogLevel
) -> None:
    """The marker goes through documents, suggestions, commands, settings, and broken messages."""
    log_to(tmp_path / "log", LogFormat.TEXT, level)
    service.text = f"{SECRET}_suggested"
    options = {"initializationOptions": {"completion": {"max_new_tokens": "no number"}}}
    async with connected(**{"server.wait_for_model": "true"}) as client:
        await initialize(client, **options)
        client.open(f"{SECRET} = ")
        await client.response(client.complete(0, len(SECRET) + 3))
        client.change(2, {"text": f"{SECRET}\n{SECRET}("})
        await client.response(client.complete(1, len(SECRET) + 1))
        item = {"range": _span(1, 0, 1, len(SECRET)), "text": SECRET}
        await client.response(client.complete(1, len(SECRET), selectedCompletionInfo=item))
        saved = {"textDocument": {"uri": "file:///w/a.py"}, "text": f"{SECRET} saved"}
        client.notify("textDocument/didSave", saved)
        for broken in (
            {"textDocument": {"uri": 5}, "contentChanges": [SECRET]},
            {"textDocument": {"uri": "file:///w/a.py", "version": SECRET}, "contentChanges": []},
            {"textDocument": {"uri": "file:///none.py", "version": 1}, "contentChanges": [{"text": SECRET}]},
            {"textDocument": {"uri": "file:///w/a.py", "version": 3}, "contentChanges": [{"range": _span(9, 9, 0, 0), "text": SECRET}, {"range": SECRET, "text": SECRET}]},
        ):  # fmt: skip
            client.notify("textDocument/didChange", broken)
        client.send_raw(b'Content-Length: %d\r\n\r\n{"%b' % (len(SECRET) + 2, SECRET.encode()))
        await client.response(None)
        service.error = RuntimeError("the engine failed")
        client.open(f"{SECRET} = ", uri="file:///w/b.py")
        await client.response(client.complete(0, 3, uri="file:///w/b.py"))
        client.notify("textDocument/didClose", {"textDocument": {"uri": "file:///w/a.py"}})
        await client.no_further_response()
    assert (SECRET in (tmp_path / "log").read_text()) == (level is LogLevel.DEBUG)
    assert "the engine failed" in (tmp_path / "log").read_text()


def _span(*numbers: int) -> dict[str, dict[str, int]]:
    start_line, start, end_line, end = numbers
    return {
        "start": {"line": start_line, "character": start},
        "end": {"line": end_line, "character": end},
    }
