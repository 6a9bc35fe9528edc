"""What defines a name that is used around the cursor."""

from __future__ import annotations

from retrieval.snippet import Snippet, SnippetSource
from retrieval.terms import names_in


def definition_snippet(
    path: str, start_line: int, end_line: int, outline: str, name: str, *, line: str, score: float
) -> Snippet:
    """Return the snippet for a definition of ``name`` in those lines of ``path``.

    ``outline`` is what is shown of it. ``line`` is the one the cursor is in: whether it has the name
    is what the reason says.
    """
    use = "used in this line" if name in names_in(line) else "imported here"
    return Snippet(
        path,
        start_line,
        end_line,
        outline,
        score,
        SnippetSource.DEFINITION,
        f"defines {name}, {use}",
    )
