"""``fimble search``: what the index finds for words, or would show the model at a place in a file."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_server.building import index_options
from lsp_server.commands.flags import add_log_flags, add_setting, resolve_settings
from lsp_server.documents import Target, offset_at, parse_target, read_document
from lsp_server.errors import BadInputError, NotReadableError
from lsp_server.workspace_root import workspace_root

if TYPE_CHECKING:
    from retrieval.snippet import Snippet
    from retrieval.workspace import WorkspaceIndex

_SCHEMA = 1
EXIT_NONE = 3
_CHARS_PER_TOKEN = 3.5  # of source code; no model is loaded here
_SHOWN_CHARS = 12_000  # around the cursor: about what a prompt of 2,048 tokens shows
_SHOWN_BEFORE = 0.75


def register(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags."""
    parser = subcommands.add_parser(
        "search",
        help="search the index, or show what the model would be shown",
        description="Search the index of the repository for words, or show which lines of it the "
        "model would be shown at PATH:LINE:COL, and why. Exit code 0: something was found, 3: "
        "nothing, 2: bad input.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("query", metavar="QUERY|PATH:LINE:COL", help="words, or a cursor")
    parser.add_argument("-n", type=int, default=5, dest="num_wanted", help="how many (default: 5)")
    parser.add_argument("--in", dest="folder", type=Path, metavar="DIR", help="search this folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object (schema 1)")
    add_setting(parser, "--index-dir", "index.folder", "DIR")
    add_log_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Search once; returns the exit code.

    Raises:
        BadInputError: The place cannot be read, or there is nothing to search.
        RetrievalError: The index cannot be read.
    """
    target = _target(arguments.query)
    near = target.path.parent if target is not None else Path()
    named: Path | None = arguments.folder
    if named is not None and not named.is_dir():
        raise NotReadableError(named, "no such folder; check the path")
    folder = named or workspace_root(near)
    if folder is None:
        raise BadInputError(
            f"{near.resolve()} lies in no repository and no project; name a folder with --in DIR"
        )
    if arguments.num_wanted < 1:
        raise BadInputError(f"-n {arguments.num_wanted}: a number from 1 is needed")
    from retrieval.workspace import WorkspaceIndex

    options = index_options(resolve_settings(arguments, near=folder).index, kept_fresh=False)
    index = WorkspaceIndex(folder.resolve(), options)
    try:
        if not index.status().num_files:
            raise BadInputError(f"{folder} has no index yet; run `fimble index {folder}`")
        started = time.perf_counter()
        found = (
            _matching(index, arguments.query, arguments.num_wanted)
            if target is None
            else _shown_at(index, target, arguments.num_wanted)
        )
        milliseconds = (time.perf_counter() - started) * 1000
    finally:
        index.close()
    _show(found, milliseconds, as_object=arguments.json)
    return 0 if found else EXIT_NONE


def _target(query: str) -> Target | None:
    """Return the place that ``query`` names, None if it is words."""
    try:
        return parse_target(query)
    except BadInputError:
        return None


def _matching(index: WorkspaceIndex, words: str, num_wanted: int) -> Sequence[Snippet]:
    from retrieval.query import Query
    from retrieval.sources.similar import explained, similar_snippets
    from retrieval.terms import terms_of

    query = Query(dict.fromkeys(terms_of(words), 1.0))
    hits = index.search(query.weights, num_wanted)
    found = similar_snippets(hits, index.self_score(query.weights), index.lines)
    idfs = index.idfs(query.weights)
    return [explained(snippet, query, lambda term: idfs.get(term, 0.0)) for snippet in found]


def _shown_at(index: WorkspaceIndex, target: Target, num_wanted: int) -> Sequence[Snippet]:
    from retrieval.assembly import AssemblyRules
    from retrieval.context import ContextFinder, Place
    from retrieval.open_text import OpenText

    document = read_document(target.path)
    offset = offset_at(document.text, target.line, target.column)
    absolute = Path(document.path or "")
    if not absolute.is_relative_to(index.folder):
        raise BadInputError(f"{absolute} does not lie in {index.folder}, whose index is searched")
    path = absolute.relative_to(index.folder).as_posix()
    index.note(OpenText(str(index.folder), path, "search", document.language_id, 1, document.text))
    index.prepare_symbols(path)
    start = max(0, offset - int(_SHOWN_CHARS * _SHOWN_BEFORE))
    end = min(len(document.text), start + _SHOWN_CHARS)
    place = Place(path, document.language_id, document.text, offset, (start, end))
    finder = ContextFinder(index, AssemblyRules(max_num_snippets=num_wanted))

    def count_tokens(snippet: Snippet) -> int:
        return int((len(snippet.path) + len(snippet.text)) / _CHARS_PER_TOKEN) + 4

    return finder.find(place, 128 * num_wanted, count_tokens)


def _show(found: Sequence[Snippet], milliseconds: float, *, as_object: bool) -> None:
    if as_object:
        snippets = [
            {**dataclasses.asdict(snippet), "start_line": snippet.start_line + 1}
            for snippet in found
        ]
        answer = {"schema": _SCHEMA, "ms": round(milliseconds, 2), "snippets": snippets}
        sys.stdout.write(json.dumps(answer) + "\n")
        return
    for snippet in found:
        because = f", {snippet.reason}" if snippet.reason else ""
        sys.stdout.write(
            f"{snippet.path}:{snippet.start_line + 1}-{snippet.end_line}  "
            f"[{snippet.source}, {snippet.score:.2f}{because}]\n"
        )
        lines = snippet.text.rstrip("\n").split("\n")
        sys.stdout.writelines(f"    {line}\n" for line in lines)
    sys.stderr.write(f"fimble: {len(found)} found in {milliseconds:.1f} ms\n")
