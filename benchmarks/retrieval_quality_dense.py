"""Retrieval by meaning: alone, and as one more ranking beside what fimble finds by words.

All methods share one embedder: the token vectors of the default model, fitted to the repository.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import MappingProxyType

from benchmarks.retrieval_quality_baselines import Baselines, Retrieve
from benchmarks.retrieval_quality_fimble import FimbleRetrieval
from benchmarks.retrieval_quality_windows import Floats
from benchmarks.retrieval_tasks import RetrievalTask
from retrieval.dense.source import MAX_NUM_FITTED, TokenVectors
from retrieval.dense.static import StaticEmbedder
from retrieval.fusion import DEFAULT_RULES
from retrieval.snippet import Snippet, SnippetSource

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"fimble_dense_05": 0.05, "fimble_dense_30": 0.3, "fimble_dense_50": 0.5}
)
DENSE_METHODS = ("dense", *WEIGHTS)


def dense_methods() -> dict[str, Retrieve]:
    """Return the methods by name; the first call of one of them loads the model."""
    shared = _FimbleWithVectors()
    fimble = {name: shared.weighed(weight) for name, weight in WEIGHTS.items()}
    return {"dense": Baselines(_WindowEmbedder()).dense, **fimble}


@cache
def _token_vectors() -> TokenVectors:
    from lsp_server.app import token_vectors
    from models.loader import load_model
    from models.registry import DEFAULT_MODEL

    model = load_model(DEFAULT_MODEL)
    source = token_vectors(model)
    vectors = source.load()  # while there is the model
    return replace(source, load=lambda: vectors)


class _WindowEmbedder:
    """Embeds what it is given; the windows of a repository, which come all at once, fit it anew."""

    def __init__(self) -> None:
        self._fitted: StaticEmbedder | None = None

    def __call__(self, texts: Sequence[str]) -> Floats:
        if len(texts) > 1:
            source = _token_vectors()
            vectors = source.load()
            assert vectors is not None
            some = texts[:: -(-len(texts) // MAX_NUM_FITTED)]
            self._fitted = StaticEmbedder.fit(source.name, source.encode, vectors, some)
        assert self._fitted is not None
        return self._fitted.embed(texts).astype(float)


class _FimbleWithVectors:
    """fimble over one index with vectors, whatever the weight of what they find."""

    def __init__(self) -> None:
        self._fimble: FimbleRetrieval | None = None

    def weighed(self, weight: float) -> Retrieve:
        """Return the method that gives what is near in meaning this weight."""
        weights = {**DEFAULT_RULES.weights, SnippetSource.MEANING: weight}
        rules = replace(DEFAULT_RULES, weights=weights)

        def retrieve(task: RetrievalTask, num_wanted: int) -> list[Snippet]:
            if self._fimble is None:
                self._fimble = FimbleRetrieval(source=_token_vectors())
            return self._fimble.ranked(task, num_wanted, rules)

        return retrieve
