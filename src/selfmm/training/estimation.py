"""The rule ``posterior`` on a data set: estimates of the label of every clip in each modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from selfmm.config.settings import Settings
from selfmm.core.errors import DatasetError, SettingsError
from selfmm.core.messages import did_you_mean
from selfmm.core.processes import Processes
from selfmm.core.tensors import Positions
from selfmm.data.manifest import TEXT, Modality
from selfmm.data.scales import LabelScale
from selfmm.data.splits import training_rows
from selfmm.data.store import Dataset
from selfmm.labels import EstimatedLabels, Outcome, estimate_labels
from selfmm.labels.estimated import ClipLabels
from selfmm.models.assembly import Assembly, check_vocabulary, chosen_modalities, reads_words
from selfmm.models.frozen_inputs import frozen_inputs
from selfmm.models.text import Pretrained, text_encoder
from selfmm.training.corrections import fixed_labels

ESTIMATED = 0
"""The epoch of estimated labels in tables: before training."""


def clip_labels(
    dataset: Dataset,
    modalities: Mapping[str, Modality],
    settings: Settings,
    pretrained: Pretrained | None,
    rows: Positions,
    tasks: Sequence[str],
) -> dict[str, ClipLabels]:
    """Return the labels of all clips of a data set per modality, fitted to the clips ``rows`` with an m-label.

    Args:
        modalities: all that are read: each is evidence about what the others have in common.
        pretrained: the text encoder before any training.
        tasks: the modalities that get labels.
    """
    m_labels, everything = dataset.labels(), np.arange(len(dataset))
    fit = np.zeros(len(dataset), dtype=bool)
    fit[rows] = True
    low, high = dataset.manifest.label_range
    if pretrained is not None and modalities[TEXT].kind == "tokens":
        check_vocabulary(dataset, everything, pretrained)
    inputs = frozen_inputs(dataset, modalities, settings, pretrained)
    estimates = estimate_labels(m_labels, inputs, fit=fit, low=low, high=high)
    fixed = fixed_labels(dataset, tasks, everything)
    return {name: ClipLabels.of(estimates[name], m_labels, fit, (low, high), fixed.get(name)) for name in tasks}


def label_table(dataset: Dataset, labels: Mapping[str, ClipLabels]) -> pd.DataFrame:
    """Return the content of ``labels.parquet``: a row per modality and clip with an m-label."""
    words = np.array([outcome.word for outcome in Outcome], dtype=object)
    known = np.flatnonzero(np.isfinite(dataset.labels()))
    samples = dataset.samples.iloc[known]
    tables = []
    for name, own in labels.items():
        of_known = own.rows(known)
        columns = {
            "id": samples["id"].to_numpy(),
            "epoch": ESTIMATED,
            "modality": name,
            "m_label": samples["label"].to_numpy(dtype=np.float32),
            "u_label": of_known.u_label,
            "weight": of_known.weight,
            "outcome": words[of_known.outcome],
            "split": samples["split"].to_numpy(),
            "expected_error": of_known.expected_error,
            "trust": of_known.trust,
            "contradiction": of_known.contradiction,
            "made": of_known.made,
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def estimated_labels(dataset: Dataset, settings: Settings, assembly: Assembly, rows: Positions) -> EstimatedLabels:
    """Return the labels of the training clips ``rows``, with the table of the labels of all clips."""
    tasks: Sequence[str] = assembly.model.tasks
    labels = clip_labels(dataset, assembly.modalities, settings, assembly.pretrained, rows, tasks)
    m_labels = torch.from_numpy(dataset.labels()[rows]).float()
    unit = LabelScale.of(dataset.manifest.label_range).unit
    of_rows = {name: own.rows(rows) for name, own in labels.items()}
    estimated = EstimatedLabels(m_labels, of_rows, unit, label_table(dataset, labels))
    Processes.join(settings.training.device).spread(estimated.state_dict().values())
    return estimated


def labels_of_data(dataset: Dataset, settings: Settings) -> pd.DataFrame:
    """Return the labels of all clips of a data set, without a model; a row per modality and clip with an m-label.

    They are fitted to the training clips, or to all clips if the data set has no training split.

    Raises:
        DatasetError: if no clip to fit to has an m-label.
        SettingsError: if a setting names a modality that the data set does not have.
        WeightsError: if words are read and the text encoder is missing.
    """
    rows = fit_rows(dataset, settings)
    modalities = chosen_modalities(dataset, settings)
    tasks = settings.labels.tasks or tuple(modalities)
    unknown = [name for name in tasks if name not in modalities]
    if unknown:
        raise SettingsError([f"labels.tasks names {unknown[0]!r}{did_you_mean(unknown[0], list(modalities))}"])
    pretrained = None
    if reads_words(modalities):
        pretrained = text_encoder(settings.text)
    return label_table(dataset, clip_labels(dataset, modalities, settings, pretrained, rows, tasks))


def fit_rows(dataset: Dataset, settings: Settings) -> npt.NDArray[np.int64]:
    """Return the clips that labels are fitted to: those of training, or all if none is of training."""
    split = "train" if len(dataset.rows("train")) else None
    rows = np.arange(len(dataset)) if split is None else training_rows(dataset, settings)
    if not np.isfinite(dataset.labels()[rows]).any():
        where = f"{dataset.title} has no clip with a label"
        raise DatasetError(
            f"{where if split is None else f'{where} in its {split} split'}. Labels per modality are made from the "
            "labels of whole clips: add some to the table and import it again."
        )
    return rows
