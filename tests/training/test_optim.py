"""Every parameter is in exactly one group, with its own rate and decay; what got no gradient does not decay."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from selfmm.config.settings import load_settings
from selfmm.data.store import Dataset
from selfmm.models.assembly import assemble
from selfmm.training.checkpoint import Checkpoints
from selfmm.training.optim import DecayingAdam, make_optimizer, parameter_groups

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


def test_the_weights_of_layers_are_trained_like_the_fusion(planted: Dataset, tiny_encoder: str) -> None:
    for finetune in ("true", "false"):
        chosen = [f"text.encoder={tiny_encoder}", *MOSI, "fusion.lr=2e-3", f"text.finetune={finetune}"]
        settings = load_settings(None, [*chosen, "text.layer=weighted"])
        model = assemble(planted, settings).model
        groups = parameter_groups(model, settings)
        logits: Any = model.encoders["text"].mix.logits  # type: ignore[union-attr]
        assert [group["lr"] for group in groups for p in group["params"] if p is logits] == [2e-3]
        trained = [p for p in model.parameters() if p.requires_grad]
        assert sum(len(group["params"]) for group in groups) == len(trained)


def test_a_frozen_encoder_is_in_no_group(planted: Dataset, tiny_encoder: str) -> None:
    settings = load_settings(None, [f"text.encoder={tiny_encoder}", "text.finetune=false", "text.max_tokens=40"])
    model = assemble(planted, settings).model
    ids = {id(p) for g in parameter_groups(model, settings) for p in g["params"]}
    assert not any(id(p) in ids for p in model.encoders["text"].parameters())
    assert all(np.isfinite(g["lr"]) for g in parameter_groups(model, settings))


def groups_of(*parameters: nn.Parameter, lr: float = 1e-2, decay: float = 0.1) -> list[dict[str, Any]]:
    return [{"params": [*parameters], "lr": lr, "weight_decay": decay}]


def random_gradients(parameter: nn.Parameter, seed: int) -> torch.Tensor:
    """Without a 0."""
    gradient = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed))
    return gradient.where(gradient.abs() > 1e-3, 1e-3)


@pytest.mark.parametrize("decoupled", [True, False])
def test_where_every_number_has_a_gradient_it_is_torchs_own(decoupled: bool) -> None:
    torch.manual_seed(0)
    own = nn.Parameter(torch.randn(5, 4))
    theirs = nn.Parameter(own.detach().clone())
    optimizer = DecayingAdam(groups_of(own), decoupled=decoupled)
    expected = (torch.optim.AdamW if decoupled else torch.optim.Adam)(groups_of(theirs))
    for step in range(20):
        own.grad, theirs.grad = random_gradients(own, step), random_gradients(own, step)
        optimizer.step()
        expected.step()
        torch.testing.assert_close(own, theirs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("decoupled", [True, False])
def test_what_never_gets_a_gradient_stays_to_the_bit(decoupled: bool) -> None:
    """Rows of an embedding that no clip has, and a whole head whose loss has the weight 0."""
    torch.manual_seed(0)
    table, head = nn.Parameter(torch.randn(6, 3)), nn.Parameter(torch.randn(4))
    before = table.detach().clone(), head.detach().clone()
    optimizer = DecayingAdam(groups_of(table, head), decoupled=decoupled)
    for step in range(30):
        table.grad, head.grad = torch.zeros_like(table), torch.zeros_like(head)
        table.grad[[1, 4]] = random_gradients(table, step)[:2]
        optimizer.step()
    idle = [0, 2, 3, 5]
    assert torch.equal(table[idle], before[0][idle])
    assert torch.equal(head, before[1])
    assert (table[[1, 4]] != before[0][[1, 4]]).all()


def test_decoupled_decay_is_in_proportion_where_the_gradient_is_tiny() -> None:
    """L2 decay is not: through Adam's division, it shrinks such a number by the learning rate in each step."""
    left = {}
    for decoupled in (True, False):
        parameter = nn.Parameter(torch.full((8,), 0.1))
        optimizer = DecayingAdam(groups_of(parameter, lr=1e-3, decay=1e-3), decoupled=decoupled)
        for step in range(100):
            parameter.grad = 1e-9 * random_gradients(parameter, step)
            optimizer.step()
        left[decoupled] = float(parameter.detach().abs().mean())
    assert left[True] > 0.09
    assert left[False] < 0.03


def slow_steps(
    weight: float, gradients: list[float], lr: float, decay: float, decoupled: bool, skipped: list[bool]
) -> float:
    """Adam with betas .9 and .999 for one number, as its paper has it."""
    first = second = count = 0.0
    for gradient, skip in zip(gradients, skipped, strict=True):
        if skip:
            continue
        count += 1
        if gradient and decoupled:
            weight -= lr * decay * weight
        elif gradient:
            gradient += decay * weight
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        weight -= lr * (first / (1 - 0.9**count)) / (math.sqrt(second / (1 - 0.999**count)) + 1e-8)
    return weight


@given(
    gradients=st.lists(st.sampled_from([0.0, 0.0, 1e-6, -0.2, 0.7, 3.0]), min_size=1, max_size=12),
    weight=st.floats(-2, 2, width=32),
    decay=st.sampled_from([0.0, 0.01, 0.5]),
    decoupled=st.booleans(),
    data=st.data(),
)
def test_against_one_number_at_a_time(
    gradients: list[float], weight: float, decay: float, decoupled: bool, data: Any
) -> None:
    skipped = [data.draw(st.booleans()) for _ in gradients]
    parameter = nn.Parameter(torch.tensor([weight], dtype=torch.float64))
    optimizer = DecayingAdam(groups_of(parameter, decay=decay), decoupled=decoupled)
    for gradient, skip in zip(gradients, skipped, strict=True):
        parameter.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.found_inf = torch.tensor(float(skip))
        optimizer.step()
    expected = slow_steps(weight, gradients, 1e-2, decay, decoupled, skipped)
    assert math.isclose(float(parameter.detach()), expected, rel_tol=1e-6, abs_tol=1e-8)


@given(
    gradients=st.lists(st.floats(-3, 3), min_size=1, max_size=12),
    skipped=st.integers(0, 12),
    kept=st.sampled_from([0.0, 0.5, 0.9]),
)
def test_an_average_of_the_weights_against_one_number_at_a_time(
    gradients: list[float], skipped: int, kept: float
) -> None:
    parameter = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = DecayingAdam(groups_of(parameter), decoupled=True, kept=kept)
    with optimizer.averaged():
        assert float(parameter.detach()) == 1, "before the first step"
    weights: list[float] = []
    for number, gradient in enumerate(gradients):
        parameter.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.found_inf = torch.tensor(float(number == skipped))
        optimizer.step()
        weights.append(float(parameter.detach()))
    average = weights[0]
    for weight in weights[1:]:
        average = kept * average + (1 - kept) * weight
    for _ in range(2):
        with optimizer.averaged():
            assert float(parameter.detach()) == pytest.approx(average if kept else weights[-1], rel=1e-12)
        assert float(parameter.detach()) == weights[-1], "to the bit"


def test_the_length_of_the_average_is_in_epochs(planted: Dataset) -> None:
    def kept(average: float, steps: int) -> float:
        settings = load_settings(None, ["modalities=audio,vision", f"training.average={average}"])
        optimizer = make_optimizer(assemble(planted, settings).model, settings, steps)
        assert isinstance(optimizer, DecayingAdam)
        return optimizer.kept

    assert kept(0.75, 66) == pytest.approx(1 - 1 / 49.5)
    assert kept(2, 10) == 0.95
    assert kept(0.1, 5) == 0, "shorter than a step"
    assert kept(0, 66) == 0


@pytest.mark.parametrize("kept", [0.0, 0.8])
@pytest.mark.parametrize("decoupled", [True, False])
def test_it_goes_on_from_a_checkpoint_to_the_bit(decoupled: bool, kept: float, tmp_path: Path) -> None:
    module = nn.Linear(3, 2)
    optimizer = DecayingAdam(groups_of(*module.parameters()), decoupled=decoupled, kept=kept)

    def steps(model: nn.Module, optimizer: torch.optim.Optimizer, seeds: range) -> None:
        for seed in seeds:
            for parameter in model.parameters():
                parameter.grad = random_gradients(parameter, seed) * (seed % 2)
            optimizer.step()

    steps(module, optimizer, range(5))
    Checkpoints(tmp_path).save({"epoch": 1, "best_epoch": 1}, {"model": module}, optimizer, dict(module.state_dict()))
    other = nn.Linear(3, 2)
    resumed = DecayingAdam(groups_of(*other.parameters()), decoupled=decoupled, kept=kept)
    Checkpoints(tmp_path).load(1, {"model": other}, resumed)
    steps(module, optimizer, range(5, 10))
    steps(other, resumed, range(5, 10))
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), other.parameters(), strict=True))
    with optimizer.averaged(), resumed.averaged():
        assert all(torch.equal(a, b) for a, b in zip(module.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("preset", "decoupled"), [(None, True), ("quickstart", True), ("mosi", False), ("sims", False)]
)
def test_presets_of_the_field_keep_their_optimizer(preset: str | None, decoupled: bool, planted: Dataset) -> None:
    settings = load_settings(preset, ["modalities=audio,vision"])
    optimizer = make_optimizer(assemble(planted, settings).model, settings, 1)
    assert isinstance(optimizer, DecayingAdam)
    assert optimizer.decoupled is decoupled
    assert settings.labels.weighting == ("encoder" if decoupled else "published")
