"""Texts as means of token vectors: an embedder at the price of a table look-up.

Rare tokens weigh more, and what all texts have in common is taken out, as in "A Simple but
Tough-to-Beat Baseline for Sentence Embeddings" (Arora et al., 2017). The tokens' vectors may be the
input embeddings of the language model that is loaded anyway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from retrieval.dense import storage
from retrieval.dense.embedder import Vectors, encodable, normalised

Encode = Callable[[str], Sequence[int]]
TokenIds = npt.NDArray[np.int64]  # [num_tokens]

MAX_DIMENSION = 256
_MAX_NUM_ANALYSED = 4096  # texts whose principal components are looked for
_BLOCK = 8192  # token vectors that are projected at once
_NUM_HASH_BYTES = 8


class StaticEmbedder:
    """The mean of a text's token vectors, weighted by rarity and projected. Never changes.

    It is fitted to a repository, and vectors of two fits may not be compared: each has its name.
    """

    is_fast = True

    def __init__(
        self,
        base_name: str,
        encode: Encode,
        table: npt.NDArray[np.float16],
        weights: npt.NDArray[np.float32],
        offset: npt.NDArray[np.float32],
    ) -> None:
        """Make an embedder of what ``fit`` found.

        Args:
            base_name: Names the tokenizer and the token vectors.
            encode: Returns a text's token ids. Called from any thread.
            table: The projected vector of each token [vocab, dimension].
            weights: Of each token [vocab].
            offset: The projected mean of all texts [dimension], which is taken off.
        """
        self._base_name = base_name
        self._encode = encode
        self._table, self._weights, self._offset = table, weights, offset
        fitted = hashlib.blake2b(weights.tobytes() + offset.tobytes(), digest_size=_NUM_HASH_BYTES)
        self._name = f"{base_name}:{fitted.hexdigest()}"

    @classmethod
    def fit(
        cls,
        base_name: str,
        encode: Encode,
        vectors: npt.NDArray[np.floating],
        texts: Sequence[str],
        max_dimension: int = MAX_DIMENSION,
    ) -> StaticEmbedder:
        """Return an embedder for texts like ``texts``, a sample of a repository's chunks.

        Weights are inverse document frequencies. Of the principal components of the texts' means
        the first is left out and the next ``max_dimension``, or as many as there are, are kept.

        Args:
            base_name: Names the tokenizer and the token vectors.
            encode: Returns a text's token ids, all of them below vocab.
            vectors: Of the tokens [vocab, hidden]; of any floating type, and may be mapped.
            texts: At least one. Of more than 4,096 the components are those of some.
            max_dimension: At least 1.
        """
        if not texts:
            raise ValueError("an embedder cannot be fitted to no texts")
        encoded = [_token_ids(encode, text, len(vectors)) for text in texts]
        weights = _rarities(encoded, len(vectors))
        step = -(-len(encoded) // _MAX_NUM_ANALYSED)
        means = np.stack([_mean(vectors, weights, ids) for ids in encoded[::step]])
        centre = means.mean(axis=0)
        components = _components(means - centre, max_dimension)
        table = np.empty((len(vectors), components.shape[1]), np.float16)
        for start in range(0, len(vectors), _BLOCK):
            block = vectors[start : start + _BLOCK].astype(np.float32)
            table[start : start + _BLOCK] = block @ components
        return cls(base_name, encode, table, weights, centre @ components)

    @classmethod
    def open(cls, folder: Path, base_name: str, encode: Encode) -> StaticEmbedder | None:
        """Return what was saved in ``folder``, its table mapped; None if nothing was.

        Raises:
            VectorsMismatchError: It was fitted with other token vectors, or by another version.
            VectorsCorruptError: It cannot be read.
        """

        def build(files: Mapping[str, Path]) -> StaticEmbedder:
            table = np.asarray(np.load(files["table"], mmap_mode="r"))
            weights, offset = np.load(files["weights"]), np.load(files["offset"])
            if (*weights.shape, *offset.shape) != table.shape:
                raise ValueError(f"shapes are {weights.shape}, {offset.shape} and {table.shape}")
            return cls(base_name, encode, table, weights, offset)

        return storage.load(folder, {"static": base_name}, build)

    def save(self, folder: Path) -> None:
        """Write the embedder to ``folder``, all or nothing; raises VectorsNotSavedError."""
        files = {
            "table": partial(np.save, arr=self._table),
            "weights": partial(np.save, arr=self._weights),
            "offset": partial(np.save, arr=self._offset),
        }
        storage.save(folder, {"static": self._base_name}, files)

    @property
    def name(self) -> str:
        """The name of the token vectors, and a hash of the fit."""
        return self._name

    @property
    def dimension(self) -> int:
        """How many components a vector has."""
        return len(self._offset)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return ``[len(texts), dimension]``, each row of length 1, or 0 for a text of no tokens."""
        embedded = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            token_ids = _token_ids(self._encode, text, len(self._table))
            if len(token_ids):
                embedded[row] = _mean(self._table, self._weights, token_ids) - self._offset
        return normalised(embedded)


def _token_ids(encode: Encode, text: str, vocab: int) -> TokenIds:
    token_ids = np.asarray(encode(encodable(text)), np.int64)
    if len(token_ids) and not 0 <= token_ids.min() <= token_ids.max() < vocab:
        raise ValueError(
            f"the tokenizer gave the ids {token_ids.min()} to {token_ids.max()}, and there are "
            f"vectors for 0 to {vocab - 1}: the two belong to different models"
        )
    return token_ids


def _rarities(encoded: Sequence[TokenIds], vocab: int) -> npt.NDArray[np.float32]:
    """Return the inverse document frequency of each token [vocab], above 0."""
    num_texts_with = np.zeros(vocab, np.int64)
    for token_ids in encoded:
        num_texts_with[np.unique(token_ids)] += 1
    return np.log((len(encoded) + 1) / (num_texts_with + 0.5)).astype(np.float32)


def _mean(
    vectors: npt.NDArray[np.floating], weights: npt.NDArray[np.float32], token_ids: TokenIds
) -> npt.NDArray[np.float32]:
    """Return the weighted mean [dimension] of the tokens' vectors; 0 for no tokens."""
    if not len(token_ids):
        return np.zeros(vectors.shape[1], np.float32)
    chosen = weights[token_ids]
    mean: npt.NDArray[np.float32] = (chosen / chosen.sum()) @ vectors[token_ids].astype(np.float32)
    return mean


def _components(centred: Vectors, max_num: int) -> npt.NDArray[np.float32]:
    """Return orthonormal columns [hidden, num]: the principal components from the second on."""
    variances, components = np.linalg.eigh(centred.T @ centred)
    strongest_first = components[:, np.argsort(-variances, kind="stable")]
    return np.ascontiguousarray(strongest_first[:, 1 : max_num + 1], np.float32)
