"""The rule ``posterior``: fits how a modality's evidence relates to the m-labels, and computes the posterior mean."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

# Numerical constants, not settings: the start of EM, enough steps for it to settle, clips per piece, smallest noise.
FIRST_SHARE = 0.1
EM_STEPS = 100
CLIPS_AT_ONCE = 16384
SMALLEST_NOISE = 1e-12
CONSTANT = 1e-6
"""Predictions with a spread of at most this, relative to their mean, are a constant and its rounding errors."""

AllReduce = Callable[[Tensor], Tensor]
"""Sums a float64 tensor over the processes that share the clips."""


def one_process(part: Tensor) -> Tensor:
    """Return the sum over a single process: its own part."""
    return part


class EvidenceFit(NamedTuple):
    """The relation of the evidence z to the m-labels m: estimates from all clips, each () float64.

    Attributes:
        label_mean: mu, mean of m.
        label_variance: V, variance of m.
        evidence_mean: mean of z.
        slope: b > 0, of the least-squares line of z on m.
        noise: s^2, residual variance of z about that line where the modality agrees.
        share: pi in [0, 1], share of clips in which the modality contradicts the m-label.
        explained: R^2 in [0, 1], squared correlation of z and m.
    """

    label_mean: Tensor
    label_variance: Tensor
    evidence_mean: Tensor
    slope: Tensor
    noise: Tensor
    share: Tensor
    explained: Tensor


class HeldOutEvidence(NamedTuple):
    """Evidence of one modality about a batch, from regressions that were not fitted to these clips.

    Attributes:
        evidence: (B,) float64, z: predicted m-labels.
        observed: (B,) bool, False where there is no evidence yet.
        fit: the relation of z to the m-labels.
    """

    evidence: Tensor
    observed: Tensor
    fit: EvidenceFit


UNINFORMATIVE = EvidenceFit(*torch.tensor([0, 0, 0, 1, 1, 0, 0], dtype=torch.float64))
"""The fit of a modality that explains nothing: every posterior mean is then the m-label itself."""


def posterior_mean(m_labels: Tensor, evidence: Tensor, fit: EvidenceFit) -> Tensor:
    """Return E[t | m, z], averaged over two models of why z and m differ; see ``selfmm.labels.rules.Posterior``.

    Args:
        m_labels, evidence: (B,) float64, m and z.
        fit: their relation.

    Returns:
        (B,) float64, in the unit of the m-labels.
    """
    label_offset, evidence_offset = m_labels - fit.label_mean, evidence - fit.evidence_mean
    spread = fit.explained / fit.slope * evidence_offset - label_offset
    signal = fit.slope.square() * fit.label_variance
    own = fit.label_mean + fit.slope * fit.label_variance / (signal + fit.noise) * evidence_offset
    contradicted = contradiction_probability(label_offset, evidence_offset, fit) * (own - m_labels)
    return m_labels + fit.explained * ((1 - fit.explained) * spread + contradicted)


def fit_evidence(labels: Tensor, evidence: Tensor, all_reduce: AllReduce = one_process) -> EvidenceFit:
    """Fit a contamination model of evidence and m-labels by EM.

    ``z = a + b t + e`` with ``e ~ N(0, s^2)``. In a share 1 - pi of the clips the modality agrees, ``t = m``. In a
    share pi it contradicts: t is drawn like the m-labels but independently of this clip's, so
    ``z ~ N(a + b mu, s^2 + b^2 V)``. EM fits pi and s^2 only; the line is the least-squares line of z on m. With a free
    slope, EM would fit bent or heavy-tailed evidence with a steeper line and false contradictions.

    Args:
        labels: (n,) float64 m-labels.
        evidence: (n,) float64 predictions of them.
        all_reduce: adds the sums of other processes; the fit is the same in all of them.

    Returns:
        The fit; ``UNINFORMATIVE`` if the predictions do not rise with the labels, are constant or of less than 3 clips.
    """
    line = fit_line(labels, evidence, all_reduce)
    if line is None:
        return EvidenceFit(*(estimate.to(labels.device) for estimate in UNINFORMATIVE))
    clips, label_mean, label_variance, evidence_mean, evidence_variance, slope, explained = line
    label_offset, evidence_offset = labels - label_mean, evidence - evidence_mean
    signal = slope.square() * label_variance
    smallest = SMALLEST_NOISE * signal
    noise, share = (evidence_variance - signal).clamp(min=smallest), torch.full_like(label_mean, FIRST_SHARE)
    # Pieces stay in the processor's cache: ten million clips take one minute instead of five.
    to_line, to_mean = (evidence_offset - slope * label_offset).square(), evidence_offset.square()
    pieces = [*zip(torch.split(to_line, CLIPS_AT_ONCE), torch.split(to_mean, CLIPS_AT_ONCE), strict=True)]
    for _ in range(EM_STEPS):
        fit = EvidenceFit(label_mean, label_variance, evidence_mean, slope, noise, share, explained)
        sums = sum((_expectation(*piece, fit) for piece in pieces), torch.zeros(3).to(label_mean))
        contradicting, agreeing, squares = all_reduce(sums)
        share = contradicting / clips
        noise = (squares / agreeing.clamp(min=math.ulp(0.0))).clamp(min=smallest)
    return EvidenceFit(label_mean, label_variance, evidence_mean, slope, noise, share, explained)


class Line(NamedTuple):
    """The least-squares line of z on m; each () float64, named as in ``EvidenceFit``."""

    clips: Tensor
    label_mean: Tensor
    label_variance: Tensor
    evidence_mean: Tensor
    evidence_variance: Tensor
    slope: Tensor
    explained: Tensor


def fit_line(labels: Tensor, evidence: Tensor, all_reduce: AllReduce = one_process) -> Line | None:
    """Fit the line; None if predictions do not rise with the labels. Arguments are those of ``fit_evidence``."""
    count, *sums = all_reduce(torch.stack([labels.new_tensor(len(labels)), labels.sum(), evidence.sum()]))
    if count < 3:
        return None
    label_mean, evidence_mean = (part / count for part in sums)
    label_offset, evidence_offset = labels - label_mean, evidence - evidence_mean
    products = (label_offset.square(), evidence_offset.square(), label_offset * evidence_offset)
    variance, spread, covariance = all_reduce(torch.stack([product.sum() for product in products])) / count
    if not (covariance > 0 and variance > 0 and spread > (CONSTANT * evidence_mean) ** 2):
        return None
    explained = (covariance.square() / (variance * spread)).clamp(max=1.0)
    return Line(count, label_mean, variance, evidence_mean, spread, covariance / variance, explained)


def contradiction_probability(label_offset: Tensor, evidence_offset: Tensor, fit: EvidenceFit) -> Tensor:
    """Return P(the modality contradicts | m, z), (B,) in [0, 1], from m and z minus their means, (B,) each."""
    return _from_squares((evidence_offset - fit.slope * label_offset).square(), evidence_offset.square(), fit)


def _from_squares(to_line: Tensor, to_mean: Tensor, fit: EvidenceFit) -> Tensor:
    """The same probability, from the squared distances of the evidence to the line and to its mean."""
    agrees = _log_density(to_line, fit.noise)
    contradicts = _log_density(to_mean, fit.noise + fit.slope.square() * fit.label_variance)
    return torch.sigmoid(torch.logit(fit.share) + contradicts - agrees)


def _expectation(to_line: Tensor, to_mean: Tensor, fit: EvidenceFit) -> Tensor:
    """(3,): expected number of contradicting and of agreeing clips, and the squared residuals of the latter."""
    contradicts = _from_squares(to_line, to_mean, fit)
    return torch.stack([contradicts.sum(), (1 - contradicts).sum(), (1 - contradicts) @ to_line])


def _log_density(square: Tensor, variance: Tensor) -> Tensor:
    """Log of the normal density at a squared distance, without its constant."""
    density: Tensor = -0.5 * (square / variance + variance.log())
    return density
