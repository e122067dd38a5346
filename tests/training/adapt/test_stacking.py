"""The joint score, against Bayes by integration and refits."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.training.adapt.stacking import BIAS, WEIGHT, precision_weights, stack

Array = npt.NDArray[np.float64]
SPREAD = 2.25


def posterior_mean(scores: Array, errors: Array) -> float:
    """By integration: the prior of m times, per modality, the likelihood that turns it into N(score, error)."""
    m = np.linspace(-40, 40, 400_001)
    log = -(m**2) / (2 * SPREAD)
    for score, error in zip(scores, errors, strict=True):
        log += -((m - score) ** 2) / (2 * error) + m**2 / (2 * SPREAD)
    density = np.exp(log - log.max())
    return float((m * density).sum() / density.sum())


@pytest.mark.parametrize("errors", [[0.5, 2.0], [0.3, 1.0, 2.2], [1.5, 1.5, 0.9]])
def test_the_weights_are_those_of_bayes(errors: list[float]) -> None:
    weights = precision_weights(np.array(errors), SPREAD)
    for scores in product([-2.0, 0.4, 1.5], repeat=len(errors)):
        assert weights @ scores == pytest.approx(posterior_mean(np.array(scores), np.array(errors)), abs=1e-4)


def test_a_modality_without_information_has_no_weight_unless_none_has_any() -> None:
    assert precision_weights(np.array([0.5, SPREAD, 9.0]), SPREAD).tolist() == pytest.approx([1, 0, 0])
    assert precision_weights(np.array([SPREAD, 9.0]), SPREAD).tolist() == [0.5, 0.5]
    assert precision_weights(np.array([0.5]), SPREAD).tolist() == [1]
    assert precision_weights(np.array([9.0]), SPREAD).tolist() == [1]
    assert precision_weights(np.array([]), SPREAD).tolist() == []


def world(seed: int, count: int = 60, noise: tuple[float, ...] = (0.6, 1.0, 1.3)) -> tuple[Array, Array, Array]:
    """Scores (n, k) that are means of the target given the modality, a third of them missing; targets; errors (k,)."""
    random = np.random.default_rng(seed)
    targets = random.normal(0, np.sqrt(SPREAD), count)
    variances = np.square(noise)
    shares = SPREAD / (SPREAD + variances)
    scores = shares * (targets[:, None] + random.normal(size=(count, len(noise))) * noise)
    scores[random.uniform(size=scores.shape) < 0.3] = np.nan
    return scores, targets, SPREAD * (1 - shares)


def refits(
    scores: Array, targets: Array, groups: npt.NDArray[np.intp], own: Array, rows: npt.NDArray[np.intp]
) -> Array:
    """Slow: the score of each clip of ``rows`` by bias and weights that were fitted without its group."""
    result = np.empty(len(rows))
    for place, row in enumerate(rows):
        others = rows[groups[rows] != groups[row]]
        inputs = np.column_stack([np.ones(len(others)), scores[others]])
        covariance = np.diag([BIAS**2, *[WEIGHT**2] * len(own)])
        of_targets = inputs @ covariance @ inputs.T + np.eye(len(others))
        moved = covariance @ inputs.T @ np.linalg.solve(of_targets, targets[others] - scores[others] @ own)
        result[place] = moved[0] + scores[row] @ (own + moved[1:])
    return result


def test_left_out_scores_are_those_of_refits_for_every_set_of_modalities() -> None:
    scores, targets, errors = world(1)
    groups = np.random.default_rng(1).integers(0, 9, len(targets))
    stacked = stack(scores, targets, groups, errors.tolist(), SPREAD)
    present = np.isfinite(scores)
    seen = set()
    for subset in range(8):
        members = np.array([k for k in range(3) if subset >> k & 1], dtype=int)
        rows = np.flatnonzero(present[:, members].all(axis=1))
        own = precision_weights(errors[members], SPREAD)
        same = (present @ [1, 2, 4])[rows] == subset
        expected = scores[np.ix_(rows, members)] @ own
        if len(members) > 1:
            expected = refits(scores[:, members], targets, groups, own, rows)
            assert stacked.weights[subset, members] != pytest.approx(own, abs=1e-3)
        assert stacked.left_out[rows[same]] == pytest.approx(expected[same])
        seen.add(bool(same.any()))
        assert (np.delete(stacked.weights[subset], members) == 0).all()
    assert seen == {True}, "every set is seen"


@given(seed=st.integers(0, 10_000), count=st.integers(0, 40))
def test_no_weight_is_negative(seed: int, count: int) -> None:
    """Targets that have nothing to do with the scores, or are their opposites."""
    random = np.random.default_rng(seed)
    scores = random.normal(0, 2, (count, 3))
    targets = scores @ random.normal(0, 1, 3) + random.normal(0, 1, count)
    scores[random.uniform(size=scores.shape) < 0.2] = np.nan
    stacked = stack(scores, targets, np.arange(count), [0.5, 1.0, 3.0], SPREAD)
    assert (stacked.weights >= 0).all()
    assert np.isfinite(stacked.left_out).all()
    assert (stacked.weights[[3, 5, 6, 7], 2] == 0)[1:].all(), "the third says nothing"


def test_a_score_that_points_the_wrong_way_loses_its_weight() -> None:
    random = np.random.default_rng(3)
    targets = random.normal(0, 1.5, 800)
    scores = np.column_stack([targets + random.normal(0, 0.2, 800), -targets])
    stacked = stack(scores, targets, np.arange(800), [1.0, 1.0], SPREAD)
    assert stacked.weights[3, 1] == 0
    assert stacked.weights[3, 0] == pytest.approx(1, abs=0.1)


def test_few_ratings_move_nothing() -> None:
    scores, targets, errors = np.random.default_rng(4).normal(size=(9, 2)), np.full(9, 2.0), [0.5, 1.0]
    stacked = stack(scores, targets, np.arange(9), errors, SPREAD)
    weights = precision_weights(np.array(errors), SPREAD)
    assert stacked.weights.tolist() == [[0, 0], [1, 0], [0, 1], pytest.approx(weights)]
    assert (stacked.bias == 0).all()
    assert stacked.left_out == pytest.approx(scores @ weights)


def test_without_clips_the_weights_are_those_of_the_errors() -> None:
    stacked = stack(np.zeros((0, 2)), np.zeros(0), np.zeros(0, dtype=np.intp), [0.5, 1.0], SPREAD)
    assert stacked.weights[3] == pytest.approx(precision_weights(np.array([0.5, 1.0]), SPREAD))
    assert len(stacked.left_out) == 0


def test_what_is_complementary_gains_weight() -> None:
    """Two scores whose errors are known too large: with many ratings the weights approach least squares."""
    random = np.random.default_rng(5)
    parts = random.normal(size=(3000, 2))
    targets = parts.sum(axis=1)
    stacked = stack(parts, targets, np.arange(3000), [1.0, 1.0], 2.0)
    assert stacked.weights[3] == pytest.approx([1, 1], abs=0.03)
