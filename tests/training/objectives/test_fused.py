"""The fused task alone, and with people's labels, against loops over clips."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from selfmm.data.types import Batch, Output
from selfmm.training.objectives.fused import FusedObjective, HumanObjective


def some_output(n: int, **terms: Tensor) -> Output:
    random = torch.Generator().manual_seed(0)
    scores = {name: torch.randn(n, generator=random, requires_grad=True) for name in ("text", "audio")}
    present = {"text": torch.ones(n, dtype=torch.bool), "audio": torch.arange(n) % 3 != 1}
    fusion = torch.randn(n, generator=random, requires_grad=True)
    return Output(fusion, scores, torch.randn(n, 4), {}, {}, present, terms)


def some_batch(n: int) -> Batch:
    return Batch(torch.arange(n).flip(0), torch.randn(n, generator=torch.Generator().manual_seed(1)), {})


def test_the_fused_task_and_the_models_own_terms() -> None:
    output, batch = some_output(5, distance=torch.full((5,), 0.25)), some_batch(5)
    loss = FusedObjective(unit=2.0)(output, batch)
    for clip in range(5):
        error = abs(float(output.fusion[clip].detach()) - float(batch.labels[clip]))
        assert float(loss.per_clip[clip].detach()) == pytest.approx(error / 2 + 0.25, abs=1e-6)
        assert float(loss.tasks["fusion"][clip]) == pytest.approx(error, abs=1e-6)
    assert set(loss.tasks) == {"fusion", "distance"}


def test_peoples_labels_and_clips_without_one() -> None:
    output, batch = some_output(6), some_batch(6)
    labels = {"text": torch.tensor([1.0, math.nan, -2.0, 0.5, math.nan, 3.0]), "audio": torch.arange(6.0)}
    objective = HumanObjective(labels, unit=1.0)
    loss = objective(output, batch)
    for clip, number in enumerate(batch.index.tolist()):
        expected = abs(float(output.fusion[clip].detach()) - float(batch.labels[clip]))
        for name, values in labels.items():
            truth = float(values[number])
            if bool(output.present[name][clip]) and not math.isnan(truth):
                expected += abs(float(output.unimodal[name][clip].detach()) - truth)
        assert float(loss.per_clip[clip].detach()) == pytest.approx(expected, abs=1e-6)
    loss.per_clip.sum().backward()
    for name, score in output.unimodal.items():
        assert score.grad is not None
        assert score.grad.isfinite().all()
        silent = ~output.present[name] | labels[name][batch.index].isnan()
        assert (score.grad[silent] == 0).all()
        assert (score.grad[~silent] != 0).all()
    assert not objective.state_dict(), "labels are read with the data, not with the checkpoint"
