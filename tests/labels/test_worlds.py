"""The average over worlds against plain Monte Carlo with explicit covariance matrices."""

from __future__ import annotations

import numpy as np
import pytest

from oracles import estimation as slow
from selfmm.labels import worlds
from selfmm.labels.worlds import MODEL_ERROR, Posterior, posteriors


def all_clips(modalities: int, clips: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.full((modalities, modalities), float(clips))


CASES = [
    ((0.5,), ((1.0,),), 500),
    ((0.6, 0.4), ((1.0, 0.25), (0.25, 1.0)), 400),
    ((0.3, 0.7), ((1.0, 0.05), (0.05, 1.0)), 2000),
    ((0.6, 0.4, 0.5), ((1.0, 0.2, 0.25), (0.2, 1.0, 0.2), (0.25, 0.2, 1.0)), 300),
]


@pytest.mark.slow
@pytest.mark.parametrize(("r", "between", "clips"), CASES)
def test_equals_plain_monte_carlo(r: tuple[float, ...], between: tuple[tuple[float, ...], ...], clips: int) -> None:
    fast = posteriors(np.array(r), np.array(between), all_clips(len(r), clips))
    expected = slow.posteriors(np.array(r), np.array(between), clips, 40_000, 3, MODEL_ERROR)
    for one, other in zip(fast, expected, strict=True):
        for name in Posterior.__annotations__:
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=0.01, err_msg=name)


def test_one_world_gives_the_conditional_mean_of_its_gaussian(monkeypatch: pytest.MonkeyPatch) -> None:
    h, q, leak, r = np.array([0.5, 0.8, 0.7]), 0.3, np.array([0.2, 0.0, 1.0]), np.array([0.5, 0.3, 0.6])
    covariance = slow.world(h, q, leak, r)
    assert covariance is not None
    truths, rho = covariance[:3, :3], covariance[:3, 3]
    single = worlds._Worlds(rho[:, None], leak[:, None], truths[:, :, None])
    monkeypatch.setattr(worlds, "_draw", lambda modalities: single)
    monkeypatch.setattr(worlds, "DRAWS", 1)
    for s, posterior in enumerate(posteriors(r, np.eye(3), all_clips(3, 100))):
        coefficients, variance = slow.conditional(covariance, s, [3, 4 + s])
        np.testing.assert_allclose(posterior.weights, coefficients, atol=1e-12)
        assert posterior.variance == pytest.approx(variance)
        assert posterior.rho == pytest.approx(rho[s])
        assert posterior.unexplained == pytest.approx(1 - rho[s] ** 2)
        assert np.abs(posterior.spread).max() == pytest.approx(0, abs=1e-12)
        m, z = np.array([0.5, -2.0]), np.array([1.0, 0.3])
        mean = coefficients[0] * m + coefficients[1] * z
        np.testing.assert_allclose(posterior.label(m, z), mean / rho[s])
        np.testing.assert_allclose(posterior.squared_error(m, z), variance + (mean - mean / rho[s]) ** 2)
        np.testing.assert_allclose(posterior.squared_error_of_m(m), 1 - rho[s] ** 2 + (1 - rho[s]) ** 2 * m**2)


def test_evidence_that_agrees_between_modalities_counts_more() -> None:
    """Correlated evidence means that the true labels are correlated too, so they are near to their mean m."""
    r = np.array([0.5, 0.5, 0.5])
    rho = []
    for pair in (0.1, 0.25, 0.4):
        between = np.full((3, 3), pair)
        rho.append(posteriors(r, between, all_clips(3, 1000))[0].rho)
    assert rho[0] < rho[1]
    assert rho[0] < 0.8


@pytest.mark.parametrize("modalities", [1, 2, 3, 5])
@pytest.mark.parametrize("correlation", [0.0, 1e-6, 0.9, 0.999, 1 - 1e-9])
def test_extreme_correlations_give_finite_answers(modalities: int, correlation: float) -> None:
    r = np.full(modalities, correlation)
    between = np.full((modalities, modalities), correlation**2)
    for posterior in posteriors(r, between, all_clips(modalities, 10**6)):
        assert np.isfinite(posterior.weights).all()
        assert 0 <= posterior.variance <= 1
        assert 0 < posterior.rho <= 1 + 1e-12
        if correlation > 0.99:  # then m and z are the same, and t is not far from them
            assert posterior.weights.sum() == pytest.approx(1, abs=0.02)
        m = np.array([-2.0, 0.0, 3.0])
        assert (posterior.squared_error(m, m) >= 0).all()
        assert (posterior.squared_error_of_m(m) >= 0).all()


def test_contradictory_measurements_are_answered_too() -> None:
    between = np.array([[1, -0.9, 0.9], [-0.9, 1, 0.9], [0.9, 0.9, 1]])
    for posterior in posteriors(np.array([0.9, 0.9, 0.9]), between, all_clips(3, 10**9)):
        assert np.isfinite([*posterior.weights, posterior.variance, posterior.rho]).all()


def test_the_same_numbers_in_every_call() -> None:
    arguments = np.array([0.4, 0.5]), np.array([[1, 0.2], [0.2, 1]]), all_clips(2, 100)
    first = posteriors(*arguments)
    worlds._draw.cache_clear()
    assert all(np.array_equal(a.weights, b.weights) for a, b in zip(first, posteriors(*arguments), strict=True))
