"""A file and a place in it, as people write them: ``PATH:LINE:COL``, both counted from 1."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from completion.types import DocumentSnapshot
from lsp_server.errors import BadInputError, BadPositionError, NotReadableError
from lsp_server.text_units import LINE_END
from retrieval.languages import language_for

PLAIN_TEXT = "plaintext"


@dataclass(frozen=True, slots=True)
class Target:
    """A cursor in a file; ``line`` and ``column`` count from 1, the column in characters."""

    path: Path
    line: int
    column: int


def parse_target(text: str) -> Target:
    """Read ``PATH:LINE:COL``; the path itself may hold colons.

    Raises:
        BadInputError: Something other than a path and two numbers.
    """
    parts = text.rsplit(":", 2)
    numbers = [part for part in parts[1:] if part.isascii() and part.isdigit() and len(part) < 10]
    if len(parts) != 3 or len(numbers) != 2 or not parts[0]:
        raise BadInputError(
            f"{text!r} is not PATH:LINE:COL; LINE and COL are numbers from 1, as in src/app.py:12:8"
        )
    return Target(Path(parts[0]), int(numbers[0]), int(numbers[1]))


def read_document(path: Path) -> DocumentSnapshot:
    """Return the file's text as a document that no editor has changed; a byte order mark is dropped.

    Raises:
        NotReadableError: No such file, not a file, not permitted, or not UTF-8.
    """
    try:
        if path.is_dir():
            raise NotReadableError(path, "is a directory; name a file in it")
        raw = path.read_bytes()
        text = raw.decode()
    except FileNotFoundError as error:
        raise NotReadableError(path, "no such file; check the path") from error
    except UnicodeDecodeError as error:
        raise NotReadableError(
            path,
            f"not UTF-8: byte 0x{error.object[error.start]:02x} at offset {error.start}; convert a "
            "copy, for example with iconv -f ISO-8859-1 -t UTF-8",
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        raise NotReadableError(path, f"cannot be read: {error}") from error
    absolute = path.resolve()
    return text_document(text.removeprefix("\ufeff"), path=absolute, uri=absolute.as_uri())


def text_document(
    text: str, *, language_id: str = "", path: Path | None = None, uri: str = "untitled:fimble"
) -> DocumentSnapshot:
    """Return ``text`` as a document; the language follows from ``path`` where no id is given."""
    name = str(path) if path else None
    language = language_for(language_id, name)
    known_id = language.language_ids[0] if language else PLAIN_TEXT
    return DocumentSnapshot(uri, 0, language_id or known_id, text, name)


def offset_at(text: str, line: int, column: int) -> int:
    """Return the offset of a cursor, whose line and column count from 1.

    Raises:
        BadPositionError: ``text`` has no such line or column.
    """
    starts = [0, *(match.end() for match in LINE_END.finditer(text))]
    if not 1 <= line <= len(starts):
        raise BadPositionError(
            f"line {line} is outside the file, which has {len(starts)} "
            f"{'line' if len(starts) == 1 else 'lines'}; lines count from 1"
        )
    start = starts[line - 1]
    last = text[start : starts[line]] if line < len(starts) else text[start:]
    num_columns = len(last.rstrip("\r\n")) + 1
    if not 1 <= column <= num_columns:
        raise BadPositionError(
            f"column {column} is outside line {line}, whose columns go from 1 to {num_columns}"
        )
    return start + column - 1
