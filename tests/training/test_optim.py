"""Every parameter is in exactly one group, with its own rate and decay."""

from __future__ import annotations

import numpy as np

from selfmm.config.settings import load_settings
from selfmm.data.store import Dataset
from selfmm.models.assembly import assemble
from selfmm.training.optim import parameter_groups

MOSI = (
    "text.max_tokens=40",
    "text.lr=5e-5",
    "text.weight_decay=0.001",
    "stream.audio.lr=5e-3",
    "stream.audio.weight_decay=0.01",
)


def test_groups(planted: Dataset, tiny_encoder: str) -> None:
    settings = load_settings(None, [f"text.encoder={tiny_encoder}", *MOSI, "fusion.lr=2e-3"])
    model = assemble(planted, settings).model
    groups = parameter_groups(model, settings)
    owner = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    assert len(owner) == sum(len(g["params"]) for g in groups) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        rate, decay = owner[id(parameter)]
        if name.startswith("encoders.text"):
            plain = name.endswith("bias") or "LayerNorm" in name
            assert (rate, decay) == (5e-5, 0.0 if plain else 0.001), name
        elif name.startswith("encoders.audio"):
            assert (rate, decay) == (5e-3, 0.01), name
        elif not name.startswith("encoders"):
            assert rate == 2e-3, name
    assert any("LayerNorm" in name for name, _ in model.named_parameters())


def test_a_frozen_encoder_is_in_no_group(planted: Dataset, tiny_encoder: str) -> None:
    settings = load_settings(None, [f"text.encoder={tiny_encoder}", "text.finetune=false", "text.max_tokens=40"])
    model = assemble(planted, settings).model
    ids = {id(p) for g in parameter_groups(model, settings) for p in g["params"]}
    assert not any(id(p) in ids for p in model.encoders["text"].parameters())
    assert all(np.isfinite(g["lr"]) for g in parameter_groups(model, settings))
