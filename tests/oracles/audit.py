"""The audit's figures by plain loops over the rows of a labels table, written from their descriptions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

HELD = ("missing", "not_finite", "one_class", "coincide", "no_evidence")


def figures(rows: list[dict[str, Any]], modality: str, neutral: float, heads: Mapping[str, float]) -> dict[str, float]:
    """Every figure that does not come from the history; NaN where it has no value."""
    mine = [row for row in rows if row["modality"] == modality]
    epochs = sorted({row["epoch"] for row in rows})
    last = [row for row in mine if row["epoch"] == epochs[-1]]
    before = {row["id"]: row["u_label"] for row in mine if len(epochs) > 1 and row["epoch"] == epochs[-2]}
    moved = {row["id"] for row in mine if row["outcome"] in ("updated", "clamped")}
    asked = [row for row in last if row["outcome"] != "missing"]
    sides = [(row["u_label"] - neutral) * (row["m_label"] - neutral) for row in asked if row["m_label"] != neutral]
    scored = [row for row in asked if not math.isnan(heads[row["id"]])]
    return {
        "clips": len(last),
        "coverage": mean([row["id"] in moved for row in last]),
        "held": mean([row["outcome"] in HELD for row in last]),
        "clamped": mean([row["outcome"] == "clamped" for row in last]),
        "corr_m": corr([(row["u_label"], row["m_label"]) for row in asked]),
        "distance_m": mean([abs(row["u_label"] - row["m_label"]) for row in asked]),
        "same_side": mean([side > 0 for side in sides]),
        "flipped": mean([side < 0 for side in sides]),
        "drift": mean([abs(row["u_label"] - before[row["id"]]) for row in asked if row["id"] in before]),
        "head_corr": corr([(row["u_label"], heads[row["id"]]) for row in scored]),
        "head_mae": mean([abs(row["u_label"] - heads[row["id"]]) for row in scored]),
        **dict.fromkeys(("expected_error", "contradiction", "trust"), math.nan),  # no rule in training estimates them
    }


def mean(values: list[Any]) -> float:
    return sum(values) / len(values) if values else math.nan


def corr(pairs: list[tuple[float, float]]) -> float:
    if len(pairs) < 2 or len({x for x, _ in pairs}) == 1 or len({y for _, y in pairs}) == 1:
        return math.nan
    x_mean, y_mean = mean([x for x, _ in pairs]), mean([y for _, y in pairs])
    both = sum((x - x_mean) * (y - y_mean) for x, y in pairs)
    x_sum, y_sum = sum((x - x_mean) ** 2 for x, _ in pairs), sum((y - y_mean) ** 2 for _, y in pairs)
    return both / math.sqrt(x_sum * y_sum)
