"""Ridge regression of labels on inputs, in which every clip is predicted without using its own label.

Leaving one clip out has a closed form (PRESS), so there are no random folds, and the result does not depend on the
order of the clips. Source: Allen, "The Relationship Between Variable Selection and Data Augmentation and a Method for
Prediction", Technometrics 16 (1974), https://doi.org/10.1080/00401706.1974.10489157.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

STRENGTHS = 10.0 ** np.arange(-6, 3)
"""Candidate penalties, relative to the mean eigenvalue of the inputs' scatter."""

FARTHEST = 3.0
"""Standardised inputs are cut to this: a few clips with extreme values must not decide the regression."""

ROWS_AT_ONCE = 2**14
"""Rows of a product that is not kept, which limits memory."""

SMALLEST = 1e-9
"""Columns with a deviation of at most this, relative to their largest value, are constants and rounding errors."""


def left_out(blocks: Sequence[npt.NDArray[np.floating]], labels: Array, fit: Mask) -> Array:
    """Return each clip's label as a ridge regression predicts it that was fitted without this clip.

    The regression minimises ``sum_j (y_j - c - w.x_j)^2 + k |w|^2``. ``k`` is the candidate whose left-out predictions
    have the least squared error over all clips of the fit. With the hat value ``h_i = 1/n + x_i' (S + k I)^-1 x_i`` of
    centred inputs with the scatter S, the left-out residual is ``(y_i - y^_i) / (1 - h_i)``.

    Args:
        blocks: per kind of input, (N, d) finite values; see ``standardised``.
        labels: (N,); only those of the clips in ``fit`` are used.
        fit: (N,) bool, the clips that the regression is fitted to. Each of them is predicted by the regression of the
            others, and every other clip by the regression of them all.

    Returns:
        (N,) predictions in the unit of the labels; the mean label if nothing can be fitted (fewer than 3 clips,
        constant inputs or labels).
    """
    count = int(fit.sum())
    mean = labels[fit].mean() if count else 0.0
    predicted = np.full(len(labels), mean)
    inputs = standardised(blocks, fit) if count > 2 else np.zeros((len(labels), 0))
    if not inputs.shape[1]:
        return predicted
    targets, fit_inputs = labels[fit] - mean, _only(inputs, fit)
    values, axes = _axes(fit_inputs)
    shrunk = 1 / (values[:, None] + values.mean() * STRENGTHS)  # (k, strengths)
    effects = shrunk * (axes.T @ (fit_inputs.T @ targets))[:, None]
    fitted, hats = np.empty((len(labels), len(STRENGTHS))), np.empty((len(labels), len(STRENGTHS)))
    for start in range(0, len(labels), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        rows = inputs[part] @ axes  # (n, k), uncorrelated over the clips of the fit
        fitted[part], hats[part] = rows @ effects, np.square(rows) @ shrunk
    residuals = (targets[:, None] - fitted[fit]) / (1 - 1 / count - hats[fit])
    best = int(np.square(residuals).sum(axis=0).argmin())
    predicted += fitted[:, best]
    predicted[fit] = labels[fit] - residuals[:, best]
    return predicted


def standardised(blocks: Sequence[npt.NDArray[np.floating]], fit: Mask) -> Array:
    """Return all inputs in one matrix, (N, sum of d): columns of equal size, and blocks of equal total variance.

    Within a block, columns are standardised over the clips in ``fit`` and cut to ``FARTHEST`` deviations; constant
    columns are left out. Each block is then scaled to a total variance of 1, so that a small block with a strong input
    is not drowned by a large one.
    """
    parts = []
    for block in blocks:
        values = np.array(block, dtype=np.float64)
        rows = _only(values, fit)
        deviations = rows.std(axis=0)
        varying = deviations > SMALLEST * np.maximum(rows.max(axis=0), -rows.min(axis=0))
        values -= rows.mean(axis=0)
        values = values[:, varying]
        values /= deviations[varying]
        np.clip(values, -FARTHEST, FARTHEST, out=values)
        values -= _only(values, fit).mean(axis=0)
        if values.shape[1]:
            values /= np.sqrt(_only(values, fit).var(axis=0).sum())
        parts.append(values)
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _only(values: Array, fit: Mask) -> Array:
    """The rows of ``fit``, without a copy if these are all."""
    return values if fit.all() else values[fit]


def _axes(rows: Array) -> tuple[Array, Array]:
    """The k positive eigenvalues of the scatter of centred rows (n, d), and its eigenvectors (d, k)."""
    if rows.shape[0] < rows.shape[1]:  # the smaller of the two products has the same eigenvalues
        values, vectors = np.linalg.eigh(rows @ rows.T)
        vectors = rows.T @ vectors / np.sqrt(values.clip(min=np.finfo(np.float64).tiny))
    else:
        values, vectors = np.linalg.eigh(rows.T @ rows)
    kept = values > values.max() * len(values) * np.finfo(np.float64).eps
    return values[kept], vectors[:, kept]
