"""Ridge regression centred at a prior score, against explicit posteriors and refits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.training.adapt import ridge
from selfmm.training.adapt.ridge import OFFSET, SLOPE, STRENGTHS, Groups

Array = npt.NDArray[np.float64]


def posterior_mean(rows: Array, variances: Array, targets: Array, weights: Array) -> Array:
    """Slow: the mean of effects ~ N(0, diag(variances)) given targets = rows effects + noise of variance 1 / weights,
    by conditioning the joint Gaussian of effects and targets."""
    covariance = np.diag(variances)
    of_targets = rows @ covariance @ rows.T + np.diag(1 / weights)
    mean: Array = covariance @ rows.T @ np.linalg.solve(of_targets, targets)
    return mean


def left_out(rows: Array, variances: Array, targets: Array, weights: Array, groups: Groups) -> Array:
    """Slow: fits again without each group."""
    rest = np.empty(len(targets))
    for group in np.unique(groups):
        own = groups == group
        effects = posterior_mean(rows[~own], variances, targets[~own], weights[~own])
        rest[own] = targets[own] - rows[own] @ effects
    return rest


def world(seed: int, count: int = 30, dim: int = 4, recordings: int = 7) -> tuple[Array, Array, Array, Array, Groups]:
    """Inputs, prior scores, targets, weights, groups; the targets follow all of them a little."""
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(count, dim)) * random.uniform(0.2, 3, dim) + random.normal(size=dim)
    prior = random.normal(0, 1, count)
    targets = 0.3 + 1.1 * prior + inputs @ random.normal(0, 0.3, dim) + random.normal(0, 0.7, count)
    weights = random.uniform(0.2, 1, count)
    return inputs, prior, targets, weights, random.integers(0, recordings, count)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("count", "dim"), [(12, 3), (5, 9)])
def test_the_effects_are_the_posterior_mean_and_the_residuals_those_of_refits(
    weighted: bool, count: int, dim: int
) -> None:
    random = np.random.default_rng(dim)
    rows, targets = random.normal(size=(count, dim)), random.normal(size=count)
    variances = random.uniform(0.01, 3, dim)
    weights = random.uniform(0.1, 2, count) if weighted else np.ones(count)
    groups = random.integers(0, 4, count)
    effects, left = ridge.solve(rows, variances, targets, weights, groups)
    assert effects == pytest.approx(posterior_mean(rows, variances, targets, weights))
    assert left == pytest.approx(left_out(rows, variances, targets, weights, groups))


def test_an_effect_without_variance_stays_at_0() -> None:
    random = np.random.default_rng(0)
    rows, targets = random.normal(size=(9, 3)), random.normal(size=9)
    effects, left = ridge.solve(rows, np.array([1.0, 0.0, 0.5]), targets, np.ones(9), np.arange(9))
    without, same = ridge.solve(rows[:, [0, 2]], np.array([1.0, 0.5]), targets, np.ones(9), np.arange(9))
    assert effects.tolist() == pytest.approx([without[0], 0, without[1]])
    assert left == pytest.approx(same)


def test_a_clip_with_next_to_no_weight_is_as_if_absent() -> None:
    inputs, prior, targets, weights, groups = world(1)
    rows = np.column_stack([np.ones(30), prior, inputs])
    weights[20:], targets[20:] = 1e-9, 100.0
    variances = np.full(6, 0.3)
    effects, left = ridge.solve(rows, variances, targets, weights, groups)
    fewer, rest = ridge.solve(rows[:20], variances, targets[:20], weights[:20], groups[:20])
    assert effects == pytest.approx(fewer, abs=1e-4)
    assert left[:20] == pytest.approx(rest, abs=1e-4)


@pytest.mark.parametrize(("count", "dim"), [(40, 4), (25, 60)])
def test_a_fit_is_the_posterior_of_the_stated_model(count: int, dim: int) -> None:
    """By the formula of the module: inputs are centred and have a total variance of 1."""
    inputs, prior, targets, weights, groups = world(5, count, dim)
    fit = ridge.fit(inputs, prior, targets, weights, groups)
    assert fit.strength > 0
    centre = weights @ inputs / weights.sum()
    size = np.sqrt(weights @ ((inputs - centre) ** 2).sum(axis=1) / weights.sum())
    rows = np.column_stack([np.ones(count), prior, (inputs - centre) / size])
    variances = np.array([OFFSET**2, SLOPE**2, *[fit.strength] * dim])
    offset, slope, *added = posterior_mean(rows, variances, targets - prior, weights)
    assert fit.weights == pytest.approx(np.array(added) / size)
    assert fit.slope == pytest.approx(1 + slope)
    assert fit.bias == pytest.approx(offset - np.array(added) @ centre / size)
    assert fit.left_out == pytest.approx(targets - left_out(rows, variances, targets - prior, weights, groups))


def same(fit: ridge.Fit, other: ridge.Fit) -> None:
    assert fit.strength == other.strength
    assert fit.left_out == pytest.approx(other.left_out, abs=1e-6)
    assert fit.slope == pytest.approx(other.slope, abs=1e-6)


@given(seed=st.integers(0, 10_000), dim=st.sampled_from([1, 4, 40]), shift=st.floats(-50, 50))
def test_the_origin_and_the_axes_of_the_inputs_do_not_matter(seed: int, dim: int, shift: float) -> None:
    inputs, prior, targets, weights, groups = world(seed, dim=dim)
    fit = ridge.fit(inputs, prior, targets, weights, groups)
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))[0]
    moved = ridge.fit(inputs @ rotation + shift, prior, targets, weights, groups)
    same(fit, moved)
    assert fit.weights @ rotation == pytest.approx(moved.weights, abs=1e-6)
    larger = ridge.fit(7 * inputs, prior, targets, weights, groups)
    same(fit, larger)
    assert larger.weights == pytest.approx(fit.weights / 7, abs=1e-6)


@given(seed=st.integers(0, 10_000), dim=st.sampled_from([2, 40]))
def test_the_order_of_clips_and_the_numbers_of_groups_do_not_matter(seed: int, dim: int) -> None:
    inputs, prior, targets, weights, groups = world(seed, dim=dim)
    fit = ridge.fit(inputs, prior, targets, weights, groups)
    random = np.random.default_rng(seed)
    order, names = random.permutation(len(prior)), random.permutation(50)
    shuffled = ridge.fit(inputs[order], prior[order], targets[order], weights[order], names[groups[order]])
    assert shuffled.strength == fit.strength
    assert shuffled.weights == pytest.approx(fit.weights, abs=1e-7)
    assert shuffled.left_out == pytest.approx(fit.left_out[order], abs=1e-6)


def test_without_strength_only_offset_and_slope_move() -> None:
    random = np.random.default_rng(2)
    prior = random.normal(0, 1.2, 60)
    targets = 0.4 + 1.3 * prior + random.normal(0, 0.5, 60)
    fit = ridge.fit(random.normal(size=(60, 5)), prior, targets, np.ones(60), np.arange(60))
    assert fit.strength == 0
    assert (fit.weights == 0).all()
    assert fit.bias == pytest.approx(0.4, abs=0.15)
    assert fit.slope == pytest.approx(1.3, abs=0.15)


@pytest.mark.parametrize("inputs", [np.zeros((30, 3)), np.ones((30, 3)), np.zeros((30, 0))])
def test_inputs_that_do_not_vary_add_nothing(inputs: Array) -> None:
    _, prior, targets, weights, groups = world(3)
    fit = ridge.fit(inputs, prior, targets, weights, groups)
    assert (fit.weights == 0).all()
    assert np.isfinite(fit.left_out).all()
    assert np.isfinite([fit.bias, fit.slope]).all()


def test_no_clip_changes_nothing() -> None:
    fit = ridge.fit(np.zeros((0, 4)), np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.intp))
    assert (fit.bias, fit.slope, fit.strength, len(fit.left_out)) == (0, 1, 0, 0)
    assert fit.weights.tolist() == [0, 0, 0, 0]


def test_one_clip_moves_the_offset_by_no_more_than_its_prior_allows() -> None:
    fit = ridge.fit(np.ones((1, 4)), np.array([1.0]), np.array([-2.0]), np.ones(1), np.zeros(1, dtype=np.intp))
    assert fit.left_out == pytest.approx([1.0]), "without its label, only the prior is known"
    assert -3 * OFFSET**2 <= fit.bias < 0


@pytest.mark.parametrize("dim", [3, 400])
def test_a_planted_truth_is_found_with_many_clips(dim: int) -> None:
    random = np.random.default_rng(4)
    truth = random.normal(size=dim) / np.sqrt(dim)
    inputs, prior = random.normal(size=(2000, dim)), random.normal(0, 1, 2000)
    targets = 0.2 + 0.8 * prior + inputs @ truth + random.normal(0, 0.3, 2000)
    fit = ridge.fit(inputs, prior, targets, np.ones(2000), np.arange(2000) // 10)
    assert fit.slope == pytest.approx(0.8, abs=0.05)
    assert np.corrcoef(fit.weights, truth)[0, 1] > 0.97
    assert np.abs(fit.left_out - targets).mean() < 0.35


def test_ten_clips_of_noise_leave_the_prior_nearly_as_it_is() -> None:
    """Labels that say nothing beyond the prior score, and inputs of 400 numbers."""
    distances = []
    for seed in range(100):
        random = np.random.default_rng(seed)
        inputs, prior = random.normal(size=(10, 400)), random.normal(0, 1, 10)
        fit = ridge.fit(inputs, prior, prior + random.normal(0, 0.8, 10), np.ones(10), np.arange(10))
        assert fit.strength <= ridge.FREE
        others, scores = random.normal(size=(200, 400)), random.uniform(-1.5, 1.5, 200)
        distances.append(np.abs(fit.bias + (fit.slope - 1) * scores + others @ fit.weights).mean())
    assert np.mean(distances) < 0.15
    assert max(distances) < 0.3


def test_a_strength_beyond_the_free_ones_needs_proof() -> None:
    assert STRENGTHS[0] == 0
    random = np.random.default_rng(6)
    inputs = random.normal(size=(400, 2))
    targets = inputs @ [1.2, -1.2] + random.normal(0, 0.2, 400)
    ones, groups = np.ones(400), np.arange(400)
    assert ridge.fit(inputs, np.zeros(400), targets, ones, groups).strength > ridge.FREE
    few = slice(0, ridge.LEAST - 1)
    assert ridge.fit(inputs[few], np.zeros(400)[few], targets[few], ones[few], groups[few]).strength <= ridge.FREE


def test_proof_is_by_groups() -> None:
    gains = np.random.default_rng(7).normal(0.5, 1, 60)
    alone, together = np.arange(60), np.arange(60) // 30
    assert ridge.proven(gains, alone, 2.0)
    assert not ridge.proven(gains, np.zeros(60, dtype=np.intp), 2.0), "one recording proves nothing"
    assert not ridge.proven(-gains, alone, 1.0)
    assert not ridge.proven(np.zeros(60), alone, 1.0)
    assert not ridge.proven(gains[:10], alone[:10], 0.1)
    one_sided = np.where(together == 0, 2.0, -0.5)
    assert ridge.proven(one_sided, alone, 2.0)
    assert not ridge.proven(one_sided, together, 2.0)
