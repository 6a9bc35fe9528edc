"""Secrets in text: where they are, and the text without them.

Three kinds are looked for: blocks of private keys; tokens of vendors, which detect-secrets' detectors
judge once the marks that they begin with are found; and random values assigned to names such as
``api_key``. Most files hold no mark, so the detectors are rarely even loaded. Nothing is verified:
nothing leaves the machine.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from retrieval.files.vendor_tokens import vendor_tokens

REDACTED = "<redacted>"

_KEY_MARK = "PRIVATE KEY"
_KEY_HEADER = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_KEY_FOOTER = "-----END "
_MAX_KEY_CHARS = 20_000
_KEY_LETTERS = re.compile(r"[A-Za-z0-9+/=]{24,}")
_CUT_KEY = re.compile(r"(?:[\s\"'+,#*>|\\]*[A-Za-z0-9+/=]{24,})*+")
_MIN_KEY_SHARE = 0.5  # of what stands between header and footer; code that names both holds less
_LINE_CONTENT = re.compile(r"\S[^\r\n]*")

# The value is quoted or alone on the rest of its line, and is no mere name or path.
_ASSIGNED = re.compile(
    r"""[=:]>?[ \t]*(?:[rbuf@]?(?P<quote>["'])(?P<value>(?=[A-Za-z_./:-]*[^A-Za-z_./:\s"'-])"""
    r"""[^"'\s]{8,500})(?P=quote)"""
    r"""|(?P<bare>(?=[A-Za-z_./+=-]*[0-9])[\w+/=.-]{20,500})(?=[ \t\r]*(?:$|[#;])))""",
    re.MULTILINE | re.ASCII,
)
_MAX_TARGET_CHARS = 100
# What is assigned to: a name, perhaps quoted or an index, and perhaps the type it is declared with.
_TARGET = re.compile(
    r"""(?P<name>[\w.-]{2,60})["'\]]{0,2}[ \t]*(?::[ \t]*[\w.&\[\]|]+[ \t]*|[ \t]string[ \t]*)?"""
    r"""[:=!]?\Z""",
    re.ASCII,
)
_SECRET_NAME = re.compile(
    r"passw|pwd$|passphrase|secret|token$|credential|(?:^|[a-z0-9._-])key$",
    re.IGNORECASE,
)
_PASSWORD_NAME = re.compile(
    r"(?:passw(?:or)?d|passwd|pwd|passphrase|secret(?:_?key)?)$", re.IGNORECASE
)
_PLACEHOLDER = re.compile(
    r"^[<$*%]|\$[({]|%[s(]|[{}]|^[a-z_]*(?:pass|pwd|secret|token)[a-z_]*$|^pass(?:wor)?d?\d*$"
    r"|example|change_?me|placeholder|dummy|xxx|\.\.\.|your|redacted|fake",
    re.IGNORECASE,
)
_HEX = re.compile(r"[0-9a-fA-F-]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_=.-]+")
_MIN_RANDOM_CHARS = 20
_MIN_HEX_ENTROPY, _MIN_BASE64_ENTROPY = 3.0, 3.7  # bits per character
_WORD = re.compile(r"[A-Z]?[a-z]{3,}|[A-Z]{4,}")
_MAX_WORD_SHARE = 0.6  # of a random value; identifiers and paths consist of words


def redact(text: str) -> str:
    """Return ``text`` with a placeholder for each secret; every line stays where it is."""
    pieces, at = [], 0
    for start, end in secrets_in(text):
        if start >= at:
            pieces += [text[at:start], REDACTED]
        at = max(at, end)
    return "".join((*pieces, text[at:])) if pieces else text


def may_span_lines(text: str) -> bool:
    """Whether a secret of ``text`` may have several lines, so that ``redact`` has to see them all."""
    return _KEY_MARK in text


def secrets_in(text: str) -> list[tuple[int, int]]:
    """Return where the secrets of ``text`` are, in order; they may overlap."""
    tokens = (span for span in vendor_tokens(text) if not _is_placeholder(text[slice(*span)]))
    return sorted((*_private_keys(text), *tokens, *_assigned(text)))


def _private_keys(text: str) -> Iterator[tuple[int, int]]:
    """Yield what each line holds of a private key, between header and footer or up to a cut."""
    if not may_span_lines(text):
        return
    for header in _KEY_HEADER.finditer(text):
        start = header.end()
        end = text.find(_KEY_FOOTER, start, start + _MAX_KEY_CHARS)
        cut = _CUT_KEY.match(text, start)
        if end < 0 and cut is not None:
            end = cut.end()
        letters = sum(map(len, _KEY_LETTERS.findall(text, start, end)))
        if letters > _MIN_KEY_SHARE * len("".join(text[start:end].split())):
            yield from (line.span() for line in _LINE_CONTENT.finditer(text, start, end))


def _assigned(text: str) -> Iterator[tuple[int, int]]:
    for found in _ASSIGNED.finditer(text):
        group = "value" if found["quote"] else "bare"
        value = found[group]
        target = _TARGET.search(text, max(0, found.start() - _MAX_TARGET_CHARS), found.start())
        if target is None or _is_placeholder(value):
            continue
        if _is_secret(target["name"], value, is_quoted=group == "value"):
            yield found.span(group)


def _is_secret(name: str, value: str, *, is_quoted: bool) -> bool:
    if not _SECRET_NAME.search(name) or "public" in name.lower():
        return False
    return _is_random(value) or (is_quoted and _PASSWORD_NAME.search(name) is not None)


def _is_random(value: str) -> bool:
    if len(value) < _MIN_RANDOM_CHARS or not any(map(str.isdigit, value)):
        return False
    if _HEX.fullmatch(value):
        return _entropy(value) >= _MIN_HEX_ENTROPY
    num_in_words = sum(map(len, _WORD.findall(value)))
    return (
        _BASE64.fullmatch(value) is not None
        and num_in_words <= _MAX_WORD_SHARE * len(value)
        and _entropy(value) >= _MIN_BASE64_ENTROPY
    )


def _is_placeholder(value: str) -> bool:
    return _PLACEHOLDER.search(value) is not None


def _entropy(value: str) -> float:
    """Return the bits per character of ``value`` as a source of its characters (Shannon, 1948)."""
    shares = (count / len(value) for count in Counter(value).values())
    return -sum(share * math.log2(share) for share in shares)
