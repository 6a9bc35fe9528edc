"""What turns text into vectors, as the rest of retrieval sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from retrieval.chunk import Chunk

Vectors = npt.NDArray[np.float32]  # [num_texts, dimension]


class Embedder(Protocol):
    """Texts to points of the unit sphere; near ones mean something similar.

    Every property may load the model, and every method may be called from any thread.
    """

    @property
    def name(self) -> str:
        """Equal for two embedders only if their vectors may be compared with each other."""

    @property
    def dimension(self) -> int:
        """How many components a vector has."""

    @property
    def is_fast(self) -> bool:
        """Whether a text takes about a millisecond, so that a request may wait for it."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return ``[len(texts), dimension]``, each row of length 1.

        A row is 0 where nothing in the text has a meaning to the embedder, as in an empty one.
        """


def text_of(chunk: Chunk) -> str:
    """Return what is embedded for ``chunk``: the lines that enclose it, then its own."""
    return "\n".join((*chunk.header, chunk.text))


def encodable(text: str) -> str:
    """Return ``text`` with "?" for lone surrogates, which tokenizers refuse."""
    return text.encode("utf-8", "replace").decode("utf-8")


def normalised(vectors: Vectors) -> Vectors:
    """Return the rows of ``[n, dimension]`` at length 1; rows of 0 stay what they are."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled
