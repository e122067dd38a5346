"""Integrated gradients against functions whose integral is known, and against captum where it is installed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from selfmm.explain.gradients import integrated_gradients

torch.set_num_threads(1)
SHAPE = (7, 3)


def parts(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    inputs, baseline, weights = (torch.randn(SHAPE, generator=random) for _ in range(3))
    return inputs, baseline, weights


def test_of_a_linear_function_they_are_weight_times_way() -> None:
    inputs, baseline, weights = parts()
    found = integrated_gradients(
        lambda path: (path * weights).sum((1, 2)), inputs, baseline, steps=1, tolerance=torch.inf
    )
    torch.testing.assert_close(found, (weights * (inputs - baseline)).double(), atol=1e-6, rtol=1e-5)


def test_of_a_product_each_factor_has_its_known_share() -> None:
    """f = x y from (0, 0) to (2, 3): the gradient at a is (3 a, 2 a), so each share is 2 * 3 / 2."""
    found = integrated_gradients(
        lambda path: path[:, 0, 0] * path[:, 0, 1],
        torch.tensor([[2.0, 3.0]]),
        torch.zeros(1, 2),
        steps=2,
        tolerance=torch.inf,
    )
    torch.testing.assert_close(found, torch.tensor([[3.0, 3.0]]).double())


def test_a_function_that_tips_over_is_looked_at_more_closely() -> None:
    """A step of width 1/500: thirty-two points at even chances miss it."""

    def step(path: Tensor) -> Tensor:
        return torch.sigmoid(2000 * (path[:, 0, 0] - 0.7113))

    inputs, baseline = torch.tensor([[1.0, 5.0]]), torch.zeros(1, 2)
    coarse = integrated_gradients(step, inputs, baseline, steps=32, tolerance=torch.inf)
    assert abs(float(coarse[0, 0]) - 1) > 0.1
    fine = integrated_gradients(step, inputs, baseline, steps=32, tolerance=1e-3)
    torch.testing.assert_close(fine, torch.tensor([[1.0, 0.0]]).double(), atol=2e-3, rtol=0)


def test_what_is_worked_off_at_once_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, baseline, weights = parts(1)

    def curved(path: Tensor) -> Tensor:
        return torch.tanh((path * weights).sum((1, 2))) * path[:, 0, 0]

    whole = integrated_gradients(curved, inputs, baseline, steps=32, tolerance=1e-4)
    monkeypatch.setattr("selfmm.explain.gradients._ROWS", 20)
    parts_ = integrated_gradients(curved, inputs, baseline, steps=32, tolerance=1e-4)
    torch.testing.assert_close(whole, parts_, atol=1e-6, rtol=1e-5)
    rise = curved(inputs[None]) - curved(baseline[None])
    assert float(whole.sum()) == pytest.approx(float(rise), abs=1e-4)


def test_captum_finds_the_same() -> None:
    captum = pytest.importorskip("captum.attr", reason="captum is not installed")
    inputs, baseline, weights = parts(2)

    def curved(path: Tensor) -> Tensor:
        return torch.tanh((path * weights).sum((1, 2))) * path[:, 0, 0].sin()

    theirs = captum.IntegratedGradients(curved).attribute(inputs[None], baselines=baseline[None], n_steps=32)
    ours = integrated_gradients(curved, inputs, baseline, steps=32, tolerance=torch.inf)
    torch.testing.assert_close(ours, theirs[0].double(), atol=1e-5, rtol=1e-4)
