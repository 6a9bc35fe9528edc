"""Errors of the dense index.

DenseError
├── EmbedderUnavailableError  a package or a model that was asked for is not there
├── VectorsMismatchError      what is saved belongs to another embedder or another version
├── VectorsCorruptError       what is saved is damaged or incomplete
└── VectorsNotSavedError      nothing could be written; what was saved before is untouched
"""

from __future__ import annotations

from retrieval.errors import RetrievalError


class DenseError(RetrievalError):
    """Base of everything that the dense index raises on purpose."""


class EmbedderUnavailableError(DenseError):
    """The embedder's package or model is missing, or the model cannot be used as asked."""


class VectorsMismatchError(DenseError):
    """What is saved is of another embedder, dimension or version: embed anew."""


class VectorsCorruptError(DenseError):
    """What is saved is damaged or incomplete: delete it and embed anew."""


class VectorsNotSavedError(DenseError):
    """Nothing could be written; what was saved before is untouched, what is in memory too."""
