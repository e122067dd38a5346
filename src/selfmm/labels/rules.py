"""Label rules: what one modality's features say about a clip's sentiment, given its m-label and the class centres.

A rule is a callable from :class:`Evidence` to raw u-labels, shape (B,), in the unit of the m-labels. It is pure: the
momentum over epochs, the limit to ``[-bound, bound]`` and what happens to a label that cannot be computed belong to
:class:`selfmm.labels.UnimodalLabelGenerator`. A rule may divide by zero: the generator keeps a clip's previous label
wherever the raw one is NaN or infinite, so neither ever gets into a label.

Source: Yu, Xu, Yuan, Wu, "Learning Modality-Specific Representations with Self-Supervised Multi-Task Learning for
Multimodal Sentiment Analysis", AAAI 2021 (arXiv 2102.04830), and its authors' published code.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from selfmm.labels.accounts import HeldOut, posterior_mean

EPS = 1e-8


class Centres(NamedTuple):
    """The two class centres of one feature space, each of shape (d,)."""

    positive: Tensor
    negative: Tensor


@dataclass(frozen=True)
class Evidence:
    """What a rule may look at, for a batch of B clips and one modality. All tensors are float64 and finite.

    Attributes:
        m_labels: (B,) multimodal labels y_m, in [-bound, bound].
        fusion: (B, D) fusion features F_m*.
        feature: (B, d) this modality's features F_s*.
        fusion_centres: class means of the stored fusion features, by the sign of y_m.
        centres: class means of this modality's stored features, by the sign of its own current u-label.
        bound: H, the largest absolute label (3 for MOSI and MOSEI, 1 for SIMS).
        held_out: what the modality says where it was not shown the label; for rules that ask for it, else None.
    """

    m_labels: Tensor
    fusion: Tensor
    feature: Tensor
    fusion_centres: Centres
    centres: Centres
    bound: float
    held_out: HeldOut | None = None


class Rule(Protocol):
    """A label rule; ``bounded`` asks the generator to limit its raw labels to [-bound, bound] before the momentum.

    With an attribute ``held_out = True`` it is given ``Evidence.held_out``. That is already averaged over epochs, so
    the raw labels of such a rule are the labels: no momentum is added.
    """

    @property
    def bounded(self) -> bool: ...

    def __call__(self, evidence: Evidence) -> Tensor: ...


def relative_distance(to_positive: Tensor, to_negative: Tensor) -> Tensor:
    """alpha = (D^n - D^p) / (D^p + 1e-8): in (-1, inf), 0 halfway between the centres, growing with positivity.

    Args:
        to_positive: (B,) distances D^p to the positive centre, >= 0.
        to_negative: (B,) distances D^n to the negative centre, >= 0.
    """
    return (to_negative - to_positive) / (to_positive + EPS)


class Paper:
    """The paper's rule: squared distances over sqrt(d), and no limit on the label.

    ``y_s = y_m + (alpha_s - alpha_m)/2 * (y_m + alpha_m)/alpha_m`` with ``D = ||F - C||^2 / sqrt(d)``; it is the mean
    of the two relations ``y_m alpha_s / alpha_m`` and ``y_m + alpha_s - alpha_m``.

    It has a pole at alpha_m = 0, and the paper sets no limit: near the pole raw labels of many times the label range
    are normal and are used as they are. Exactly on the pole the raw label is not finite and the previous one is kept.
    """

    bounded = False

    def __call__(self, evidence: Evidence) -> Tensor:
        """Returns the raw u-labels, (B,), of any size."""
        alpha_m = relative_distance(*_squared_distances(evidence.fusion, evidence.fusion_centres))
        alpha_s = relative_distance(*_squared_distances(evidence.feature, evidence.centres))
        y_m = evidence.m_labels
        return y_m + (alpha_s - alpha_m) / 2 * (y_m + alpha_m) / alpha_m


class Authors:
    """The rule of the authors' published code: plain distances, 1e-8 beside alpha_m, limited to [-bound, bound].

    ``y_s = (y_m alpha_s / (alpha_m + 1e-8) + y_m + alpha_s - alpha_m) / 2`` with ``D = ||F - C||``. It equals the
    paper's combination of alphas but for the 1e-8, which stands in the ratio relation alone: at alpha_m = 0 and y_m = 0
    it gives alpha_s / 2, and no longer 0/0.

    The pole stays (it moves to alpha_m = -1e-8); the limit turns what comes near it into labels of +-bound.
    """

    bounded = True

    def __call__(self, evidence: Evidence) -> Tensor:
        """Returns the raw u-labels, (B,), before the limit."""
        alpha_m = relative_distance(*_distances(evidence.fusion, evidence.fusion_centres))
        alpha_s = relative_distance(*_distances(evidence.feature, evidence.centres))
        y_m = evidence.m_labels
        return (y_m * alpha_s / (alpha_m + EPS) + y_m + alpha_s - alpha_m) / 2


class CentreGap:
    """Distances over the gap between the centres, which no clip can shrink: the difference relation without poles.

    ``y_s = y_m + H (a_s - a_m)`` with ``a_i = (||F_i - C_i^n|| - ||F_i - C_i^p||) / ||C_i^p - C_i^n||``. By the
    triangle inequality a is in [-1, 1], reached at the centres; H carries it to the range of the labels. The
    paper's other relation, the ratio ``y_m a_s / a_m``, is left out: it has its pole whatever a is divided by.
    Antisymmetric: with all labels and classes swapped, y_s changes its sign and nothing else.

    Source: a variant made for selfmm; the difference relation is the paper's.
    """

    bounded = True

    def __call__(self, evidence: Evidence) -> Tensor:
        """Returns the raw u-labels, (B,), before the limit."""
        said = _position(evidence.feature, evidence.centres) - _position(evidence.fusion, evidence.fusion_centres)
        return evidence.m_labels + evidence.bound * said


class Sugrm:
    """SUGRM's rule: how far a modality stands from the fusion, in the fusion's own space.

    ``y_s = y_m - 2H min(||F_m - F_s||, D)/D`` where ``r_s > r_m``, and ``+`` where ``r_s < r_m``, limited to [-H, H];
    ``r_x = ||F_x - C_m^p|| / ||F_x - C_m^n||`` and ``D = ||C_m^p - C_m^n||``. Where the ratios are equal, y_s = y_m.

    Both features are measured against the fusion's centres, so all must be of one width. The ratios are compared by
    cross products, so none divides by 0. It assumes that equal features mean equal sentiment, which only a shared
    projection makes true. Antisymmetric like ``centre-gap``.

    Source: Hwang and Kim, "Self-Supervised Unimodal Label Generation Strategy Using Recalibrated Modality
    Representations for Multimodal Sentiment Analysis", Findings of EACL 2023; D is our reading of its text.
    """

    bounded = True

    def __call__(self, evidence: Evidence) -> Tensor:
        """Returns the raw u-labels, (B,), before the limit."""
        centres = evidence.fusion_centres
        fusion, feature = evidence.fusion, evidence.feature
        (fusion_positive, fusion_negative), (positive, negative) = (
            _distances(fusion, centres),
            _distances(feature, centres),
        )
        side = (fusion_positive * negative - positive * fusion_negative).sign()
        gap = (centres.positive - centres.negative).norm()
        moved: Tensor = (fusion - feature).norm(dim=-1).minimum(gap) / gap
        return evidence.m_labels + side * 2 * evidence.bound * moved


class Posterior:
    """Our own: the posterior mean of what the modality says, t, given m and the modality's held-out evidence z.

    ``y_s = m + R^2 [(1 - R^2)(z' - m) + p (t' - m)]``, the mean, with weights 1 - R^2 and R^2, over two accounts of why
    evidence and m-label differ:

    - spread: modalities stand a little off m everywhere. Evidence and m are averaged with the share of m that the
      evidence explains, ``m + R^2 (z' - m)``; ``z' = E[m | z]`` on the least-squares line.
    - contradiction: with probability p = P(contradicts | m, z) the modality says something of its own, and then
      ``t' = E[t | z]``; otherwise exactly m. ``m + p (t' - m)``; see :func:`selfmm.labels.accounts.fit_account`.

    Second moments of (m, z) cannot tell spread from noise in the evidence, so how much is spread is an assumption; a
    contradiction shows only in so far as evidence resolves m, hence the weights. Consequences: a dead modality
    (R^2 = 0) keeps y_m exactly, one that has memorised m (z = m) keeps it too: a leak of m into the features takes
    corrections away and does not invent them. That it takes less of them away, z is an average over epochs in which
    those that have memorised count little; see :class:`selfmm.labels.held_out.Testimony`.

    Every figure is estimated from the data; the one number chosen by measurement is the power in those weights.
    Antisymmetric in the sign of the labels, equivariant in their unit. Source: made for selfmm; derivation and tests
    in ``docs/label_study.md``.
    """

    bounded = True
    held_out = True

    def __call__(self, evidence: Evidence) -> Tensor:
        """Returns the u-labels, (B,), before the limit; NaN, so that the label is held, where nothing was heard."""
        if evidence.held_out is None:
            raise ValueError("the rule 'posterior' needs Evidence.held_out")
        said, heard, account = evidence.held_out
        return posterior_mean(evidence.m_labels, said, account).where(heard, math.nan)


def _position(features: Tensor, centres: Centres) -> Tensor:
    """(B,) in [-1, 1], 1 at and behind the positive centre."""
    to_positive, to_negative = _distances(features, centres)
    position: Tensor = (to_negative - to_positive) / (centres.positive - centres.negative).norm()
    return position


def _distances(features: Tensor, centres: Centres) -> tuple[Tensor, Tensor]:
    return (features - centres.positive).norm(dim=-1), (features - centres.negative).norm(dim=-1)


def _squared_distances(features: Tensor, centres: Centres) -> tuple[Tensor, Tensor]:
    root = math.sqrt(features.shape[-1])
    to_positive = (features - centres.positive).square().sum(-1) / root
    return to_positive, (features - centres.negative).square().sum(-1) / root


RULES: dict[str, Rule] = {
    "paper": Paper(),
    "authors": Authors(),
    "centre-gap": CentreGap(),
    "sugrm": Sugrm(),
    "posterior": Posterior(),
}


def name_problem(name: str) -> list[str]:
    """One sentence if no rule is called ``name``, else nothing."""
    if name in RULES:
        return []
    close = difflib.get_close_matches(name, RULES, n=1)
    return [f"rule is {name!r}; " + (f"did you mean {close[0]!r}?" if close else f"choose from {[*RULES]}")]
