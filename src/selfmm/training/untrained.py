"""Heads whose scores say nothing: those that were hardly trained, and those with one score for every clip."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from selfmm.training.trainer import EpochRecord

_LEAST_TRAINING = 0.05  # passes over the training clips; a head with fewer is near its random start
_LEAST_SPREAD = 0.01  # deviation of the scores, as a part of that of the labels

Array = npt.NDArray[np.float64]


def untrained_heads(
    history: Iterable[EpochRecord],
    best_epoch: int,
    scores: Mapping[str, Array],
    labels: Array,
    as_they_are: Collection[str] = (),
) -> list[str]:
    """Return a sentence about each modality whose score is untrained in the kept epoch, or the same for all clips.

    Args:
        history: ``head_weights`` of the epochs up to ``best_epoch`` tell with what the heads were trained.
        best_epoch: the epoch whose weights are kept.
        scores: per modality, (N,) scores of the training clips; NaN where a clip lacks it.
        labels: (N,) their m-labels.
        as_they_are: modalities whose features are not standardised.
    """
    kept = [record.head_weights for record in history if record.epoch <= best_epoch]
    notes, expected = [], float(labels.std())
    for name, values in scores.items():
        known = np.isfinite(values)
        if not known.any():
            continue
        # Per clip that has the modality; without weights, each epoch is a whole pass.
        passes = sum(weights.get(name, 1.0) for weights in kept) / float(known.mean())
        spread = float(values[known].std())
        if passes < _LEAST_TRAINING:
            notes.append(
                f"score_{name} is untrained: up to the kept epoch {best_epoch}, its head learned each clip with a "
                f"total weight of {passes:.2g}. Do not use this score. With labels.weighting=encoder, heads learn "
                "starting with the first epoch."
            )
        elif spread < _LEAST_SPREAD * expected:
            advice = f" Its features are not standardised: try stream.{name}.standardise=true." * (name in as_they_are)
            notes.append(
                f"score_{name} is nearly the same for all clips in the kept epoch {best_epoch}: its deviation is "
                f"{spread:.2g}, that of the labels {expected:.2g}. Do not use this score.{advice}"
            )
    return notes
