"""Weights as 8-bit integers, and the mean absolute error that they cost."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from selfmm.core.errors import DatasetError
from selfmm.data.store import Dataset, open_dataset
from selfmm.data.writer import fingerprint
from selfmm.exporting.session import OnnxModel
from selfmm.runs.trained_model import TrainedModel


@dataclass(frozen=True)
class SplitLoss:
    """The loss of the fused score on one split, in units of the label.

    Attributes:
        split: name of the split.
        clips: number of clips with a label.
        fp32, int8: mean absolute error of the two files.
        difference: mean absolute difference between their scores.
    """

    split: str
    clips: int
    fp32: float
    int8: float
    difference: float


def quantise(source: Path, target: Path) -> None:
    """Write the graph of ``source`` with int8 weights, each output channel on its own scale.

    With one scale for a whole matrix, the loss on MOSI's validation split was twice as large. Activations are quantised
    dynamically, which needs no data.
    """
    with _quietly():
        quantize_dynamic(source, target, weight_type=QuantType.QInt8, per_channel=True)
    model = onnx.load(target)
    for entry in model.metadata_props:
        if entry.key == "precision":
            entry.value = "int8"
    onnx.save(model, target)


def training_data(trained: TrainedModel) -> Dataset | None:
    """Return the training data set of the run; None if it is gone or was changed."""
    try:
        dataset = open_dataset(trained.info.dataset_path)
    except DatasetError:
        return None
    return dataset if fingerprint(dataset) == trained.info.fingerprint else None


def loss_in_mae(trained: TrainedModel, dataset: Dataset, fp32: Path, int8: Path) -> tuple[SplitLoss, ...]:
    """Return the loss on the validation and the test split, if they have labels."""
    losses, models = [], [OnnxModel(path, list(trained.info.modalities)) for path in (fp32, int8)]
    for split in ("valid", "test"):
        rows = dataset.rows(split)
        rows = rows[np.isfinite(dataset.labels()[rows])]
        if not len(rows):
            continue
        maker, labels = trained.assembly.maker(dataset, rows), dataset.labels()[rows]
        plain, small = (model.score(maker).fusion for model in models)
        errors = _distance(plain, labels), _distance(small, labels)
        losses.append(SplitLoss(split, len(rows), *errors, _distance(plain, small)))
    return tuple(losses)


def _distance(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    return float(np.abs(a - b).mean())


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence advice to pre-process the graph, which the exporter's own optimiser has done."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
