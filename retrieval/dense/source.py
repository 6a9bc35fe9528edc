"""Where a workspace's embedder comes from: one that is there, or one that has to be fitted first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from retrieval.dense.embedder import Embedder
from retrieval.dense.errors import VectorsCorruptError, VectorsMismatchError
from retrieval.dense.static import Encode, StaticEmbedder

logger = logging.getLogger(__name__)

MAX_NUM_FITTED = 4096  # texts of a repository that an embedder is fitted to
MIN_NUM_FITTED = 64  # fewer say little about which words are rare


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """The input embeddings of a language model, from which a ``StaticEmbedder`` is fitted.

    ``name`` is equal only for equal vectors and vocabularies. ``encode`` returns a text's token
    ids, from any thread. ``load`` returns [vocab, hidden] of any floating type, which may take
    hundreds of megabytes and is asked for once for each workspace; None if the model is gone.
    """

    name: str
    encode: Encode
    load: Callable[[], npt.NDArray[np.floating] | None]


EmbedderSource = Embedder | TokenVectors


def open_embedder(
    source: EmbedderSource, folder: Path, sample: Callable[[int], Sequence[str]]
) -> Embedder | None:
    """Return the embedder of a workspace; None if there is too little to fit one to, or with.

    Args:
        source: Where it comes from.
        folder: Where one that was fitted is kept.
        sample: Returns up to so many texts of the workspace.

    Raises:
        VectorsNotSavedError: What was fitted cannot be written.
    """
    if not isinstance(source, TokenVectors):
        return source
    return _saved(source, folder) or _fitted(source, folder, sample)


def _saved(source: TokenVectors, folder: Path) -> StaticEmbedder | None:
    try:
        return StaticEmbedder.open(folder, source.name, source.encode)
    except (VectorsMismatchError, VectorsCorruptError) as error:
        logger.info("an embedder is fitted anew: %s", error)
        return None


def _fitted(
    source: TokenVectors, folder: Path, sample: Callable[[int], Sequence[str]]
) -> StaticEmbedder | None:
    texts = sample(MAX_NUM_FITTED)
    vectors = source.load() if len(texts) >= MIN_NUM_FITTED else None
    if vectors is None:
        return None
    StaticEmbedder.fit(source.name, source.encode, vectors, texts).save(folder)
    return _saved(source, folder)  # with its table mapped, so that memory is used for what is read
