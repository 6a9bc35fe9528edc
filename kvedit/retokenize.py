"""The ids of a text that keeps being edited: always what ``Tokenizer.encode`` returns for all of it.

A *cut* is a position in a text where its ids are those of the part before, followed by those of the
part behind. Between two cuts lies a piece. An edit leaves the ids of all pieces but a few as they
were, so only those few are tokenised again.

Which positions are cuts follows from the tokenizer alone, in this order: its added tokens, its
splitting rule, its merges. Nothing of that may reach over the cut, and what happens on one side of
it may not depend on the other side. Where this is not certain, the whole text is one piece.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Any

from tokenizers import AddedToken
from tokenizers import Tokenizer as Backend
from tokenizers.models import BPE

from models.tokenizer import Tokenizer

_Stage = dict[str, Any]

_SPACE_MARK = "\u2581"
_SPACE_TO_MARK = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE_MARK}


@dataclass(frozen=True, slots=True)
class _Cuts:
    """One kind of cut: ``pattern`` ends at each, and a token over one would spell ``crossing``."""

    pattern: re.Pattern[str]
    crossing: re.Pattern[str]


# Only blanks stand between the line break and the next character that is no whitespace. In Qwen's
# rule, `\s*[\r\n]+` comes before the other two for whitespace and so takes every run that has a line
# break, up to its last: that is the cut. No other alternative has anything behind a line break. The
# one that looks ahead, `\s+(?!\S)`, gets only runs without line breaks, which end before the cut.
_BEHIND_BREAKS = _Cuts(re.compile(r"[\r\n](?=[ \t]*\S)"), re.compile(r"[\r\n][^\r\n]"))
# In GPT-2's rule, `\s+(?!\S)` leaves the last character of a run of whitespace alone if something
# follows: what is behind a run decides about its inside, so the cut is in front of it. There, no
# alternative has whitespace behind another character, and none that ends there looks ahead.
_BEFORE_BREAKS = _Cuts(re.compile(r"\S(?=[\r\n])"), re.compile(r"\S[\r\n]"))
_NOWHERE = re.compile(r"(?!)")

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_SIGNS_AND_SPACE = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CUTS_OF_RULES = {
    rf"{_WORDS}|\p{{N}}|{_SIGNS_AND_SPACE}": _BEHIND_BREAKS,
    rf"{_WORDS}|\p{{N}}{{1,3}}|{_SIGNS_AND_SPACE}": _BEHIND_BREAKS,
    r"[\r\n]": _BEHIND_BREAKS,  # DeepSeek-Coder's first rule makes every line break a piece
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+": _BEFORE_BREAKS,
}
# By how a vocabulary spells line breaks: what only a token over one spells, and the breaks themselves.
_IN_BYTES = (re.compile("[\u010a\u010d][^\u010a\u010d]"), {"\u010a", "\u010d"})
_IN_TEXT = (re.compile(r"[\r\n][^\r\n]|<0x0[AD]>.", re.DOTALL), {"\n", "\r"})


class Retokenizer:
    """Where texts may be cut for one tokenizer. Immutable, and shared by any number of texts.

    Making one is cheap where a known rule splits at line breaks. Elsewhere it reads vocabulary and
    merges, which takes about as long as loading them.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        cuts = _find_cuts(tokenizer._backend)  # the tokenizer shows its stages in no other way
        self._pattern = _NOWHERE if cuts is None else cuts.pattern

    @property
    def is_incremental(self) -> bool:
        """Whether texts can be cut at all; if not, every edit tokenises the whole text."""
        return self._pattern is not _NOWHERE

    def pieces(self, text: str, start: int, end: int) -> list[str]:
        """Return ``text[start:end]`` in pieces; both edges are cuts or the text's own."""
        inside = (match.end() for match in self._pattern.finditer(text, start, end))
        edges = (start, *inside, end) if start < end else ()
        return [text[left:right] for left, right in pairwise(edges)]


class TokenizedText:
    """A text and its ids, led from each version of the text to the next. For one thread."""

    def __init__(self, retokenizer: Retokenizer) -> None:
        self.retokenizer = retokenizer
        self._text = ""
        self._ids: list[int] = []
        self._lengths: list[int] = []  # of the pieces, in code points
        self._num_ids: list[int] = []  # of the pieces

    def copy(self) -> TokenizedText:
        """Return the same text, to go other ways from here."""
        twin = TokenizedText(self.retokenizer)
        twin._text, twin._ids = self._text, self._ids.copy()
        twin._lengths, twin._num_ids = self._lengths.copy(), self._num_ids.copy()
        return twin

    def update(self, text: str) -> list[int]:
        """Return the ids of ``text``, which takes the place of the text so far."""
        if text != self._text:
            self._replace(text)
        return self._ids.copy()

    def _replace(self, text: str) -> None:
        start, end = _changed(self._text, text)
        ends = list(accumulate(self._lengths))
        # What makes a cut one may reach up to the next cut, so the last in front of the edit may be
        # none any more. Behind it, what makes one begins with the character before it.
        first = max(bisect_right(ends, start) - 1, 0)
        last = min(bisect_right(ends, end) + 1, len(ends))
        kept = ends[first - 1] if first else 0
        num_kept_behind = len(self._text) - ends[last - 1] if last else 0
        pieces = self.retokenizer.pieces(text, kept, len(text) - num_kept_behind)
        ids = [self.retokenizer.tokenizer.encode(piece) for piece in pieces]
        first_id = sum(self._num_ids[:first])
        last_id = first_id + sum(self._num_ids[first:last])
        self._text = text
        self._ids[first_id:last_id] = chain.from_iterable(ids)
        self._lengths[first:last] = map(len, pieces)
        self._num_ids[first:last] = map(len, ids)


def _changed(old: str, new: str) -> tuple[int, int]:
    """Return the interval of ``old`` outside of which ``new`` is the same.

    Halving compares slices: microseconds, where a loop over characters takes milliseconds.
    """
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if old[low:middle] == new[low:middle] else (low, middle - 1)
    start = low
    low, high = 0, min(len(old), len(new)) - start
    while low < high:
        middle = (low + high + 1) // 2
        here = old[len(old) - middle : len(old) - low]
        is_same = here == new[len(new) - middle : len(new) - low]
        low, high = (middle, high) if is_same else (low, middle - 1)
    return start, len(old) - low


def _find_cuts(backend: Backend) -> _Cuts | None:
    """Return cuts that hold in every text, or None if none are known for this tokenizer."""
    model, stages = backend.model, _stages(backend.pre_tokenizer)
    if not isinstance(model, BPE) or model.dropout or backend.truncation or backend.padding:
        return None
    if any(stage != _SPACE_TO_MARK for stage in _stages(backend.normalizer)):
        return None
    cuts = _cuts_of_splitting(stages)
    if cuts is None and all(map(_is_local, stages)) and not _reaches_over_breaks(backend, stages):
        cuts = _BEHIND_BREAKS
    added = backend.get_added_tokens_decoder()
    if cuts is None or _is_in_the_way(added.values(), cuts) or _merges_controls(model, added):
        return None
    return cuts


def _stages(sequence: Any) -> list[_Stage]:
    """The parts of a normaliser or pre-tokenizer, which `Tokenizer` has made a flat sequence."""
    if sequence is None:
        return []
    state = json.loads(sequence.__getstate__())
    parts: list[_Stage] = state.get("pretokenizers", state.get("normalizers", [state]))
    return parts


def _cuts_of_splitting(stages: list[_Stage]) -> _Cuts | None:
    """Return the cuts at which these stages split every text that has them; None if unknown.

    Later stages split each piece by itself, so only those in front of the first cut matter.
    """
    for stage in stages:
        match stage:
            case {"type": "ByteLevel", "use_regex": True}:
                return _BEFORE_BREAKS
            case {"type": "Split", "pattern": {"Regex": rule}, "behavior": "Isolated"}:
                return None if stage["invert"] else _CUTS_OF_RULES.get(rule)
            case {"type": "ByteLevel"}:
                return None  # behind it, line breaks are other characters
            case _ if not _is_local(stage):
                return None
    return None


def _is_local(stage: _Stage) -> bool:
    """Whether the stage splits at single characters other than line breaks, or not at all."""
    match stage:
        case {"type": "Digits"} | {"type": "ByteLevel", "use_regex": False}:
            return True
        case {"type": "Metaspace", "replacement": mark, "prepend_scheme": "never"}:
            return bool(mark == _SPACE_MARK)
        case {"type": "Split", "pattern": {"String": " "}, "invert": False}:  # Gemma's
            return bool(stage["behavior"] == "MergedWithPrevious")
        case _:
            return False


def _reaches_over_breaks(backend: Backend, stages: list[_Stage]) -> bool:
    """Whether a token may hold a line break and what follows it, if nothing has split them before.

    Merges choose the best pair of neighbours again and again. If no token joins the two sides of a
    cut, then what is chosen on one side never depends on the other.
    """
    model, vocabulary = backend.model, backend.get_vocab(with_added_tokens=False)
    if model.ignore_merges or model.continuing_subword_prefix or model.end_of_word_suffix:
        return True  # the token depends on where its piece begins and ends
    in_bytes = any(stage["type"] == "ByteLevel" for stage in stages)
    over_break, line_breaks = _IN_BYTES if in_bytes else _IN_TEXT
    has_bytes = all(f"<0x{byte:02X}>" in vocabulary for byte in range(256))
    knows_all = model.byte_fallback and has_bytes and not in_bytes
    if not knows_all and (model.unk_token is not None or not vocabulary.keys() >= line_breaks):
        return True  # unknown neighbours become one token, or those of an unknown one meet
    return any(map(over_break.search, vocabulary))


def _is_in_the_way(added: Iterable[AddedToken], cuts: _Cuts) -> bool:
    """Whether added tokens, which are looked for in the whole text, may reach over a cut."""
    return any(
        cuts.crossing.search(token.content)
        # Control tokens are passed over before these are looked at.
        or (not token.special and (token.lstrip or token.rstrip or token.single_word))
        for token in added
    )


def _merges_controls(model: BPE, added: Mapping[int, AddedToken]) -> bool:
    """Whether text may become a control token, for then `Tokenizer` merges all of it differently."""
    ids = (token_id for token_id, token in added.items() if token.special)
    controls = {name for name in map(model.id_to_token, ids) if name is not None}
    if not controls or model.ignore_merges:
        return bool(controls)
    merges = json.loads(model.__getstate__())["merges"]
    joined = (pair.replace(" ", "") if isinstance(pair, str) else "".join(pair) for pair in merges)
    return not controls.isdisjoint(joined)
