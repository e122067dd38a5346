"""Labels per modality from the m-labels and the inputs of each modality: the rule ``posterior``.

It needs no training: a ridge regression on fixed inputs predicts every clip's m-label without having seen it
(:mod:`selfmm.labels.ridge`), and the label is the posterior mean of what the modality says, given that evidence and the
m-label, on the scale of the m-labels (:mod:`selfmm.labels.worlds`, :mod:`selfmm.labels.contradictions`). It works for
any data with one label per sample and several sources.
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
        expected_error: (N,) expected absolute error of the u-label, in the unit of the labels; NaN as above, and where
            the m-labels of the fit are all equal (or one), so that nothing is known of errors.
        trust: (N,) in [0, 1]: ``1 - expected_error / (expected error of the m-label in its place)``, the latter without
            a look at the evidence. At 0 the modality's inputs add nothing to the m-label, at .5 they halve its error.
            NaN as above.
        evidence: (N,) the m-label as predicted from this modality alone, without the clip's own label; NaN where the
            clip lacks the modality.
        contradiction: (N,) in [0, 1], how far the label follows a contradiction of the m-label: its probability,
            weighted by how well the evidence resolves contradictions. NaN as above.
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
        SettingsError: if shapes do not fit, or no clip to fit to has an m-label.
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
    modalities = [_Modality.of(blocks[name], labels, fitted, usable[name]) for name in blocks]
    return {
        name: modality.estimate(labels, posterior, low, high)
        for name, modality, posterior in zip(blocks, modalities, _posteriors(modalities), strict=True)
    }


@dataclass(frozen=True)
class _Modality:
    """What is measured of one modality; (N,) each, NaN where the clip lacks it.

    Attributes:
        labels: standardised m-labels; their ``deviation`` is that of the clips in ``fit``.
        evidence: standardised predictions of the m-labels; ``predicted`` in the unit of the labels.
        present: bool; ``fit`` those that are fitted to.
        correlation: of evidence and m-labels, shrunk, in [0, 1).
    """

    labels: Array
    deviation: float
    evidence: Array
    predicted: Array
    present: Mask
    fit: Mask
    correlation: float

    @classmethod
    def of(cls, blocks: Sequence[npt.NDArray[np.floating]], labels: Array, fitted: Mask, present: Mask) -> _Modality:
        fit, predicted = fitted & present, np.full(len(labels), np.nan)
        predicted[present] = left_out([part[present] for part in blocks], labels[present], fit[present])
        standard, evidence = _standard(labels, fit), _standard(predicted, fit)
        count = int(fit.sum())
        correlation = float(standard[fit] @ evidence[fit]) / max(count, 1)
        # What a correlation of noise would be on average is taken off, so weak evidence counts less than it seems to.
        correlation *= max(0.0, 1 - 1 / (count * correlation**2)) if correlation > 0 else 0.0
        deviation = float(labels[fit if count else fitted].std())
        return cls(standard, deviation, evidence, predicted, present, fit, min(correlation, 1 - 1e-9))

    def estimate(self, labels: Array, posterior: Posterior, low: float, high: float) -> ModalityEstimate:
        """Return labels and their expected errors; ``labels`` are the m-labels in their own unit."""
        m, z = self.labels, self.evidence
        own, squared = m, posterior.squared_error_of_m(m)
        contradicts, trust, share, resolution = np.zeros_like(m), np.zeros_like(m), 0.0, 0.0
        if self.correlation > 0:
            mixture = Contradictions.fit(m[self.fit], z[self.fit], self.correlation)
            share, resolution = mixture.share, mixture.resolution
            probability = mixture.probability(m, z)
            contradicts = mixture.weight * probability
            agreeing, (other, variance) = posterior.label(m, z), mixture.own_label(z)
            own = agreeing + contradicts * (other - agreeing)
            # The error counts contradictions in full, also those that the label hardly follows.
            squared = (1 - probability) * (posterior.squared_error(m, z) + np.square(agreeing - own))
            squared += probability * (variance + np.square(other - own))
            squared_of_m = (1 - share) * posterior.squared_error_of_m(m) + share * (1 + np.square(m))
            trust = 1 - np.sqrt(squared / squared_of_m)
        has_label = self.present & np.isfinite(labels)
        varies = self.deviation > 1e-9 * np.abs(labels[np.isfinite(labels)]).max()
        unit = self.deviation if varies else np.nan

        def only(values: Array) -> Array:
            return np.where(has_label, values, np.nan)

        return ModalityEstimate(
            labels=only(np.clip(labels + self.deviation * (own - m), low, high)),
            expected_error=only(unit * MEAN_ERROR * np.sqrt(squared)),
            trust=only(np.clip(trust, 0.0, 1.0)),
            evidence=np.where(self.present, self.predicted, np.nan),
            contradiction=only(contradicts),
            correlation=self.correlation,
            rho=posterior.rho,
            share=share,
            resolution=resolution,
        )


def _posteriors(modalities: Sequence[_Modality]) -> list[Posterior]:
    """Return the posterior of each modality, from the correlations of their evidence."""
    count = len(modalities)
    between, clips = np.eye(count), np.zeros((count, count))
    for s, first in enumerate(modalities):
        for j, second in enumerate(modalities[:s]):
            both = first.fit & second.fit
            if min(first.correlation, second.correlation) > 0:
                between[s, j] = between[j, s] = _correlation(first.evidence[both], second.evidence[both])
                clips[s, j] = clips[j, s] = both.sum()
    return posteriors(np.array([modality.correlation for modality in modalities]), between, clips)


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
    """Return the correlation, or 0 if it is not defined."""
    deviations = first.std() * second.std() if len(first) else 0.0
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
    if not problems and fit is not None and not np.isfinite(labels[np.asarray(fit, dtype=bool)]).any():
        problems.append("fit names no clip with an m-label; give it clips whose m-labels are finite")
    if problems:
        raise SettingsError(problems)
