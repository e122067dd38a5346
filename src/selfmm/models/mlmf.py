"""MLMF, low-rank fusion with a task per modality: LMF that also learns people's labels of each modality.

Yu, Xu, Meng, Zhu, Ma, Wu, Zou, Yang: CH-SIMS: A Chinese Multimodal Sentiment Analysis Dataset with Fine-grained
Annotation of Modality, ACL 2020, https://aclanthology.org/2020.acl-main.343/.

Deviations from the published code: those of ``selfmm.models.lmf``; and all tasks have the same weight, while the code
has a weight for each.
"""

from __future__ import annotations

from typing import ClassVar

from selfmm.models.base import Labels
from selfmm.models.lmf import LMF


class MLMF(LMF):
    """LMF's F_m and y^_m; and for each modality alone F_s* = ReLU(W_s F_s) (B, d_s), y^_s = W_s' F_s* (B,)."""

    paper: ClassVar[str] = "Yu et al., ACL 2020"
    labels: ClassVar[Labels] = "human"
