"""The patterns of one ignore file, compiled: gitignore(5) with the semantics of git's wildmatch.

All patterns of a file become one regular expression for names and one for paths, because a walk asks
about every name and nearly every answer is no. Stars are atomic groups wherever the leftmost match
is as good as any, so no pattern and no name make matching slow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_NEVER = r"(?!)"
_POSIX_CLASS = re.compile(r"\[:([^]:]*):\]")
_POSIX_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"\x21-\x7e",
    "lower": "a-z",
    "print": r"\x20-\x7e",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\s",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}


@dataclass(frozen=True, slots=True)
class _Pattern:
    """``regex`` matches a name, or a path from the ignore file's folder if ``by_path``."""

    regex: str
    by_path: bool
    is_negated: bool
    only_folders: bool


@dataclass(frozen=True, slots=True)
class _Alternatives:
    """Patterns of which the last in the file is tried first; the group that matched tells which."""

    regex: re.Pattern[str] | None
    ranks: tuple[int, ...]

    @staticmethod
    def of(patterns: Iterable[tuple[int, _Pattern]]) -> _Alternatives:
        last_first = sorted(patterns, key=lambda ranked: -ranked[0])
        regex = "|".join(f"({pattern.regex})" for _, pattern in last_first)
        compiled = re.compile(regex, re.DOTALL) if last_first else None
        return _Alternatives(compiled, tuple(rank for rank, _ in last_first))

    def last_match(self, text: str) -> int:
        """Return the rank of the last pattern that matches ``text``, -1 if none does."""
        found = self.regex.fullmatch(text) if self.regex is not None else None
        return self.ranks[found.lastindex - 1] if found and found.lastindex else -1


class PatternList:
    """What one ignore file says. Immutable."""

    def __init__(self, lines: Iterable[str]) -> None:
        """Take the ``lines`` of an ignore file, without their line ends; invalid ones match nothing."""
        patterns = list(enumerate(filter(None, map(_parsed, lines))))
        self._is_ignored = tuple(not pattern.is_negated for _, pattern in patterns)
        self._for_folders = _by_name_and_path(patterns)
        self._for_files = _by_name_and_path(
            [ranked for ranked in patterns if not ranked[1].only_folders]
        )

    @staticmethod
    def parse(text: str) -> PatternList:
        """Return the patterns of an ignore file's ``text``, which may begin with a byte order mark."""
        lines = text.removeprefix("\ufeff").split("\n")
        return PatternList(line.removesuffix("\r") for line in lines)

    def verdict(self, path: str, name: str, *, is_folder: bool) -> bool | None:
        """Return whether the last matching pattern ignores (or includes) a file or folder.

        ``path`` leads to it from the ignore file's folder and ends with ``name``. ``None`` if no
        pattern matches it. A folder above it is not looked at: who is in an ignored one is ignored.
        """
        by_name, by_path = self._for_folders if is_folder else self._for_files
        rank = max(by_name.last_match(name), by_path.last_match(path))
        return self._is_ignored[rank] if rank >= 0 else None


def _by_name_and_path(
    patterns: list[tuple[int, _Pattern]],
) -> tuple[_Alternatives, _Alternatives]:
    return (
        _Alternatives.of(ranked for ranked in patterns if not ranked[1].by_path),
        _Alternatives.of(ranked for ranked in patterns if ranked[1].by_path),
    )


def _parsed(line: str) -> _Pattern | None:
    """Return the pattern that ``line`` holds, or ``None`` if it is blank, a comment or invalid."""
    if line.startswith("#"):
        return None
    body = _without_trailing_spaces(line)
    is_negated = body.startswith("!")
    body = body[is_negated:]
    only_folders = body.endswith("/")
    body = body[: len(body) - only_folders]
    by_path = "/" in body
    if not body:
        return None
    regex = _path_regex(body.removeprefix("/")) if by_path else _name_regex(body)
    return _Pattern(regex, by_path, is_negated, only_folders)


def _without_trailing_spaces(line: str) -> str:
    bare = line.rstrip(" ")
    num_backslashes = len(bare) - len(bare.rstrip("\\"))
    return bare + " " if num_backslashes % 2 and bare != line else bare


def _path_regex(pattern: str) -> str:
    """Return the regex of a pattern with slashes; ``**`` stands for any number of folders."""
    stretches: list[list[str]] = [[]]
    for segment in pattern.split("/"):
        if len(segment) > 1 and not segment.strip("*"):  # more stars than two say no more
            stretches.append([])
        else:
            stretches[-1].append(_name_regex(segment))
    if len(stretches) == 1:
        return "/".join(stretches[0])
    first, *middle, last = stretches
    regex = "".join(f"{name}/" for name in first)
    for stretch in filter(None, middle):
        regex += "(?>(?:[^/]+/)*?" + "".join(f"{name}/" for name in stretch) + ")"
    return regex + (r"(?:[^/]+/)*" + "/".join(last) if last else ".+")


def _name_regex(pattern: str) -> str:
    """Return the regex of a pattern without slashes; it matches nothing if the pattern is invalid."""
    parts: list[str] = [""]
    for token in _tokens(pattern):
        if token == "*":
            parts.append("")
        else:
            parts[-1] += token
    first, *rest = parts
    if not rest:
        return first
    middle = "".join(f"(?>[^/]*?{part})" for part in rest[:-1] if part)
    return f"{first}{middle}[^/]*{rest[-1]}"


def _tokens(pattern: str) -> Iterator[str]:
    """Yield regexes of one character each, and ``"*"`` for a star."""
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            yield "*"
        elif char == "?":
            yield "[^/]"
        elif char == "[":
            regex, at = _bracket(pattern, at)
            yield regex
        elif char == "\\":
            yield re.escape(pattern[at]) if at < len(pattern) else _NEVER
            at += 1
        else:
            yield re.escape(char)


def _bracket(pattern: str, at: int) -> tuple[str, int]:
    """Return the regex of the bracket expression that opened before ``at``, and where it ends."""
    is_negated = pattern[at : at + 1] in ("!", "^")
    at += is_negated
    start, members, previous = at, "", ""
    while at < len(pattern) and (pattern[at] != "]" or at == start):
        named = _POSIX_CLASS.match(pattern, at)
        if named:
            if named[1] not in _POSIX_CLASSES:
                return _NEVER, len(pattern)
            members, previous, at = members + _POSIX_CLASSES[named[1]], "", named.end()
            continue
        is_range = (
            bool(previous) and pattern[at] == "-" and pattern[at + 1 : at + 2] not in ("", "]")
        )
        at += is_range
        at += pattern[at] == "\\"
        char = pattern[at : at + 1]
        if is_range and previous <= char:
            members += f"{re.escape(previous)}-{re.escape(char)}"
        elif not is_range:
            members += re.escape(char)
        previous, at = "" if is_range else char, at + 1
    if at >= len(pattern):
        return _NEVER, len(pattern)
    return f"(?!/)[{'^' if is_negated else ''}{members}]", at + 1
