"""Encoders share one signature: (values, lengths) -> (B, ``dim``)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence


class SequenceEncoder(nn.Module):
    """F_a, F_v: end state of an LSTM over the frames, then dropout and a Linear layer (paper, section 3.2).

    Frames beyond a clip's length are never read, so padding changes nothing.

    Input: values (B, L, ``input_dim``) float and lengths (B,) int64 on the CPU. Output: (B, ``dim``).

    Args:
        input_dim: features per frame.
        hidden: LSTM units per direction.
        dim: size of the output.
        layers: LSTM layers; the end state is the last one's.
        bidirectional: both directions; their end states are joined.
        dropout: between layers and on the end state.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        input_dim: int,
        hidden: int,
        dim: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.directions = 2 if bidirectional else 1
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(
            input_dim, hidden, num_layers=layers, bidirectional=bidirectional, dropout=between, batch_first=True
        )
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden * self.directions, dim)
        # Standardisation travels with the weights: a prediction must use the training split's figures.
        self.register_buffer("mean", self.linear.weight.new_zeros(input_dim))
        self.register_buffer("scale", self.linear.weight.new_ones(input_dim))

    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """Sets what is subtracted from and divided out of each feature, both (``input_dim``,)."""
        self.mean.copy_(mean)
        # A constant feature carries nothing; dividing it by 1 keeps it at 0 instead of making it NaN.
        self.scale.copy_(deviation.where(deviation > 1e-8, deviation.new_ones(())))

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        values = (values - self.mean) / self.scale
        packed = pack_padded_sequence(values, lengths.clamp(min=1), batch_first=True, enforce_sorted=False)
        _, (end, _) = self.lstm(packed)
        last_layer = end[-self.directions :].transpose(0, 1).flatten(1)
        return self.linear(self.dropout(last_layer))  # type: ignore[no-any-return]
