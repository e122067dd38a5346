"""Encoders of frames: padding is never read, layers and directions work, standardisation is that of the data."""

from __future__ import annotations

import pytest
import torch

from selfmm.config.settings import StreamSettings
from selfmm.models.encoders import MeanNetwork, SequenceEncoder, sub_network


def by_hand(encoder: SequenceEncoder, frames: torch.Tensor) -> torch.Tensor:
    """The same network on one unpadded sequence, a frame at a time, without packing."""
    values = (frames - encoder.mean) / encoder.scale
    ends = []
    for direction in range(encoder.directions):
        ordered = values if direction == 0 else values.flip(0)
        ends.append(_last_layer_end(encoder, ordered, direction) if encoder.lstm.num_layers == 1 else None)
    if encoder.lstm.num_layers == 1:
        joined: torch.Tensor = encoder.linear(torch.cat([end for end in ends if end is not None]))
        return joined
    _, (end, _) = encoder.lstm(values.unsqueeze(0))
    last: torch.Tensor = encoder.linear(end[-encoder.directions :, 0].flatten())
    return last


def _last_layer_end(encoder: SequenceEncoder, frames: torch.Tensor, direction: int) -> torch.Tensor:
    suffix = "l0_reverse" if direction else "l0"
    w_x, w_h = getattr(encoder.lstm, f"weight_ih_{suffix}"), getattr(encoder.lstm, f"weight_hh_{suffix}")
    b_x, b_h = getattr(encoder.lstm, f"bias_ih_{suffix}"), getattr(encoder.lstm, f"bias_hh_{suffix}")
    h = c = torch.zeros(encoder.lstm.hidden_size)
    for frame in frames:
        i, f, g, o = (w_x @ frame + b_x + w_h @ h + b_h).chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    return h


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_equals_each_sequence_alone(layers: int, bidirectional: bool) -> None:
    torch.manual_seed(0)
    encoder = SequenceEncoder(3, 5, 4, layers=layers, bidirectional=bidirectional, dropout=0.3).eval()
    encoder.standardise(torch.randn(3), torch.rand(3) + 0.5)
    lengths = torch.tensor([4, 1, 6])
    values = torch.randn(3, 6, 3)
    batch = encoder(values, lengths)
    assert batch.shape == (3, 4)
    for row, length in enumerate(lengths.tolist()):
        alone = by_hand(encoder, values[row, :length])
        torch.testing.assert_close(batch[row], alone, atol=1e-6, rtol=1e-5)


def test_padding_is_never_read() -> None:
    encoder = SequenceEncoder(2, 3, 3).eval()
    values = torch.randn(1, 3, 2)
    padded = torch.cat([values, torch.full((1, 5, 2), float("nan"))], dim=1)
    torch.testing.assert_close(encoder(padded, torch.tensor([3])), encoder(values, torch.tensor([3])))


def test_a_clip_without_frames_gives_no_nan_and_no_gradient_trouble() -> None:
    encoder = SequenceEncoder(2, 3, 3)
    encoder(torch.zeros(2, 1, 2), torch.tensor([0, 1])).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters() if p.grad is not None)


def test_a_constant_feature_is_not_divided_by_zero() -> None:
    encoder = SequenceEncoder(2, 3, 3).eval()
    encoder.standardise(torch.tensor([5.0, 1.0]), torch.tensor([0.0, 2.0]))
    assert encoder.scale.tolist() == [1.0, 2.0]
    assert torch.isfinite(encoder(torch.full((1, 4, 2), 5.0), torch.tensor([4]))).all()


def test_three_layers_on_the_mean_of_the_real_frames() -> None:
    """Standardised; neither what lies behind a clip's end nor a frame of NaN has a part in the sum."""
    torch.manual_seed(0)
    network = MeanNetwork(3, 5, 4).eval()
    mean, scale = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([2.0, 1.0, 0.1])
    network.standardise(mean, scale)
    values, lengths = 3 * torch.randn(3, 6, 3), [4, 1, 0]
    values[0, 1, 2] = torch.nan
    found = network(values, torch.tensor(lengths))
    weights = [parameter.tolist() for parameter in network.parameters()]
    for clip, length in enumerate(lengths):
        x = [0.0, 0.0, 0.0]
        for t in range(max(length, 1)):
            for k in range(3):
                value = float(values[clip, t, k])
                x[k] += 0.0 if value != value else (value - float(mean[k])) / float(scale[k]) / max(length, 1)
        for weight, bias in zip(weights[::2], weights[1::2], strict=True):
            sums = [sum(w * v for w, v in zip(row, x, strict=True)) for row in weight]
            x = [max(0.0, b + total) for b, total in zip(bias, sums, strict=True)]
        torch.testing.assert_close(found[clip], torch.tensor(x), atol=1e-5, rtol=1e-5)


def test_text_that_is_features_is_read_in_order() -> None:
    branch = StreamSettings(hidden=6, out=3, layers=2, bidirectional=True, dropout=0.4)
    text = sub_network("text", 5, branch)
    assert isinstance(text, SequenceEncoder)
    assert (text.lstm.num_layers, text.lstm.bidirectional, text.dropout.p, text.dim) == (2, True, 0.4, 3)
    audio = sub_network("audio", 5, branch)
    assert isinstance(audio, MeanNetwork)
    assert [tuple(p.shape) for p in audio.parameters() if p.ndim == 2] == [(6, 5), (6, 6), (3, 6)]
    dropout = audio.layers[0]
    assert isinstance(dropout, torch.nn.Dropout)
    assert dropout.p == 0.4
    assert audio.kept_bytes(1) == audio.kept_bytes(1000) == 4 * (5 + 6 + 6 + 6 + 6 + 3)
