"""Labels per modality from the m-labels and the inputs of each modality: the rule ``posterior``.

It needs no training: a ridge regression on fixed inputs predicts every clip's m-label without having seen it
(:mod:`selfmm.labels.ridge`), and the label is the posterior mean of what the modality says, given that evidence and the
m-label (:mod:`selfmm.labels.worlds`, :mod:`selfmm.labels.contradictions`). It works for any data with one label per
sample and several sources.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from selfmm.core.errors import SettingsError
from selfmm.labels.contradictions import Contradictions
from selfmm.labels.ridge import left_out
from selfmm.labels.worlds import Posterior, posteriors

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Inputs = npt.NDArray[np.floating] | Sequence[npt.NDArray[np.floating]]

MEAN_ERROR = math.sqrt(2 / math.pi)
"""Mean absolute value of a standard normal variable."""


@dataclass(frozen=True)
class ModalityEstimate:
    """The estimated labels of one modality; N clips.

    Attributes:
        labels: (N,) u-labels on the scale of the m-labels; NaN where a clip lacks the modality or has no m-label.
        expected_error: (N,) expected absolute error of the u-label, in the unit of the labels; NaN as above.
        trust: (N,) in [0, 1]: ``1 - expected_error / (expected error of the m-label as this modality's label)``. At 0
            the modality's inputs add nothing to the m-label, at .5 they halve its error. NaN as above.
        evidence: (N,) the m-label as predicted from this modality alone, without the clip's own label; NaN where the
            clip lacks the modality.
        contradiction: (N,) probability in [0, 1] that the modality contradicts the m-label; NaN as above.
        correlation: of evidence and m-label over the clips of the fit, shrunk by its sampling error, in [0, 1); 0 if
            the inputs say nothing about the m-label: all labels are then the m-labels, with a trust of 0.
        rho: estimated correlation of the modality's true labels with the m-labels.
        share: estimated share of the clips that contradict, in [0, 1].
        resolution: how far the evidence can tell which clips those are, in [0, 1].
    """

    labels: Array
    expected_error: Array
    trust: Array
    evidence: Array
    contradiction: Array
    correlation: float
    rho: float
    share: float
    resolution: float


def estimate_labels(
    m_labels: npt.ArrayLike,
    inputs: Mapping[str, Inputs],
    *,
    fit: npt.ArrayLike | None = None,
    present: Mapping[str, npt.ArrayLike] | None = None,
    low: float = -math.inf,
    high: float = math.inf,
) -> dict[str, ModalityEstimate]:
    """Return an estimate of the label of each modality, for clips that have one label as a whole.

    Args:
        m_labels: (N,) label of each whole clip; NaN where unknown.
        inputs: per modality, a vector per clip, (N, d): the pooled state of a pretrained encoder, or means of frames.
            Several kinds of input may be given as a list of such matrices; each counts the same in total. They must not
            depend on the labels: features that were trained on these m-labels make the estimate too confident.
        fit: (N,) bool, the clips whose m-labels may be used to fit anything; default: all with an m-label. The evidence
            about one of these clips comes from all the others.
        present: per modality (N,) bool, False where a clip lacks it; default: present wherever its inputs are finite.
        low, high: ends of the label range; labels are cut to it.

    Raises:
        SettingsError: if shapes do not fit, or no m-label is known.
    """
    labels = np.asarray(m_labels, dtype=np.float64)
    blocks = {name: _blocks(given) for name, given in inputs.items()}
    _check(labels, blocks, fit, present or {}, low, high)
    known = np.isfinite(labels)
    fitted = known if fit is None else known & np.asarray(fit, dtype=bool)
    usable = {
        name: np.logical_and.reduce([np.isfinite(part).all(axis=1) for part in own]) for name, own in blocks.items()
    }
    for name, mask in (present or {}).items():
        usable[name] = usable[name] & np.asarray(mask, dtype=bool)
    streams = [_Stream.of(blocks[name], labels, fitted, usable[name]) for name in blocks]
    spread = labels[fitted].std()
    estimates = {}
    for name, stream, posterior in zip(blocks, streams, _posteriors(streams), strict=True):
        estimates[name] = stream.estimate(labels, posterior, spread, low, high)
    return estimates


@dataclass(frozen=True)
class _Stream:
    """Standardised m-labels and evidence of one modality: (N,) each; (N,) bool present, and present in the fit."""

    labels: Array
    evidence: Array
    predicted: Array
    present: Mask
    fit: Mask
    correlation: float

    @classmethod
    def of(cls, blocks: Sequence[npt.NDArray[np.floating]], labels: Array, fitted: Mask, present: Mask) -> _Stream:
        fit, predicted = fitted & present, np.full(len(labels), np.nan)
        predicted[present] = left_out([part[present] for part in blocks], labels[present], fit[present])
        standard, evidence = _standard(labels, fit), _standard(predicted, fit)
        count = int(fit.sum())
        correlation = float(standard[fit] @ evidence[fit]) / max(count, 1)
        # What a correlation of noise would be on average is taken off, so weak evidence counts less than it seems to.
        correlation *= max(0.0, 1 - 1 / (count * correlation**2)) if correlation > 0 else 0.0
        return cls(standard, evidence, predicted, present, fit, min(correlation, 1 - 1e-9))

    def estimate(
        self, labels: Array, posterior: Posterior, deviation: float, low: float, high: float
    ) -> ModalityEstimate:
        """Return labels and their expected errors from the posterior; ``deviation`` is that of the m-labels."""
        m, z = self.labels.copy(), self.evidence
        own, squared, contradicts = m, posterior.squared_error_of_m(m), np.zeros_like(m)
        mixture = None
        if self.correlation > 0:
            own, squared = posterior.mean(m, z), posterior.squared_error(m, z)
            mixture = Contradictions.fit(m[self.fit], z[self.fit], self.correlation)
            contradicts = mixture.weight * mixture.probability(m, z)
            other, variance = mixture.own_label(z)
            mean = own + contradicts * (other - own)
            squared = (1 - contradicts) * (squared + (own - mean) ** 2) + contradicts * (variance + (other - mean) ** 2)
            own = mean
        error, of_m = MEAN_ERROR * np.sqrt(squared), MEAN_ERROR * np.sqrt(posterior.squared_error_of_m(m))
        trust = np.zeros_like(m) if mixture is None else np.clip(1 - error / of_m, 0.0, 1.0)
        moved = labels + deviation * (own - m)
        has_label = self.present & np.isfinite(labels)

        def only(values: Array) -> Array:
            return np.where(has_label, values, np.nan)

        return ModalityEstimate(
            labels=only(np.clip(moved, low, high)),
            expected_error=only(deviation * error),
            trust=only(trust),
            evidence=np.where(self.present, self.predicted, np.nan),
            contradiction=only(contradicts),
            correlation=self.correlation,
            rho=posterior.rho,
            share=mixture.share if mixture else 0.0,
            resolution=mixture.resolution if mixture else 0.0,
        )


def _posteriors(streams: Sequence[_Stream]) -> list[Posterior]:
    count = len(streams)
    between, clips = np.eye(count), np.zeros((count, count))
    for s in range(count):
        for j in range(s):
            both = streams[s].fit & streams[j].fit
            if min(streams[s].correlation, streams[j].correlation) > 0 and both.sum() > 2:
                pair = _correlation(streams[s].evidence[both], streams[j].evidence[both])
                between[s, j] = between[j, s] = pair
                clips[s, j] = clips[j, s] = both.sum()
    return posteriors(np.array([stream.correlation for stream in streams]), between, clips)


def _standard(values: Array, fit: Mask) -> Array:
    """Values minus mean, over deviation, both of the clips in ``fit``; zeros if these are constant."""
    if not fit.any():
        return np.zeros_like(values)
    mean, deviation = values[fit].mean(), values[fit].std()
    if not deviation > 1e-9 * abs(mean):
        return np.where(np.isfinite(values), 0.0, np.nan)
    standard: Array = (values - mean) / deviation
    return standard


def _correlation(first: Array, second: Array) -> float:
    deviations = first.std() * second.std()
    return float(((first - first.mean()) * (second - second.mean())).mean() / deviations) if deviations else 0.0


def _blocks(given: Inputs) -> list[npt.NDArray[np.floating]]:
    return [np.asarray(given)] if hasattr(given, "shape") else [np.asarray(part) for part in given]


def _check(
    labels: Array,
    blocks: Mapping[str, Sequence[npt.NDArray[np.floating]]],
    fit: npt.ArrayLike | None,
    present: Mapping[str, npt.ArrayLike],
    low: float,
    high: float,
) -> None:
    """Raise ``SettingsError`` with all problems of the arguments."""
    if labels.ndim != 1 or not np.isfinite(labels).any():
        raise SettingsError([f"m_labels are {labels.shape}; give (N,) numbers, one per clip, of which some are finite"])
    count, problems = len(labels), []
    if not blocks:
        problems.append("inputs is empty; give at least one modality, like {'text': vectors}")
    if not low < high:
        problems.append(f"the label range is {low} to {high}; give low < high")
    shapes = {f"inputs[{name!r}]": part.shape for name, own in blocks.items() for part in own}
    problems += [
        f"{where} is {shape}; give ({count}, d) numbers, a row per clip"
        for where, shape in shapes.items()
        if len(shape) != 2 or shape[0] != count
    ]
    masks = {f"present[{name!r}]": mask for name, mask in present.items()} | ({} if fit is None else {"fit": fit})
    problems += [
        f"{where} is {np.shape(mask)}; give ({count},) bool"
        for where, mask in masks.items()
        if np.shape(mask) != (count,)
    ]
    problems += [f"present names {name!r}; the modalities are {[*blocks]}" for name in present if name not in blocks]
    if problems:
        raise SettingsError(problems)
