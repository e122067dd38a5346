"""What one modality's distances to the class centres are worth against the m-classes, and the posterior that follows.

A contamination model for K unordered classes. With probability 1 - pi a modality agrees, t = m; with probability pi it
says a class of its own, drawn from the class prior q whatever m is. Its features stand around the centre of t, evenly
in all directions, so ``P(t = k | z) = f_k = softmax_k(log q_k - beta D_k)`` with D_k the squared distance to the
centre of class k, which was made without this clip. Then

    P(m | z) = (1 - pi) f_m + pi q_m
    c = pi q_m / ((1 - pi) f_m + pi q_m)             probability that the modality speaks for itself
    P(t = k | m, z) = (1 - c) [k = m] + c f_k

beta and pi are those under which the m-classes are most likely; beta is at most 1/(2 sigma^2), sigma^2 the pooled
variance of a feature within its class: the right one if features are independent, and finite where a few clips happen
to be separated without an error. pi has to earn its place: ``credit`` w is Schwarz's approximation to the probability
that there are contradictions at all (the model above against the one with pi = 0, each with its own beta), and the
label is ``(1 - w c) [k = m] + w c f_k``. A dead modality shows no contradictions, so it keeps its m-classes, instead of
being blurred by a pi that nothing determines.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

# Numerics, not knobs: a start for EM, steps enough for Newton and EM to settle, the most a step may turn, and a limit
# for features without any variance within a class.
FIRST_SHARE = 0.1
NEWTON_STEPS = 40
EM_STEPS = 200
STEEPER = 2.0
STEEPEST = 1e6


class ClassAccount(NamedTuple):
    """Estimates from all clips, each () float64.

    Attributes:
        sharpness: beta >= 0, in one over the features' unit squared; 0 for a modality that says nothing.
        share: pi in [0, 1], share of clips whose modality says a class of its own.
        credit: w in [0, 1], the probability that any does.
    """

    sharpness: Tensor
    share: Tensor
    credit: Tensor


SILENT = ClassAccount(*torch.zeros(3, dtype=torch.float64))
"""The account of a modality that says nothing: under it every posterior is the m-class."""


def posterior(m_classes: Tensor, distances: Tensor, prior: Tensor, account: ClassAccount) -> Tensor:
    """(B, K) float64 posteriors of what the modality says, each on the simplex.

    Args:
        m_classes: (B,) long.
        distances: (B, K) squared distances D_k, float64; infinite for a class without a centre, but not for m's.
        prior: (K,) class prior q.
        account: what they are worth.
    """
    says = _says(distances, prior, account.sharpness)
    apart = account.credit * _contradicts(m_classes, says, prior, account.share)
    given = torch.nn.functional.one_hot(m_classes, len(prior)).to(says)
    mixed: Tensor = given + apart[:, None] * (says - given)
    return mixed / mixed.sum(-1, keepdim=True)


def fit_account(m_classes: Tensor, distances: Tensor, prior: Tensor, variance: Tensor) -> ClassAccount:
    """The account under which the m-classes are most likely, given distances to centres made without the clip.

    Args:
        m_classes: (n,) long.
        distances: (n, K) as for :func:`posterior`.
        prior: (K,) class prior q.
        variance: () sigma^2, of one feature within its class.

    Returns:
        ``SILENT`` where the distances do not speak for the m-classes at all: dead, constant, or of no clip.
    """
    silent = ClassAccount(*(figure.to(distances.device) for figure in SILENT))
    unit = distances[distances.isfinite()].mean() if len(distances) else torch.zeros(())
    if not 0 < unit < math.inf:
        return silent
    scaled = distances / unit
    steepest = (unit / (2 * variance)).clamp(max=STEEPEST)
    every = torch.ones(len(scaled)).to(scaled)
    plain = torch.zeros(()).to(scaled)
    for _ in range(NEWTON_STEPS):
        plain = _sharper(plain, every, m_classes, scaled, prior).minimum(steepest)
    if not plain > 0:
        return silent
    sharpness, share = plain, torch.full_like(plain, FIRST_SHARE)
    for _ in range(EM_STEPS):
        apart = _contradicts(m_classes, _says(scaled, prior, sharpness), prior, share)
        share = apart.mean()
        sharpness = _sharper(sharpness, 1 - apart, m_classes, scaled, prior).minimum(steepest)
    gain = _likelihood(m_classes, scaled, prior, sharpness, share) - _likelihood(
        m_classes, scaled, prior, plain, torch.zeros_like(share)
    )
    credit = torch.sigmoid(gain - math.log(len(scaled)) / 2)
    return ClassAccount(sharpness / unit, share, credit)


def _says(distances: Tensor, prior: Tensor, sharpness: Tensor) -> Tensor:
    """f, (n, K): what the modality alone says; 0 for a class that has no centre."""
    there = distances.isfinite()
    logits = prior.log() - sharpness * distances.where(there, 0.0)
    return logits.where(there, -math.inf).softmax(-1)


def _contradicts(m_classes: Tensor, says: Tensor, prior: Tensor, share: Tensor) -> Tensor:
    """c, (n,)."""
    own = share * prior[m_classes]
    agrees = (1 - share) * _of(says, m_classes)
    return own / (own + agrees).clamp(min=math.ulp(0.0))


def _sharper(sharpness: Tensor, agrees: Tensor, m_classes: Tensor, distances: Tensor, prior: Tensor) -> Tensor:
    """One Newton step for beta on ``sum_i agrees_i log f_im``, which is concave."""
    says, near = _says(distances, prior, sharpness), distances.nan_to_num(posinf=0.0)
    mean = (says * near).sum(-1)
    slope = (agrees * (mean - _of(near, m_classes))).sum()
    bend = (agrees * (says * (near - mean[:, None]).square()).sum(-1)).sum()
    step = slope / bend.clamp(min=math.ulp(0.0))
    most = (STEEPER * sharpness).clamp(min=1.0)
    moved: Tensor = torch.minimum(torch.maximum(sharpness + step, sharpness / STEEPER), most)
    return moved.where((slope > 0) | (sharpness > 0), 0.0)


def _likelihood(m_classes: Tensor, distances: Tensor, prior: Tensor, sharpness: Tensor, share: Tensor) -> Tensor:
    """() log-likelihood of the m-classes."""
    chances = (1 - share) * _of(_says(distances, prior, sharpness), m_classes) + share * prior[m_classes]
    total: Tensor = chances.clamp(min=math.ulp(0.0)).log().sum()
    return total


def _of(rows: Tensor, classes: Tensor) -> Tensor:
    """(n,), from each row the number in the column of its class."""
    return rows.gather(1, classes[:, None])[:, 0]
