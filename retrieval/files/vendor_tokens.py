"""Tokens that vendors made recognizable, found by detect-secrets' detectors and a few newer forms.

Only the detectors' expressions are used: their own scan returns parts of a match instead of places,
and depends on global settings.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Vendor:
    """A detector, and a mark that is found in whatever it reports.

    A mark begins with a literal, because the search for one is as fast as memory. In the match of a
    detector ``by_group`` only the group is secret.
    """

    mark: re.Pattern[str]
    module: str
    detector: str
    by_group: bool = False


_VENDORS = (
    _Vendor(re.compile(r"A(?:KIA|SIA|BIA|CCA|3T)"), "aws", "AWSKeyDetector"),
    _Vendor(re.compile(r"AccountKey="), "azure_storage_key", "AzureStorageKeyDetector"),
    _Vendor(re.compile(r"gh[pousr]_"), "github_token", "GitHubTokenDetector"),
    _Vendor(re.compile(r"gl[a-z]{2,4}-"), "gitlab_token", "GitLabTokenDetector"),
    _Vendor(re.compile(r"eyJ"), "jwt", "JwtTokenDetector"),
    _Vendor(re.compile(r"T3BlbkFJ"), "openai", "OpenAIDetector"),
    _Vendor(re.compile(r"pypi-Ag"), "pypi_token", "PypiTokenDetector"),
    _Vendor(re.compile(r"SG\.\w"), "sendgrid", "SendGridDetector"),
    _Vendor(re.compile(r"xox[abposr]-\d"), "slack", "SlackDetector"),
    _Vendor(re.compile(r"hooks\.slack\.com"), "slack", "SlackDetector"),
    _Vendor(re.compile(r"sq0csp-"), "square_oauth", "SquareOAuthDetector"),
    _Vendor(re.compile(r"k_live_"), "stripe", "StripeDetector"),
    _Vendor(re.compile(r"-us\d"), "mailchimp", "MailchimpDetector"),
    _Vendor(re.compile(r"://[^\s/@:]+:[^\s/@:]+@"), "basic_auth", "BasicAuthDetector", True),
)
_NEWER_TOKENS = (
    re.compile(r"github_pat_\w{22}"),
    re.compile(r"AIza[\w-]{35}"),  # Google
    re.compile(r"sk-(?:ant|proj)-[\w-]{20}"),  # Anthropic, OpenAI
    re.compile(r"hf_[A-Za-z]{30}"),  # Hugging Face
    re.compile(r"npm_[A-Za-z0-9]{36}"),
)
_MIN_TOKEN_CHARS = 20  # a JSON Web Token's expression takes three letters, a dot and a fourth
_NUM_CHARS_BEFORE, _NUM_CHARS_BEHIND = 100, 4_000  # of a mark; no token is longer, but lines are
_TOKEN_REST = re.compile(r"[\w+/=-]*(?:\.[\w+/=-]+)*")


def vendor_tokens(text: str) -> Iterator[tuple[int, int]]:
    """Yield where vendors' tokens, and passwords in URLs, are in ``text``; in no order."""
    for pattern in _NEWER_TOKENS:
        for found in pattern.finditer(text):
            yield found.start(), _token_end(text, found.end())
    for vendor in _VENDORS:
        for start, end in _windows(vendor.mark, text):
            yield from _detected(vendor, text, start, end)


def _windows(mark: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    """Yield stretches of lines around the marks, each of which starts behind the one before."""
    at = 0
    while found := mark.search(text, at):
        start = max(text.rfind("\n", 0, found.start()) + 1, found.start() - _NUM_CHARS_BEFORE)
        line_end = text.find("\n", found.end())
        at = min(line_end if line_end >= 0 else len(text), found.end() + _NUM_CHARS_BEHIND)
        yield start, at


def _detected(vendor: _Vendor, text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for pattern in _expressions(vendor.module, vendor.detector):
        for found in pattern.finditer(text, start, end):
            if vendor.by_group:
                yield found.span(1)
            elif found.end() - found.start() >= _MIN_TOKEN_CHARS and _starts(text, found.start()):
                yield found.start(), _token_end(text, found.end())


def _starts(text: str, at: int) -> bool:
    """Whether a token can begin at ``at``, which is not inside of a longer word."""
    return at == 0 or not text[at - 1].isalnum()


def _token_end(text: str, at: int) -> int:
    """Return where the token ends whose match ends at ``at``: some expressions stop early."""
    rest = _TOKEN_REST.match(text, at)
    return rest.end() if rest is not None else at


@functools.cache
def _expressions(module: str, detector: str) -> tuple[re.Pattern[str], ...]:
    # Imported only where a mark is found: the detectors bring an HTTP client along.
    plugin = getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), detector)
    return tuple(plugin.denylist)
