"""One decoder-only transformer for every supported family, driven by ``ModelConfig``.

Knows tensors, token ids and slots; nothing of text, sessions or files. A caller runs any range of
layers on any set of rows, which is what tree verification, several candidates, partial
recomputation and early exit are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from models.attention import AttentionPlan
from models.config import Activation, ModelConfig, NormKind
from models.elementwise import Elementwise, compiled_elementwise
from models.kernels import Int8Kernels, detect_int8_kernels, drop_slower_kernels
from models.linear import Int8Linear, Linear, build_linear
from models.norm import LayerNorm, Norm, RmsNorm
from models.quantize import Precision
from models.rope import rotate
from models.slot_pool import SlotPool
from models.token_batch import TokenBatch

_NUM_COPIED = 8192  # embeddings that are decoded at once
Checkpoint = Callable[[], None]  # called between layers; raising abandons the pass


def _go_on() -> None:
    """Never interrupt."""


@dataclass(frozen=True, slots=True)
class _Layer:
    attention_norm: Norm
    qkv: Linear
    query_norm: RmsNorm | None
    key_norm: RmsNorm | None
    output: Linear
    mlp_norm: Norm
    up: Linear  # gate and up side by side where the MLP is gated
    down: Linear
    window: int | None

    @property
    def linears(self) -> tuple[Linear, ...]:
        return (self.qkv, self.output, self.up, self.down)


class Decoder:
    """The network. Its weights do not change; all state is in the ``SlotPool``."""

    def __init__(
        self,
        config: ModelConfig,
        weights: Mapping[str, Tensor],
        device: torch.device | str,
        precision: Precision,
        *,
        kernels: Int8Kernels | None = None,
        compile_elementwise: bool = False,
    ) -> None:
        """Build the layers.

        Args:
            config: The network's shape.
            weights: Canonical tensors encoded for ``precision``.
            device: Where to compute.
            precision: The weights' encoding; integer weights compute in float32 on a CPU and in
                bf16 elsewhere.
            kernels: Integer kernels of the CPU; found by a probe if None.
            compile_elementwise: Fuse what stands between matrix products with ``torch.compile``.
        """
        self.config = config
        self.device = torch.device(device)
        self.dtype = _compute_dtype(precision, self.device)
        is_integer = precision in (Precision.INT8, Precision.INT4)
        if is_integer and self.device.type == "cpu" and kernels is None:
            kernels = detect_int8_kernels()
        self.kernels = kernels if is_integer and self.device.type == "cpu" else None
        self._elementwise = compiled_elementwise() if compile_elementwise else Elementwise()
        build = _LayerBuilder(
            config, weights, self.device, self.dtype, self.kernels, self._elementwise
        )
        self._embedding = build.tensor("embedding.weight")
        self._embedding_scale = build.optional("embedding.weight.scale")
        self._layers = [build.layer(layer_idx) for layer_idx in range(config.num_layers)]
        self._final_norm = build.norm("final_norm")
        self._head = build.linear("embedding" if config.tie_embeddings else "head")

    def new_pool(self, num_slots: int) -> SlotPool:
        """Return a pool for this network's keys and values."""
        return SlotPool(self.config, num_slots, dtype=self.dtype, device=self.device)

    @property
    def bytes_per_token(self) -> int:
        """What a token's keys and values take, origins of keys included."""
        config = self.config
        num_copies = 2 if self.dtype is torch.float32 else 3
        num_values = config.num_layers * config.num_kv_heads * config.head_dim
        return num_copies * num_values * self.dtype.itemsize

    def pack(self, checkpoint: Checkpoint = _go_on) -> None:
        """Prepare the kernels for passes of a few rows; takes seconds, changes no result.

        Args:
            checkpoint: Called between matrices; whatever it raises ends the work, which a later
                call takes up again.
        """
        linears = [part for layer in self._layers for part in layer.linears] + [self._head]
        products = [linear.product for linear in linears if isinstance(linear, Int8Linear)]
        for product in products:
            product.pack(checkpoint)
        checkpoint()
        drop_slower_kernels(products)

    @torch.inference_mode()
    def token_vectors(self) -> npt.NDArray[np.float16]:
        """Return the input embedding of every token, [vocab_size, hidden_size]: a copy on the CPU."""
        num_tokens, hidden_size = self._embedding.shape
        vectors = np.empty((num_tokens, hidden_size), np.float16)
        for start in range(0, num_tokens, _NUM_COPIED):
            token_ids = torch.arange(start, min(start + _NUM_COPIED, num_tokens))
            rows = self._embed(token_ids.to(self.device))
            vectors[start : start + len(rows)] = rows.to("cpu", torch.float16).numpy()
        return vectors

    @torch.inference_mode()
    def forward(
        self,
        batch: TokenBatch,
        pool: SlotPool,
        *,
        layers: range | None = None,
        hidden: Tensor | None = None,
        checkpoint: Checkpoint = _go_on,
    ) -> Tensor:
        """Run ``layers`` on the rows of ``batch``, writing their K/V into ``pool``.

        Args:
            batch: The rows, from ``SlotTable.stage``.
            pool: Where K/V live.
            layers: Consecutive layers; all if None.
            hidden: The rows' states before the first of ``layers``, if that is not layer 0.
            checkpoint: Called before each layer; whatever it raises abandons the pass, and the
                caller's table has not changed.

        Returns:
            Hidden states behind the last of ``layers``, [num_tokens, hidden_size].
        """
        plan = AttentionPlan(batch, pool, self.dtype)
        x = self._embed(batch.token_ids) if hidden is None else hidden
        for layer_idx in layers if layers is not None else range(self.config.num_layers):
            checkpoint()
            x = self._run_layer(layer_idx, x, plan)
        return x

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """Return the next token's logits for rows of hidden states, [num_rows, vocab_size], float32."""
        return self._head(*self._final_norm(hidden)).float()

    def _embed(self, token_ids: Tensor) -> Tensor:
        rows = self._embedding[token_ids].to(self.dtype)
        if self._embedding_scale is not None:
            rows = rows * self._embedding_scale[token_ids, None].to(self.dtype)
        if self.config.embedding_scale != 1.0:
            # Rounded to the compute dtype, as the network was trained.
            rows = rows * torch.tensor(self.config.embedding_scale, dtype=self.dtype)
        return rows

    def _run_layer(self, layer_idx: int, x: Tensor, plan: AttentionPlan) -> Tensor:
        layer = self._layers[layer_idx]
        return self._mlp(layer, self._attention(layer_idx, layer, x, plan))

    def _attention(self, layer_idx: int, layer: _Layer, x: Tensor, plan: AttentionPlan) -> Tensor:
        config = self.config
        num_rotated = config.num_heads + config.num_kv_heads
        heads = layer.qkv(*layer.attention_norm(x)).view(len(x), -1, config.head_dim)
        unrotated, value = heads[:, :num_rotated], heads[:, num_rotated:]
        if layer.query_norm is not None and layer.key_norm is not None:
            unrotated = torch.cat(
                [
                    _normalise(layer.query_norm, unrotated[:, : config.num_heads]),
                    _normalise(layer.key_norm, unrotated[:, config.num_heads :]),
                ],
                dim=1,
            )
        rotated = rotate(unrotated, plan.rotation)
        if self.dtype is not torch.float32:
            rotated = rotated.to(self.dtype)
        plan.write(
            layer_idx, rotated[:, config.num_heads :], value, unrotated[:, config.num_heads :]
        )
        attended = plan.attend(layer_idx, rotated[:, : config.num_heads], layer.window)
        return layer.output(attended, residual=x)

    def _mlp(self, layer: _Layer, x: Tensor) -> Tensor:
        up = layer.up(*layer.mlp_norm(x))
        if not self.config.gated_mlp:
            return layer.down(_activate(self.config.activation, up), residual=x)
        if self.config.activation is Activation.SILU:
            return layer.down(self._elementwise.gated_silu(up), residual=x)
        gate, up = up.chunk(2, dim=-1)
        return layer.down(_activate(self.config.activation, gate).mul_(up), residual=x)


class _LayerBuilder:
    """Turns stored tensors into layers; lives only while a decoder is built."""

    def __init__(
        self,
        config: ModelConfig,
        weights: Mapping[str, Tensor],
        device: torch.device,
        dtype: torch.dtype,
        kernels: Int8Kernels | None,
        elementwise: Elementwise,
    ) -> None:
        self._config, self._weights = config, weights
        self._device, self._dtype, self._kernels = device, dtype, kernels
        self._elementwise = elementwise

    def tensor(self, name: str) -> Tensor:
        return self._weights[name].to(self._device)

    def optional(self, name: str) -> Tensor | None:
        return self.tensor(name) if name in self._weights else None

    def linear(self, name: str) -> Linear:
        stored = {
            key: self.tensor(key)
            for part in ("weight", "weight.scale", "weight.scale_zero", "bias")
            if (key := f"{name}.{part}") in self._weights
        }
        return build_linear(stored, name, self._kernels, self._dtype, self._elementwise)

    def norm(self, name: str) -> Norm:
        if self._config.norm_kind is NormKind.RMS:
            return self.rms_norm(name)
        weight = self.tensor(f"{name}.weight").to(self._dtype)
        bias = self.tensor(f"{name}.bias").to(self._dtype)
        return LayerNorm(weight, bias, self._config.norm_eps)

    def rms_norm(self, name: str) -> RmsNorm:
        weight = self.tensor(f"{name}.weight").to(self._dtype)
        return RmsNorm(weight, self._config.norm_eps, self._elementwise)

    def layer(self, layer_idx: int) -> _Layer:
        name, config = f"layers.{layer_idx}", self._config
        head_norms = [
            self.rms_norm(f"{name}.{part}_norm")
            for part in (("query", "key") if config.qk_norm else ())
        ]
        return _Layer(
            attention_norm=self.norm(f"{name}.attention_norm"),
            qkv=self.linear(f"{name}.qkv"),
            query_norm=head_norms[0] if head_norms else None,
            key_norm=head_norms[1] if head_norms else None,
            output=self.linear(f"{name}.output"),
            mlp_norm=self.norm(f"{name}.mlp_norm"),
            up=self.linear(f"{name}.gate_up" if config.gated_mlp else f"{name}.up"),
            down=self.linear(f"{name}.down"),
            window=config.layer_windows[layer_idx],
        )


def _compute_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    if precision is Precision.FLOAT32:
        return torch.float32
    if precision is Precision.BF16:
        return torch.bfloat16
    return torch.float32 if device.type == "cpu" else torch.bfloat16


def _normalise(norm: RmsNorm, heads: Tensor) -> Tensor:
    normed, factor = norm(heads)
    return normed if factor is None else normed * factor


def _activate(activation: Activation, x: Tensor) -> Tensor:
    if activation is Activation.SILU:
        return F.silu(x)
    return F.gelu(x, approximate="tanh" if activation is Activation.GELU_TANH else "none")
