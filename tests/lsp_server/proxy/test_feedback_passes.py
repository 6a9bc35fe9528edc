"""What editors tell about suggestions reaches the daemon."""

from __future__ import annotations

from typing import Any

import pytest

ITEM = {"insertText": "a", "command": {"command": "fimble.accepted", "arguments": ["id-1"]}}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("textDocument/didShowCompletion", {"item": ITEM}),
        ("textDocument/didPartiallyAcceptCompletion", {"item": ITEM, "acceptedLength": 1}),
    ],
)
def test_copilots_notifications_pass_as_they_are(
    conversation: Any, method: str, params: dict[str, Any]
) -> None:
    conversation.begin()
    conversation.heard()
    conversation.type(method, params)
    (heard,) = conversation.heard()
    assert (heard["method"], heard["params"]) == (method, params)
