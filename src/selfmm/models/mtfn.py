"""MTFN, tensor fusion with a task per modality (Yu, Xu, Meng, Zhu, Ma, Wu, Zou, Yang: CH-SIMS: A Chinese Multimodal
Sentiment Analysis Dataset with Fine-grained Annotation of Modality, ACL 2020): TFN that also learns what people say of
each modality alone.

Deviations of the published code: those of ``selfmm.models.tfn``; all tasks weigh the same, where the code has a
weight for each.
"""

from __future__ import annotations

from typing import ClassVar

from selfmm.models.base import Labels
from selfmm.models.tfn import TFN


class MTFN(TFN):
    """TFN's F_m* and y^_m, and of each modality F_s* = ReLU(W_s F_s) (B, d_s), y^_s = W_s' F_s* (B,)."""

    paper: ClassVar[str] = "Yu et al., ACL 2020"
    labels: ClassVar[Labels] = "human"
