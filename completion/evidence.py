"""What is known of each token of a request: references on the way, texts when somebody asks.

A request pays for a few pointers. Spelling a prompt takes a millisecond, and is done by whoever
reads the explanation.
"""

from __future__ import annotations

import codecs
import sys
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from completion.prompt import CHUNK, Segment
from kvedit.fates import TokenFates, TokenState
from models.tokenizer import Tokenizer

# The origin of tokens that no draft foresaw. ``model`` is a source: the smaller model that drafts.
TARGET = "target"
_BYTES_PER_TOKEN = 40  # of a prompt: its id, where it came from
_BYTES_PER_WRITTEN_TOKEN = 100  # its log probability, where its text ends, a name for its origin

# What people call the segments of a prompt; the others go by their own ids.
_SEGMENT_NAMES = {"line": "middle"}


@dataclass(frozen=True, slots=True)
class PromptSpan:
    """``num_tokens`` of a prompt's ``segment`` that share one ``state``. Sentinels are spelled out."""

    text: str
    state: TokenState
    segment: str
    num_tokens: int


@dataclass(frozen=True, slots=True)
class OutputToken:
    """A token of the output: what it added to the text, and who foresaw it.

    ``origin`` is ``target``, or the source whose draft was accepted.
    """

    text: str
    origin: str
    logprob: float


@dataclass(frozen=True, slots=True, eq=False)
class WrittenTokens:
    """The tokens of one continuation, as the run that wrote it holds them.

    ``shown`` is their text without what the document has already, ``num_shown_chars`` how much of it
    was there behind each. The first ``num_kept`` make the text that was kept. ``origins`` name the
    source of each accepted draft; they may end early.
    """

    shown: str
    num_shown_chars: Sequence[int]
    logprobs: Sequence[float]
    num_kept: int
    origins: Sequence[str | None] = ()

    def tokens(self, num_tokens: int) -> Iterator[OutputToken]:
        """Yield the first ``num_tokens``, or as many as there are."""
        start = 0
        for at, stop in enumerate(self.num_shown_chars[:num_tokens]):
            origin = self.origins[at] if at < len(self.origins) else None
            yield OutputToken(self.shown[start:stop], origin or TARGET, self.logprobs[at])
            start = stop


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The tokens of one request. The vocabulary may be gone when they are read: its model was dropped."""

    tokenizer: weakref.ref[Tokenizer]
    segments: tuple[Segment, ...]
    fates: TokenFates
    written: WrittenTokens | None = None

    @property
    def num_bytes(self) -> int:
        """Roughly what keeping this keeps alive."""
        num_bytes = (len(self.fates.ages) + len(self.fates.places)) * _BYTES_PER_TOKEN
        if self.written is None:
            return num_bytes
        num_written = len(self.written.logprobs) * _BYTES_PER_WRITTEN_TOKEN
        return num_bytes + num_written + sys.getsizeof(self.written.shown)

    def of(self, written: WrittenTokens | None) -> Evidence:
        """Return the same for another continuation of the prompt."""
        return self if written is self.written else replace(self, written=written)

    def spans(self) -> list[PromptSpan] | None:
        """Return the prompt, cut where segment or state change; None if its model was dropped."""
        tokenizer = self.tokenizer()
        if tokenizer is None:
            return None
        states, start = self.fates.states(), 0
        spans: list[PromptSpan] = []
        for segment in self.segments:
            stop = start + len(segment.token_ids)
            tokens = zip(states[start:stop], segment.token_ids, strict=True)
            # A character whose bytes lie in tokens of two states belongs to the second.
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            for state, some in groupby(tokens, key=lambda token: token[0]):
                ids = [token_id for _, token_id in some]
                text = decoder.decode(b"".join(map(tokenizer.spelling, ids)))
                spans.append(PromptSpan(text, state, _name(segment.segment_id), len(ids)))
            if rest := decoder.decode(b"", final=True):
                spans[-1] = replace(spans[-1], text=spans[-1].text + rest)
            start = stop
        return spans

    def output(self, *, all_tokens: bool) -> list[OutputToken]:
        """Return the tokens whose text was kept, or all that were written."""
        if self.written is None:
            return []
        num_tokens = len(self.written.logprobs) if all_tokens else self.written.num_kept
        return list(self.written.tokens(num_tokens))


def _name(segment_id: str) -> str:
    if segment_id.startswith(CHUNK):
        return "context"
    return _SEGMENT_NAMES.get(segment_id, segment_id)
