"""Early exit: next-token logits from the state behind the first layers.

    state behind layer E ──┐
    final state of the     ├─▶ norm ─▶ linear + gated MLP ─▶ norm ─▶ rows of the output matrix
    row before, or zeros ──┘

The map is trained to bring a state where the last layer would (Kangaroo, arXiv 2404.18911), and is
told what the network made of the row before, where that is known (EAGLE, arXiv 2401.15077). The
output matrix is the model's own, cut to the tokens that code is mostly made of (VocabTrim, arXiv
2506.22694): reading all of Qwen's takes a quarter of a pass. Nothing here decides what a completion
says, so rounding does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.config import NormKind
from models.decoder import Checkpoint, Decoder
from models.elementwise import Elementwise, gated_silu
from models.errors import CorruptWeightsError, UnsupportedModelError
from models.linear import Linear, build_linear
from models.quantize import Precision, encode_tensor
from models.trained import TrainedFile

EXIT = "exit"
"""The kind of trained file."""

_EPS = 1e-6
_NUM_ROWS = 64  # unit vectors that are multiplied at once; 40 MB of logits
_MATRICES = ("mix", "down")


@dataclass(frozen=True, slots=True)
class ExitWeights:
    """What is trained and stored.

    ``layer`` counts the layers in front. ``token_ids`` [num_tokens] are the tokens that can be
    proposed, the commonest first. ``tensors`` are ``norm`` [2 * hidden_size], ``mix.weight``
    [hidden_size + 2 * inner_size, 2 * hidden_size] (the linear map, then gate and up) and
    ``down.weight`` [hidden_size, inner_size]; matrices are encoded as int8.
    """

    layer: int
    token_ids: Tensor
    tensors: Mapping[str, Tensor]

    @classmethod
    def encode(cls, layer: int, token_ids: Tensor, weights: Mapping[str, Tensor]) -> ExitWeights:
        """Return trained float ``weights``, by the names of ``tensors``, as they are stored."""
        tensors = {
            key: tensor
            for name, weight in weights.items()
            for key, tensor in encode_tensor(name, weight, Precision.INT8).items()
        }
        return cls(layer, token_ids, tensors)

    @classmethod
    def from_file(cls, trained: TrainedFile) -> ExitWeights:
        """Return what a file of kind ``EXIT`` holds; raises CorruptWeightsError."""
        try:
            tensors = dict(trained.tensors)
            return cls(int(trained.notes["layer"]), tensors.pop("token_ids"), tensors)
        except (KeyError, ValueError) as error:
            raise CorruptWeightsError(
                f"a trained exit head lacks {error}; train it again"
            ) from error

    def to_file(self) -> TrainedFile:
        """Return the content of a file of kind ``EXIT``."""
        tensors = {**self.tensors, "token_ids": self.token_ids.to(torch.int32)}
        return TrainedFile(tensors, {"layer": str(self.layer)})


class ExitHead:
    """Logits over a part of the vocabulary. Engine thread only."""

    def __init__(
        self, decoder: Decoder, weights: ExitWeights, checkpoint: Checkpoint = lambda: None
    ) -> None:
        """Take rows of the output matrix of ``decoder``: a second of computing.

        ``checkpoint`` is called in between; what it raises ends the work.

        Raises:
            UnsupportedModelError: The network has no such layer or width, or no RMS norm at its end.
        """
        check_fits(decoder, weights)
        self.layer = weights.layer
        self.token_ids: Sequence[int] = weights.token_ids.tolist()
        self.vocabulary = weights.token_ids.to(decoder.device, torch.int64)
        self._norm = weights.tensors["norm"].to(decoder.device, torch.float32)
        self._mix, self._down = (_linear(decoder, weights.tensors, name) for name in _MATRICES)
        output = output_rows(decoder, weights.token_ids, checkpoint)
        rows = encode_tensor("rows.weight", output, Precision.INT8)
        self._rows = _linear(decoder, rows, "rows")
        self._dtype = decoder.dtype
        self.num_weights = rows["rows.weight"].numel() + sum(
            weights.tensors[f"{name}.weight"].numel() for name in _MATRICES
        )

    @torch.inference_mode()
    def state(self, hidden: Tensor, before: Tensor | None) -> Tensor:
        """Return what the final states may be, normalised, float32 [num_rows, hidden_size].

        Args:
            hidden: States behind ``layer``, [num_rows, hidden_size].
            before: Final states of the rows before, normalised; None where they are not known.
        """
        own = normalised(hidden.float())
        x = torch.cat([own, torch.zeros_like(own) if before is None else before], dim=-1)
        mixed = self._mix((x * self._norm).to(self._dtype))
        size = own.shape[-1]
        down = self._down(gated_silu(mixed[:, size:]))
        return normalised(down.float() + mixed[:, :size].float())

    @torch.inference_mode()
    def logits(self, state: Tensor) -> Tensor:
        """Return logits of ``token_ids`` for what ``state`` returned, float32 [num_rows, num_tokens]."""
        return self._rows(state.to(self._dtype)).float()


def normalised(x: Tensor) -> Tensor:
    """Return the rows of ``x`` with a root mean square of 1."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + _EPS)


@torch.inference_mode()
def output_rows(
    decoder: Decoder, token_ids: Tensor, checkpoint: Checkpoint = lambda: None
) -> Tensor:
    """Return rows of the output matrix times the last norm's weight, float32 [num_tokens, hidden].

    They are what the network makes of unit vectors, so it does not matter how, or whether still, the
    matrix itself is stored.

    Raises:
        UnsupportedModelError: The last norm is not an RMS norm, which keeps unit vectors apart.
    """
    config = decoder.config
    if config.norm_kind is not NormKind.RMS:
        raise UnsupportedModelError(
            f"the last norm of {config.family} is {config.norm_kind}: an exit head needs an RMS norm"
        )
    unit = torch.eye(config.hidden_size, dtype=decoder.dtype, device=decoder.device)
    at = token_ids.to(decoder.device, torch.int64)
    columns = []
    for block in torch.split(unit, _NUM_ROWS):
        checkpoint()
        columns.append(decoder.logits(block)[:, at])
    # The norm has made each vector as long as a row of ones.
    length: float = (1 / config.hidden_size + config.norm_eps) ** -0.5
    return torch.cat(columns).t().contiguous() / length


def check_fits(decoder: Decoder, weights: ExitWeights) -> None:
    """Raise UnsupportedModelError where ``weights`` are not for a network like ``decoder``."""
    config = decoder.config
    width = len(weights.tensors["norm"]) // 2
    fits = (
        0 < weights.layer < config.num_layers
        and width == config.hidden_size
        and int(weights.token_ids.min()) >= 0
        and int(weights.token_ids.max()) < config.vocab_size
    )
    if not fits:
        raise UnsupportedModelError(
            f"an exit head of width {width} behind layer {weights.layer} does not fit a network of "
            f"width {config.hidden_size} with {config.num_layers} layers; train one for this model"
        )


def _linear(decoder: Decoder, tensors: Mapping[str, Tensor], name: str) -> Linear:
    own = {
        key: tensor.to(decoder.device)
        for key, tensor in tensors.items()
        if key.startswith(f"{name}.")
    }
    return build_linear(own, name, decoder.kernels, decoder.dtype, Elementwise())
