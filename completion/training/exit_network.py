"""The exit head's network while it is trained, and what it is trained to say."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.exit_head import normalised

_RIDGE, _EPS = 0.003, 1e-6
_NUM_COMMON = 2048  # tokens that every row is compared with, beside those that a batch aims at


@dataclass(frozen=True, slots=True)
class LinearStart:
    """The best linear map from inputs to final states.

    ``norm`` [num_inputs] gives each input a variance near 1, ``weight`` is [hidden_size, num_inputs].
    """

    norm: Tensor
    weight: Tensor

    @classmethod
    def solve(cls, inputs: Tensor, outputs: Tensor) -> LinearStart:
        """Return the ridge regression of ``outputs`` on ``inputs``, rows of numbers."""
        norm = inputs.square().mean(0).add(_EPS).rsqrt()
        x = inputs * norm
        square = x.t() @ x / len(x) + _RIDGE * torch.eye(x.shape[1])
        return cls(norm, torch.linalg.solve(square, x.t() @ outputs / len(x)).t().contiguous())


class ExitNetwork(nn.Module):
    """What ``ExitHead`` computes in front of the output matrix, in floats that can be trained."""

    def __init__(self, start: LinearStart, inner_size: int, generator: torch.Generator) -> None:
        """Begin as the linear map ``start``: the gated part adds nothing yet."""
        super().__init__()
        hidden_size, num_inputs = start.weight.shape
        drawn = torch.randn(2 * inner_size, num_inputs, generator=generator) * num_inputs**-0.5
        self.norm = nn.Parameter(start.norm.clone())
        self.mix = nn.Parameter(torch.cat([start.weight, drawn]))
        self.down = nn.Parameter(torch.zeros(hidden_size, inner_size))

    def forward(self, hidden: Tensor, before: Tensor) -> Tensor:
        """Return states to be multiplied with the output matrix, [num_rows, hidden_size].

        Args:
            hidden: States behind the exit layer, [num_rows, hidden_size].
            before: Final states of the rows before, normalised; zeros where they are not known.
        """
        x = torch.cat([normalised(hidden), before], dim=-1) * self.norm
        hidden_size, inner_size = self.down.shape
        y, gate, up = torch.split(
            F.linear(x, self.mix), [hidden_size, inner_size, inner_size], dim=-1
        )
        return normalised(y + F.linear(F.silu(gate) * up, self.down))

    def weights(self) -> dict[str, Tensor]:
        """Return the weights by the names that ``ExitWeights`` gives them."""
        return {
            "norm": self.norm.detach(),
            "mix.weight": self.mix.detach(),
            "down.weight": self.down.detach(),
        }


@dataclass(frozen=True, slots=True)
class ExitTargets:
    """The full network's likeliest tokens: columns of the cut vocabulary and their shares.

    ``columns`` int64 and ``shares`` float32 are [num_rows, k].
    """

    columns: Tensor
    shares: Tensor

    def of(self, rows: Tensor) -> ExitTargets:
        """Return the targets of some rows."""
        return ExitTargets(self.columns[rows], self.shares[rows])


def exit_loss(states: Tensor, output_rows: Tensor, targets: ExitTargets) -> Tensor:
    """Return the cross-entropy of ``states`` to ``targets``, over the tokens that matter to a batch.

    Those are the commonest and the ones that any row aims at: a tenth of the columns, and so a tenth
    of the time.

    Args:
        states: From ``ExitNetwork``.
        output_rows: [num_tokens, hidden_size], the commonest tokens first.
        targets: Of the same rows.
    """
    common = torch.arange(min(_NUM_COMMON, len(output_rows)))
    compared = torch.unique(torch.cat([common, targets.columns.flatten()]))
    logits = F.linear(states.to(output_rows.dtype), output_rows[compared]).float()
    logs = F.log_softmax(logits, dim=-1)
    at = torch.searchsorted(compared, targets.columns)
    return -(logs.gather(1, at) * targets.shares).sum(-1).mean()
