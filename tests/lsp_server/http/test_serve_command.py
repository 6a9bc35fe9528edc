"""The token that ``fimble serve`` reads from a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lsp_server.commands.serve import read_token
from lsp_server.errors import BadInputError


def token_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_token_file_may_end_its_line(tmp_path: Path) -> None:
    assert read_token(token_file(tmp_path, b"a-token-of-some-length\n")) == "a-token-of-some-length"


@pytest.mark.parametrize(
    ("content", "told"), [(b"", "empty"), (b" \n", "empty"), (b"\xff\xfe", "ASCII")]
)
def test_a_file_without_a_token_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        read_token(token_file(tmp_path, content))


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_token_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(BadInputError, match="chmod 600"):
        read_token(token_file(tmp_path, b"a-token-of-some-length", mode))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(BadInputError, match=path.name):
            read_token(path)
