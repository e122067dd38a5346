"""Scores of clips under a model: what validation, the final results and predictions share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from selfmm.data.batches import BatchMaker, Positions, evaluation_plan
from selfmm.data.store import Dataset
from selfmm.models.late_fusion import LateFusion
from selfmm.types import Output

_BATCH = 64


@dataclass(frozen=True)
class Scores:
    """What a model says of n clips, on the scale of the labels.

    Attributes:
        fusion: (n,) float64.
        unimodal: per modality (n,) float64; NaN where the clip lacks the stream.
    """

    fusion: npt.NDArray[np.float64]
    unimodal: Mapping[str, npt.NDArray[np.float64]]


@torch.inference_mode()
def score(model: LateFusion, maker: BatchMaker, device: torch.device) -> Scores:
    """Scores every clip of ``maker`` once, in evaluation mode; the model's mode is restored afterwards."""
    was_training = model.training
    model.eval()
    fusion = np.full(len(maker), np.nan)
    unimodal = {name: np.full(len(maker), np.nan) for name in model.modalities}
    for positions in evaluation_plan(maker.cost, _BATCH):
        output = model(maker.make(positions).to(device))
        fusion[positions] = _array(output.fusion)
        for name in model.modalities:
            present = output.present[name].cpu().numpy()
            unimodal[name][positions] = np.where(present, _array(output.unimodal[name]), np.nan)
    model.train(was_training)
    return Scores(fusion, unimodal)


@torch.inference_mode()
def mean_encodings(model: LateFusion, maker: BatchMaker, device: torch.device) -> dict[str, Tensor]:
    """Mean of each modality's encoding F_s over the clips that have it, (d',) each; none if nobody has."""
    model.eval()
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = dict.fromkeys(model.modalities, 0)
    for positions in evaluation_plan(maker.cost, _BATCH):
        output: Output = model(maker.make(positions).to(device))
        for name, encoded in output.encoded.items():
            present = output.present[name]
            part = encoded[present].double().sum(dim=0)
            sums[name] = sums[name] + part if name in sums else part
            counts[name] += int(present.sum())
    return {name: (total / counts[name]).float() for name, total in sums.items() if counts[name]}


def prediction_table(dataset: Dataset, scores: Scores, rows: Positions | None = None) -> pd.DataFrame:
    """``predictions.parquet``: id, split, label, score, score_<modality>."""
    table = dataset.samples[["id", "split", "label"]]
    table = (table if rows is None else table.iloc[rows]).reset_index(drop=True)
    unimodal = {f"score_{name}": values for name, values in scores.unimodal.items()}
    return table.assign(score=scores.fusion, **unimodal)


def _array(values: Tensor) -> npt.NDArray[np.float64]:
    return values.double().cpu().numpy()
