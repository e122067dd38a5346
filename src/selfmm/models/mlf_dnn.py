"""MLF-DNN, late fusion by a deep network with a task per modality (Yu, Xu, Meng, Zhu, Ma, Wu, Zou, Yang: CH-SIMS: A
Chinese Multimodal Sentiment Analysis Dataset with Fine-grained Annotation of Modality, ACL 2020): LF-DNN that also
learns what people say of each modality alone.

Deviations of the published code: those of ``selfmm.models.lf_dnn``; all tasks weigh the same, where the code has a
weight for each.
"""

from __future__ import annotations

from typing import ClassVar

from selfmm.models.base import Labels
from selfmm.models.lf_dnn import LFDNN


class MLFDNN(LFDNN):
    """F_m* = ReLU(W [F_t; F_a; F_v]) (B, D), y^_m = W' F_m* (B,), and alike for each modality alone."""

    paper: ClassVar[str] = "Yu et al., ACL 2020"
    labels: ClassVar[Labels] = "human"
