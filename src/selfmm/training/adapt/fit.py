"""Fit every head of the model ``adapt``, and the weights of their sum, to the clips of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from selfmm.data.manifest import TEXT
from selfmm.training.adapt import ridge
from selfmm.training.adapt.ridge import Array, Groups
from selfmm.training.adapt.stacking import Stacked, stack

SPREAD = 2.25
"""Variance of labels from -3 to 3 that is assumed before any are known: that of MOSI is 2.5."""
_BEFORE = 40
"""Number of rated clips that the error variances from before count for."""
_PROOF = 2.0
"""Standard errors by which a modality without a score to start from must beat a constant to count in the sum."""
_TELLS = 0.1
"""Smallest share of the labels' variance that words must explain before others learn from their score."""


@dataclass(frozen=True)
class LinearScore:
    """A score ``bias + weights . x``, in units of labels from -3 to 3, and the variance of its error."""

    weights: Array
    bias: float
    error: float

    def of(self, inputs: Array) -> Array:
        return inputs @ self.weights + self.bias


@dataclass(frozen=True)
class Adapted:
    """Heads and weights that were fitted to clips.

    Attributes:
        heads: by modality.
        strengths: by modality, the variance of what the inputs add to the score that the fit started from.
        left_out: (N,) by modality and for ``fusion``, scores of the rated clips by fits without their group; NaN for
            other clips and where the modality is missing.
        explained: by modality, 1 - error variance / variance of the labels, of left-out scores; NaN without ratings.
        learned_from: by modality, the number of unrated clips whose words' score it learned from.
        stacked: the weights of the sum.
        spread: the variance of the labels.
    """

    heads: Mapping[str, LinearScore]
    strengths: Mapping[str, float]
    left_out: Mapping[str, Array]
    explained: Mapping[str, float]
    learned_from: Mapping[str, int]
    stacked: Stacked
    spread: float


@dataclass(frozen=True)
class Clips:
    """The clips that a fit sees.

    Attributes:
        inputs: by modality, (N, d).
        present: by modality, (N,) whether a clip has it.
        labels: (N,) in units of labels from -3 to 3, around neutral; NaN for a clip without a rating.
        recordings: (N,) names.
    """

    inputs: Mapping[str, Array]
    present: Mapping[str, npt.NDArray[np.bool_]]
    labels: Array
    recordings: npt.NDArray[np.object_]

    @property
    def rated(self) -> npt.NDArray[np.bool_]:
        return np.isfinite(self.labels)

    def groups(self) -> Groups:
        """Return the recording of each clip as a number; each clip is its own with fewer than 5 recordings."""
        names = self.recordings.astype(str)
        if len(np.unique(names[self.rated])) < _FEWEST_RECORDINGS:
            return np.arange(len(names))
        number: Groups = np.unique(names, return_inverse=True)[1]
        return number


_FEWEST_RECORDINGS = 5


def adapt(clips: Clips, start: Mapping[str, LinearScore], *, unrated: bool = True) -> Adapted:
    """Fit all heads and their sum.

    Args:
        start: the scores to start from, for modalities that have one.
        unrated: let modalities other than words learn from the words' score of clips without a rating.
    """
    rated, groups = clips.rated, clips.groups()
    spread = _blend(np.square(clips.labels[rated] - clips.labels[rated].mean()) if rated.any() else np.zeros(0), SPREAD)
    heads, strengths, left_out, explained, learned_from = {}, {}, {}, {}, {}
    proxies, doubt = np.full(len(rated), np.nan), np.inf
    for name in sorted(clips.inputs, key=lambda name: name != TEXT):
        inputs, present, before = clips.inputs[name], clips.present[name], start.get(name)
        targets = np.where(rated, clips.labels, proxies)
        rows = np.flatnonzero(present & np.isfinite(targets))
        weights = np.where(rated[rows], 1.0, 1 / (1 + doubt))
        prior = np.zeros(len(rows)) if before is None else before.of(inputs[rows])
        fit = ridge.fit(inputs[rows], prior, targets[rows], weights, groups[rows])
        left = np.full(len(rated), np.nan)
        left[rows] = fit.left_out
        left[~rated] = np.nan
        own = rated & present
        errors, constant = np.square(clips.labels - left)[own], np.square(_left_out_mean(clips.labels[own]))
        error = _blend(errors, spread if before is None else before.error)
        proof = fit.strength > 0 and ridge.proven(constant - errors, groups[own], _PROOF)  # without, it is a constant
        if before is None and not proof:
            error = spread  # so it has no weight in the sum
        heads[name] = _combined(before, fit, error)
        strengths[name], left_out[name] = fit.strength, left
        explained[name] = 1 - float(errors.sum() / constant.sum()) if constant.any() else np.nan
        learned_from[name] = len(rows) - int(rated[rows].sum())
        share = 1 - error / spread
        if name == TEXT and unrated and share > _TELLS:
            # The score is the mean of the label given the words, so its size is ``share`` of the label's.
            proxies = np.where(present & ~rated, heads[name].of(inputs) / share, np.nan)
            doubt = error / share
    ordered = list(clips.inputs)
    scores = np.column_stack([left_out[name][rated] for name in ordered])
    stacked = stack(scores, clips.labels[rated], groups[rated], [heads[name].error for name in ordered], spread)
    together = np.full(len(rated), np.nan)
    together[rated] = stacked.left_out
    return Adapted(
        {name: heads[name] for name in ordered},
        strengths,
        left_out | {"fusion": together},
        explained,
        learned_from,
        stacked,
        spread,
    )


def _left_out_mean(labels: Array) -> Array:
    """Return how far each label is from the mean of the others; 0 for a single one."""
    return (labels - labels.mean()) * len(labels) / (len(labels) - 1) if len(labels) > 1 else np.zeros(len(labels))


def _blend(squares: Array, before: float) -> float:
    """Return the mean of squares, with a value from before that counts like ``_BEFORE`` of them."""
    return float((squares.sum() + _BEFORE * before) / (len(squares) + _BEFORE))


def _combined(before: LinearScore | None, fit: ridge.Fit, error: float) -> LinearScore:
    if before is None:
        return LinearScore(fit.weights, fit.bias, error)
    return LinearScore(fit.slope * before.weights + fit.weights, fit.slope * before.bias + fit.bias, error)
