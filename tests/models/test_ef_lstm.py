"""EF-LSTM against its equations, one clip and one step at a time."""

from __future__ import annotations

import pytest
import torch

from models.worlds import MOSI, core_size, make_batch, make_model
from oracles.recurrent import Vector, lstm, network
from selfmm.config.settings import load_settings
from selfmm.data.manifest import Modality
from selfmm.models.ef_lstm import EFLSTM

FRAMES = {"audio": Modality(kind="frames", dim=5), "vision": Modality(kind="frames", dim=4)}
LENGTHS = {"audio": [4, 2, 0], "vision": [4, 0, 3]}


@pytest.mark.parametrize("layers", [1, 2])
def test_equations(layers: int) -> None:
    """A clip's steps joined, then as many LSTMs as there are layers, then the head on the last real state."""
    model = make_model("ef_lstm", "options.hidden=3", f"options.layers={layers}", modalities=FRAMES)
    assert isinstance(model, EFLSTM)
    batch = make_batch(LENGTHS, aligned=True, padding=2)
    output = model(batch)
    weights = dict(model.lstm.named_parameters())
    for clip, length in enumerate(max(ends) for ends in zip(*LENGTHS.values(), strict=True)):
        states: list[Vector] = [[] for _ in range(length)]
        for name in FRAMES:
            there = LENGTHS[name][clip] > 0
            for t in range(length):
                states[t] = states[t] + (batch.streams[name].values[clip, t] if there else model.missing[name]).tolist()
        for layer in range(layers):
            states, _ = lstm(weights, states, f"_l{layer}")
        feature = network(model.fusion.project, states[-1])
        torch.testing.assert_close(output.fusion_feature[clip], torch.tensor(feature), atol=1e-5, rtol=1e-4)


def test_one_layer_has_no_dropout_between_layers() -> None:
    """torch warns of a dropout that has no place."""
    for layers, between in ((1, 0.0), (2, 0.5)):
        model = make_model("ef_lstm", f"options.layers={layers}", "options.dropout=0.5", modalities=FRAMES)
        assert isinstance(model, EFLSTM)
        assert model.lstm.dropout == between


def test_as_many_parameters_as_published() -> None:
    """257,509 on MOSI with BERT's 768, as a toolkit's log counts them: 100 are of its batch norm over 50 steps."""
    settings = ["options.hidden=64", "options.layers=2", "fusion.projection=64", "fusion.extra_layer=false"]
    model = EFLSTM(MOSI, load_settings(None, ["model=ef_lstm", *settings]), None)
    assert core_size(model) == 257_509 - 100
