"""Requests written as marked text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
import torch
from tokenizers import AddedToken, decoders, pre_tokenizers
from tokenizers import Tokenizer as Backend
from tokenizers.models import BPE

from completion.types import CompletionRequest, DocumentSnapshot, TriggerKind
from models.config import ModelConfig
from models.decoder import Decoder
from models.layout import canonical_tensors
from models.loader import LoadedModel
from models.quantize import Precision
from models.tokenizer import Tokenizer


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small networks only lose by more, and other work may need the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Ask(Protocol):
    """Turns text with one ``‸`` where the cursor is into a request."""

    def __call__(
        self,
        marked: str,
        language_id: str = "python",
        *,
        invoked: bool = False,
        stop: tuple[str, ...] = (),
    ) -> CompletionRequest: ...


@pytest.fixture
def ask() -> Ask:
    def build(
        marked: str,
        language_id: str = "python",
        *,
        invoked: bool = False,
        stop: tuple[str, ...] = (),
    ) -> CompletionRequest:
        prefix, suffix = marked.split("‸")
        return CompletionRequest(
            request_id="1",
            document=DocumentSnapshot("file:///a", 1, language_id, prefix + suffix),
            offset=len(prefix),
            trigger=TriggerKind.INVOKED if invoked else TriggerKind.AUTOMATIC,
            stop=stop,
        )

    return build


FIM_TOKENS = (
    "<|endoftext|>",
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|repo_name|>",
    "<|file_sep|>",
)


def byte_tokenizer(words: tuple[str, ...] = ()) -> Tokenizer:
    """Return a tokenizer of single bytes, a few longer words and FIM sentinels."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {char: at for at, char in enumerate(alphabet)}
    merges: list[tuple[str, str]] = []
    for word in words:
        spelled = word.replace(" ", "\u0120").replace("\n", "\u010a")
        for length in range(2, len(spelled) + 1):
            if spelled[:length] not in vocabulary:
                vocabulary[spelled[:length]] = len(vocabulary)
                merges.append((spelled[: length - 1], spelled[length - 1]))
    backend = Backend(BPE(vocabulary, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, special=True) for token in FIM_TOKENS])
    return Tokenizer(backend)


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Tokenizer:
    return byte_tokenizer(("return", "self", "    ", "        ", " self"))


@pytest.fixture(scope="session")
def tiny_model(tiny_tokenizer: Tokenizer) -> LoadedModel:
    """A random network of two layers: its text is noise, its cache behaves like any other."""
    config = ModelConfig.from_hf(
        {
            "model_type": "qwen2",
            "vocab_size": tiny_tokenizer.vocab_size,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "tie_word_embeddings": True,
        }
    )
    generator = torch.Generator().manual_seed(7)
    shapes = _hf_shapes(config)

    def random(name: str) -> torch.Tensor:
        return torch.randn(shapes[name.split(".")[-2] + name[-1]], generator=generator) * 0.3

    weights = dict(canonical_tensors(config, random))
    decoder = Decoder(config, weights, "cpu", Precision.FLOAT32)
    device = torch.device("cpu")
    return LoadedModel("tiny", "0" * 8, config, decoder, tiny_tokenizer, device, Precision.FLOAT32)


def _hf_shapes(config: ModelConfig) -> dict[str, Any]:
    hidden, inner = config.hidden_size, config.intermediate_size
    key = config.num_kv_heads * config.head_dim
    weights = {
        "embed_tokens": (config.vocab_size, hidden),
        "q_proj": (hidden, hidden),
        "k_proj": (key, hidden),
        "v_proj": (key, hidden),
        "o_proj": (hidden, hidden),
        "gate_proj": (inner, hidden),
        "up_proj": (inner, hidden),
        "down_proj": (hidden, inner),
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
        "norm": (hidden,),
    }
    shapes: dict[str, Any] = {f"{name}t": shape for name, shape in weights.items()}
    shapes |= {"q_projs": (hidden,), "k_projs": (key,), "v_projs": (key,)}
    return shapes
