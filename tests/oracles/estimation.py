"""Slow oracles of label estimation: explicit refits, plain Monte Carlo with covariance matrices, EM clip by clip.

They share no code with ``selfmm``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def left_out(blocks: Sequence[Array], labels: Array, fit: npt.NDArray[np.bool_]) -> Array:
    """Each clip's label by a ridge regression fitted to the other clips of ``fit``, refitted for every clip."""
    inputs = np.column_stack([column for block in blocks for column in _scaled(block, fit)] or [np.zeros(len(labels))])
    members = np.flatnonzero(fit).tolist()
    if len(members) < 3 or not inputs.any():
        return np.full(len(labels), labels[fit].mean())
    centred = inputs[fit] - inputs[fit].mean(axis=0)
    scatter = centred.T @ centred
    level = np.trace(scatter) / np.linalg.matrix_rank(scatter, tol=1e-9 * np.trace(scatter))
    best, least = np.zeros(0), math.inf
    for power in range(-6, 3):
        predicted = np.array(
            [
                _ridge(inputs, labels, [other for other in members if other != clip], level * 10.0**power, clip)
                for clip in range(len(labels))
            ]
        )
        error = float(((predicted - labels)[fit] ** 2).sum())
        if error < least:
            best, least = predicted, error
    return best


def _scaled(block: Array, fit: npt.NDArray[np.bool_]) -> list[Array]:
    columns = []
    for column in block.T:
        deviation = math.sqrt(((column[fit] - column[fit].mean()) ** 2).mean())
        if deviation > 1e-9 * abs(column[fit]).max():
            standard = np.minimum(np.maximum((column - column[fit].mean()) / deviation, -3), 3)
            columns.append(standard - standard[fit].mean())
    total = sum((column[fit] ** 2).mean() for column in columns)
    return [column / math.sqrt(total) for column in columns]


def _ridge(inputs: Array, labels: Array, members: list[int], penalty: float, clip: int) -> float:
    """Fit w and c to the members and predict one clip, from the normal equations."""
    rows, targets = np.column_stack([np.ones(len(members)), inputs[members]]), labels[members]
    system = rows.T @ rows + penalty * np.diag([0.0] + [1.0] * inputs.shape[1])
    return float(np.concatenate([[1.0], inputs[clip]]) @ np.linalg.solve(system, rows.T @ targets))


@dataclass(frozen=True)
class Moments:
    """Of one modality, averaged over worlds; as the attributes of ``selfmm.labels.worlds.Posterior``."""

    weights: Array
    spread: Array
    variance: float
    rho: float
    rho_variance: float
    unexplained: float


def world(h: Array, q: float, leak: Array, r: Array) -> Array | None:
    """The covariance matrix of t_1 .. t_S, m, z_1 .. z_S in a world; None if it is impossible.

    Every variable is written as a sum of independent ones: f, e_1 .. e_S, and the noise of each z.
    """
    count = len(h)
    of = np.zeros((2 * count + 1, 1 + 2 * count))
    for s in range(count):
        of[s, 0], of[s, 1 + s] = math.sqrt(h[s]), math.sqrt(1 - h[s])
    whole = (1 - q) * of[:count].mean(axis=0)
    whole[0] += q
    of[count] = whole / np.linalg.norm(whole)
    for s in range(count):
        rho = float(of[s] @ of[count])
        row = r[s] * (1 - leak[s]) / rho * of[s] + r[s] * leak[s] * of[count]
        noise = 1 - float(row @ row)
        if noise < 0 or rho < r[s]:
            return None
        row[1 + count + s] = math.sqrt(noise)
        of[count + 1 + s] = row
    return of @ of.T


def conditional(covariance: Array, target: int, known: list[int]) -> tuple[Array, float]:
    """Coefficients and variance of a Gaussian variable given others, all with mean 0."""
    inner, cross = covariance[np.ix_(known, known)], covariance[target, known]
    coefficients = np.asarray(np.linalg.solve(inner, cross), dtype=np.float64)
    return coefficients, float(covariance[target, target] - coefficients @ cross)


def posteriors(r: Array, between: Array, clips: int, draws: int, seed: int, model_error: float) -> list[Moments]:
    """The means over worlds drawn with numpy's random numbers, weighted by the likelihood of ``between``."""
    rng, count = np.random.default_rng(seed), len(r)
    rows, weights = [], []
    for _ in range(draws):
        h, leak, q = rng.uniform(size=count), rng.uniform(size=count), rng.beta(1, 3)
        covariance = world(h, q, leak, r)
        if covariance is None:
            continue
        log = 0.0
        for s in range(count):
            for j in range(s):
                variance = (1 - between[s, j] ** 2) ** 2 / clips + model_error**2
                log -= (between[s, j] - covariance[count + 1 + s, count + 1 + j]) ** 2 / (2 * variance)
        weights.append(math.exp(log))
        answers = []
        for s in range(count):
            coefficients, left = conditional(covariance, s, [count, count + 1 + s])
            answers.append([*coefficients, left, covariance[s, count]])
        rows.append(answers)
    share, values = np.array(weights) / sum(weights), np.array(rows)  # (K,), (K, S, 4)
    return [_moments(share, values[:, s]) for s in range(count)]


def _moments(share: Array, values: Array) -> Moments:
    mean = share @ values
    offset = values - mean
    covariance = (offset * share[:, None]).T @ offset
    unexplained = float(share @ (1 - values[:, 3] ** 2))
    return Moments(mean[:2], covariance[:2, :2], float(mean[2]), float(mean[3]), float(covariance[3, 3]), unexplained)


def contradictions(labels: Sequence[float], evidence: Sequence[float], r: float, steps: int) -> tuple[float, float]:
    """Share and noise after ``steps`` of EM."""
    share, noise = 0.1, 1 - r * r
    for _ in range(steps):
        odds = [probability(m, z, r, share, noise) for m, z in zip(labels, evidence, strict=True)]
        squares = [(1 - p) * (z - r * m) ** 2 for p, m, z in zip(odds, labels, evidence, strict=True)]
        noise = sum(squares) / sum(1 - p for p in odds)
        share = sum(odds) / len(odds)
    return share, noise


def probability(m: float, z: float, r: float, share: float, noise: float) -> float:
    """P(the modality contradicts | m, z), by Bayes from two normal densities."""
    own = share * _normal(z, 0.0, r * r + noise)
    return own / (own + (1 - share) * _normal(z, r * m, noise))


def _normal(x: float, mean: float, variance: float) -> float:
    return math.exp(-((x - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
