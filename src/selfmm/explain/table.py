"""The contribution of each modality to the fused score of every clip, as columns of a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from selfmm.data.batches import BatchMaker, evaluation_plan
from selfmm.data.store import Dataset
from selfmm.explain.contributions import Sharing
from selfmm.models.late_fusion import LateFusion, as_late_fusion
from selfmm.models.scoring import at_rest
from selfmm.runs.trained_model import TrainedModel, open_data, split_rows

_BATCH = 64


def contributions(model: TrainedModel, data: Dataset | str | Path, split: str | None = None) -> pd.DataFrame:
    """Return the scores of ``model.score`` with the contribution of each modality to the fused score.

    Args:
        model: a finished run that encodes each modality as one vector; it is not changed.
        data, split: see ``TrainedModel.score``.

    Returns:
        One row per clip: the columns of ``score``; ``base``, the score of a clip with no modality; ``by_<modality>``,
        its fair share (Shapley value): with ``base`` these sum to ``score``; and ``added_<modality>``, what it adds to
        all the others. NaN if the clip lacks the modality. See :class:`selfmm.explain.explanation.Contribution`.

    Raises:
        RunError: if the model does not encode each modality as one vector before it fuses them.
        SourceError, DatasetError: if the data cannot be read, or do not fit the model.
    """
    networks = as_late_fusion(model.assembly.model, "an explanation")
    with open_data(data) as dataset:
        scores = model.score(dataset, split)
        clips = model.assembly.maker(model.readable(dataset), split_rows(dataset, split))
        with at_rest(model.assembly.model):
            shares = [_shares(network, clips, model.device) for network in networks]
    # A Shapley value of a mean is the mean of the Shapley values.
    return pd.concat([scores, sum(shares[1:], start=shares[0]) / len(shares)], axis=1)


def _shares(network: LateFusion, clips: BatchMaker, device: torch.device) -> pd.DataFrame:
    columns = ["base", *(f"{what}_{name}" for what in ("by", "added") for name in network.modalities)]
    shares = pd.DataFrame(np.nan, index=range(len(clips)), columns=columns)
    plan = evaluation_plan(clips.cost, _BATCH)
    for positions, batch in zip(plan, clips.batches(plan, device), strict=True):
        output = network(batch)
        for place, clip in enumerate(positions):
            present = {name: vectors[place] for name, vectors in output.encoded.items() if output.present[name][place]}
            sharing = Sharing(network, present)
            values = {"base": sharing.base()}
            values |= {f"by_{name}": sharing.value(name) for name in present}
            values |= {f"added_{name}": sharing.added(name) for name in present}
            shares.loc[clip, list(values)] = list(values.values())
    return shares
