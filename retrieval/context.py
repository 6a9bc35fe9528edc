"""What to show beside a document: every source asked, fused, and packed into a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from retrieval.assembly import DEFAULT_RULES, Assembler, AssemblyRules, CountTokens, Moment
from retrieval.duplicates import Window
from retrieval.files.secrets import redact
from retrieval.fusion import DEFAULT_RULES as DEFAULT_FUSION
from retrieval.fusion import Candidate, FusionRules, fuse
from retrieval.languages import grammar_for, language_for
from retrieval.query import Query, query_of
from retrieval.snippet import Snippet, SnippetSource
from retrieval.sources.boosts import changed_files, open_files, same_file
from retrieval.sources.clipboard import clipboard_snippets
from retrieval.sources.similar import explained, near_snippets, similar_snippets
from retrieval.sparse.search import HiddenLines
from retrieval.syntax import SyntaxTree
from retrieval.workspace import WorkspaceIndex

_NUM_LINES_EMBEDDED = 16  # above the cursor
NUM_HITS = 24  # the best ones whose text is read: several times what a prompt has room for
_NOTHING = Query()


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor at ``offset`` in ``text``, a document at ``path`` in the workspace.

    ``visible`` are the offsets of what the prompt shows anyway. ``draft`` was suggested here last.
    ``has_rested``: nobody has typed for a while. ``time_s`` is of the clock of ``time.monotonic``.
    ``clipboard`` is what the user copied last, secrets included. ``may_wait``: a script asks, so what
    was not prepared is prepared now.
    """

    path: str
    language_id: str
    text: str
    offset: int
    visible: tuple[int, int]
    draft: str = ""
    has_rested: bool = False
    time_s: float = 0.0
    clipboard: str = field(default="", repr=False)
    may_wait: bool = False

    @property
    def line(self) -> int:
        """The cursor's line."""
        return self.text.count("\n", 0, self.offset)

    @property
    def line_text(self) -> str:
        """What stands in it."""
        start = self.text.rfind("\n", 0, self.offset) + 1
        end = self.text.find("\n", self.offset)
        return self.text[start : end if end >= 0 else len(self.text)]

    @property
    def lines_above(self) -> str:
        """What stands in the last lines before the cursor, up to it."""
        start = self.offset
        for _ in range(_NUM_LINES_EMBEDDED):
            start = max(self.text.rfind("\n", 0, start), 0)
        return self.text[start : self.offset]

    def window(self) -> Window:
        """Return the lines that the prompt shows, those that it shows in part left out."""
        start, end = self.visible
        start = 0 if start == 0 else self.text.find("\n", start) + 1 or len(self.text)
        end = len(self.text) if end >= len(self.text) else self.text.rfind("\n", 0, end) + 1
        first_line = self.text.count("\n", 0, start)
        return Window.of(self.path, first_line, self.text[start : max(start, end)])


class ContextFinder:
    """Finds context for one document of a workspace, again and again. One thread at a time."""

    def __init__(
        self,
        index: WorkspaceIndex,
        rules: AssemblyRules = DEFAULT_RULES,
        fusion: FusionRules = DEFAULT_FUSION,
    ) -> None:
        self.index = index
        self._fusion = fusion
        self._assembler = Assembler(self._locate, rules)

    def find(self, place: Place, budget: int, count_tokens: CountTokens) -> tuple[Snippet, ...]:
        """Return what to show, in the order it is to stand, the cursor behind the last.

        Args:
            place: The request.
            budget: Tokens for all snippets together.
            count_tokens: What a snippet takes up in the prompt, its heading included.
        """
        if place.may_wait and not self.index.is_open(place.path):
            self.index.symbols.prepare(place.path, self._tree(place))
        pinned = self.at_cursor(place)
        focus = pinned[0].reason if pinned else ""
        unseen = Window(place.path, 0, 0, frozenset())
        moment = Moment(unseen, place.line, _NOTHING, place.draft, focus, place.has_rested)
        if self._assembler.stands(moment):
            return self._assembler.choose((), budget, count_tokens, moment)
        language = language_for(place.language_id, place.path)
        query = query_of(place.text, place.offset, language, place.draft)
        moment = Moment(place.window(), place.line, query, place.draft, focus, place.has_rested)
        ranked = self.ranked(place, moment, pinned)
        idfs = self.index.idfs(query.weights)

        def explain(snippet: Snippet) -> Snippet:
            return explained(snippet, query, lambda term: idfs.get(term, 0.0))

        return self._assembler.choose(ranked, budget, count_tokens, moment, explain)

    def ranked(
        self, place: Place, moment: Moment, pinned: Sequence[Snippet] = ()
    ) -> list[Candidate]:
        """Return everything that may be shown, best first."""
        rankings = self._rankings(place, moment)
        return fuse(rankings, moment.window, pinned=pinned, rules=self._fusion)

    def _rankings(self, place: Place, moment: Moment) -> Mapping[SnippetSource, Sequence[Snippet]]:
        index, window, weights = self.index, moment.window, moment.query.weights
        lines = (window.start_line, window.end_line)
        if not index.is_open(place.path):  # on disk it may be older than what was asked about
            lines = (0, place.text.count("\n") + 1)
        hidden = {place.path: [lines]}
        hits = index.search(weights, NUM_HITS, hidden)
        similar = similar_snippets(hits, index.self_score(weights), index.lines)
        return {
            SnippetSource.SIMILAR: similar,
            SnippetSource.MEANING: self._near(place, hidden),
            SnippetSource.DEFINITION: index.symbols.imported(
                place.path, moment.query, place.line_text
            ),
            SnippetSource.RECENT_EDIT: index.recent_edits.snippets(
                index.lines, place.path, place.line, place.time_s
            ),
            SnippetSource.CLIPBOARD: clipboard_snippets(place.clipboard, redact),
            SnippetSource.OPEN_FILE: open_files(similar, index.open_files.paths()),
            SnippetSource.SAME_FILE: same_file(similar, place.path),
            SnippetSource.CHANGED_FILE: changed_files(similar, index.changed_files()),
        }

    def _near(self, place: Place, hidden: HiddenLines) -> list[Snippet]:
        if not self.index.has_vectors:
            return []
        hits = self.index.near(place.lines_above, NUM_HITS, hidden, has_time=place.has_rested)
        return near_snippets(hits, self.index.lines)

    def at_cursor(self, place: Place) -> list[Snippet]:
        """Return outlines of what the name or the receiver at the cursor resolves to."""
        tree = self._tree(place) if self.index.symbols.knows(place.path) else None
        if tree is None:
            return []
        return self.index.symbols.at_cursor(place.path, tree, place.offset, place.line_text)

    def _tree(self, place: Place) -> SyntaxTree | None:
        """Return the tree of the text that was asked about, None in a language without a grammar."""
        tree = self.index.tree(place.path)
        if tree is not None and tree.text == place.text:
            return tree
        grammar = grammar_for(place.language_id, place.path)
        return None if grammar is None else SyntaxTree.parse(grammar, place.text)

    def _locate(self, snippet: Snippet) -> int | None:
        """Return the line where its file has the text now, nearest to where it was; None if nowhere."""
        text = self.index.text(snippet.path)
        if text is None or not snippet.text:
            return None
        lines: list[int] = []
        at = text.find(snippet.text)
        while at >= 0:
            if at == 0 or text[at - 1] == "\n":
                lines.append(text.count("\n", 0, at))
            at = text.find(snippet.text, at + 1)
        return min(lines, key=lambda line: abs(line - snippet.start_line), default=None)
