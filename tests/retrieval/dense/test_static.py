"""Means of token vectors against the definition, computed slowly."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from retrieval.dense.embedder import Vectors
from retrieval.dense.errors import VectorsCorruptError, VectorsMismatchError
from retrieval.dense.static import StaticEmbedder

VOCAB, HIDDEN = 60, 12
TOKENS = np.random.default_rng(0).normal(size=(VOCAB, HIDDEN)).astype(np.float32)
TOLERANCE = 4e-3  # of the float16 in which projected vectors are kept, over a few roundings


def encode(text: str) -> list[int]:
    """Return the numbers that the text spells; other words have no token."""
    return [int(word) for word in text.split() if word.isdecimal()]


def texts(count: int, seed: int = 0) -> list[str]:
    choose = random.Random(seed)
    return [
        " ".join(str(int(choose.paretovariate(0.7)) % VOCAB) for _ in range(choose.randint(1, 30)))
        for _ in range(count)
    ]


def fitted(sample: list[str], max_dimension: int = 5) -> StaticEmbedder:
    return StaticEmbedder.fit("tokens", encode, TOKENS, sample, max_dimension)


def slow(sample: list[str], analysed: list[str], queries: list[str]) -> Vectors:
    """Return the embeddings by singular values, in hidden coordinates: equal but for a rotation."""
    num_with = Counter(token for text in sample for token in set(encode(text)))

    def mean(text: str) -> npt.NDArray[np.float64]:
        weights = {t: np.log((len(sample) + 1) / (num_with[t] + 0.5)) for t in encode(text)}
        total = sum(weights[t] * TOKENS[t].astype(np.float64) for t in encode(text))
        return np.asarray(total / sum(weights[t] for t in encode(text)))

    means = np.stack([mean(text) for text in analysed])
    centre = means.mean(axis=0)
    _, _, directions = np.linalg.svd(means - centre)
    kept = directions[1:6]
    embedded = np.stack([(mean(text) - centre) @ kept.T for text in queries])
    scaled = embedded / np.linalg.norm(embedded, axis=1, keepdims=True)
    return scaled.astype(np.float32)


@pytest.mark.parametrize(("num_texts", "step"), [(300, 1), (4097, 2)])
def test_similarities_are_those_of_the_definition(num_texts: int, step: int) -> None:
    sample, queries = texts(num_texts), texts(40, seed=1)
    embedded = fitted(sample).embed(queries)
    expected = slow(sample, sample[::step], queries)
    assert embedded.dtype == np.float32
    assert embedded @ embedded.T == pytest.approx(expected @ expected.T, abs=TOLERANCE)


def test_rows_have_length_one_and_texts_without_tokens_are_zero() -> None:
    embedder = fitted(texts(100))
    embedded = embedder.embed(["1 2 3", "", "no tokens", "\ud800 \0 4"])
    assert np.linalg.norm(embedded, axis=1) == pytest.approx([1, 0, 0, 1])
    assert embedder.embed([]).shape == (0, 5)


@pytest.mark.parametrize("sample", [["1 2"], ["", "3"], [""], ["5 5"] * 3])
def test_a_small_repository_is_enough(sample: list[str]) -> None:
    embedded = fitted(sample).embed(["1 2", "7 9 11"])
    assert np.isfinite(embedded).all()


def test_there_are_no_more_components_than_the_vectors_allow() -> None:
    assert fitted(texts(50), max_dimension=256).dimension == HIDDEN - 1


def test_token_vectors_may_be_mapped_halves(tmp_path: Path) -> None:
    np.save(tmp_path / "tokens.npy", TOKENS.astype(np.float16))
    mapped = np.load(tmp_path / "tokens.npy", mmap_mode="r")
    halves = StaticEmbedder.fit("tokens", encode, mapped, texts(300), 5)
    queries = texts(20, seed=2)
    both = [embedder.embed(queries) for embedder in (halves, fitted(texts(300)))]
    assert both[0] @ both[0].T == pytest.approx(both[1] @ both[1].T, abs=TOLERANCE)


def test_a_name_tells_fits_apart() -> None:
    first, again, other = fitted(texts(50)), fitted(texts(50)), fitted(texts(50, seed=3))
    assert first.name == again.name
    assert first.name != other.name
    assert first.name.startswith("tokens:")


@pytest.mark.parametrize("text", [f"1 {VOCAB}", "1 99999999999"])
def test_ids_without_a_vector_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="different models"):
        fitted(["1 2", text])
    with pytest.raises(ValueError, match="different models"):
        fitted(["1 2"]).embed([text])


def test_no_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="no texts"):
        fitted([])


def test_a_saved_fit_embeds_as_it_did(tmp_path: Path) -> None:
    embedder = fitted(texts(100))
    embedder.save(tmp_path)
    again = StaticEmbedder.open(tmp_path, "tokens", encode)
    assert again is not None
    assert again.name == embedder.name
    assert (again.embed(texts(20)) == embedder.embed(texts(20))).all()


def test_a_fit_that_was_never_saved_is_none(tmp_path: Path) -> None:
    assert StaticEmbedder.open(tmp_path / "none", "tokens", encode) is None


def test_a_fit_of_other_tokens_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    fitted(texts(100)).save(tmp_path)
    with pytest.raises(VectorsMismatchError, match="tokens"):
        StaticEmbedder.open(tmp_path, "others", encode)
    next(tmp_path.glob("table*")).write_bytes(b"")
    with pytest.raises(VectorsCorruptError, match="delete"):
        StaticEmbedder.open(tmp_path, "tokens", encode)
