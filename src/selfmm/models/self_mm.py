"""Self-MM: late fusion with one more task per modality.

Yu, Xu, Yuan, Wu: Learning Modality-Specific Representations with Self-Supervised Multi-Task Learning for Multimodal
Sentiment Analysis, AAAI 2021, https://arxiv.org/abs/2102.04830.

The network is plain late fusion. The objective makes it Self-MM: see ``selfmm.training.objectives.self_mm``.
"""

from __future__ import annotations

from typing import ClassVar

from selfmm.models.base import Labels
from selfmm.models.late_fusion import LateFusion


class SelfMM(LateFusion):
    """F_m* = ReLU(W [F_t; F_a; F_v]), y^_m = W F_m*, and the same for each modality alone (paper, equations 1-5)."""

    paper: ClassVar[str] = "Yu et al., AAAI 2021"
    labels: ClassVar[Labels] = "generated"
