"""What each stream does to the fused score, clip by clip: a data set's explanations as columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from selfmm.data.batches import BatchMaker, evaluation_plan
from selfmm.data.store import Dataset
from selfmm.explain.contributions import Sharing
from selfmm.models.late_fusion import LateFusion, as_late_fusion
from selfmm.models.scoring import at_rest
from selfmm.runs.trained_model import TrainedModel, opened, rows_of

_BATCH = 64


def contributions(
    model: TrainedModel, data: Dataset | Sequence[str] | str | Path, split: str | None = None
) -> pd.DataFrame:
    """The scores of ``model.predict`` with what each stream does to the fused one.

    Args:
        model: a finished run that makes one vector of each stream; it is left as it was.
        data, split: as of ``TrainedModel.predict``, but no recording.

    Returns:
        One row per clip: the columns of ``predict``; ``base``, the score of a clip with no stream; ``by_<modality>``,
        the stream's fair share (Shapley value), so that ``score`` is ``base`` and all of these; ``added_<modality>``,
        what it adds to all the others. NaN where the clip lacks the stream. See
        :class:`selfmm.explain.explanation.Contribution`.

    Raises:
        RunError: the model joins its streams before each is one vector.
        SourceError, DatasetError: the data cannot be read, or do not fit the model.
    """
    network = as_late_fusion(model.assembly.model, "an explanation")
    with opened(data) as dataset:
        scores = model.predict(dataset, split)
        clips = model.assembly.maker(dataset, rows_of(dataset, split))
        with at_rest(network):
            shares = _shares(network, clips, model.device)
    return pd.concat([scores, shares], axis=1)


def _shares(network: LateFusion, clips: BatchMaker, device: torch.device) -> pd.DataFrame:
    columns = ["base", *(f"{what}_{name}" for what in ("by", "added") for name in network.modalities)]
    shares = pd.DataFrame(np.nan, index=range(len(clips)), columns=columns)
    plan = evaluation_plan(clips.cost, _BATCH)
    for positions, batch in zip(plan, clips.batches(plan, device), strict=True):
        output = network(batch)
        for place, clip in enumerate(positions):
            here = {name: vectors[place] for name, vectors in output.encoded.items() if output.present[name][place]}
            sharing = Sharing(network, here)
            found = {"base": sharing.base()}
            found |= {f"by_{name}": sharing.value(name) for name in here}
            found |= {f"added_{name}": sharing.added(name) for name in here}
            shares.loc[clip, list(found)] = list(found.values())
    return shares
