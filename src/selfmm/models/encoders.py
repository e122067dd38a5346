"""Encoders: each reads one modality. All have the same signature."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from selfmm.config.settings import StreamSettings
from selfmm.data.manifest import TEXT


class Encoder(nn.Module):
    """Reads one modality of a batch.

    Input: values (B, L, d) float, or (B, L) token ids int64, and lengths (B,) int64. Output: (B, ``dim``), or (B, L,
    ``dim``) for models that read sequences; float.

    Attributes:
        dim: size of the output.
    """

    dim: int

    def kept_bytes(self, length: int) -> int:
        """Estimate how many bytes one clip of ``length`` steps keeps for the gradient."""
        raise NotImplementedError

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        raise NotImplementedError


class Standardised(Encoder):
    """An encoder of frames that subtracts ``mean`` from each feature and divides by ``scale``.

    Frames beyond a clip's length are never read, so padding changes nothing. A frame of NaN, in which nothing could be
    measured, is read as the mean of the training split, which favours neither side.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, input_dim: int) -> None:
        super().__init__()
        # Saved with the weights: a prediction must use the statistics of the training split.
        self.register_buffer("mean", torch.zeros(input_dim))
        self.register_buffer("scale", torch.ones(input_dim))

    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """Set ``mean`` and ``scale``, both (``input_dim``,)."""
        self.mean.copy_(mean)
        # A constant feature carries no information; dividing it by 1 keeps it at 0 instead of making it NaN.
        self.scale.copy_(deviation.where(deviation > 1e-8, deviation.new_ones(())))

    def standard(self, values: Tensor, real: Tensor) -> Tensor:
        """Return the standardised frames, (B, L, ``input_dim``) float32, zeros where ``real`` (B, L) is False."""
        known = real[:, :, None] & ~values.isnan()
        return torch.where(known, (values.float() - self.mean) / self.scale, 0.0)


class FrameReader(Standardised):
    """Returns the frames themselves, standardised.

    Input: values (B, L, ``dim``) float and lengths (B,) int64. Output: (B, L, ``dim``), zeros beyond the lengths.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.dim = dim

    def kept_bytes(self, length: int) -> int:
        return 4 * length * self.dim

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        return self.standard(values, torch.arange(values.shape[1], device=values.device) < lengths[:, None])


class SequenceEncoder(Standardised):
    """F_a, F_v: the end state of an LSTM over the frames, then dropout and a linear layer (paper, section 3.2).

    Input: values (B, L, ``input_dim``) float and lengths (B,) int64. Output: (B, ``dim``).

    Args:
        input_dim: features per frame.
        hidden: LSTM units per direction.
        dim: size of the output.
        layers: LSTM layers; the end state is that of the last layer.
        bidirectional: read in both directions; their end states are concatenated.
        dropout: between layers and on the end state.
    """

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
        super().__init__(input_dim)
        self.dim = dim
        self.directions = 2 if bidirectional else 1
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(
            input_dim, hidden, num_layers=layers, bidirectional=bidirectional, dropout=between, batch_first=True
        )
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden * self.directions, dim)

    def kept_bytes(self, length: int) -> int:
        wide = self.lstm.input_size + 8 * self.lstm.hidden_size * self.directions * self.lstm.num_layers
        return 4 * length * wide

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        # In full precision even if the transformer is not: this is a small part of the work, and frames vary widely.
        with torch.autocast(values.device.type, enabled=False):
            steps = torch.arange(values.shape[1], device=values.device)
            ends = lengths.clamp(min=1)[:, None]
            real = steps < ends
            end = self._end_state(self.standard(values, real), ends, torch.where(real, ends - 1 - steps, steps))
            return self.linear(self.dropout(end))  # type: ignore[no-any-return]

    def _end_state(self, values: Tensor, ends: Tensor, backwards: Tensor) -> Tensor:
        """The last layer's state after each clip's last frame; for the other direction, after its first frame.

        The LSTM also reads the padding, and the states before it are used. On a CPU, that is one fused kernel and ten
        times faster than a packed sequence, which PyTorch processes frame by frame.
        """
        hidden = self.lstm.hidden_size
        for layer in range(self.lstm.num_layers):
            if layer:
                values = functional.dropout(values, self.lstm.dropout, self.training)
            forth = self._run(values, layer * self.directions)
            if self.directions == 1:
                values = forth
            else:
                back = self._run(_reorder(values, backwards), layer * 2 + 1)
                values = torch.cat([forth, _reorder(back, backwards)], dim=-1)
        last = values[:, :, :hidden].take_along_dim((ends - 1)[:, :, None], dim=1)[:, 0]
        return last if self.directions == 1 else torch.cat([last, values[:, 0, hidden:]], dim=-1)

    def _run(self, values: Tensor, at: int) -> Tensor:
        """One layer in one direction, (B, L, hidden)."""
        if self.lstm.num_layers == self.directions == 1:
            out, _ = self.lstm(values)
            return out  # type: ignore[no-any-return]
        start = values.new_zeros(1, len(values), self.lstm.hidden_size)
        weights: list[Tensor] = [*self.lstm.all_weights[at]]
        # biases, one layer, no dropout, one direction, batch first
        out, _, _ = torch.lstm(values, (start, start), weights, True, 1, 0.0, self.training, False, True)
        return out


def _reorder(values: Tensor, order: Tensor) -> Tensor:
    return values.take_along_dim(order[:, :, None], dim=1)


def lstm_encoder(dim: int, branch: StreamSettings) -> SequenceEncoder:
    """Make an LSTM over frames of ``dim`` features, with the sizes of ``branch``."""
    return SequenceEncoder(
        dim, branch.hidden, branch.out, layers=branch.layers, bidirectional=branch.bidirectional, dropout=branch.dropout
    )


class MeanNetwork(Standardised):
    """Dropout and three times ReLU(Linear) on the mean of a clip's frames (Zadeh et al., EMNLP 2017, section 4.1).

    Input: values (B, L, ``input_dim``) float and lengths (B,) int64. Output: (B, ``dim``). The first two layers have
    ``hidden`` units.
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
        return 4 * sum(layer.in_features + layer.out_features for layer in self.layers if isinstance(layer, nn.Linear))

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        # In full precision, as in ``SequenceEncoder``.
        with torch.autocast(values.device.type, enabled=False):
            ends = lengths.clamp(min=1)[:, None]
            real = torch.arange(values.shape[1], device=values.device) < ends
            return self.layers(self.standard(values, real).sum(dim=1) / ends)  # type: ignore[no-any-return]


def sub_network(name: str, dim: int, branch: StreamSettings) -> SequenceEncoder | MeanNetwork:
    """Make the encoder that TFN and LMF use: an LSTM for text that is already features, else a ``MeanNetwork``.

    Args:
        name: of the modality.
        dim: features per frame.
        branch: its settings; a ``MeanNetwork`` ignores those of an LSTM.
    """
    if name != TEXT:
        return MeanNetwork(dim, branch.hidden, branch.out, dropout=branch.dropout)
    return lstm_encoder(dim, branch)
