"""The Python entry, with a service that needs no model."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from completion.types import CancellationToken, Cancelled, Suggestion, TriggerKind
from kvedit.policy import PatchMode
from lsp_server.api import Completer
from lsp_server.errors import BadInputError, BadPositionError, BadSettingError, NotReadableError


@pytest.fixture
def built(service: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The settings of every service that was built."""
    settings: list[Any] = []

    def build_service(given: Any, *_: Any) -> Any:
        settings.append(given)
        return service

    app = SimpleNamespace(build_service=build_service)
    monkeypatch.setitem(sys.modules, "lsp_server.app", app)
    return settings


def test_a_file_is_completed_in_five_lines(tmp_path: Path, service: Any, built: list[Any]) -> None:
    path = tmp_path / "app.ts"
    path.write_text("const a = 1;\nconst b = \n")
    with Completer() as completer:
        outcome = completer.complete(path, line=2, column=11)
        again = completer.complete(str(path), 1, 1)
    assert isinstance(outcome, Suggestion)
    assert isinstance(again, Suggestion)
    first, _ = service.requests
    assert first.prefix == "const a = 1;\nconst b = "
    assert first.document.language_id == "typescript"
    assert first.trigger is TriggerKind.INVOKED
    assert len(built) == 1, "the model is loaded once"
    assert service.is_closed


def test_importing_the_module_and_making_a_completer_load_nothing(built: list[Any]) -> None:
    Completer().close()
    assert built == []


def test_the_model_of_the_call_outranks_the_settings(built: list[Any]) -> None:
    with Completer("smollm2-135m") as completer:
        completer.load()
    assert built[0].model.name == "smollm2-135m"


@pytest.mark.usefixtures("built")
def test_text_is_completed_without_a_file(service: Any) -> None:
    with Completer() as completer:
        completer.complete_text("fn main() {\n", "\n}", path="main.rs")
        completer.complete_text("x = ", language_id="ruby")
    rust, ruby = service.requests
    assert (rust.prefix, rust.suffix) == ("fn main() {\n", "\n}")
    assert (rust.document.language_id, ruby.document.language_id) == ("rust", "ruby")


@pytest.mark.usefixtures("built")
def test_every_wish_reaches_the_request(service: Any) -> None:
    wishes: dict[str, Any] = {
        "num_candidates": 4,
        "max_new_tokens": 9,
        "deadline_ms": 77.0,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 3,
        "stop": ("\n",),
        "trigger": TriggerKind.AUTOMATIC,
        "use_retrieval": False,
        "use_speculation": False,
        "patching": PatchMode.EXACT,
    }
    with Completer() as completer:
        completer.complete_text("x = ", **wishes)
    (request,) = service.requests
    assert {name: getattr(request, name) for name in wishes} == wishes


@pytest.mark.usefixtures("built")
def test_text_is_streamed_to_the_caller(service: Any) -> None:
    heard: list[str] = []
    with Completer() as completer:
        completer.complete_text("x = ", on_text=heard.append)
    assert heard == [service.text]


@pytest.mark.usefixtures("built")
def test_a_request_can_be_taken_back(service: Any) -> None:
    service.gate.clear()
    token = CancellationToken()
    token.cancel()
    with Completer() as completer:
        assert isinstance(completer.complete_text("x = ", cancel=token), Cancelled)


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (("none.py", 1, 1), NotReadableError, "no such file"),
        ((".", 1, 1), NotReadableError, "is a directory"),
        (("latin.py", 1, 1), NotReadableError, "byte 0xe9 at offset 1"),
        (("a.py", 9, 1), BadPositionError, "has 2 lines"),
        (("a.py", 1, 9), BadPositionError, "columns go from 1 to 2"),
    ],
)
def test_bad_input_raises_a_typed_error(
    tmp_path: Path,
    built: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, int, int],
    error: type[Exception],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text("x\n")
    (tmp_path / "latin.py").write_bytes(b"x\xe9")
    with Completer() as completer, pytest.raises(error, match=told) as raised:
        completer.complete(*arguments)
    assert isinstance(raised.value, BadInputError)
    assert built == []


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"num_candidates": 0}, "a whole number from 1 to 16"),
        ({"deadline_ms": -1.0}, "a number from 10 to 600000"),
        ({"temperature": 9.0}, "a number from 0 to 2"),
        ({"seed": 2**63}, "seed is 9223372036854775808"),
        ({"stop": "\n"}, "a tuple of texts"),
        ({"stop": ("a", "")}, "none of them empty"),
    ],
)
def test_a_wish_out_of_range_is_named(built: list[Any], wish: dict[str, Any], told: str) -> None:
    with Completer() as completer, pytest.raises(BadSettingError, match=told):
        completer.complete_text("x", **wish)
    assert built == []
