"""The content of a run's ``metrics.json``, ``history.jsonl`` and ``environment.json``, checked when it is read: a run
folder may come from anybody."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from pydantic import BaseModel, TypeAdapter, field_validator

from selfmm.data.manifest import SPLITS
from selfmm.evaluation.worth import FUSION, LEFT_OUT, STARTED_FROM, RunWorth

Numbers = dict[str, float | None]  # null where there is no value


class TaskMetrics(BaseModel):
    """The metrics of one task on one split."""

    values: Numbers
    reasons: dict[str, str]
    count: int
    unlabelled: int


class RunMetrics(BaseModel):
    """``metrics.json``: the metrics of each split and task, and notes about scores that say nothing."""

    best_epoch: int
    splits: dict[str, dict[str, TaskMetrics]]
    notes: list[str] = []  # older runs have none
    worth: dict[str, Any] | None = None  # runs of version 0.2 and before have none

    @field_validator("splits")
    @classmethod
    def _complete(cls, value: dict[str, dict[str, TaskMetrics]]) -> dict[str, dict[str, TaskMetrics]]:
        missing = [split for split in SPLITS if "fusion" not in value.get(split, {})]
        if missing:
            raise ValueError(f"no metrics of the fusion for {', '.join(missing)}")
        return value


class Epoch(BaseModel):
    """A line of ``history.jsonl``."""

    epoch: int
    loss: Numbers
    valid: Numbers
    best: bool
    seconds: float | None
    clips_per_second: float | None
    labels: dict[str, Numbers] = {}  # runs of version 0.1 have none
    head_weights: Numbers = {}  # likewise

    @field_validator("valid")
    @classmethod
    def _has_mae(cls, value: Numbers) -> Numbers:
        if "mae" not in value:
            raise ValueError("the mae is missing")
        return value


class _Peak(BaseModel):
    host: int | None = None
    device: int | None = None


class _Environment(BaseModel):
    """The part of ``environment.json`` that is read again."""

    peak_memory: _Peak = _Peak()  # unfinished runs, and those of version 0.1, have none


def read_worth(content: Mapping[str, Any]) -> RunWorth | None:
    """Return what the scores are worth from the content of ``metrics.json``; None if the run did not measure it.

    Raises:
        ValueError: if it is damaged.
    """
    if content.get("worth") is None:
        return None
    worth = TypeAdapter(RunWorth).validate_python(_without_null(content["worth"]))
    names = {"label", *(f"label_{name}" for name in worth.scores)}
    if FUSION not in worth.scores or any(
        score.against not in names or not {score.split, score.band_split} <= {*SPLITS, LEFT_OUT, STARTED_FROM}
        for score in (*worth.scores.values(), *worth.own.values())
    ):
        raise ValueError("worth lacks the fusion, or names an unknown split or label")
    return worth


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(entry) for key, entry in value.items()}
    return math.nan if value is None else value


def read_metrics(text: str) -> dict[str, Any]:
    """Return the content of ``metrics.json``; raise ``ValueError`` if it is damaged."""
    RunMetrics.model_validate_json(text, strict=True)
    content: dict[str, Any] = json.loads(text)
    read_worth(content)
    return content


def read_history(text: str) -> pd.DataFrame:
    """Return one row per line of ``history.jsonl``, a number per column; raise ``ValueError`` if it is damaged."""
    rows = [_flat(Epoch.model_validate_json(line, strict=True)) for line in text.splitlines() if line.strip()]
    if not rows:
        raise ValueError("it has no epoch")
    return pd.DataFrame(rows)


def read_peak_memory(text: str) -> dict[str, float]:
    """Return ``host`` and ``device`` in bytes from ``environment.json``; raise ``ValueError`` if it is damaged."""
    peak = _Environment.model_validate_json(text, strict=True).peak_memory
    return _prefixed("", {"host": peak.host, "device": peak.device})


def _flat(row: Epoch) -> dict[str, Any]:
    speed = _prefixed("", {"seconds": row.seconds, "clips_per_second": row.clips_per_second})
    figures = [_prefixed(f"labels_{task}_", values) for task, values in row.labels.items()]
    flat = {"epoch": row.epoch, **_prefixed("loss_", row.loss), **_prefixed("valid_", row.valid), "best": row.best}
    weights = _prefixed("head_weight_", row.head_weights)
    return flat | speed | weights | {key: value for values in figures for key, value in values.items()}


def _prefixed(prefix: str, numbers: Mapping[str, float | None]) -> dict[str, float]:
    return {f"{prefix}{key}": math.nan if value is None else value for key, value in numbers.items()}
