"""The label study on simulated Gaussian worlds whose correlations are those of human labels per modality.

    python benchmarks/label_study_gaussian.py --out gaussian.csv --calibration gaussian_calibration.csv    # 5 seeds

A simulation, not human labels. The m-label is the mean of three true labels, and its correlations with them are close
to those of human labels: .77, .88 and .86. The input of a modality is one number, z = a t + c m + noise. The worlds
differ in how far z knows the m-label, and in how much of that is a leak: knowledge of m that does not come from the
modality's own label.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import label_study
import numpy as np
import pandas as pd
from label_study import Array, Report

from selfmm.data.planted import MODALITIES
from selfmm.labels import estimate_labels

CLIPS = 1675
TRUTHS = np.array([[1, 0.486, 0.434], [0.486, 1, 0.688], [0.434, 0.688, 1]])
RHO = TRUTHS.sum(1) / np.sqrt(TRUTHS.sum())


@dataclass(frozen=True)
class World:
    """Per modality, the correlation of z with m, and the share of it that is no leak."""

    name: str
    knows: tuple[float, float, float]
    own: tuple[float, float, float]


WORLDS = [
    World("as measured", (0.63, 0.4, 0.5), (0.93, 1.0, 1.0)),
    World("no leak", (0.6, 0.4, 0.5), (1.0, 1.0, 1.0)),
    World("much leak", (0.63, 0.4, 0.5), (0.7, 0.7, 0.7)),
    World("weak audio", (0.55, 0.25, 0.45), (0.95, 0.95, 0.95)),
    World("strong", (0.65, 0.55, 0.65), (0.9, 0.9, 0.9)),
    World("equal", (0.5, 0.5, 0.5), (0.9, 0.9, 0.9)),
]


def simulate(world: World, seed: int) -> tuple[pd.DataFrame, dict[str, Array]]:
    """A table with m-labels and truths, all of variance 1, and the inputs."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(CLIPS, 3)) @ np.linalg.cholesky(TRUTHS).T
    m = truth.sum(axis=1) / np.sqrt(TRUTHS.sum())
    table, inputs = pd.DataFrame({"label": m}), {}
    for name, t, rho, r, own in zip(MODALITIES, truth.T, RHO, world.knows, world.own, strict=True):
        with_truth = r * (own / rho + (1 - own) * rho)
        a, c = np.linalg.solve([[rho, 1], [1, rho]], [r, with_truth])
        noise = 1 - a * a - c * c - 2 * a * c * rho
        inputs[name] = (a * t + c * m + np.sqrt(noise) * rng.normal(size=CLIPS))[:, None]
        table[f"label_{name}"] = t
    return table, inputs


def supervised(inputs: Array, m: Array, truth: Array) -> Array:
    """The truth by least squares from m and z."""
    rows = np.column_stack([np.ones_like(m), m, inputs])
    predicted: Array = rows @ np.linalg.lstsq(rows, truth, rcond=None)[0]
    return predicted


def measure(world: World, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row per rule and modality, and the calibration of the expected errors."""
    table, inputs = simulate(world, seed)
    m, truth = table["label"].to_numpy(copy=True), label_study.truths(table)
    estimates = estimate_labels(m, inputs)
    answers = {
        "m-label": dict.fromkeys(inputs, m),
        "posterior": {name: estimate.labels for name, estimate in estimates.items()},
        "ceiling": {name: supervised(inputs[name], m, truth[name]) for name in inputs},
    }
    return (
        label_study.recovered(table, answers).assign(set=world.name, seed=seed),
        label_study.calibration(estimates, truth).assign(set=world.name, seed=seed),
    )


def main() -> None:
    options = label_study.arguments(__doc__, 400).parse_args()
    report = Report(options)
    for world in WORLDS:
        for seed in range(options.first_seed, options.first_seed + 5):
            started = time.perf_counter()
            report.add(f"{world.name}, seed {seed}", measure(world, seed), time.perf_counter() - started)
    report.print()


if __name__ == "__main__":
    main()
