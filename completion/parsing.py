"""The syntax tree of a document, made anew at the cost of what changed."""

from __future__ import annotations

import logging

from completion.types import DocumentSnapshot
from retrieval.languages import language_for
from retrieval.syntax import SyntaxTree
from retrieval.syntax_cache import SyntaxCache

logger = logging.getLogger(__name__)


def parse(cache: SyntaxCache, document: DocumentSnapshot) -> SyntaxTree | None:
    """Return the tree of ``document``; None for a language without a grammar on this machine."""
    language = language_for(document.language_id, document.path)
    if language is None:
        return None
    try:
        return cache.tree_for(
            document.key,
            document.version,
            language,
            document.text,
            base_version=document.base_version,
            edits=[(edit.start, edit.end, edit.inserted) for edit in document.edits],
        )
    except ImportError as error:  # text alone then decides; doctor tells how to mend it
        logger.warning("no grammar for %s: %s", language.name, error)
        return None
