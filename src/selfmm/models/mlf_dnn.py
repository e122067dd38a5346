"""MLF-DNN, late fusion by a deep network with a task per modality: LF-DNN that also learns people's labels of each
modality.

Yu, Xu, Meng, Zhu, Ma, Wu, Zou, Yang: CH-SIMS: A Chinese Multimodal Sentiment Analysis Dataset with Fine-grained
Annotation of Modality, ACL 2020, https://aclanthology.org/2020.acl-main.343/.

Deviations from the published code: those of ``selfmm.models.lf_dnn``; and all tasks have the same weight, while the
code has a weight for each.
"""

from __future__ import annotations

from typing import ClassVar

from selfmm.models.base import Labels
from selfmm.models.lf_dnn import LFDNN


class MLFDNN(LFDNN):
    """F_m* = ReLU(W [F_t; F_a; F_v]) (B, D), y^_m = W' F_m* (B,), and the same for each modality alone."""

    paper: ClassVar[str] = "Yu et al., ACL 2020"
    labels: ClassVar[Labels] = "human"
