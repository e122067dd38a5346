"""A feature space seen from the side: the two class centres and a sample of the clips, in two dimensions.

The first axis runs along the line through both centres, the second along the direction orthogonal to it in which the
clips vary most. Reads the last state of a run in pieces.
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
    """One feature space in two dimensions, its origin halfway between the centres.

    Attributes:
        points: (n, 2) at most 2,000 clips drawn at random.
        sides: (n,) sign of each clip's current label: its class, 0 for none.
        half_gap: the centres lie at (-half_gap, 0) and (half_gap, 0), the positive one on the right.
        clips: how many clips have features.
        shown: share of all variance of the clips that the two axes show, in [0, 1].
    """

    points: Array
    sides: Array
    half_gap: float
    clips: int
    shown: float


def read_planes(state: Path, modalities: list[str], neutral: float = 0.0) -> tuple[dict[str, Plane], list[str]]:
    """The planes of ``fusion`` and each modality by the last state of a run, and notes on those that there are not.

    Args:
        state: folder of the run's checkpoints.
        modalities: names.
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
    """The plane of one stream of the generator; a reason where it has none."""
    sums, members = _double(file.get_tensor(f"{prefix}sums")), file.get_tensor(f"{prefix}members").numpy()
    seen = file.get_tensor(f"{prefix}seen").numpy().astype(bool)
    sides = np.sign(_double(file.get_tensor(f"{prefix}labels")) - neutral)
    if sums.shape[0] != 2 or not (members > 0).all():
        return "one class has no clip"
    positive, negative = sums / members[:, None]
    middle, gap = (positive + negative) / 2, float(np.linalg.norm(positive - negative))
    if not gap > 0:
        return "the two centres are one point"
    bank = file.get_slice(f"{prefix}bank")
    first = (positive - negative) / gap
    second, shown = _second_axis(bank, seen, middle, first)
    wanted = np.flatnonzero(seen)
    if len(wanted) > _SHOWN:
        wanted = np.sort(np.random.default_rng(_SEED).choice(wanted, _SHOWN, replace=False))
    axes = np.stack([first, second], axis=1)
    parts = [(rows[np.isin(places, wanted)] - middle) @ axes for places, rows in _pieces(bank, seen)]
    points: Array = np.concatenate(parts) if parts else np.empty((0, 2))
    return Plane(points, sides[wanted], gap / 2, int(seen.sum()), shown)


def _double(tensor: torch.Tensor) -> Array:
    found: Array = tensor.double().numpy()
    return found


def _pieces(bank: Any, seen: npt.NDArray[np.bool_]) -> Iterator[tuple[npt.NDArray[np.intp], Array]]:
    """Positions (n,) and features (n, d) of the clips that have any."""
    for start in range(0, len(seen), _ROWS_AT_ONCE):
        part = seen[start : start + _ROWS_AT_ONCE]
        if part.any():
            yield start + np.flatnonzero(part), _double(bank[start : start + _ROWS_AT_ONCE])[part]


def _second_axis(bank: Any, seen: npt.NDArray[np.bool_], middle: Array, first: Array) -> tuple[Array, float]:
    """(d,) first principal direction orthogonal to ``first``, and the share of variance that both show."""
    total, moment, count = np.zeros_like(middle), np.zeros((len(middle), len(middle))), 0
    for _, rows in _pieces(bank, seen):
        rows = rows - middle
        total, moment, count = total + rows.sum(0), moment + rows.T @ rows, count + len(rows)
    covariance = moment / count - np.outer(total, total) / count**2
    across = np.eye(len(first)) - np.outer(first, first)
    best = np.linalg.eigh(across @ covariance @ across).eigenvectors[:, -1]
    second = best - first * (first @ best)
    length = float(np.linalg.norm(second))
    # One dimension has nothing orthogonal to it; the sign of a direction is free, so its largest part is positive.
    second = second / length * np.sign(second[np.abs(second).argmax()]) if length > 1e-6 else np.zeros_like(second)
    variance = float(np.trace(covariance))
    along = float(first @ covariance @ first) + float(second @ covariance @ second)
    return second, min(along / variance, 1.0) if variance > 0 else 1.0
