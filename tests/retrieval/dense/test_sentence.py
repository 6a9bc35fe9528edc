"""The adapter to sentence-transformers, with a stand-in for the library."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from retrieval.dense.errors import EmbedderUnavailableError
from retrieval.dense.sentence import SentenceEmbedder


class Encoder(torch.nn.Module):
    """A model with an encoder of four layers and, as some have, a shorter list besides."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.Module()
        self.encoder.layer = torch.nn.ModuleList(torch.nn.Identity() for _ in range(4))
        self.heads = torch.nn.ModuleList([torch.nn.Identity()])

    def encode(self, texts: list[str], **_: object) -> npt.NDArray[np.float32]:
        for text in texts:
            text.encode()  # as tokenizers do
        num_layers = len(self.encoder.layer)  # type: ignore[arg-type]
        return np.array([[3 * len(text), 4 * len(text), num_layers] for text in texts], np.float32)


@dataclass
class Library:
    """Stands in for the package: what it was asked to load, and what is on this machine."""

    is_here: bool = True
    is_on_hub: bool = True
    loaded: list[tuple[str, str, bool]] = field(default_factory=list)

    def load(self, name: str, *, device: str, local_files_only: bool) -> Any:
        self.loaded.append((name, device, local_files_only))
        if not (self.is_here if local_files_only else self.is_on_hub):
            raise OSError(f"no {name}")
        return Encoder()


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    library = Library()
    package = SimpleNamespace(SentenceTransformer=library.load)
    monkeypatch.setitem(sys.modules, "sentence_transformers", package)
    return library


def test_the_model_is_loaded_once_and_when_it_is_needed(library: Library) -> None:
    embedder = SentenceEmbedder("model")
    assert embedder.name == "model"
    assert not embedder.is_fast
    assert library.loaded == []
    assert embedder.dimension == 3
    embedder.embed(["text"])
    assert library.loaded == [("model", "cpu", True)]


def test_rows_have_length_one(library: Library) -> None:
    embedded = SentenceEmbedder("model").embed(["text", "", "lone \ud800"])
    assert embedded.dtype == np.float32
    assert np.linalg.norm(embedded, axis=1) == pytest.approx([1, 1, 1])
    assert SentenceEmbedder("model").embed([]).shape == (0, 3)


def test_a_model_may_be_cut_to_its_first_layers(library: Library) -> None:
    embedder = SentenceEmbedder("model", 2)
    assert embedder.name == "model:2"
    full, cut = (e.embed(["a"])[0] for e in (SentenceEmbedder("model"), embedder))
    assert cut[2] / cut[0] == pytest.approx(full[2] / full[0] * 2 / 4)


@pytest.mark.parametrize("num_layers", [5, 100])
def test_layers_that_a_model_has_not_are_not_invented(library: Library, num_layers: int) -> None:
    with pytest.raises(EmbedderUnavailableError, match="4 layers"):
        SentenceEmbedder("model", num_layers).embed(["a"])


@pytest.mark.parametrize("num_layers", [0, -1])
def test_an_encoder_needs_a_layer(num_layers: int) -> None:
    with pytest.raises(ValueError, match="layer"):
        SentenceEmbedder("model", num_layers)


def test_nothing_is_downloaded_unless_allowed(library: Library) -> None:
    library.is_here = False
    with pytest.raises(EmbedderUnavailableError, match="downloads are off"):
        SentenceEmbedder("model").embed(["a"])
    assert library.loaded == [("model", "cpu", True)]


def test_a_download_comes_after_a_look_at_this_machine(library: Library) -> None:
    library.is_here = False
    SentenceEmbedder("model", device="cuda", may_download=True).embed(["a"])
    assert library.loaded == [("model", "cuda", True), ("model", "cuda", False)]


def test_a_model_that_is_nowhere_is_an_error_with_its_name(library: Library) -> None:
    library.is_here = library.is_on_hub = False
    with pytest.raises(EmbedderUnavailableError, match="'model' cannot be loaded"):
        SentenceEmbedder("model", may_download=True).embed(["a"])


def test_without_the_package_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EmbedderUnavailableError, match="pip install sentence-transformers"):
        SentenceEmbedder("model").embed(["a"])
