"""MMIM's terms compared with their definitions in loops and with known information; its size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from models.worlds import MODALITIES, MOSI, core_size, make_batch, make_model
from selfmm.config.settings import load_settings
from selfmm.models import mmim
from selfmm.models.mmim import MMIM, Information, contrast, entropy, log_likelihood

THERE = st.lists(st.booleans(), min_size=1, max_size=6)
FLOOR = 1e-3


def rows_of(count: int, size: int, seed: int) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_contrast(predicted: Sequence[Sequence[float]], x: Sequence[Sequence[float]], there: Sequence[bool]) -> float:
    clips = [i for i, counts in enumerate(there) if counts]
    losses = []
    for i in clips:
        alike = {
            j: sum(a * b for a, b in zip(x[i], predicted[j], strict=True))
            / math.hypot(*x[i])
            / math.hypot(*predicted[j])
            for j in clips
        }
        losses.append(math.log(sum(math.exp(each) for each in alike.values())) - alike[i])
    return sum(losses) / len(losses) if losses else 0.0


@given(there=THERE, size=st.integers(1, 4), seed=st.integers(0, 99))
def test_contrast(there: list[bool], size: int, seed: int) -> None:
    predicted, x = rows_of(len(there), size, seed), rows_of(len(there), size, seed + 1)
    found = float(contrast(predicted, x, torch.tensor(there)))
    assert found == pytest.approx(slow_contrast(predicted.tolist(), x.tolist(), there), abs=1e-6)
    assert found >= -1e-9


def test_contrast_is_least_where_each_clip_is_told_from_the_others() -> None:
    ones, everywhere = torch.eye(4), torch.ones(4, dtype=torch.bool)
    told = contrast(ones, ones, everywhere)
    assert told == pytest.approx(math.log(math.e + 3) - 1)
    assert told < contrast(torch.ones(4, 4), ones, everywhere) == pytest.approx(math.log(4))
    assert contrast(ones, ones.flip(0), everywhere) > math.log(4)


@given(there=THERE, size=st.integers(1, 4), seed=st.integers(0, 99))
def test_entropy(there: list[bool], size: int, seed: int) -> None:
    values = rows_of(len(there), size, seed)
    rows = values[torch.tensor(there)].numpy()
    spread = np.cov(rows.T, bias=True).reshape(size, size) if len(rows) else np.zeros((size, size))
    found = float(entropy(values, torch.tensor(there)))
    expected = 0.5 * np.linalg.slogdet(2 * math.pi * math.e * (spread + FLOOR * np.eye(size)))[1]
    assert found == pytest.approx(float(expected), abs=1e-9)


@given(seed=st.integers(0, 99), size=st.integers(1, 4))
def test_log_likelihood(seed: int, size: int) -> None:
    """The mean over a noise that takes each of two values, which has the mean and the variance of the real one."""
    values, mean, spread = rows_of(5, size, seed), rows_of(5, size, seed + 1), rows_of(5, size, seed + 2).exp()
    density: Any = torch.distributions.Normal(mean, (spread + FLOOR).sqrt())
    above, below = (density.log_prob(values + sign * FLOOR**0.5) for sign in (1, -1))
    expected = ((above + below) / 2).sum(dim=1)
    torch.testing.assert_close(log_likelihood(values, mean, spread), expected)


@pytest.mark.parametrize("tie", [0.0, 0.6, 0.9])
def test_information_of_gaussians_is_known(tie: float) -> None:
    """-1/2 log(1 - rho^2) a number where q is the true one; and there is none in what is the same for all."""
    x, noise = rows_of(40_000, 3, 0), rows_of(40_000, 3, 1)
    y = tie * x + math.sqrt(1 - tie**2) * noise
    everywhere = torch.ones(len(x), dtype=torch.bool)
    rest = torch.full_like(y, 1 - tie**2)
    found = entropy(y, everywhere) + log_likelihood(y, tie * x, rest).mean()
    assert float(found) == pytest.approx(-1.5 * math.log(1 - tie**2), abs=0.02)
    same = torch.full_like(y, 0.3)
    nothing = entropy(same, everywhere) + log_likelihood(same, same, torch.zeros_like(y)).mean()
    assert float(nothing) == pytest.approx(0, abs=1e-9)


def test_what_is_learnt_tells_dependence_from_independence() -> None:
    """On clips that training did not see: with one loss for q and g, as in the model."""
    found = []
    for dependent in (True, False):
        torch.manual_seed(0)
        x = torch.randn(2048, 6)
        other = x if dependent else torch.randn(2048, 6)
        y = other[:, :4] + 0.2 * torch.randn(2048, 4)
        module, half = Information(6, 4), torch.ones(1024, dtype=torch.bool)
        optimizer = torch.optim.Adam(module.parameters(), lr=2e-2)
        for _ in range(60):
            optimizer.zero_grad()
            (-module(x[:1024], y[:1024], half)).backward()
            optimizer.step()
        found.append(float(module(x[1024:], y[1024:], half).detach()))
    assert found[0] > 0.5
    assert found[1] < 0.05


def test_clips_without_the_stream_have_no_part() -> None:
    torch.manual_seed(0)
    module = Information(5, 8)
    x, y = torch.randn(4, 5), torch.randn(4, 8)
    there = torch.tensor([True, False, True, True])
    expected = module(x[there], y[there], there[there])
    torch.testing.assert_close(module(x, y, there), expected)
    for few in ([False] * 4, [False, True, False, False]):
        assert module(x, y, torch.tensor(few)) == 0


def test_terms_of_the_model() -> None:
    """Text tells of every other modality, and the fusion of all; with their weights."""
    lengths = {"text": [4, 7, 3, 0], "audio": [9, 2, 4, 6], "vision": [1, 5, 4, 0]}
    model = make_model("mmim", "options.contrast=1", "options.bound=1")
    assert isinstance(model, MMIM)
    batch = make_batch(lengths, aligned=False)
    output = model(batch)
    encoded, present = output.encoded, output.present
    told = sum(
        contrast(model.predict[name](output.fusion_feature), encoded[name], present[name]) for name in MODALITIES
    )
    known = sum(
        model.information[name](encoded["text"], encoded[name], present["text"] & present[name])
        for name in ("audio", "vision")
    )
    torch.testing.assert_close(output.terms["contrast"], torch.as_tensor(told).expand(4))
    torch.testing.assert_close(output.terms["bound"], -torch.as_tensor(known).expand(4))
    half = make_model("mmim", "options.contrast=0.5", "options.bound=0.5")(batch).terms
    for name, values in output.terms.items():
        torch.testing.assert_close(2 * half[name], values)


def test_numbers_that_overflow_are_told_and_not_a_crash() -> None:
    """Where a run diverges, the trainer names the clip; a matrix without a determinant must not come before."""
    assert entropy(torch.full((3, 2), torch.nan), torch.ones(3, dtype=torch.bool)).isnan()


def test_size() -> None:
    """The published layers; but q is of g alone, so that its last Linears have 4 numbers instead of 16."""
    wide, small = 768, 16
    published = nn.ModuleList(
        [
            *(nn.Linear(wide + 2 * small, 128), nn.Linear(128, 128), nn.Linear(128, 1)),
            *(nn.Linear(128, size) for size in (wide, small, small)),
            *(nn.Sequential(nn.Linear(wide, small), nn.Linear(small, small)) for _ in range(2 * 2)),
            *(nn.Linear(small, 4) for _ in range(2)),
        ]
    )
    count = sum(each.numel() for each in published.parameters())
    assert count == 272_809
    outs = [f"stream.{name}.out={size}" for name, size in (("text", wide), ("audio", small), ("vision", small))]
    model = MMIM(MOSI, load_settings(None, ["model=mmim", *outs]), None)
    assert core_size(model) == count - 2 * 2 * (small + 1) * (small - small // mmim._SHARE) == 271_993
