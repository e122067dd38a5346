"""LF-DNN, late fusion by a deep network: one vector per modality, concatenated.

Cambria, Hazarika, Poria, Hussain, Subramanyam: Benchmarking Multimodal Sentiment Analysis, CICLing 2017,
https://arxiv.org/abs/1707.09538; here as the field's toolkits implement it.

Deviations from the published code: there, the audio and vision vectors are means over the frames, followed by three
linear layers; here, every modality has the encoder that all late-fusion models share.
"""

from __future__ import annotations

from typing import ClassVar

from selfmm.models.late_fusion import LateFusion


class LFDNN(LateFusion):
    """F_m* = ReLU(W [F_t; F_a; F_v]) (B, D), y^_m = W' F_m* (B,): Self-MM's network without its tasks."""

    paper: ClassVar[str] = "Cambria et al., CICLing 2017"
