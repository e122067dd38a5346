"""The encoders of TFN and LMF: the mean of the frames through three layers, or an LSTM for text."""

from __future__ import annotations

import torch

from selfmm.config.settings import StreamSettings
from selfmm.models.encoders import SequenceEncoder
from selfmm.models.subnetworks import MeanNetwork, sub_network


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
