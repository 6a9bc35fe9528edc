"""What llama.vim reads from a buffer and what it shows there, as functions of the buffer.

The behaviour is that of llama.vim at a1c8e6e (January 2026), oddities included; nothing is copied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

BLANKS = " \t"  # what Vim's \s matches
NUM_SHORTER_PREFIXES = 3


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """The plugin's settings under its own names, at its defaults."""

    n_prefix: int = 256
    n_suffix: int = 64
    n_predict: int = 128
    stop_strings: tuple[str, ...] = ()
    t_max_prompt_ms: int = 500
    t_max_predict_ms: int = 1000
    max_line_suffix: int = 8
    max_cache_keys: int = 250
    ring_n_chunks: int = 16
    ring_chunk_size: int = 64
    ring_scope: int = 1024
    ring_update_ms: int = 1000


@dataclass(frozen=True, slots=True)
class Buffer:
    """A file as Vim holds it: lines without their ends, and a cursor."""

    path: str
    lines: tuple[str, ...]
    line_idx: int
    column: int

    @classmethod
    def at(cls, path: str, text: str, offset: int) -> Buffer:
        """Return the buffer of a text; its last line end begins a line only for the cursor."""
        if not 0 <= offset <= len(text):
            raise ValueError(f"offset {offset} lies outside the {len(text)} code points of {path}")
        before = text[:offset]
        line_idx = before.count("\n")
        lines = text.split("\n")
        if lines[-1] == "" and 0 < len(lines) - 1 != line_idx:
            lines.pop()
        return cls(path, tuple(lines), line_idx, offset - (before.rfind("\n") + 1))

    @property
    def line(self) -> str:
        """The line of the cursor."""
        return self.lines[self.line_idx]

    def around(self, num_lines: int) -> tuple[str, ...]:
        """Return the cursor's line with up to ``num_lines`` on each side."""
        return self.lines[max(0, self.line_idx - num_lines) : self.line_idx + num_lines + 1]


@dataclass(frozen=True, slots=True)
class LocalContext:
    """What one request says about the text at the cursor."""

    prefix: str
    middle: str
    suffix: str
    indent: int
    line_suffix: str

    def keys(self) -> list[str]:
        """Return the keys of an answer: that of this context, then of ones with a later start."""
        prefixes = [self.prefix]
        for _ in range(NUM_SHORTER_PREFIXES):
            _, _, shorter = prefixes[-1].partition("\n")
            if not shorter:
                break
            prefixes.append(shorter)
        return [cache_key(prefix + self.middle, self.suffix) for prefix in prefixes]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A suggestion as it is shown.

    ``lines`` end with the rest of the cursor's line. ``text`` goes in at the cursor once
    ``num_removed`` code points before it are gone. It is empty when nothing can be accepted, and
    also when a repetition was dropped in front of the rest of a line, which Vim lets one accept.
    """

    lines: tuple[str, ...]
    text: str
    num_removed: int
    can_accept: bool


def cache_key(before: str, after: str) -> str:
    """Return the key of the answer between two texts."""
    return hashlib.sha256(f"{before}\u00ce{after}".encode()).hexdigest()


def context_at_cursor(buffer: Buffer, config: LlamaConfig) -> LocalContext:
    """Return the context of the cursor; a blank line counts as an empty one."""
    line, blank = buffer.line, not buffer.line.strip(BLANKS)
    line_suffix = "" if blank else line[buffer.column :]
    return LocalContext(
        prefix=_joined(buffer.lines[max(0, buffer.line_idx - config.n_prefix) : buffer.line_idx]),
        middle="" if blank else line[: buffer.column],
        suffix=line_suffix + "\n" + _suffix_lines(buffer, buffer.line_idx, config),
        indent=0 if blank else len(line) - len(line.lstrip(BLANKS)),
        line_suffix=line_suffix,
    )


def context_after(
    buffer: Buffer, line_idx: int, shown: Sequence[str], indent: int, config: LlamaConfig
) -> LocalContext:
    """Return the context as if the shown lines had been accepted behind a line of the buffer."""
    first = (buffer.lines[line_idx] if line_idx < len(buffer.lines) else "") + shown[0]
    accepted = [first, *shown[1:]]
    start = max(0, line_idx - config.n_prefix + len(shown) - 1)
    return LocalContext(
        prefix=_joined([*buffer.lines[start:line_idx], *accepted[:-1]]),
        middle=accepted[-1],
        suffix="\n" + _suffix_lines(buffer, line_idx, config),
        indent=indent,
        line_suffix="",
    )


def suggestion_at(buffer: Buffer, content: str) -> Suggestion:
    """Return what the plugin shows of an answer; what repeats the text below is not shown."""
    lines = content.rstrip("\n").split("\n")
    is_empty = lines == [""]
    line, blank = buffer.line, not buffer.line.strip(BLANKS)
    if blank:
        num_leading = min(len(lines[0]) - len(lines[0].lstrip(BLANKS)), len(line))
        line, lines[0] = lines[0][:num_leading], lines[0][num_leading:]
    line_prefix, line_suffix = line[: buffer.column], line[buffer.column :]
    if _repeats(buffer, lines, line_prefix, line_suffix):
        lines = [""]
    shown = (*lines[:-1], lines[-1] + line_suffix)
    if is_empty or not "\n".join(shown).strip(BLANKS + "\n"):
        return Suggestion(shown, "", 0, can_accept=False)
    kept = line if blank and buffer.column == 0 else line_prefix
    before = buffer.line[: buffer.column]
    num_common = _num_common(before, kept)
    text = kept[num_common:] + "\n".join(lines)
    return Suggestion(shown, text, len(before) - num_common, can_accept=True)


def _repeats(buffer: Buffer, lines: list[str], line_prefix: str, line_suffix: str) -> bool:
    below = buffer.lines[buffer.line_idx + 1 :]
    rest = tuple(lines[1:])
    if not lines[0] and rest and rest == below[: len(rest)]:
        return True
    if len(lines) == 1 and lines[0] == line_suffix:
        return True
    while len(below) > 1 and not below[0].strip(BLANKS):
        below = below[1:]
    if line_prefix + lines[0] != (below[0] if below else ""):
        return False
    if len(lines) == 2:
        return rest[0] == (below[1] if len(below) > 1 else "")[: len(rest[0])]
    return rest == below[1 : len(lines)]


def _num_common(first: str, second: str) -> int:
    pairs = zip(first, second, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"


def _suffix_lines(buffer: Buffer, line_idx: int, config: LlamaConfig) -> str:
    return _joined(buffer.lines[line_idx + 1 : line_idx + 1 + config.n_suffix])
