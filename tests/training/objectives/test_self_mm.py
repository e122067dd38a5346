"""The loss against its formula written out clip by clip."""

from __future__ import annotations

import math

import torch

from selfmm.data.types import Batch, Output
from selfmm.labels import UnimodalLabelGenerator
from selfmm.training.objectives.self_mm import SelfMMObjective
from selfmm.training.objectives.weighting import Weighting

N, DIMS = 12, {"text": 3, "audio": 2}


def objective_with_own_labels(weighting: Weighting = "published") -> SelfMMObjective:
    torch.manual_seed(1)
    labels = torch.linspace(-3, 3, N)
    generator = UnimodalLabelGenerator(labels, dims=DIMS, fusion_dim=4, bound=3.0, rule="authors")
    for epoch in (1, 2, 3):
        features = {name: torch.randn(N, dim) for name, dim in DIMS.items()}
        generator.update(torch.randn(N, 4), features, torch.arange(N), epoch)
    return SelfMMObjective(generator, weighting=weighting)


def outputs(index: torch.Tensor, present: dict[str, torch.Tensor]) -> Output:
    n = len(index)
    scores = {name: torch.randn(n, requires_grad=True) for name in DIMS}
    features = {name: torch.randn(n, dim) for name, dim in DIMS.items()}
    return Output(torch.randn(n, requires_grad=True), scores, torch.randn(n, 4), features, {}, present)


def test_loss_is_that_of_the_paper_and_leaves_out_missing_streams() -> None:
    objective = objective_with_own_labels()
    index = torch.tensor([3, 8, 1])
    present = {"text": torch.tensor([True, True, True]), "audio": torch.tensor([True, False, True])}
    output = outputs(index, present)
    generator = objective.generator
    batch = Batch(index, generator.m_labels[index], {})
    loss = objective(output, batch)
    for row, clip in enumerate(index.tolist()):
        y_m = float(generator.m_labels[clip])
        expected = abs(float(output.fusion[row].detach()) - y_m)
        for name in DIMS:
            y_s = float(generator.labels[name][clip])
            share = math.tanh(abs(y_s - y_m)) * abs(float(output.unimodal[name][row].detach()) - y_s)
            share = share if present[name][row] else 0.0
            assert math.isclose(float(loss.tasks[name][row]), share, rel_tol=1e-5, abs_tol=1e-7)
            expected += share
        assert math.isclose(float(loss.per_clip[row].detach()), expected, rel_tol=1e-5)
    loss.per_clip.sum().backward()
    grad = output.unimodal["audio"].grad
    assert grad is not None
    assert grad[1] == 0
    assert (grad[[0, 2]] != 0).all()


def test_targets_and_weights_get_no_gradient_and_state_is_in_the_state_dict() -> None:
    objective = objective_with_own_labels()
    assert not list(objective.parameters())
    assert len(objective.state_dict()) > 5


def test_observe_moves_only_the_batchs_labels() -> None:
    objective = objective_with_own_labels()
    before = objective.generator.labels["text"].clone()
    index = torch.tensor([2, 5])
    everywhere = {name: torch.tensor([True, True]) for name in DIMS}
    objective.observe(outputs(index, everywhere), index, epoch=4)
    changed = (objective.generator.labels["text"] != before).nonzero().flatten().tolist()
    assert set(changed) <= {2, 5}
    assert changed
    objective.end_epoch()
