"""The scores that a fit starts from: those of the starter, or of another run of the same model."""

from __future__ import annotations

import numpy as np
import torch

from selfmm.core.errors import TrainingError
from selfmm.core.messages import clips
from selfmm.core.tensors import Positions, load_tensors
from selfmm.data.manifest import TEXT
from selfmm.data.scales import LabelScale
from selfmm.data.store import Dataset
from selfmm.evaluation.worth import RunWorth
from selfmm.models.adapt import STATISTICS, Adapt, FrameSummary
from selfmm.models.assembly import Assembly
from selfmm.runs.folder import RunFolder, start_folder
from selfmm.training.adapt.fit import LinearScore
from selfmm.training.adapt.ridge import Array

REACH = 3.0
"""Distance of the farthest label from neutral in the units of the fit."""


class Start:
    """The scores that a fit starts from: heads of a run of this kind, for modalities that are read in the same way.

    Attributes:
        worth: what they are worth; None if there are none.
    """

    def __init__(self, folder: RunFolder | None, shared: frozenset[str]) -> None:
        self._shared = shared
        self._tensors: dict[str, torch.Tensor] = {}
        self.worth: RunWorth | None = None
        if folder is None or not shared:
            return
        self._tensors, info = load_tensors(folder.weights), folder.require_finished()
        self._order, scale = list(info.modalities), LabelScale.of(info.label_range)
        self._size = scale.unit * REACH / scale.reach
        self.worth = folder.worth() if TEXT in shared else None

    def has(self, name: str) -> bool:
        return name in self._shared

    def score(self, name: str, model: Adapt) -> LinearScore:
        """Return the score of one modality as a function of the encoding of ``model``."""
        weights = self._tensors[f"heads.{name}.score.weight"][0].double().numpy()
        bias = float(self._tensors[f"heads.{name}.score.bias"])
        error = float(self._tensors["fusion.errors"][self._order.index(name)])
        encoder = model.encoders[name]
        if isinstance(encoder, FrameSummary):
            weights, bias = self._moved(name, weights, bias, encoder)
        return LinearScore(self._size * weights, self._size * bias, error)

    def standardise(self, name: str, encoder: FrameSummary) -> None:
        """Standardise the summaries of an encoder as the other run does; they must not be standardised yet."""
        own, raw = self._scaling(name), _Scaling.of(encoder.state_dict())
        encoder.centre.copy_(torch.from_numpy((own.origin - raw.origin) / raw.size))
        encoder.spread.copy_(torch.from_numpy(np.where(own.size > 0, own.size, np.inf) / raw.size))

    def _moved(self, name: str, weights: Array, bias: float, encoder: FrameSummary) -> tuple[Array, float]:
        """Return weights and bias for summaries that are standardised in another way."""
        own, new = self._scaling(name), _Scaling.of(encoder.state_dict())
        per_value = np.divide(weights[:-1], own.size, out=np.zeros_like(own.size), where=own.size > 0)
        offset = float(per_value @ (new.origin - own.origin))
        return np.append(per_value * new.size, weights[-1] + offset), bias

    def _scaling(self, name: str) -> _Scaling:
        return _Scaling.of({key: self._tensors[f"encoders.{name}.{key}"] for key in _SCALING})


_SCALING = ("mean", "scale", "centre", "spread")


class _Scaling:
    """A statistic in its own unit is ``origin + size * standardised``; ``size`` of one that is left out is 0."""

    def __init__(self, origin: Array, size: Array) -> None:
        self.origin, self.size = origin, size

    @classmethod
    def of(cls, tensors: dict[str, torch.Tensor]) -> _Scaling:
        mean, scale, centre, spread = (tensors[key].double().cpu().numpy() for key in _SCALING)
        location = np.concatenate([mean, np.zeros_like(mean), *[mean] * (STATISTICS - 2)])  # a deviation has none
        scales = np.tile(scale, STATISTICS)
        return cls(location + scales * centre, scales * np.where(np.isfinite(spread), spread, 0.0))


def start_of(assembly: Assembly) -> Start:
    """Return the scores of the run that ``start`` names, for modalities that this model reads as that run does."""
    settings, nothing = assembly.settings, Start(None, frozenset())
    if not settings.start:
        return nothing
    folder = start_folder(settings.start, settings.text.encoder)
    info, shared = folder.require_finished(), set()
    if info.model != settings.model:
        return nothing
    for name, modality in assembly.modalities.items():
        other = info.modalities.get(name)
        frames = (modality.kind == "frames", modality.dim, modality.columns)
        if other is not None and frames == (other.kind == "frames", other.dim, other.columns):
            shared.add(name)
    return Start(folder, frozenset(shared)) if shared else nothing


def check_start(assembly: Assembly, dataset: Dataset, rated: Positions) -> None:
    """Raise ``TrainingError`` if there are neither rated clips nor scores to start from."""
    if len(rated) or any(map(start_of(assembly).has, assembly.modalities)):
        return
    advice = "Give some clips a label"
    if TEXT in assembly.modalities:
        advice += ", or read words with the text encoder of the starter: `selfmm weights get e5`"
    raise TrainingError(
        f"no clip in the train and valid splits of {dataset.title} has a label ({clips(len(dataset))} in total), and "
        f"there is no score to start from. {advice}."
    )
