"""The training objective of a run, chosen by its model and settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from selfmm.config.settings import Settings
from selfmm.core.errors import TrainingError
from selfmm.core.messages import clips, some
from selfmm.core.processes import Processes
from selfmm.core.tensors import Positions
from selfmm.data.manifest import SPLITS
from selfmm.data.scales import LabelScale
from selfmm.data.splits import training_rows
from selfmm.data.store import Dataset
from selfmm.labels import EstimatedLabels, UnimodalLabelGenerator
from selfmm.labels.shared import SharedLabelGenerator
from selfmm.models import find_model
from selfmm.models.assembly import Assembly
from selfmm.models.base import Labels, Model, label_source
from selfmm.training.corrections import fixed_labels
from selfmm.training.estimation import estimated_labels
from selfmm.training.objectives import Objective
from selfmm.training.objectives.fused import FusedObjective, HumanObjective
from selfmm.training.objectives.self_mm import SelfMMObjective

Generator = UnimodalLabelGenerator | SharedLabelGenerator | EstimatedLabels


def make_objective(dataset: Dataset, settings: Settings, assembly: Assembly, rows: Positions) -> Objective:
    """Return the objective for the training clips ``rows``.

    Raises:
        TrainingError: if people's labels are needed and a modality has none.
    """
    scale = LabelScale.of(dataset.manifest.label_range)
    model = assembly.model
    source = label_source(type(model), settings)
    if source == "none":
        return FusedObjective(scale.unit)
    if source == "human":
        return HumanObjective(human_labels(dataset, settings, model.tasks, rows), scale.unit)
    generator: Generator
    if settings.labels.rule == "posterior":
        generator = estimated_labels(dataset, settings, assembly, rows)
    else:
        generator = _generator(dataset, settings, model, scale, rows)
    return SelfMMObjective(
        generator,
        clean_features=settings.labels.features == "eval",
        weighting=settings.labels.weighting,
    )


def human_labels(
    dataset: Dataset, settings: Settings, modalities: tuple[str, ...], rows: Positions
) -> dict[str, torch.Tensor]:
    """Return people's labels of the N training clips ``rows`` per modality: those of the data set, with corrections.

    Returns:
        Per modality, (N,) float32 on the scale of the data set; NaN where unknown.

    Raises:
        TrainingError: if no training clip has a label for one of the modalities.
    """
    labels = {}
    for name in modalities:
        labels[name] = torch.full((len(rows),), torch.nan)
        if f"label_{name}" in dataset.samples:
            labels[name] = torch.from_numpy(dataset.samples[f"label_{name}"].to_numpy(dtype=np.float64)[rows]).float()
    for name, fixed in fixed_labels(dataset, modalities, rows).items():
        labels[name][fixed.index] = fixed.labels
    empty = [name for name, values in labels.items() if not values.isfinite().any()]
    if empty:
        raise TrainingError(
            f"{settings.model_name} needs people's labels per modality, but no training clip of {dataset.title} has "
            f"one for {', '.join(empty)}. Add columns {', '.join(f'label_{name}' for name in empty)} to the data, "
            "collect labels with `selfmm annotate`, generate them with `labels='generated'`, or train without: "
            "`labels='none'`."
        )
    return labels


def _generator(dataset: Dataset, settings: Settings, model: Model, scale: LabelScale, rows: Positions) -> Generator:
    """The label generator; with several processes, each stores the features of its part of the clips."""
    processes = Processes.join(settings.training.device)
    labels = torch.from_numpy(dataset.labels()[rows]).float()
    arguments: dict[str, Any] = {
        "dims": model.feature_dims,
        "fusion_dim": model.fusion_dim,
        "bound": scale.reach,
        "rule": settings.labels.rule,
        "zero_labels": settings.labels.zero_labels,
        "neutral": scale.neutral,
        "unit": scale.unit,
        "fixed": fixed_labels(dataset, model.tasks, rows),
    }
    if processes.group is None:
        return UnimodalLabelGenerator(labels, **arguments)
    most = -(-settings.training.batch_size // processes.count)
    return SharedLabelGenerator(labels, group=processes.group, most=most, **arguments)


def check_trainable(dataset: Dataset, settings: Settings, source: Labels) -> None:
    """Raise ``TrainingError`` if the data set cannot be used for training by gradients."""
    if find_model(settings.model).closed_form:
        return
    labels = dataset.labels()
    for split in ("train", "valid"):
        rows = dataset.rows(split)
        if not len(rows):
            if dataset.samples["video"][np.isfinite(labels)].nunique() < len(SPLITS):
                more = f"rated clips of more recordings, {len(SPLITS)} or more in total"
                advice = f"add {more}, and make the data set again."
            else:
                advice = "make it again from a table without a split column, and selfmm will split it."
            raise TrainingError(
                f"{dataset.title} has no clip in its {split} split ({len(dataset)} in total). Training needs train and "
                f"valid, and only `model='adapt'` does not; {advice}"
            )
        unknown = ~np.isfinite(labels[rows])
        if unknown.any():
            unlabelled = dataset.samples["id"].iloc[rows[unknown]].tolist()
            raise TrainingError(
                f"{len(unlabelled)} of {clips(len(rows))} in the {split} split "
                f"{'has' if len(unlabelled) == 1 else 'have'} no label: {some(unlabelled)}. Give each one a label or "
                "leave it out, or train `model='adapt'`, which also learns from such clips."
            )
    if source == "generated" and settings.labels.rule != "posterior":
        _check_both_sides(dataset, labels[training_rows(dataset, settings)])


def _check_both_sides(dataset: Dataset, labels: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    neutral = LabelScale.of(dataset.manifest.label_range).neutral
    positive, negative = int((labels > neutral).sum()), int((labels < neutral).sum())
    if positive and negative:
        return
    low, high = dataset.manifest.label_range
    counts = f"{positive} above {neutral:g}, {negative} below, {len(labels) - positive - negative} equal to it"
    raise TrainingError(
        f"the {len(labels)} training labels of {dataset.title} are one-sided ({counts}; they span "
        f"{labels.min():g} to {labels.max():g}). Unimodal labels are made from the distance to a positive and a "
        f"negative class centre, so clips are needed on both sides of {neutral:g}, the neutral point of the label "
        f"range {low:g} to {high:g}. If your scale differs, make the data set again with its true "
        "`label_range=...`; or train without unimodal labels: `labels='none'`."
    )
