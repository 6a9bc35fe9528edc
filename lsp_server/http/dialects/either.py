"""The one path that two servers give different words to: OpenAI's completions and Tabby's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Discriminator, Tag

from lsp_server.http.dialects.tabby_schema import TabbyBody
from lsp_server.http.schema import CompletionBody

OPENAI, TABBY = "OpenAI's words", "Tabby's words"  # no client's field is called so
DIALECTS = frozenset({OPENAI, TABBY})


def _dialect_of(body: object) -> str:
    """Return whose words ``body`` is in: only Tabby's have segments."""
    if isinstance(body, TabbyBody):
        return TABBY
    is_tabby = isinstance(body, Mapping) and body.get("segments") is not None
    return TABBY if is_tabby else OPENAI


EitherBody = Annotated[
    Annotated[CompletionBody, Tag(OPENAI)] | Annotated[TabbyBody, Tag(TABBY)],
    Discriminator(_dialect_of),
]
