"""The rule ``posterior`` on a data set: estimates of the label of every clip in each modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from selfmm.config.settings import Settings
from selfmm.core.processes import Processes
from selfmm.core.tensors import Positions
from selfmm.data.manifest import Modality
from selfmm.data.scales import LabelScale
from selfmm.data.store import Dataset
from selfmm.labels import EstimatedLabels, ModalityEstimate, estimate_labels
from selfmm.models.assembly import Assembly
from selfmm.models.frozen_inputs import frozen_inputs
from selfmm.models.text import Pretrained
from selfmm.training.corrections import fixed_labels


def estimates(
    dataset: Dataset,
    modalities: Mapping[str, Modality],
    settings: Settings,
    pretrained: Pretrained | None,
    rows: Positions,
) -> dict[str, ModalityEstimate]:
    """Return the estimates of all clips of a data set, fitted to the clips ``rows`` with a known m-label.

    Args:
        pretrained: the text encoder before any training.
    """
    fit = np.zeros(len(dataset), dtype=bool)
    fit[rows] = True
    inputs = frozen_inputs(dataset, modalities, settings, pretrained)
    low, high = dataset.manifest.label_range
    return estimate_labels(dataset.labels(), inputs, fit=fit, low=low, high=high)


def estimated_labels(dataset: Dataset, settings: Settings, assembly: Assembly, rows: Positions) -> EstimatedLabels:
    """Return the labels of the training clips ``rows``, and people's corrections of them."""
    tasks: Sequence[str] = assembly.model.tasks
    found = estimates(dataset, assembly.modalities, settings, assembly.pretrained, rows)
    labels = EstimatedLabels(
        torch.from_numpy(dataset.labels()[rows]).float(),
        {name: torch.from_numpy(found[name].labels[rows]).float() for name in tasks},
        LabelScale.of(dataset.manifest.label_range).unit,
        dataset.manifest.label_range,
        fixed_labels(dataset, tasks, rows),
    )
    Processes.join(settings.training.device).spread(labels.state_dict().values())
    return labels
