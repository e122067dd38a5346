"""Fit every head of the model ``adapt``, and the weights of their sum, to the clips of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from selfmm.data.manifest import TEXT
from selfmm.training.adapt import ridge
from selfmm.training.adapt.ridge import Array, Groups
from selfmm.training.adapt.stacking import Stacked, stack

SPREAD = 2.25
"""Variance of labels from -3 to 3 that is assumed before any are known: that of MOSI is 2.5."""
_FEWEST_RECORDINGS = 5
"""With fewer, each clip is left out alone."""
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


def adapt(clips: Clips, start: Mapping[str, LinearScore], *, unrated: bool = True) -> Adapted:
    """Fit all heads and their sum.

    Args:
        start: the scores to start from, for modalities that have one.
        unrated: let modalities other than words learn from the words' score of clips without a rating.
    """
    rated, groups = clips.rated, clips.groups()
    spread = _blend(np.square(clips.labels[rated] - clips.labels[rated].mean()) if rated.any() else np.zeros(0), SPREAD)
    proxies, doubt = np.full(len(rated), np.nan), np.inf
    fitted: dict[str, _Fitted] = {}
    for name in sorted(clips.inputs, key=lambda name: name != TEXT):
        targets = np.where(rated, clips.labels, proxies)
        fitted[name] = _fit(clips, name, start.get(name), targets, 1 / (1 + doubt), groups, spread)
        head = fitted[name].head
        share = 1 - head.error / spread
        if name == TEXT and unrated and share > _TELLS:
            # The score is the mean of the label given the words, so its size is ``share`` of the label's.
            proxies = np.where(clips.present[name] & ~rated, head.of(clips.inputs[name]) / share, np.nan)
            doubt = head.error / share
    ordered = {name: fitted[name] for name in clips.inputs}
    scores = np.column_stack([fit.left_out[rated] for fit in ordered.values()])
    errors = [fit.head.error for fit in ordered.values()]
    stacked = stack(scores, clips.labels[rated], groups[rated], errors, spread)
    together = np.full(len(rated), np.nan)
    together[rated] = stacked.left_out
    return Adapted(
        heads={name: fit.head for name, fit in ordered.items()},
        strengths={name: fit.strength for name, fit in ordered.items()},
        left_out={name: fit.left_out for name, fit in ordered.items()} | {"fusion": together},
        explained={name: fit.explained for name, fit in ordered.items()},
        learned_from={name: fit.learned_from for name, fit in ordered.items()},
        stacked=stacked,
        spread=spread,
    )


class _Fitted(NamedTuple):
    """What ``Adapted`` has of one modality."""

    head: LinearScore
    strength: float
    left_out: Array
    explained: float
    learned_from: int


def _fit(
    clips: Clips,
    name: str,
    before: LinearScore | None,
    targets: Array,
    trust: float,
    groups: Groups,
    spread: float,
) -> _Fitted:
    """Fit one head to ``targets`` (N,), NaN for clips without one; clips without a rating have the weight ``trust``."""
    rated, present, inputs = clips.rated, clips.present[name], clips.inputs[name]
    rows = np.flatnonzero(present & np.isfinite(targets))
    weights = np.where(rated[rows], 1.0, trust)
    prior = np.zeros(len(rows)) if before is None else before.of(inputs[rows])
    fit = ridge.fit(inputs[rows], prior, targets[rows], weights, groups[rows])
    left_out = np.full(len(rated), np.nan)
    left_out[rows] = fit.left_out
    left_out[~rated] = np.nan
    own = rated & present
    errors, constant = np.square(clips.labels - left_out)[own], np.square(_left_out_mean(clips.labels[own]))
    error = _blend(errors, spread if before is None else before.error)
    proof = fit.strength > 0 and ridge.proven(constant - errors, groups[own], _PROOF)  # without, it is a constant
    if before is None and not proof:
        error = spread  # so it has no weight in the sum
    explained = 1 - float(errors.sum() / constant.sum()) if constant.any() else np.nan
    return _Fitted(_combined(before, fit, error), fit.strength, left_out, explained, len(rows) - int(rated[rows].sum()))


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
