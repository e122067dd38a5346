"""Slow oracle of the rule ``posterior``: heads are refitted without each clip, and EM runs over lists of numbers.

Shares no code with ``selfmm``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]


class SlowPosterior:
    """Evidence of one modality so far; ``add_epoch`` at the end of an epoch, then ``label`` for any clip."""

    def __init__(self, m_labels: Sequence[float]) -> None:
        self.m_labels = m_labels
        self.evidence: dict[int, float] = {}
        self.epochs = 0
        self.weights: list[float] = []
        self.fit: dict[str, float] | None = None

    def add_epoch(self, stored: Mapping[int, Vector]) -> None:
        self.epochs += 1
        new = held_out_predictions(stored, self.m_labels)
        r2 = explained([self.m_labels[clip] for clip in sorted(new)], [new[clip] for clip in sorted(new)])
        self.weights.append(self.epochs * r2 * (1 - r2) ** 4)
        whole = math.fsum(self.weights)
        for clip, value in new.items():
            if clip in self.evidence and whole > 0:
                value = (math.fsum(self.weights[:-1]) * self.evidence[clip] + self.weights[-1] * value) / whole
            self.evidence[clip] = value
        clips = sorted(self.evidence)
        self.fit = fitted([self.m_labels[clip] for clip in clips], [self.evidence[clip] for clip in clips])

    def label(self, clip: int) -> float | None:
        if clip not in self.evidence:
            return None
        m = self.m_labels[clip]
        if self.fit is None:
            return m
        k, z = self.fit, self.evidence[clip]
        p = chance(k, m, z)
        spread = m + k["r2"] * (k["mu"] + k["r2"] / k["b"] * (z - k["middle"]) - m)
        own = k["mu"] + k["b"] * k["V"] / (k["b"] ** 2 * k["V"] + k["s2"]) * (z - k["middle"])
        return (1 - k["r2"]) * spread + k["r2"] * ((1 - p) * m + p * own)


def held_out_predictions(stored: Mapping[int, Vector], m_labels: Sequence[float]) -> dict[int, float]:
    """Per clip, the prediction of a ridge head fitted to all the others; the strength with the least total error."""
    clips = sorted(stored)
    if not clips:
        return {}
    X, y = np.array([stored[clip] for clip in clips]), np.array([m_labels[clip] for clip in clips])
    scatter = (X - X.mean(0)).T @ (X - X.mean(0))
    level = np.trace(scatter) / X.shape[1]
    if len(clips) < 3 or not level > len(clips) * (1e-6 * math.hypot(*X.mean(0))) ** 2:
        return dict.fromkeys(clips, float(y.mean()))
    best: tuple[float, list[float]] | None = None
    for power in range(-6, 3):
        predicted = [_without(X, y, left, 10.0**power * level) for left in range(len(clips))]
        error = float(np.sum((y - predicted) ** 2))
        if best is None or error < best[0]:
            best = error, predicted
    assert best is not None
    return dict(zip(clips, best[1], strict=True))


def _without(X: Vector, y: Vector, left: int, strength: float) -> float:
    """Least squares on rows (1, x) with sqrt(strength) I below the columns of x, none below the constant."""
    others = np.delete(np.arange(len(y)), left)
    centre = X.mean(0)  # any shift of the features is taken up by the constant
    rows = np.column_stack([np.ones(len(others)), X[others] - centre])
    penalty = np.column_stack([np.zeros(X.shape[1]), math.sqrt(strength) * np.eye(X.shape[1])])
    target = np.concatenate([y[others], np.zeros(X.shape[1])])
    head = np.linalg.lstsq(np.vstack([rows, penalty]), target, rcond=None)[0]
    return float(head[0] + head[1:] @ (X[left] - centre))


def explained(m_labels: Sequence[float], evidence: Sequence[float]) -> float:
    """Squared correlation where it is positive, else 0; 0 too where all is one constant and its rounding."""
    if len(evidence) < 3 or np.std(m_labels) == 0 or np.std(evidence) <= 1e-6 * abs(np.mean(evidence)):
        return 0.0
    return float(max(np.corrcoef(m_labels, evidence)[0, 1], 0.0) ** 2)


def fitted(m_labels: Sequence[float], evidence: Sequence[float]) -> dict[str, float] | None:
    """The contamination model after 100 steps of EM from a share of .1; None where the evidence is uninformative."""
    n = len(m_labels)
    if n < 3:
        return None
    mu, middle = math.fsum(m_labels) / n, math.fsum(evidence) / n
    pairs = list(zip(m_labels, evidence, strict=True))
    V = math.fsum((m - mu) ** 2 for m in m_labels) / n
    spread = math.fsum((z - middle) ** 2 for z in evidence) / n
    shared = math.fsum((m - mu) * (z - middle) for m, z in pairs) / n
    if not (shared > 0 and V > 0 and spread > (1e-6 * middle) ** 2):
        return None
    b = shared / V
    least = 1e-12 * b * b * V
    k = {"mu": mu, "V": V, "middle": middle, "b": b, "r2": min(shared**2 / (V * spread), 1.0)}
    k |= {"s2": max(spread - b * b * V, least), "pi": 0.1}
    for _ in range(100):
        chances = [chance(k, m, z) for m, z in pairs]
        residuals = [z - middle - b * (m - mu) for m, z in pairs]
        agreeing = n - math.fsum(chances)
        s2 = math.fsum((1 - p) * e * e for p, e in zip(chances, residuals, strict=True)) / max(agreeing, math.ulp(0.0))
        k |= {"pi": math.fsum(chances) / n, "s2": max(s2, least)}
    return k


def chance(k: Mapping[str, float], m: float, z: float) -> float:
    """P(the modality says something of its own | m, z) by Bayes."""
    agrees = math.log1p(-k["pi"]) + _log_normal(z - k["middle"] - k["b"] * (m - k["mu"]), k["s2"])
    own = (math.log(k["pi"]) if k["pi"] else -math.inf) + _log_normal(z - k["middle"], k["s2"] + k["b"] ** 2 * k["V"])
    return 1 / (1 + math.exp(min(agrees - own, 700.0)))


def _log_normal(distance: float, variance: float) -> float:
    return -(distance**2) / (2 * variance) - math.log(2 * math.pi * variance) / 2
