"""Scores of clips from a model, for validation, final results and predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from selfmm.core.processes import Processes
from selfmm.core.tensors import Positions
from selfmm.data.batches import BatchMaker, evaluation_plan
from selfmm.data.store import Dataset
from selfmm.data.types import Output
from selfmm.models.base import Model
from selfmm.models.ensemble import Ensemble

_BATCH = 64


@dataclass(frozen=True)
class Scores:
    """A model's scores of n clips, on the scale of the labels.

    Attributes:
        fusion: (n,) float64.
        unimodal: per modality with a task of its own (n,) float64; NaN where the clip lacks the modality.
        deviation: (n,) float64, standard deviation of ``fusion`` over the members of an ensemble; otherwise None.
    """

    fusion: npt.NDArray[np.float64]
    unimodal: Mapping[str, npt.NDArray[np.float64]]
    deviation: npt.NDArray[np.float64] | None = None

    def replaced(self, other: Scores, rows: npt.NDArray[np.bool_]) -> Scores:
        """Return these scores with those of ``other`` for the clips where ``rows`` (n,) is true."""
        unimodal = {name: np.where(rows, other.unimodal[name], values) for name, values in self.unimodal.items()}
        return replace(self, fusion=np.where(rows, other.fusion, self.fusion), unimodal=unimodal)


@torch.inference_mode()
def score(
    model: Model,
    maker: BatchMaker,
    device: torch.device,
    processes: Processes | None = None,
    *,
    only: Positions | None = None,
    watch: Callable[[Positions, Output], None] = lambda positions, output: None,
) -> Scores:
    """Score every clip of ``maker`` once in evaluation mode, then restore the model's mode.

    Several ``processes`` share the batches, and each of them gets all scores.

    Args:
        only: score the clips at these positions; the scores of the others are 0.
        watch: called after each batch with the positions of its clips and the output.
    """
    was_training = model.training
    if was_training:  # visiting all modules takes a fifth of the time of one short clip
        model.eval()
    plan = evaluation_plan(maker.cost if only is None else maker.cost[only], _BATCH)
    plan = _share_of(plan if only is None else [only[places] for places in plan], processes)
    columns: list[Tensor] = []
    for positions, batch in zip(plan, maker.batches(plan, device), strict=True):
        output: Output = model(batch)
        unimodal = [output.unimodal[name].where(output.present[name], torch.nan) for name in model.tasks]
        deviation = [output.deviation] if output.deviation is not None else []
        columns.append(torch.stack([output.fusion, *unimodal, *deviation]))
        watch(positions, output)
    if was_training:
        model.train()
    scores = torch.zeros(1 + len(model.tasks) + isinstance(model, Ensemble), len(maker), dtype=torch.float64)
    if plan:  # one transfer at the end, because each waits for the device
        scores[:, np.concatenate(plan)] = torch.cat(columns, dim=1).double().cpu()
    if processes is not None:
        scores = processes.total(scores)
    fusion, *others = scores.numpy()
    return Scores(
        fusion, dict(zip(model.tasks, others, strict=False)), others[-1] if isinstance(model, Ensemble) else None
    )


def _share_of(plan: list[Positions], processes: Processes | None) -> list[Positions]:
    return plan if processes is None else plan[processes.rank :: processes.count]


class MeanEncodings:
    """The mean of each modality's ``Output.encoded`` over the clips that have it.

    Args:
        model: whose outputs are added.
        counted: (N,) bool, which clips count.
    """

    def __init__(self, model: Model, counted: npt.NDArray[np.bool_]) -> None:
        self._counted = torch.from_numpy(counted)
        # The last number of each sum counts the clips.
        sizes = {name: len(model.missing[name]) + 1 for name in model.modalities}
        self._sums = {name: torch.zeros(size, dtype=torch.float64) for name, size in sizes.items()}

    def add(self, positions: Positions, output: Output) -> None:
        """Add the clips of a batch, whose positions are among N."""
        counted = self._counted[torch.from_numpy(positions)].to(output.fusion.device)
        for name, encoded in output.encoded.items():
            present = output.present[name] & counted
            self._sums[name][:-1] += encoded[present].double().sum(dim=0).cpu()
            self._sums[name][-1] += int(present.sum())

    def values(self, processes: Processes | None = None) -> dict[str, Tensor]:
        """Return the means of all ``processes``, (d',) each; a modality that no clip has is left out."""
        sums = self._sums
        if processes is not None:
            sums = {name: processes.total(part) for name, part in sums.items()}
        return {name: (part[:-1] / part[-1]).float() for name, part in sums.items() if part[-1]}


@torch.inference_mode()
def encodings(model: Model, maker: BatchMaker, device: torch.device) -> dict[str, npt.NDArray[np.float64]]:
    """Return each modality's ``Output.encoded`` of every clip, (N, d'); zeros where a clip lacks it."""
    model.eval()
    rows = {name: np.zeros((len(maker), len(model.missing[name]))) for name in model.modalities}
    plan = evaluation_plan(maker.cost, _BATCH)
    for positions, batch in zip(plan, maker.batches(plan, device), strict=True):
        output: Output = model(batch)
        for name, encoded in output.encoded.items():
            rows[name][positions] = encoded.where(output.present[name][:, None], 0).double().cpu().numpy()
    return rows


def prediction_table(dataset: Dataset, scores: Scores, rows: Positions | None = None) -> pd.DataFrame:
    """Return the content of ``predictions.parquet``: id, split, label, score, score_<modality>; and deviation."""
    table = dataset.samples[["id", "split", "label"]]
    table = (table if rows is None else table.iloc[rows]).reset_index(drop=True)
    unimodal = {f"score_{name}": values for name, values in scores.unimodal.items()}
    deviation = {} if scores.deviation is None else {"deviation": scores.deviation}
    return table.assign(score=scores.fusion, **unimodal, **deviation)


@contextmanager
def at_rest(network: nn.Module) -> Iterator[None]:
    """Keep ``network`` in evaluation mode, and without gradients unless the body asks for them."""
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(was_training)
