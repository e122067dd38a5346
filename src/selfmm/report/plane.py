"""A feature space projected to two dimensions: the two class centres and a sample of the clips.

The first axis runs through both centres, the second along the orthogonal direction in which the clips vary most. The
last state of a run is read in pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open

from selfmm.core.errors import RunError
from selfmm.training.checkpoint import Checkpoints

Array = npt.NDArray[np.float64]

_ROWS_AT_ONCE = 65536
_SHOWN = 2000
_SEED = 0  # the same clips are shown each time


@dataclass(frozen=True)
class Plane:
    """One feature space in two dimensions, with the origin halfway between the centres.

    Attributes:
        points: (n, 2) at most 2,000 clips, sampled at random.
        sides: (n,) class of each clip: the sign of its current label; 0 for no class.
        half_gap: the centres are at (-half_gap, 0) and (half_gap, 0), the positive one on the right.
        clips: number of clips with features.
        shown: share of the clips' variance that the two axes cover, in [0, 1].
    """

    points: Array
    sides: Array
    half_gap: float
    clips: int
    shown: float


def read_planes(state: Path, modalities: list[str], neutral: float = 0.0) -> tuple[dict[str, Plane], list[str]]:
    """Return the planes of ``fusion`` and each modality from the last state of a run, and notes on missing ones.

    Args:
        state: folder of the run's checkpoints.
        modalities: names of the modalities.
        neutral: the label between the classes.
    """
    try:
        progress = Checkpoints(state).progress()
        if progress is None:
            return {}, ["the run's state was deleted, so there is no picture of the class centres."]
        planes, notes = {}, []
        with safe_open(state / f"epoch-{int(progress['epoch']):05}.safetensors", "pt") as file:
            for name in ["fusion", *modalities]:
                key = "fusion" if name == "fusion" else f"streams.of_{name}"
                plane = _plane(file, f"objective/generator.{key}.", neutral)
                if isinstance(plane, str):
                    notes.append(f"no picture of the class centres of {name}: {plane}.")
                else:
                    planes[name] = plane
    except (OSError, SafetensorError, RunError, KeyError, TypeError, ValueError) as error:
        return {}, [f"the run's state cannot be read, so there is no picture of the class centres: {error}"]
    return planes, notes


def _plane(file: Any, prefix: str, neutral: float) -> Plane | str:
    """Return the plane of ``fusion`` or one modality, or the reason why it cannot be drawn."""
    sums, members = _double(file.get_tensor(f"{prefix}sums")), file.get_tensor(f"{prefix}members").numpy()
    seen = file.get_tensor(f"{prefix}seen").numpy().astype(bool)
    sides = np.sign(_double(file.get_tensor(f"{prefix}labels")) - neutral)
    if sums.shape[0] != 2 or not (members > 0).all():
        return "one class has no clip"
    positive, negative = sums / members[:, None]
    middle, gap = (positive + negative) / 2, float(np.linalg.norm(positive - negative))
    if not gap > 0:
        return "the two centres coincide"
    bank = file.get_slice(f"{prefix}bank")
    first = (positive - negative) / gap
    second, shown = _second_axis(bank, seen, middle, first)
    sample = np.flatnonzero(seen)
    if len(sample) > _SHOWN:
        sample = np.sort(np.random.default_rng(_SEED).choice(sample, _SHOWN, replace=False))
    axes = np.stack([first, second], axis=1)
    parts = [(rows[np.isin(places, sample)] - middle) @ axes for places, rows in _pieces(bank, seen)]
    points: Array = np.concatenate(parts) if parts else np.empty((0, 2))
    return Plane(points, sides[sample], gap / 2, int(seen.sum()), shown)


def _double(tensor: torch.Tensor) -> Array:
    values: Array = tensor.double().numpy()
    return values


def _pieces(bank: Any, seen: npt.NDArray[np.bool_]) -> Iterator[tuple[npt.NDArray[np.intp], Array]]:
    """Yield the positions (n,) and features (n, d) of clips that have features."""
    for start in range(0, len(seen), _ROWS_AT_ONCE):
        part = seen[start : start + _ROWS_AT_ONCE]
        if part.any():
            yield start + np.flatnonzero(part), _double(bank[start : start + _ROWS_AT_ONCE])[part]


def _second_axis(bank: Any, seen: npt.NDArray[np.bool_], middle: Array, first: Array) -> tuple[Array, float]:
    """Return the first principal direction (d,) orthogonal to ``first``, and the share of variance that both cover."""
    total, moment, count = np.zeros_like(middle), np.zeros((len(middle), len(middle))), 0
    for _, rows in _pieces(bank, seen):
        rows = rows - middle
        total, moment, count = total + rows.sum(0), moment + rows.T @ rows, count + len(rows)
    covariance = moment / count - np.outer(total, total) / count**2
    across = np.eye(len(first)) - np.outer(first, first)
    best = np.linalg.eigh(across @ covariance @ across).eigenvectors[:, -1]
    second = best - first * (first @ best)
    length = float(np.linalg.norm(second))
    # One dimension has no orthogonal direction. The sign is arbitrary; here the largest component is positive.
    second = second / length * np.sign(second[np.abs(second).argmax()]) if length > 1e-6 else np.zeros_like(second)
    variance = float(np.trace(covariance))
    along = float(first @ covariance @ first) + float(second @ covariance @ second)
    return second, min(along / variance, 1.0) if variance > 0 else 1.0
