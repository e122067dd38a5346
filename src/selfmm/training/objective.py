"""What a run is trained for: the objective its model and settings ask for, on the training clips it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from selfmm.config.settings import Settings
from selfmm.core.errors import TrainingError
from selfmm.core.processes import Processes
from selfmm.data.scales import LabelScale
from selfmm.data.splits import training_rows
from selfmm.data.store import Dataset
from selfmm.labels import UnimodalLabelGenerator
from selfmm.labels.shared import SharedLabelGenerator
from selfmm.models.base import Labels, Model, label_source
from selfmm.training.corrections import fixed_labels
from selfmm.training.objectives.fused import FusedObjective, HumanObjective
from selfmm.training.objectives.self_mm import SelfMMObjective

Generator = UnimodalLabelGenerator | SharedLabelGenerator


def make_objective(dataset: Dataset, settings: Settings, model: Model) -> FusedObjective | SelfMMObjective:
    """The objective for the training clips.

    Raises:
        TrainingError: labels by people are asked for, and there are none of a modality.
    """
    scale = LabelScale.of(dataset.manifest.label_range)
    source = label_source(type(model), settings)
    if source == "none":
        return FusedObjective(scale.unit)
    if source == "human":
        return HumanObjective(human_labels(dataset, settings, model.tasks), scale.unit)
    generator = _generator(dataset, settings, model, scale)
    return SelfMMObjective(generator, clean_features=settings.labels.features == "eval")


def human_labels(dataset: Dataset, settings: Settings, modalities: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Per modality (N,) what people said of the training clips: the data set's own labels, and corrections of them."""
    rows = training_rows(dataset, settings)
    found = {}
    for name in modalities:
        column = f"label_{name}"
        known = dataset.samples[column].to_numpy(dtype=np.float64)[rows] if column in dataset.samples else None
        labels = torch.full((len(rows),), torch.nan) if known is None else torch.from_numpy(known.copy()).float()
        found[name] = labels
    for name, fixed in fixed_labels(dataset, modalities, rows).items():
        found[name][fixed.index] = fixed.labels
    empty = [name for name, labels in found.items() if not labels.isfinite().any()]
    if empty:
        raise TrainingError(
            f"{settings.model_name} is to be trained with people's labels per modality, but no training clip of "
            f"{dataset.name!r} has one for {', '.join(empty)}. Import the data with columns "
            f"{', '.join(f'label_{name}' for name in empty)}, collect labels with `selfmm annotate`, let them be made "
            "with --labels generated, or do without with --labels none."
        )
    return found


def _generator(dataset: Dataset, settings: Settings, model: Model, scale: LabelScale) -> Generator:
    """The label generator, whose banks the processes of the run share out among them."""
    processes = Processes.join(settings.training.device)
    rows = training_rows(dataset, settings)
    labels = torch.from_numpy(dataset.labels()[rows]).float()
    arguments: dict[str, Any] = {
        "dims": model.feature_dims,
        "fusion_dim": model.fusion_dim,
        "bound": scale.reach,
        "rule": settings.labels.rule,
        "zero_labels": settings.labels.zero_labels,
        "bank_dtype": getattr(torch, settings.labels.bank),
        "bank_folder": Path(settings.labels.bank_folder) if settings.labels.bank_folder else None,
        "neutral": scale.neutral,
        "unit": scale.unit,
        "fixed": fixed_labels(dataset, model.tasks, rows),
    }
    if processes.group is None:
        return UnimodalLabelGenerator(labels, **arguments)
    most = -(-settings.training.batch_size // processes.count)
    return SharedLabelGenerator(labels, group=processes.group, most=most, **arguments)


def check_trainable(dataset: Dataset, settings: Settings, source: Labels) -> None:
    """Raises ``TrainingError`` where the data set cannot be trained on, with the mend."""
    labels = dataset.labels()
    for split in ("train", "valid"):
        rows = dataset.rows(split)
        if not len(rows):
            raise TrainingError(
                f"the data set {dataset.name!r} has no clip in its {split} split ({len(dataset)} in all). "
                "Training needs train and valid; import it without a split column to have it split."
            )
        unknown = ~np.isfinite(labels[rows])
        if unknown.any():
            first = dataset.samples["id"].iloc[rows[unknown][:3]].tolist()
            raise TrainingError(
                f"{int(unknown.sum())} of {len(rows)} clips in the {split} split have no label, for example {first}. "
                "Give them one or leave them out."
            )
    if source == "generated":
        _check_both_sides(dataset, labels[training_rows(dataset, settings)])


def _check_both_sides(dataset: Dataset, labels: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    neutral = LabelScale.of(dataset.manifest.label_range).neutral
    positive, negative = int((labels > neutral).sum()), int((labels < neutral).sum())
    if positive and negative:
        return
    low, high = dataset.manifest.label_range
    counts = f"{positive} above {neutral:g}, {negative} below, {len(labels) - positive - negative} equal to it"
    raise TrainingError(
        f"the {len(labels)} training labels of {dataset.name!r} are one-sided ({counts}; they span "
        f"{labels.min():g} to {labels.max():g}). Unimodal labels are made from the distance to a positive and a "
        f"negative class centre, so clips are needed on both sides of {neutral:g}, the neutral point of the label "
        f"range {low:g} to {high:g}. If your scale is another, import again with its true --label-range; or train "
        "without them: --labels none."
    )
