"""Labels per modality: estimated from inputs and m-labels, or generated in training from the structure of features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfmm.core.lazy import lazy  # reading a run's tables does not need torch, which the generators import

if TYPE_CHECKING:
    from selfmm.labels.classes.generator import UnimodalClassLabelGenerator as UnimodalClassLabelGenerator
    from selfmm.labels.estimate import ModalityEstimate as ModalityEstimate
    from selfmm.labels.estimate import estimate_labels as estimate_labels
    from selfmm.labels.estimated import EstimatedLabels as EstimatedLabels
    from selfmm.labels.generator import UnimodalLabelGenerator as UnimodalLabelGenerator
    from selfmm.labels.outcomes import Outcome as Outcome
    from selfmm.labels.rules import RULES as RULES
    from selfmm.labels.settings import FixedLabels as FixedLabels

__getattr__, __dir__, __all__ = lazy(__name__)
