"""The exit head against the same arithmetic written out, and files that are not for this model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.config import ModelConfig
from models.decoder import Decoder
from models.errors import CorruptWeightsError, UnsupportedModelError
from models.exit_head import EXIT, ExitHead, ExitWeights, normalised, output_rows
from models.layout import canonical_tensors
from models.quantize import Precision, encode_tensor
from models.registry import DEFAULT_MODEL, registered_models
from models.trained import packaged_folder, read_trained, source_digest, trained_path, write_trained

HIDDEN, INNER, VOCAB, LAYERS = 32, 24, 100, 3
TOKEN_IDS = torch.tensor([7, 3, 99, 0, 50])
FINGERPRINT = "0123456789abcdef-int8-v1"


def tensors() -> tuple[ModelConfig, dict[str, Tensor]]:
    config = ModelConfig.from_hf(
        {
            "model_type": "qwen2",
            "vocab_size": VOCAB,
            "hidden_size": HIDDEN,
            "intermediate_size": 48,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "tie_word_embeddings": False,
        }
    )
    generator = torch.Generator().manual_seed(3)
    shapes = {
        "embed_tokens.weight": (VOCAB, HIDDEN),
        "lm_head.weight": (VOCAB, HIDDEN),
        "q_proj.weight": (HIDDEN, HIDDEN),
        "k_proj.weight": (16, HIDDEN),
        "v_proj.weight": (16, HIDDEN),
        "o_proj.weight": (HIDDEN, HIDDEN),
        "gate_proj.weight": (48, HIDDEN),
        "up_proj.weight": (48, HIDDEN),
        "down_proj.weight": (HIDDEN, 48),
        "q_proj.bias": (HIDDEN,),
        "k_proj.bias": (16,),
        "v_proj.bias": (16,),
    }

    def draw(name: str) -> Tensor:
        shape = shapes.get(".".join(name.split(".")[-2:]), (HIDDEN,))
        return torch.randn(shape, generator=generator) * 0.3

    return config, dict(canonical_tensors(config, draw))


def decoder(precision: Precision = Precision.FLOAT32) -> tuple[Decoder, dict[str, Tensor]]:
    config, weights = tensors()
    encoded = {
        key: tensor
        for name, weight in weights.items()
        for key, tensor in encode_tensor(name, weight, precision).items()
    }
    return Decoder(config, encoded, "cpu", precision), weights


def trained(layer: int = 2, width: int = HIDDEN) -> tuple[ExitWeights, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(5)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) * 0.2

    weights = {
        "norm": draw(2 * width) + 1,
        "mix.weight": draw(width + 2 * INNER, 2 * width),
        "down.weight": draw(width, INNER),
    }
    return ExitWeights.encode(layer, TOKEN_IDS, weights), weights


def by_hand(
    weights: dict[str, Tensor], hidden: Tensor, before: Tensor, output: Tensor, norm: Tensor
) -> Tensor:
    x = torch.cat([normalised(hidden), before], -1) * weights["norm"]
    linear, gate, up = F.linear(x, weights["mix.weight"]).split([HIDDEN, INNER, INNER], -1)
    state = normalised(linear + F.linear(F.silu(gate) * up, weights["down.weight"]))
    return (state * norm) @ output[TOKEN_IDS].t()


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.INT8])
@pytest.mark.parametrize("is_told", [False, True])
def test_logits_are_those_of_the_written_out_network(precision: Precision, is_told: bool) -> None:
    network, model_weights = decoder(precision)
    stored, weights = trained()
    head = ExitHead(network, stored)
    generator = torch.Generator().manual_seed(1)
    hidden, before = torch.randn(2, 4, HIDDEN, generator=generator)
    before = normalised(before)
    found = head.logits(head.state(hidden, before if is_told else None))
    output, norm = model_weights["head.weight"], model_weights["final_norm.weight"]
    expected = by_hand(weights, hidden, before * is_told, output, norm)
    # Four matrices in a row are rounded to 8 bits, each adds about 1 % of the spread.
    assert (found - expected).abs().max() < 0.08 * expected.std()


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.INT8, Precision.BF16])
def test_rows_are_those_of_the_output_matrix(precision: Precision, is_packed: bool) -> None:
    network, weights = decoder(precision)
    if is_packed:
        network.pack()
    expected = (weights["head.weight"] * weights["final_norm.weight"])[TOKEN_IDS]
    found = output_rows(network, TOKEN_IDS)
    tolerance = {Precision.FLOAT32: 1e-5, Precision.INT8: 0.01, Precision.BF16: 0.02}[precision]
    assert (found - expected).abs().max() < tolerance * expected.abs().max()


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    stored, _ = trained()
    path = trained_path(tmp_path, FINGERPRINT, EXIT)
    write_trained(path, EXIT, FINGERPRINT, stored.to_file())
    again = ExitWeights.from_file(read_trained(path, EXIT, FINGERPRINT))
    assert again.layer == stored.layer
    assert again.token_ids.tolist() == TOKEN_IDS.tolist()
    assert again.tensors.keys() == stored.tensors.keys()
    assert all(torch.equal(again.tensors[name], stored.tensors[name]) for name in stored.tensors)


@pytest.mark.parametrize("fingerprint", ["0123456789abcdef-float32-v1", "0123456789abcdef-bf16"])
def test_a_file_serves_every_precision_of_its_weights(tmp_path: Path, fingerprint: str) -> None:
    path = trained_path(tmp_path, FINGERPRINT, EXIT)
    write_trained(path, EXIT, FINGERPRINT, trained()[0].to_file())
    assert trained_path(tmp_path, fingerprint, EXIT) == path
    assert read_trained(path, EXIT, fingerprint).notes["source"] == source_digest(FINGERPRINT)


@pytest.mark.parametrize(
    ("kind", "fingerprint", "reason"),
    [
        (EXIT, "fedcba9876543210-int8-v1", "source"),
        ("stop", FINGERPRINT, "kind"),
    ],
)
def test_a_file_of_something_else_is_refused(
    tmp_path: Path, kind: str, fingerprint: str, reason: str
) -> None:
    path = tmp_path / "any.safetensors"
    write_trained(path, EXIT, FINGERPRINT, trained()[0].to_file())
    with pytest.raises(UnsupportedModelError, match=f"its {reason} is"):
        read_trained(path, kind, fingerprint)


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "any.safetensors"
    write_trained(path, EXIT, FINGERPRINT, trained()[0].to_file())
    metadata = {"kind": EXIT, "source": source_digest(FINGERPRINT), "format_version": "0"}
    save_file(load_file(path), path, metadata)
    with pytest.raises(UnsupportedModelError, match="format_version is '0'"):
        read_trained(path, EXIT, FINGERPRINT)


def test_a_damaged_or_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "any.safetensors"
    with pytest.raises(CorruptWeightsError, match="cannot be read"):
        read_trained(path, EXIT, FINGERPRINT)
    path.write_bytes(b"not a file of tensors")
    with pytest.raises(CorruptWeightsError, match="cannot be read"):
        read_trained(path, EXIT, FINGERPRINT)


@pytest.mark.parametrize(("layer", "width"), [(LAYERS, HIDDEN), (0, HIDDEN), (2, 16)])
def test_a_head_for_another_network_is_refused(layer: int, width: int) -> None:
    network, _ = decoder()
    with pytest.raises(UnsupportedModelError, match="does not fit"):
        ExitHead(network, trained(layer, width)[0])


def test_the_file_for_the_default_model_comes_with_the_package() -> None:
    fingerprint = f"{registered_models()[DEFAULT_MODEL].file.sha256[:16]}-int8-v1"
    path = trained_path(packaged_folder(), fingerprint, EXIT)
    weights = ExitWeights.from_file(read_trained(path, EXIT, fingerprint))
    assert 0 < weights.layer < 24
    assert len(weights.token_ids.unique()) == len(weights.token_ids)
    assert path.stat().st_size < 8 << 20
