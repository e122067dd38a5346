"""Checks of what a label generator is made with: all that is wrong is said at once."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from selfmm.errors import SettingsError
from selfmm.labels.rules import Rule, name_problem
from selfmm.labels.streams import shape

ZERO_LABELS = ("neither", "positive")
BANK_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def check_settings(
    labels: Tensor,
    dims: Mapping[str, int],
    fusion_dim: int,
    bound: float,
    rule: str | Rule,
    zero_labels: str,
    bank_dtype: torch.dtype,
) -> None:
    problems = _label_problems(labels, bound)
    if not dims:
        problems.append("dims is empty; give at least one modality and the width of its features, like {'text': 32}")
    widths = {**{f"dims[{name!r}]": dim for name, dim in dims.items()}, "fusion_dim": fusion_dim}
    problems += [f"{key} is {dim!r}; give a whole number >= 1" for key, dim in widths.items() if not _is_width(dim)]
    problems += [f"modality {name!r} needs a name without '.'" for name in dims if not name or "." in name]
    problems += name_problem(rule) if isinstance(rule, str) else []
    if rule == "sugrm" and any(dim != fusion_dim for dim in dims.values()):
        problems.append(
            f"rule 'sugrm' compares features with the fusion's, so all widths must be one; fusion_dim is {fusion_dim} "
            f"and dims are {dict(dims)}. Make the projections equal or choose another rule"
        )
    if zero_labels not in ZERO_LABELS:
        problems.append(f"zero_labels is {zero_labels!r}; choose from {[*ZERO_LABELS]}")
    if bank_dtype not in BANK_DTYPES:
        problems.append(f"bank_dtype is {bank_dtype!r}; choose from {[*BANK_DTYPES]}")
    if problems:
        raise SettingsError(problems)


def _label_problems(labels: Tensor, bound: float) -> list[str]:
    if not (0 < bound < math.inf):
        return [f"bound is {bound!r}; give the largest absolute label, 3 for a scale from -3 to 3"]
    if labels.ndim != 1 or not len(labels) or labels.is_complex() or labels.dtype == torch.bool:
        return [f"labels are {shape(labels)} {labels.dtype}; expected (N,) numbers, one per training clip"]
    wrong = (~(labels.abs() <= bound)).nonzero()
    if len(wrong):
        at = int(wrong[0])
        return [
            f"{len(wrong)} of {len(labels)} labels are not numbers in [-{bound}, {bound}], the first at {at}: "
            f"{labels[at].item()}; mend them or raise bound"
        ]
    return []


def _is_width(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
