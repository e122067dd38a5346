"""Label rules: a raw u-label from one modality's features, the clip's m-label and the class centres.

A rule is a callable from :class:`Evidence` to raw u-labels, shape (B,), in the unit of the m-labels. It is pure:
:class:`selfmm.labels.UnimodalLabelGenerator` adds the momentum over epochs and the limit to ``[-bound, bound]``. A rule
may divide by zero: if the raw label is NaN or infinite, the generator keeps the clip's previous label.

Source: Yu, Xu, Yuan, Wu, "Learning Modality-Specific Representations with Self-Supervised Multi-Task Learning for
Multimodal Sentiment Analysis", AAAI 2021, https://arxiv.org/abs/2102.04830, section "Unimodal Label Generation Module",
and the authors' published code, https://github.com/thuiar/Self-MM.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from selfmm.core.messages import did_you_mean

EPS = 1e-8


class Centres(NamedTuple):
    """The two class centres of one feature space, each of shape (d,)."""

    positive: Tensor
    negative: Tensor


@dataclass(frozen=True)
class Evidence:
    """The input of a rule: a batch of B clips and one modality. All tensors are float64 and finite.

    Attributes:
        m_labels: (B,) multimodal labels y_m, in [-bound, bound].
        fusion: (B, D) fusion features F_m*.
        feature: (B, d) this modality's features F_s*.
        fusion_centres: class means of the stored fusion features, by the sign of y_m.
        centres: class means of this modality's stored features, by the sign of its own current u-label.
        bound: H, the largest absolute label (3 for MOSI and MOSEI, 1 for SIMS).
    """

    m_labels: Tensor
    fusion: Tensor
    feature: Tensor
    fusion_centres: Centres
    centres: Centres
    bound: float


class Rule(Protocol):
    """A label rule. If ``bounded``, the generator limits its raw labels to [-bound, bound] before the momentum."""

    @property
    def bounded(self) -> bool: ...

    def __call__(self, evidence: Evidence) -> Tensor:
        """Return the raw u-labels, (B,), before the limit."""


def relative_distance(to_positive: Tensor, to_negative: Tensor) -> Tensor:
    """Return alpha = (D^n - D^p) / (D^p + 1e-8), (B,) in (-1, inf): 0 halfway between the centres, larger if positive.

    Args:
        to_positive: (B,) distances D^p to the positive centre, >= 0.
        to_negative: (B,) distances D^n to the negative centre, >= 0.
    """
    return (to_negative - to_positive) / (to_positive + EPS)


class Paper:
    """The rule of the paper: squared distances over sqrt(d), and no limit on the label.

    ``y_s = y_m + (alpha_s - alpha_m)/2 * (y_m + alpha_m)/alpha_m`` with ``D = ||F - C||^2 / sqrt(d)``: the mean of the
    two relations ``y_m alpha_s / alpha_m`` and ``y_m + alpha_s - alpha_m``.

    It has a pole at alpha_m = 0, and the paper sets no limit: near the pole, raw labels are many times larger than the
    label range and are used as they are. Exactly on the pole the raw label is not finite, so the previous one stays.
    """

    bounded = False

    def __call__(self, evidence: Evidence) -> Tensor:
        alpha_m = relative_distance(*_squared_distances(evidence.fusion, evidence.fusion_centres))
        alpha_s = relative_distance(*_squared_distances(evidence.feature, evidence.centres))
        y_m = evidence.m_labels
        return y_m + (alpha_s - alpha_m) / 2 * (y_m + alpha_m) / alpha_m


class Authors:
    """The rule of the authors' published code: plain distances, 1e-8 added to alpha_m, labels in [-bound, bound].

    ``y_s = (y_m alpha_s / (alpha_m + 1e-8) + y_m + alpha_s - alpha_m) / 2`` with ``D = ||F - C||``. It is the
    paper's combination of alphas, except for the 1e-8 in the ratio relation: at alpha_m = 0 and y_m = 0 it gives
    alpha_s / 2 instead of 0/0.

    The pole remains (it moves to alpha_m = -1e-8); the limit turns raw labels near it into labels of +-bound.
    """

    bounded = True

    def __call__(self, evidence: Evidence) -> Tensor:
        alpha_m = relative_distance(*_distances(evidence.fusion, evidence.fusion_centres))
        alpha_s = relative_distance(*_distances(evidence.feature, evidence.centres))
        y_m = evidence.m_labels
        return (y_m * alpha_s / (alpha_m + EPS) + y_m + alpha_s - alpha_m) / 2


class CentreGap:
    """The difference relation, with distances divided by the gap between the centres: it has no poles.

    ``y_s = y_m + H (a_s - a_m)`` with ``a_i = (||F_i - C_i^n|| - ||F_i - C_i^p||) / ||C_i^p - C_i^n||``. By the
    triangle inequality a is in [-1, 1], and reaches both ends at the centres; H scales it to the range of the labels.
    The paper's other relation, the ratio ``y_m a_s / a_m``, is left out: it always has a pole. The rule is
    antisymmetric: with all labels and classes swapped, y_s only changes its sign.

    Source: made for selfmm from the difference relation of the paper.
    """

    bounded = True

    def __call__(self, evidence: Evidence) -> Tensor:
        ahead = _position(evidence.feature, evidence.centres) - _position(evidence.fusion, evidence.fusion_centres)
        return evidence.m_labels + evidence.bound * ahead


class Sugrm:
    """The rule of SUGRM: the distance of a modality's feature from the fusion feature, in the space of the fusion.

    ``y_s = y_m - 2H min(||F_m - F_s||, D)/D`` where ``r_s > r_m``, and ``+`` where ``r_s < r_m``, limited to [-H, H];
    ``r_x = ||F_x - C_m^p|| / ||F_x - C_m^n||`` and ``D = ||C_m^p - C_m^n||``. Where the ratios are equal, y_s = y_m.

    Both features are compared with the fusion's centres, so all must have the same width. The ratios are compared by
    cross products, so nothing is divided by 0. The rule assumes that equal features mean equal sentiment, which is true
    only with a shared projection. It is antisymmetric like ``centre-gap``.

    Source: Hwang and Kim, "Self-Supervised Unimodal Label Generation Strategy Using Recalibrated Modality
    Representations for Multimodal Sentiment Analysis", Findings of EACL 2023,
    https://aclanthology.org/2023.findings-eacl.2; D is our reading of its text.
    """

    bounded = True

    def __call__(self, evidence: Evidence) -> Tensor:
        centres, fusion, feature = evidence.fusion_centres, evidence.fusion, evidence.feature
        fusion_positive, fusion_negative = _distances(fusion, centres)
        positive, negative = _distances(feature, centres)
        side = (fusion_positive * negative - positive * fusion_negative).sign()
        gap = (centres.positive - centres.negative).norm()
        moved: Tensor = (fusion - feature).norm(dim=-1).minimum(gap) / gap
        return evidence.m_labels + side * 2 * evidence.bound * moved


def _position(features: Tensor, centres: Centres) -> Tensor:
    """(B,) in [-1, 1]: 1 at the positive centre and beyond it, -1 at the negative one and beyond."""
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
}


def name_problem(name: str) -> list[str]:
    """Return the problem as one sentence if no rule is called ``name``, else nothing."""
    if name == "posterior":
        return [
            "rule 'posterior' makes labels from the inputs, before any training: call selfmm.labels.estimate_labels"
        ]
    return [] if name in RULES else [f"rule is {name!r}{did_you_mean(name, list(RULES))}"]
