"""How what a modality says relates to the m-labels, and the posterior mean that follows: the rule ``posterior``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

# Numerics, not knobs: a start for EM, steps enough for it to settle, a noise that is none.
FIRST_SHARE = 0.1
EM_STEPS = 100
AT_ONCE = 16384
SMALLEST_NOISE = 1e-12
CONSTANT = 1e-6
"""Predictions that differ by no more than this, relative to their mean, are one constant and its rounding."""

Total = Callable[[Tensor], Tensor]
"""Sums a float64 tensor over the processes that share the clips."""


def alone(part: Tensor) -> Tensor:
    """The total where there is one process."""
    return part


class Account(NamedTuple):
    """Estimates from the m-labels m and the evidence z of all clips, each () float64.

    Attributes:
        mean: mu, mean of m.
        variance: V, variance of m.
        middle: mean of z.
        slope: b > 0, of the least-squares line of z on m.
        noise: s^2, variance of z about that line where the modality agrees.
        share: pi, share of clips whose modality says something of its own.
        explained: R^2 in [0, 1], squared correlation of z and m.
    """

    mean: Tensor
    variance: Tensor
    middle: Tensor
    slope: Tensor
    noise: Tensor
    share: Tensor
    explained: Tensor


class HeldOut(NamedTuple):
    """What one modality says about a batch, from heads that were not fitted to these clips.

    Attributes:
        said: (B,) float64 evidence z.
        heard: (B,) bool, False where there is none yet.
        account: what z is worth.
    """

    said: Tensor
    heard: Tensor
    account: Account


SILENT = Account(*(torch.tensor(value, dtype=torch.float64) for value in (0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0)))
"""The account of a modality that says nothing: under it every posterior is the m-label itself."""


def posterior_mean(m_labels: Tensor, said: Tensor, account: Account) -> Tensor:
    """E[t | m, z], (B,), the mean over two accounts of why z and m differ; see ``selfmm.labels.rules.Posterior``."""
    off, heard = m_labels - account.mean, said - account.middle
    spread = account.explained / account.slope * heard - off
    signal = account.slope.square() * account.variance
    own = account.mean + account.slope * account.variance / (signal + account.noise) * heard
    contradicted = contradiction(off, heard, account) * (own - m_labels)
    return m_labels + account.explained * ((1 - account.explained) * spread + contradicted)


def fit_account(labels: Tensor, said: Tensor, total: Total = alone) -> Account:
    """Fits how what a modality says relates to the m-labels: a contamination model, by EM.

    ``z = a + b t + e`` with ``e ~ N(0, s^2)``. A share 1 - pi of the clips agrees, ``t = m``; a share pi says something
    of its own, t drawn like the m-labels but independent of this clip's, so ``z ~ N(a + b mu, s^2 + b^2 V)``. The
    line is not fitted by EM but is the least-squares line of z on m: with a free slope EM buys likelihood for bent or
    heavy-tailed evidence with a steeper line and many contradictions that are none.

    Args:
        labels: (n,) float64 m-labels.
        said: (n,) float64 predictions of them.
        total: adds what other processes hold; the account is the same in all.

    Returns:
        The account; ``SILENT`` where the predictions do not rise with the labels: constant, dead, or fewer than 3.
    """
    line = fit_line(labels, said, total)
    if line is None:
        return Account(*(figure.to(labels.device) for figure in SILENT))
    clips, mean, variance, middle, spread, slope, explained = line
    off, heard = labels - mean, said - middle
    signal = slope.square() * variance
    least = SMALLEST_NOISE * signal
    noise, share = (spread - signal).clamp(min=least), torch.full_like(mean, FIRST_SHARE)
    # In pieces that stay in the processor's cache: ten million clips then take a minute instead of five.
    to_line, to_mean = (heard - slope * off).square(), heard.square()
    pieces = [*zip(torch.split(to_line, AT_ONCE), torch.split(to_mean, AT_ONCE), strict=True)]
    for _ in range(EM_STEPS):
        account = Account(mean, variance, middle, slope, noise, share, explained)
        sums = sum((_expected(*piece, account) for piece in pieces), torch.zeros(3).to(mean))
        own, agreeing, missed = total(sums)
        share = own / clips
        noise = (missed / agreeing.clamp(min=math.ulp(0.0))).clamp(min=least)
    return Account(mean, variance, middle, slope, noise, share, explained)


class Line(NamedTuple):
    """The least-squares line of z on m, each () float64; ``spread`` is the variance of z, the rest as in Account."""

    clips: Tensor
    mean: Tensor
    variance: Tensor
    middle: Tensor
    spread: Tensor
    slope: Tensor
    explained: Tensor


def fit_line(labels: Tensor, said: Tensor, total: Total = alone) -> Line | None:
    """The line, or None where predictions do not rise with the labels; arguments as of :func:`fit_account`."""
    count, *sums = total(torch.stack([labels.new_tensor(len(labels)), labels.sum(), said.sum()]))
    if count < 3:
        return None
    mean, middle = (part / count for part in sums)
    off, heard = labels - mean, said - middle
    moments = torch.stack([off.square().sum(), heard.square().sum(), (off * heard).sum()])
    variance, spread, shared = total(moments) / count
    if not (shared > 0 and variance > 0 and spread > (CONSTANT * middle) ** 2):
        return None
    explained = (shared.square() / (variance * spread)).clamp(max=1.0)
    return Line(count, mean, variance, middle, spread, shared / variance, explained)


def contradiction(off: Tensor, heard: Tensor, account: Account) -> Tensor:
    """Probability in [0, 1] that a clip's modality says something of its own, from centred m-labels and evidence."""
    return _own((heard - account.slope * off).square(), heard.square(), account)


def _own(missed: Tensor, heard: Tensor, account: Account) -> Tensor:
    """The same from squares: of the evidence's distance to the line, and of its distance to its mean."""
    agreeing = _log_normal(missed, account.noise)
    own = _log_normal(heard, account.noise + account.slope.square() * account.variance)
    return torch.sigmoid(torch.logit(account.share) + own - agreeing)


def _expected(missed: Tensor, heard: Tensor, account: Account) -> Tensor:
    """(3,): how many clips say something of their own, how many agree, and the squares that the latter miss by."""
    own = _own(missed, heard, account)
    return torch.stack([own.sum(), (1 - own).sum(), (1 - own) @ missed])


def _log_normal(square: Tensor, variance: Tensor) -> Tensor:
    density: Tensor = -0.5 * (square / variance + variance.log())
    return density
