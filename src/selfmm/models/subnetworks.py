"""The encoders of TFN and LMF: each reads one modality of frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selfmm.config.settings import StreamSettings
from selfmm.data.manifest import TEXT
from selfmm.models.base import lstm_encoder
from selfmm.models.encoders import SequenceEncoder, Standardised


class MeanNetwork(Standardised):
    """Dropout and three times ReLU(Linear) on the mean of a clip's frames (Zadeh et al., EMNLP 2017, section 4.1).

    Input: values (B, L, ``input_dim``) float and lengths (B,) int64. Output: (B, ``dim``).

    Args:
        input_dim: features per frame.
        hidden: units of the first two layers.
        dim: units of the last layer.
        dropout: on the mean.
    """

    def __init__(self, input_dim: int, hidden: int, dim: int, *, dropout: float = 0.0) -> None:
        super().__init__(input_dim)
        self.dim = dim
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            *(nn.Linear(input_dim, hidden), nn.ReLU()),
            *(nn.Linear(hidden, hidden), nn.ReLU()),
            *(nn.Linear(hidden, dim), nn.ReLU()),
        )

    def kept_bytes(self, length: int) -> int:
        """Estimate how many bytes one clip of ``length`` steps keeps for the gradient."""
        widths = [layer.in_features + layer.out_features for layer in self.layers if isinstance(layer, nn.Linear)]
        return 4 * sum(widths)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        # In full precision even if the transformer is not: this is a small part of the work, and frames vary widely.
        with torch.autocast(values.device.type, enabled=False):
            ends = lengths.clamp(min=1)[:, None]
            real = torch.arange(values.shape[1], device=values.device) < ends
            return self.layers(self.standard(values, real).sum(dim=1) / ends)  # type: ignore[no-any-return]


def sub_network(name: str, dim: int, branch: StreamSettings) -> SequenceEncoder | MeanNetwork:
    """Make an LSTM for text that is already features, and a ``MeanNetwork`` for everything else.

    Args:
        name: of the modality.
        dim: features per frame.
        branch: its settings; a ``MeanNetwork`` ignores those of an LSTM.
    """
    if name != TEXT:
        return MeanNetwork(dim, branch.hidden, branch.out, dropout=branch.dropout)
    return lstm_encoder(dim, branch)
