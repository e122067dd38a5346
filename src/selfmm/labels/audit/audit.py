"""Audit of labels per modality: figures and a verdict per modality, trust per label, and the clips to look at.

This file reads nothing from disk; `selfmm.runs.material` reads the tables of a run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.labels.audit.clips import by_id, clip_table, known_of, most_disagreeing
from selfmm.labels.audit.history import LabelHistory
from selfmm.labels.audit.recovery import recovery
from selfmm.labels.audit.statistics import FIGURES, ModalityLabels, measure
from selfmm.labels.audit.trust import against_truth, verdict
from selfmm.labels.outcomes import Outcome

Array = npt.NDArray[np.float64]

DESCRIPTIONS: Mapping[str, str] = {key: meaning for key, (meaning, _) in FIGURES.items()}
"""One line per column of `Audit.figures`."""


@dataclass(frozen=True)
class Audit:
    """The result of an audit of labels.

    Attributes:
        epoch: everything except ``by_epoch`` is about the labels of this epoch; 0: estimated before training.
        figures: one row per modality, columns as in ``DESCRIPTIONS``; NaN where a figure has no value.
        reasons: per modality and figure, why it has no value.
        outcomes: one row per modality: the share of its clips in [0, 1] per outcome that occurs; None if not recorded.
        by_epoch: one row per epoch and modality: ``drift`` (mean change since the epoch before), ``distance_m`` (mean
            |u - m|), ``flipped``, and the figures of the centres in the history (``gap``, ``separation``, ...).
        recovery: how well the u-labels and the trivial answer y_m recover the truth (`selfmm.labels.audit.recovery`),
            and how the expected error compares with it (`selfmm.labels.audit.trust`); None if no truth is known.
        by_split: the first of these figures per modality and split; None if no truth is known.
        verdicts: per modality, what its labels are worth, in words.
        labels: one row per clip and modality with a label: id, modality, m_label, u_label, ``score`` (of the modality's
            own head, if given), ``outcome`` (if recorded) and, if the rule estimates them, ``split``, ``trust``,
            ``expected_error`` and ``contradiction``; each modality's labels are then ordered by falling trust.
        clips: those whose modalities disagree most, see `selfmm.labels.audit.clips`.
        notes: what is left out and why, one sentence each.
        of_model: whether the model of a run has the weights of this epoch.
    """

    epoch: int
    figures: pd.DataFrame
    reasons: Mapping[str, Mapping[str, str]]
    outcomes: pd.DataFrame | None
    by_epoch: pd.DataFrame
    recovery: pd.DataFrame | None
    by_split: pd.DataFrame | None
    verdicts: Mapping[str, str]
    labels: pd.DataFrame
    clips: pd.DataFrame
    notes: tuple[str, ...] = ()
    of_model: bool = False


def audit(
    labels: pd.DataFrame | LabelHistory,
    neutral: float = 0.0,
    *,
    scores: pd.DataFrame | None = None,
    truth: pd.DataFrame | None = None,
    history: pd.DataFrame | None = None,
    references: pd.DataFrame | None = None,
    top: int = 20,
) -> Audit:
    """Audit u-labels.

    Args:
        labels: rows of ``labels.parquet``: id, epoch, modality, m_label, u_label and, except in old runs, outcome; for
            estimated labels also split, trust, expected_error and contradiction. The last epoch is audited.
        neutral: the label between the two sides.
        scores: rows of ``predictions.parquet``: id, score_<modality> of the modality's own head at the best epoch.
        truth: id, label, label_<modality> and optionally conflict, as in ``samples.parquet``.
        history: one row per epoch, columns epoch and labels_<modality>_<figure>, as in ``RunFolder.history``.
        references: id and any of text, video, path, start, end.
        top: number of clips in ``Audit.clips``.

    Raises:
        RunError: if the labels are damaged.
    """
    labels = labels if isinstance(labels, LabelHistory) else LabelHistory.of(labels)
    heads = _heads(labels, scores)
    by_epoch = _by_epoch(labels, neutral, history)
    figures: dict[str, dict[str, float]] = {}
    reasons: dict[str, dict[str, str]] = {}
    for number, name in enumerate(labels.modalities):
        separation = _last_separation(by_epoch, name, labels.epochs[-1])
        modality = ModalityLabels.of(labels, number, neutral=neutral, head=heads.get(name), separation=separation)
        figures[name], reasons[name] = measure(modality)
        if scores is None:
            reasons[name] = {key: why for key, why in reasons[name].items() if not key.startswith("head_")}
    known, by_split = _recovery(labels, neutral, truth)
    of_known: dict[str, dict[str, Any]] = {}
    for place, row in () if known is None else known.iterrows():
        of_known[str(place)] = {str(key): value for key, value in row.items()}
    return Audit(
        epoch=labels.epochs[-1],
        figures=_by_modality(figures),
        reasons=reasons,
        outcomes=_outcomes(labels),
        by_epoch=by_epoch,
        recovery=known,
        by_split=by_split,
        verdicts={
            name: verdict(figures[name], of_known.get(name), estimated=labels.estimated) for name in labels.modalities
        },
        labels=_label_table(labels, heads),
        clips=clip_table(labels, most_disagreeing(labels, top), scores, references),
    )


def _by_modality(rows: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows.values()), index=pd.Index(rows, name="modality"))


def _heads(labels: LabelHistory, scores: pd.DataFrame | None) -> dict[str, Array]:
    """(N,) scores of each modality that has them, in the order of the labels."""
    if scores is None:
        return {}
    columns = known_of(scores, [f"score_{name}" for name in labels.modalities], labels.ids)
    return {column.removeprefix("score_"): values.astype(np.float64) for column, values in columns.items()}


def _outcomes(labels: LabelHistory) -> pd.DataFrame | None:
    if labels.outcomes is None:
        return None
    rows = {}
    for number, name in enumerate(labels.modalities):
        codes = labels.outcomes[number, -1][np.isfinite(labels.u_labels[number, -1])]
        counts = np.bincount(codes, minlength=256)
        rows[name] = {outcome.word: float(counts[outcome]) / max(len(codes), 1) for outcome in Outcome}
    table = _by_modality(rows)
    return table.loc[:, table.gt(0).any()]


def _by_epoch(labels: LabelHistory, neutral: float, history: pd.DataFrame | None) -> pd.DataFrame:
    """Drift, distance from m and flips per epoch and modality, and the history's figures of the centres."""
    m_labels = labels.m_labels.astype(np.float64)
    rows = []
    for number, name in enumerate(labels.modalities):
        # A clip that lacks the modality keeps y_m in all epochs, which would make every figure look too good.
        missing = None if labels.outcomes is None else labels.has(number, Outcome.MISSING)[-1]
        for place, epoch in enumerate(labels.epochs):
            now = labels.u_labels[number, place].astype(np.float64)
            if missing is not None:
                now[missing] = np.nan
            change = np.abs(now - labels.u_labels[number, place - 1]) if place else np.empty(0)
            sides = np.sign(now - neutral) * np.sign(m_labels - neutral)
            figures = {
                "drift": _mean(change),
                "distance_m": _mean(np.abs(now - m_labels)),
                "flipped": _mean(np.where((m_labels == neutral) | np.isnan(now), np.nan, sides < 0)),
            }
            rows.append({"epoch": epoch, "modality": name, **figures, **_of_history(history, name, epoch)})
    return pd.DataFrame(rows)


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _of_history(history: pd.DataFrame | None, name: str, epoch: int) -> dict[str, float]:
    """The history's figures of a modality's centres in one epoch."""
    if history is None or "epoch" not in history:
        return {}
    # With modalities "a" and "a_b", labels_a_b_gap belongs to "a_b": no figure has a _ in its name.
    column = re.compile(rf"labels_{re.escape(name)}_([a-z]+)")
    row = history[history["epoch"] == epoch]
    figures = {}
    for key in history.columns:
        match = column.fullmatch(str(key))
        if match and len(row):
            figures[match.group(1)] = float(pd.to_numeric(row[key], errors="coerce").iloc[-1])
    return figures


def _last_separation(by_epoch: pd.DataFrame, name: str, epoch: int) -> float:
    if "separation" not in by_epoch:
        return float("nan")
    row = by_epoch[(by_epoch["modality"] == name) & (by_epoch["epoch"] == epoch)]
    return float(row["separation"].iloc[0])


def _recovery(
    labels: LabelHistory, neutral: float, truth: pd.DataFrame | None
) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Return the comparison with known labels over all clips, and per modality and split; None if none is known."""
    known = [name for name in labels.modalities if truth is not None and f"label_{name}" in truth]
    if truth is None or not known:
        return None, None
    columns = ["label", *(f"label_{name}" for name in known), *({"conflict"} & set(truth.columns))]
    table, numbers = by_id(truth[["id", *columns]], labels.ids), {name: labels.modalities.index(name) for name in known}
    last = {name: _with_label(labels, number) for name, number in numbers.items()}
    compared = {}
    for name, number in numbers.items():
        expected = labels.estimates["expected_error"][number].astype(np.float64) if labels.estimated else None
        m_labels, true = (table[column].to_numpy(dtype=np.float64) for column in ("label", f"label_{name}"))
        compared[name] = against_truth(last[name], m_labels, true, expected)
    splits = np.full(len(table), "train", dtype=object) if labels.splits is None else labels.splits
    parts = {}
    for split in dict.fromkeys(splits):
        of_split = splits == split
        parts[str(split)] = recovery(table[of_split], {name: own[of_split] for name, own in last.items()}, neutral)
    by_split = pd.concat(parts, names=["split", "modality"]).swaplevel()[list(_SPLIT_FIGURES)]
    by_split = by_split.loc[[(name, split) for name in known for split in parts]]
    return recovery(table, last, neutral).join(_by_modality(compared)), by_split[by_split["clips"] > 0]


_SPLIT_FIGURES = ("clips", "corr", "corr_trivial", "mae", "mae_trivial", "rmse", "rmse_trivial")


def _with_label(labels: LabelHistory, number: int) -> Array:
    """(N,) u-labels of the last epoch; NaN where the clip lacks the modality."""
    values: Array = labels.u_labels[number, -1].astype(np.float64)
    if labels.outcomes is not None:
        values[labels.has(number, Outcome.MISSING)[-1]] = np.nan
    return values


def _label_table(labels: LabelHistory, heads: Mapping[str, Array]) -> pd.DataFrame:
    parts = []
    for number, name in enumerate(labels.modalities):
        labelled = np.flatnonzero(np.isfinite(labels.u_labels[number, -1]))
        columns: dict[str, object] = {
            "id": labels.ids[labelled].to_numpy(),
            "modality": name,
            "m_label": labels.m_labels[labelled],
            "u_label": labels.u_labels[number, -1, labelled],
        }
        if heads:
            columns["score"] = heads[name][labelled] if name in heads else np.nan
        if labels.outcomes is not None:
            words = np.full(256, "", dtype=object)
            words[: len(Outcome)] = [outcome.word for outcome in Outcome]
            columns["outcome"] = words[labels.outcomes[number, -1, labelled]]
        if labels.splits is not None:
            columns["split"] = labels.splits[labelled]
        columns |= {key: values[number, labelled] for key, values in labels.estimates.items()}
        part = pd.DataFrame(columns)
        parts.append(part.sort_values("trust", ascending=False, kind="stable") if labels.estimated else part)
    return pd.concat(parts, ignore_index=True)
