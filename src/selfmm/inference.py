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
    if was_training:  # walking through all modules takes as long as a fifth of one short clip
        model.eval()
    plan = evaluation_plan(maker.cost, _BATCH)
    columns: list[Tensor] = []
    for batch in maker.batches(plan, device):
        output: Output = model(batch)
        alone = [output.unimodal[name].where(output.present[name], torch.nan) for name in model.modalities]
        columns.append(torch.stack([output.fusion, *alone]))
    if was_training:
        model.train()
    fusion, *unimodal = np.full((1 + len(model.modalities), len(maker)), np.nan)
    if plan:
        found = torch.cat(columns, dim=1).double().cpu().numpy()  # once: each transfer waits for the device
        for target, values in zip([fusion, *unimodal], found, strict=True):
            target[np.concatenate(plan)] = values
    return Scores(fusion, dict(zip(model.modalities, unimodal, strict=True)))


@torch.inference_mode()
def mean_encodings(model: LateFusion, maker: BatchMaker, device: torch.device) -> dict[str, Tensor]:
    """Mean of each modality's encoding F_s over the clips that have it, (d',) each; none if nobody has."""
    model.eval()
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = dict.fromkeys(model.modalities, 0)
    for batch in maker.batches(evaluation_plan(maker.cost, _BATCH), device):
        output: Output = model(batch)
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
