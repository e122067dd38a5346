"""Labels per modality, generated from the m-labels and the class structure of the features."""

from __future__ import annotations

from selfmm.labels.generator import UnimodalLabelGenerator
from selfmm.labels.rules import RULES

__all__ = ["RULES", "UnimodalLabelGenerator"]
