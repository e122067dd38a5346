"""The posterior over one modality's classes, from its distances to the class centres and the m-class.

A contamination model for K unordered classes. With probability 1 - pi a modality agrees, t = m. With probability pi its
class is independent of m, drawn from the class prior q. Its features are spread around the centre of class t, evenly in
all directions, so ``P(t = k | z) = f_k = softmax_k(log q_k - beta D_k)`` with D_k the squared distance to the centre of
class k, which was computed without this clip. Then

    P(m | z) = (1 - pi) f_m + pi q_m
    c = pi q_m / ((1 - pi) f_m + pi q_m)             probability that the modality contradicts
    P(t = k | m, z) = (1 - c) [k = m] + c f_k

beta and pi maximise the likelihood of the m-classes; beta is at most 1/(2 sigma^2), sigma^2 the pooled variance of a
feature within its class. That is the exact value if features are independent, and it stays finite if a few clips happen
to be separated without error. ``credit`` w is Schwarz's approximation to the probability that there are contradictions
at all (the model above compared with the one with pi = 0, each with its own beta), and the label is
``(1 - w c) [k = m] + w c f_k``. So a dead modality, which shows no contradictions, keeps its m-classes: a pi that the
data do not determine cannot blur them.

Source of the approximation: Schwarz, "Estimating the Dimension of a Model", Annals of Statistics 6 (1978),
https://doi.org/10.1214/aos/1176344136. The model was made for selfmm.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

# Numerical constants, not settings: the start of EM, enough steps for Newton and EM to settle, the largest factor of a
# step, and a limit for features without any variance within a class.
FIRST_SHARE = 0.1
NEWTON_STEPS = 40
EM_STEPS = 200
LARGEST_FACTOR = 2.0
LARGEST_SHARPNESS = 1e6


class ClassFit(NamedTuple):
    """Estimates from all clips, each () float64.

    Attributes:
        sharpness: beta >= 0, in one over the features' unit squared; 0 for a modality that explains nothing.
        share: pi in [0, 1], share of clips in which the modality contradicts.
        credit: w in [0, 1], the probability that it does so in any clip.
    """

    sharpness: Tensor
    share: Tensor
    credit: Tensor


UNINFORMATIVE = ClassFit(*torch.zeros(3, dtype=torch.float64))
"""The fit of a modality that explains nothing: every posterior is then the m-class."""


def posterior(m_classes: Tensor, distances: Tensor, prior: Tensor, fit: ClassFit) -> Tensor:
    """Return (B, K) float64 posteriors of the modality's class, each on the simplex.

    Args:
        m_classes: (B,) long.
        distances: (B, K) squared distances D_k, float64; infinite for a class without a centre, but not for m.
        prior: (K,) class prior q.
        fit: the relation of the distances to the m-classes.
    """
    likely = _class_probabilities(distances, prior, fit.sharpness)
    contradicts = fit.credit * _contradiction_probability(m_classes, likely, prior, fit.share)
    agreed = torch.nn.functional.one_hot(m_classes, len(prior)).to(likely)
    mixed: Tensor = agreed + contradicts[:, None] * (likely - agreed)
    return mixed / mixed.sum(-1, keepdim=True)


def fit_distances(m_classes: Tensor, distances: Tensor, prior: Tensor, variance: Tensor) -> ClassFit:
    """Fit beta and pi by maximum likelihood of the m-classes, given distances to centres computed without the clip.

    Args:
        m_classes: (n,) long.
        distances: (n, K) as for :func:`posterior`.
        prior: (K,) class prior q.
        variance: () sigma^2, of one feature within its class.

    Returns:
        The fit; ``UNINFORMATIVE`` if the distances do not explain the m-classes, are constant, or there are no clips.
    """
    uninformative = ClassFit(*(estimate.to(distances.device) for estimate in UNINFORMATIVE))
    unit = distances[distances.isfinite()].mean() if len(distances) else torch.zeros(())
    if not 0 < unit < math.inf:
        return uninformative
    scaled = distances / unit
    largest = (unit / (2 * variance)).clamp(max=LARGEST_SHARPNESS)
    all_agree = torch.ones(len(scaled)).to(scaled)
    without = torch.zeros(()).to(scaled)  # beta of the model without contradictions
    for _ in range(NEWTON_STEPS):
        without = _newton_step(without, all_agree, m_classes, scaled, prior).minimum(largest)
    if not without > 0:
        return uninformative
    sharpness, share = without, torch.full_like(without, FIRST_SHARE)
    for _ in range(EM_STEPS):
        likely = _class_probabilities(scaled, prior, sharpness)
        contradicts = _contradiction_probability(m_classes, likely, prior, share)
        share = contradicts.mean()
        sharpness = _newton_step(sharpness, 1 - contradicts, m_classes, scaled, prior).minimum(largest)
    gain = _log_likelihood(m_classes, scaled, prior, sharpness, share) - _log_likelihood(
        m_classes, scaled, prior, without, torch.zeros_like(share)
    )
    credit = torch.sigmoid(gain - math.log(len(scaled)) / 2)
    return ClassFit(sharpness / unit, share, credit)


def _class_probabilities(distances: Tensor, prior: Tensor, sharpness: Tensor) -> Tensor:
    """f, (n, K): class probabilities by the modality alone; 0 for a class without a centre."""
    has_centre = distances.isfinite()
    logits = prior.log() - sharpness * distances.where(has_centre, 0.0)
    return logits.where(has_centre, -math.inf).softmax(-1)


def _contradiction_probability(m_classes: Tensor, likely: Tensor, prior: Tensor, share: Tensor) -> Tensor:
    """c, (n,)."""
    contradicts = share * prior[m_classes]
    agrees = (1 - share) * _of(likely, m_classes)
    return contradicts / (contradicts + agrees).clamp(min=math.ulp(0.0))


def _newton_step(sharpness: Tensor, agrees: Tensor, m_classes: Tensor, distances: Tensor, prior: Tensor) -> Tensor:
    """One Newton step for beta on ``sum_i agrees_i log f_im``, which is concave."""
    likely, near = _class_probabilities(distances, prior, sharpness), distances.nan_to_num(posinf=0.0)
    mean = (likely * near).sum(-1)
    slope = (agrees * (mean - _of(near, m_classes))).sum()
    curvature = (agrees * (likely * (near - mean[:, None]).square()).sum(-1)).sum()
    step = slope / curvature.clamp(min=math.ulp(0.0))
    highest = (LARGEST_FACTOR * sharpness).clamp(min=1.0)
    moved: Tensor = torch.minimum(torch.maximum(sharpness + step, sharpness / LARGEST_FACTOR), highest)
    return moved.where((slope > 0) | (sharpness > 0), 0.0)


def _log_likelihood(m_classes: Tensor, distances: Tensor, prior: Tensor, sharpness: Tensor, share: Tensor) -> Tensor:
    """() log-likelihood of the m-classes."""
    agrees = _of(_class_probabilities(distances, prior, sharpness), m_classes)
    likelihoods = (1 - share) * agrees + share * prior[m_classes]
    total: Tensor = likelihoods.clamp(min=math.ulp(0.0)).log().sum()
    return total


def _of(rows: Tensor, classes: Tensor) -> Tensor:
    """(n,): the number in each row's column of its class."""
    return rows.gather(1, classes[:, None])[:, 0]
