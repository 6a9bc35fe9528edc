"""The prompt: separately tokenised segments, least volatile first.

    repository head | context chunks | file head | prefix | suffix | current line
    ----------------- stable ------------------  lines above  below    volatile

The line the cursor is in stands behind the middle sentinel, so that typing in it changes only the
last segment. Windows are cut at line boundaries and stay where they are until they no longer fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from completion.config import PromptConfig
from completion.fim_format import FimFormat, FimOrder, Layout, RepositoryStyle, detect_format
from completion.types import CompletionRequest, ContextChunk
from completion.windows import StickyWindows, WindowBudget, fit_tail, spell
from kvedit.patch import PatchTarget
from kvedit.retokenize import Retokenizer
from kvedit.surroundings import SurroundingText
from models.runs import Donor
from models.tokenizer import Tokenizer
from retrieval.languages import language_for

_SHARE_BELOW = 0.45  # of the surroundings: a prompt shows more of what is above its cursor, too
_SLACK_AROUND = 0.125
_NEAR_ABOVE, _NEAR_BELOW = 3072, 2560  # tokens of the surroundings that are wanted first
NUM_SENTINELS = 8  # room that they get
EFIM_LINES = 12  # behind the middle sentinel, before prefix and suffix are taken anew
HEAD, CHUNK = "head", "chunk:"  # ids of segments: the repository's head; the chunks' beginning


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the prompt that is tokenised by itself; ``segment_id`` is stable over edits."""

    segment_id: str
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FimPrompt:
    """What the model is given.

    ``healed_text`` is the end of the current line: it is not in the prompt, the output must begin
    with it. ``forced_text`` must follow it, and belongs to the suggestion.
    """

    segments: tuple[Segment, ...]
    healed_text: str
    forced_text: str

    @property
    def token_ids(self) -> list[int]:
        """All segments' tokens."""
        return [token_id for segment in self.segments for token_id in segment.token_ids]

    def target(self, donors: Sequence[Donor] = ()) -> PatchTarget:
        """Return the prompt as what a cache is to hold: its head stays, its chunks may be spliced.

        Text that the cache lacks may come from ``donors``.
        """
        num_fixed, at, chunks = 0, 0, []
        for segment in self.segments:
            stop = at + len(segment.token_ids)
            if segment.segment_id == HEAD:
                num_fixed = stop
            elif segment.segment_id.startswith(CHUNK):
                chunks.append(range(at, stop))
            at = stop
        return PatchTarget(self.token_ids, num_fixed, tuple(chunks), tuple(donors))


class PromptBuilder:
    """Builds prompts for one model. Holds no document state: windows are passed in."""

    def __init__(self, tokenizer: Tokenizer, config: PromptConfig) -> None:
        self._tokenizer = tokenizer
        self._retokenizer = Retokenizer(tokenizer)
        self._config = config
        self.fim_format = detect_format(tokenizer.special_id)

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end a generation: the model's own and every sentinel of its format."""
        if self.fim_format is None:
            return self._tokenizer.eos_ids
        return self._tokenizer.eos_ids | self.sentinel_ids | self._ids_of(self.fim_format.stops)

    @property
    def sentinel_ids(self) -> frozenset[int]:
        """Tokens that say what stands where; they depend on all that is in front of them."""
        return frozenset() if self.fim_format is None else self._ids_of(self.fim_format.sentinels)

    def build(
        self,
        request: CompletionRequest,
        chunks: Sequence[ContextChunk],
        windows: StickyWindows | None = None,
        max_num_tokens: int | None = None,
    ) -> FimPrompt:
        """Return the prompt for ``request``.

        Args:
            request: Where to complete.
            chunks: Other files' lines, in the order they are to stand.
            windows: The document's windows, which are kept or moved; None chooses them afresh.
            max_num_tokens: A smaller budget than the configured one, for a cold cache and a
                deadline.
        """
        budget = min(max_num_tokens or self._config.max_num_tokens, self._config.max_num_tokens)
        windows = StickyWindows() if windows is None else windows
        above = self._prefix_end(request, windows)
        line, healed, forced = self._middle(request, above, budget // 3)
        head = self._head(request, chunks, int(budget * self._config.context_share))
        path = self._path_in_prefix(request) if chunks else ()
        num_others = sum(len(segment.token_ids) for segment in head) + len(path) + len(line)
        left = self.budget(max(budget - num_others - NUM_SENTINELS, 32))
        text, cursor = request.document.text, request.offset
        prefix, suffix = windows.around(self._retokenizer, text, above, cursor, left)
        body = self._arrange((*path, *prefix), tuple(suffix), tuple(line))
        return FimPrompt((*head, *body), healed, forced)

    def num_chunk_tokens(self, chunk: ContextChunk) -> int:
        """Return how many tokens ``chunk`` takes in a prompt, give or take one or two."""
        named = self._tokenizer.encode(f"{chunk.path}\n{chunk.text}")
        return len(named) + NUM_SENTINELS

    def budget(self, num_tokens: int) -> WindowBudget:
        """Return how prefix and suffix share ``num_tokens``."""
        return WindowBudget(num_tokens, self._config.suffix_share, self._config.slack)

    def surroundings(
        self, request: CompletionRequest, windows: StickyWindows, num_tokens: int
    ) -> SurroundingText | None:
        """Return the document around the cursor from left to right, far beyond the prompt.

        None if the prompt shows all of the document anyway. ``windows`` are those of the surroundings.
        """
        text, here = request.document.text, line_start(request.prefix)
        windows.follow(request.document)
        budget = WindowBudget(num_tokens, _SHARE_BELOW, _SLACK_AROUND)
        before, after = windows.around(self._retokenizer, text, here, here, budget)
        token_ids = [*before, *after]
        if len(token_ids) < self._config.max_num_tokens * (1 - self._config.slack):
            return None
        begin = () if self.fim_format is None else self._special(self.fim_format.prefix)
        near = range(max(0, len(before) - _NEAR_ABOVE), len(before) + _NEAR_BELOW)
        return SurroundingText(begin, token_ids, near)

    def _prefix_end(self, request: CompletionRequest, windows: StickyWindows) -> int:
        """Return the offset from which on text before the cursor stands behind the sentinels."""
        if self._config.layout is Layout.EFIM:
            return windows.anchor(request.document.text, request.offset, EFIM_LINES)
        return line_start(request.prefix)

    def _middle(
        self, request: CompletionRequest, start: int, max_num_tokens: int
    ) -> tuple[list[int], str, str]:
        """Return the tokens from ``start`` to the cursor but the last, that one, and what follows.

        The last token may be the beginning of the one that the finished line would have, so it
        is handed out again.
        """
        text = request.prefix[start:]
        token_ids = fit_tail(self._tokenizer, text, max_num_tokens, by_line=False).token_ids
        forced = ""
        if request.selected_item is not None:
            typed = request.document.text[request.selected_item.start : request.offset]
            forced = request.selected_item.text.removeprefix(typed)
        if not token_ids:
            return [], "", forced
        for num_healed in range(1, len(token_ids) + 1):
            try:
                tail = spell(self._tokenizer, token_ids[-num_healed:])
                return token_ids[:-num_healed], tail.decode(), forced
            except UnicodeDecodeError:
                continue  # a character split over tokens is healed whole
        return token_ids, "", forced

    def _arrange(
        self, prefix: tuple[int, ...], suffix: tuple[int, ...], line: tuple[int, ...]
    ) -> tuple[Segment, ...]:
        fmt = self.fim_format
        if fmt is None:
            return (Segment("prefix", prefix), Segment("line", line))
        begin, hole = self._special(fmt.prefix), self._special(fmt.suffix)
        middle, layout = self._special(fmt.middle), self._config.layout
        if fmt.order is FimOrder.SPM:
            after, before = (
                Segment("suffix", (*hole, *suffix)),
                Segment("prefix", (*begin, *prefix)),
            )
            return (after, before, Segment("line", (*middle, *line)))
        if layout is Layout.SPM:
            after = Segment("suffix", (*begin, *hole, *suffix))
            return (after, Segment("prefix", (*middle, *prefix)), Segment("line", line))
        after = Segment("suffix", (*hole, *suffix))
        if layout is Layout.PSM:
            before = Segment("prefix", (*begin, *prefix, *line))
            return (before, after, Segment("line", middle))
        before = Segment("prefix", (*begin, *prefix))
        return (before, after, Segment("line", (*middle, *line)))

    def _head(
        self, request: CompletionRequest, chunks: Sequence[ContextChunk], budget: int
    ) -> tuple[Segment, ...]:
        bos = () if self._tokenizer.bos_id is None else (self._tokenizer.bos_id,)
        fmt = self.fim_format
        if not chunks:
            return (Segment(HEAD, bos),) if bos else ()
        segments = [Segment(HEAD, (*bos, *self._repo_name(fmt, request)))]
        for chunk in chunks:
            tokens = self._file_head(fmt, chunk.path, request) + tuple(
                self._tokenizer.encode(chunk.text.rstrip("\n") + "\n")
            )
            if len(tokens) > budget:
                break
            budget -= len(tokens)
            name = f"{CHUNK}{chunk.path}:{chunk.start_line}-{chunk.end_line}"
            segments.append(Segment(name, tokens))
        if fmt is not None and fmt.path_inside_prefix:
            segments.append(Segment("file", self._special(fmt.file_separator)))
        else:
            path = request.document.path or request.document.uri
            segments.append(Segment("file", self._file_head(fmt, path, request)))
        return tuple(segments)

    def _path_in_prefix(self, request: CompletionRequest) -> tuple[int, ...]:
        if self.fim_format is None or not self.fim_format.path_inside_prefix:
            return ()
        path = request.document.path or request.document.uri
        return tuple(self._tokenizer.encode(f"{path}\n"))

    def _repo_name(self, fmt: FimFormat | None, request: CompletionRequest) -> tuple[int, ...]:
        if fmt is None or not fmt.repo_name:
            return ()
        name = PurePath(request.document.workspace).name or "repository"
        return (*self._special(fmt.repo_name), *self._tokenizer.encode(f"{name}\n"))

    def _file_head(
        self, fmt: FimFormat | None, path: str, request: CompletionRequest
    ) -> tuple[int, ...]:
        if fmt is None or fmt.repository is RepositoryStyle.COMMENT:
            language = language_for(request.document.language_id, request.document.path)
            marker = "#" if language is None else language.line_comment
            return tuple(self._tokenizer.encode(f"{marker} {path}\n"))
        newline = "" if fmt.repository is RepositoryStyle.BARE_SEPARATOR else "\n"
        return (*self._special(fmt.file_separator), *self._tokenizer.encode(path + newline))

    def _ids_of(self, tokens: Sequence[str]) -> frozenset[int]:
        """Return the ids of those special ``tokens`` that the vocabulary has."""
        found = (self._tokenizer.special_id(token) for token in tokens)
        return frozenset(token_id for token_id in found if token_id is not None)

    def _special(self, token: str) -> tuple[int, ...]:
        token_id = self._tokenizer.special_id(token) if token else None
        return () if token_id is None else (token_id,)


def line_start(prefix: str) -> int:
    """Return the offset at which the last line of ``prefix`` begins."""
    return max(prefix.rfind("\n"), prefix.rfind("\r")) + 1
