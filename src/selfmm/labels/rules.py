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
    """

    m_labels: Tensor
    fusion: Tensor
    feature: Tensor
    fusion_centres: Centres
    centres: Centres
    bound: float


class Rule(Protocol):
    """A label rule; ``bounded`` asks the generator to limit its raw labels to [-bound, bound] before the momentum."""

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


def _distances(features: Tensor, centres: Centres) -> tuple[Tensor, Tensor]:
    return (features - centres.positive).norm(dim=-1), (features - centres.negative).norm(dim=-1)


def _squared_distances(features: Tensor, centres: Centres) -> tuple[Tensor, Tensor]:
    root = math.sqrt(features.shape[-1])
    to_positive = (features - centres.positive).square().sum(-1) / root
    return to_positive, (features - centres.negative).square().sum(-1) / root


RULES: dict[str, Rule] = {"paper": Paper(), "authors": Authors()}


def name_problem(name: str) -> list[str]:
    """One sentence if no rule is called ``name``, else nothing."""
    if name in RULES:
        return []
    close = difflib.get_close_matches(name, RULES, n=1)
    return [f"rule is {name!r}; " + (f"did you mean {close[0]!r}?" if close else f"choose from {[*RULES]}")]
