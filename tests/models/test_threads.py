"""Work in a thread of its own behaves as a call does, and leaves no thread behind."""

from __future__ import annotations

import contextvars
import threading

import pytest

from models.threads import in_own_thread

NAME: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")


def test_the_result_comes_back_and_the_thread_is_gone() -> None:
    thread = in_own_thread(threading.current_thread)
    assert thread is not threading.current_thread()
    assert not thread.is_alive()


def test_what_is_raised_comes_back() -> None:
    with pytest.raises(ZeroDivisionError):
        in_own_thread(lambda: 1 / 0)


def test_the_work_knows_whose_it_is() -> None:
    token = NAME.set("somebody")
    try:
        assert in_own_thread(NAME.get) == "somebody"
    finally:
        NAME.reset(token)
