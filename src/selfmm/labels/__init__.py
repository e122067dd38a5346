"""Labels per modality: estimated from inputs and m-labels, or generated in training from the structure of features."""

from __future__ import annotations

from selfmm.labels.classes.generator import UnimodalClassLabelGenerator
from selfmm.labels.estimate import ModalityEstimate, estimate_labels
from selfmm.labels.estimated import EstimatedLabels
from selfmm.labels.generator import UnimodalLabelGenerator
from selfmm.labels.outcomes import Outcome
from selfmm.labels.rules import RULES
from selfmm.labels.settings import FixedLabels

__all__ = [
    "RULES",
    "EstimatedLabels",
    "FixedLabels",
    "ModalityEstimate",
    "Outcome",
    "UnimodalClassLabelGenerator",
    "UnimodalLabelGenerator",
    "estimate_labels",
]
