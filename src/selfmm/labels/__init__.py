"""Labels per modality, generated from the m-labels and the class structure of the features."""

from __future__ import annotations

from selfmm.labels.classes.generator import UnimodalClassLabelGenerator
from selfmm.labels.generator import UnimodalLabelGenerator
from selfmm.labels.outcomes import Outcome
from selfmm.labels.rules import RULES
from selfmm.labels.settings import FixedLabels

__all__ = ["RULES", "FixedLabels", "Outcome", "UnimodalClassLabelGenerator", "UnimodalLabelGenerator"]
