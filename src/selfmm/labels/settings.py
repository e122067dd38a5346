"""Checks of the arguments of a label generator, which report all problems together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from selfmm.core.errors import SettingsError
from selfmm.data.manifest import TEXT
from selfmm.labels.rules import Rule, name_problem

ZERO_LABELS = ("neither", "positive")
BANK_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class FixedLabels:
    """Known u-labels of one modality, from people who rated that modality alone.

    Attributes:
        index: (n,) long, positions of the clips in the generator's ``labels``, each once.
        labels: (n,) in neutral +- bound.
        weights: (n,) in [0, 1], their weights W_s in the loss.
    """

    index: Tensor
    labels: Tensor
    weights: Tensor


def check_settings(
    labels: Tensor,
    dims: Mapping[str, int],
    fusion_dim: int,
    bound: float,
    rule: str | Rule,
    zero_labels: str,
    bank_dtype: torch.dtype,
    neutral: float,
    unit: float,
    fixed: Mapping[str, FixedLabels],
) -> None:
    """Raise ``SettingsError`` with all that is wrong in arguments of :class:`selfmm.labels.UnimodalLabelGenerator`."""
    problems = _label_problems(labels, bound, neutral) + dims_problems(dims)
    problems += [] if _is_width(fusion_dim) else [f"fusion_dim is {fusion_dim!r}; give a whole number >= 1"]
    problems += [] if 0 < unit < math.inf else [f"unit is {unit!r}; give a number above 0, 1 for a scale from -3 to 3"]
    problems += name_problem(rule) if isinstance(rule, str) else []
    if rule == "sugrm" and any(dim != fusion_dim for dim in dims.values()):
        problems.append(_widths_problem(dims, fusion_dim))
    if zero_labels not in ZERO_LABELS:
        problems.append(f"zero_labels is {zero_labels!r}; choose from {[*ZERO_LABELS]}")
    if bank_dtype not in BANK_DTYPES:
        problems.append(f"bank_dtype is {bank_dtype!r}; choose from {[*BANK_DTYPES]}")
    problems += [f"fixed names {name!r}; the modalities are {[*dims]}" for name in fixed if name not in dims]
    if not problems:
        problems = [f"fixed[{name!r}]: {p}" for name, known in fixed.items() for p in _fixed_problems(known, labels)]
    if not problems:
        values = [(name, known.labels) for name, known in fixed.items() if len(known.labels)]
        problems = [f"fixed[{name!r}]: {p}" for name, own in values for p in _label_problems(own, bound, neutral)]
    if problems:
        raise SettingsError(problems)


def _widths_problem(dims: Mapping[str, int], fusion_dim: int) -> str:
    """Return what rule sugrm needs, with the settings of training that give every modality the fusion's width."""
    widths = ", ".join(f"{dim} for {name}" for name, dim in dims.items())
    keys = [TEXT if name == TEXT else f"stream.{name}" for name, dim in dims.items() if dim != fusion_dim]
    changes = ", ".join(f"'{key}.projection={fusion_dim}'" for key in keys)
    return (
        "labels.rule: 'sugrm' compares the features of each modality with those of the fusion, so all must have one "
        f"size; their sizes are {widths}, and {fusion_dim} for the fusion. Train with `overrides=[{changes}]`, or with "
        "another rule, for example `overrides=['labels.rule=posterior']`"
    )


def _fixed_problems(known: FixedLabels, labels: Tensor) -> list[str]:
    index, n = known.index, len(labels)
    if index.ndim != 1 or index.dtype != torch.long or {known.labels.shape, known.weights.shape} != {index.shape}:
        shapes = ", ".join(str(shape(part)) for part in (index, known.labels, known.weights))
        return [f"index, labels and weights are {shapes}; expected three of (n,), the index of torch.long"]
    if len(index) and (int(index.min()) < 0 or int(index.max()) >= n):
        return [f"index runs from {int(index.min())} to {int(index.max())}; give positions from 0 to {n - 1}"]
    if len(torch.unique(index)) < len(index):
        return ["index has the same clip twice; give each clip once"]
    if not ((known.weights >= 0) & (known.weights <= 1)).all():
        return ["not all weights are numbers from 0 to 1; correct them"]
    return []


def dims_problems(dims: Mapping[str, int]) -> list[str]:
    """Return what is wrong with the widths of the modalities' features, one sentence each."""
    if not dims:
        return ["dims is empty; give at least one modality and the width of its features, like {'text': 32}"]
    widths = [
        f"dims[{name!r}] is {dim!r}; give a whole number >= 1" for name, dim in dims.items() if not _is_width(dim)
    ]
    return widths + [f"modality {name!r} needs a name without '.'" for name in dims if not name or "." in name]


def check_features(name: str, features: Tensor, expected: tuple[int, int]) -> None:
    """Raise ``ValueError`` unless the features are floats of the expected shape."""
    if features.shape != expected or not features.is_floating_point():
        raise ValueError(f"{name} features are {shape(features)} {features.dtype}; expected {expected} floats")


def check_update(
    names: Sequence[str], index: Tensor, features: Mapping[str, Tensor], epoch: int, present: Mapping[str, Tensor]
) -> None:
    """Raise ``ValueError`` unless the batch has features of the modalities ``names`` and a valid epoch."""
    if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 1:
        raise ValueError(f"epoch is {epoch!r}; count epochs from 1, as an int")
    unknown = sorted({*features, *present} - {*names})
    missing = [name for name in names if name not in features]
    if unknown:
        raise ValueError(f"unknown modalities {unknown}; this generator has {[*names]}")
    if missing:
        raise ValueError(f"no features for {missing}; give zeros, and present= False where a clip lacks the modality")
    for name, mask in present.items():
        if mask.shape != (len(index),) or mask.dtype != torch.bool:
            raise ValueError(f"present[{name!r}] is {shape(mask)} {mask.dtype}; expected ({len(index)},) bool")


def _label_problems(labels: Tensor, bound: float, neutral: float) -> list[str]:
    if not (0 < bound < math.inf):
        return [f"bound is {bound!r}; give the largest absolute label, 3 for a scale from -3 to 3"]
    if not math.isfinite(neutral):
        return [f"neutral is {neutral!r}; give the label between the classes, 0 for a scale from -3 to 3"]
    if labels.ndim != 1 or not len(labels) or labels.is_complex() or labels.dtype == torch.bool:
        return [f"labels are {shape(labels)} {labels.dtype}; expected (N,) numbers, one per training clip"]
    low, high = neutral - bound, neutral + bound
    wrong = (~((labels >= low) & (labels <= high))).nonzero()
    if len(wrong):
        at = int(wrong[0])
        return [
            f"{len(wrong)} of {len(labels)} labels are not numbers in [{low}, {high}], the first at {at}: "
            f"{labels[at].item()}; correct them or raise bound"
        ]
    return []


def _is_width(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def shape(tensor: Tensor) -> tuple[int, ...]:
    """Return a tensor's shape as messages show it."""
    return tuple(tensor.shape)
