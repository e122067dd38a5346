"""The report of a run as one self-contained page of HTML: no network, no script, no other file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from selfmm.config.settings import flatten
from selfmm.core.html import render
from selfmm.data.manifest import SPLITS
from selfmm.evaluation.verdicts import HEADS, cautions, worth_notes, worth_rows, worth_title
from selfmm.labels.audit.audit import Audit
from selfmm.labels.audit.clips import REFERENCES, clip_table, known_of, typical
from selfmm.report.cells import (
    audit_gaps,
    audit_rows,
    metric_rows,
    number,
    recovery_rows,
    split_rows,
    verdict_lines,
    words,
)
from selfmm.report.pictures import Group
from selfmm.report.style import drawing, inline_svg, modality_colours
from selfmm.runs.material import Material

CASES = 12
_TYPICAL = 5


def page(material: Material, audit: Audit | None, groups: list[Group], notes: Sequence[str]) -> str:
    """Return the whole page.

    Args:
        material: the run.
        audit: the audit of its labels; None if it generated no labels.
        groups: its pictures.
        notes: what is left out and why, in addition to the notes of ``material`` and ``audit``.

    Raises:
        OutputError: if matplotlib is not installed.
    """
    files = resources.files("selfmm.report")
    css = (files / "page.css").read_text(encoding="utf-8")
    template = (files / "page.html.j2").read_text(encoding="utf-8")
    with drawing():
        drawn = [  # matplotlib escapes the names in a picture
            (group, [Markup(inline_svg(picture.figure, picture.name, picture.alt)) for picture in group.pictures])
            for group in groups
        ]
    return render(
        template,
        css=Markup(css),
        policy=_policy(css),
        groups=drawn,
        notes=[
            words(note)
            for note in (*material.notes, *material.folder.notes(), *notes, *(audit_gaps(audit) if audit else ()))
        ],
        **_head(material, audit),
        **_worth(material),
        **_tables(material),
        **(_without_labels(material) if audit is None else _of_labels(material, audit)),
    )


def _policy(css: str) -> str:
    """Return a policy that lets the page fetch and run nothing. SVG pictures are data, and have style attributes."""
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"style-src-elem 'sha256-{digest}'; style-src-attr 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    )


def _head(material: Material, audit: Audit | None) -> dict[str, Any]:
    info, content = material.info, material.metrics
    fusion = _task(content, "test", "fusion") or _task(content, "valid", "fusion")
    split = "test" if _task(content, "test", "fusion") else "validation"
    tiles = [
        (number(float(fusion[key])), f"{name} on the {split} split")
        for key, name in (("mae", "MAE"), ("corr", "correlation"))
        if fusion.get(key) is not None
    ]
    tiles.append((f"{content['splits']['train']['fusion']['count']:,}", "training clips"))
    if info.in_epochs:
        tiles.append((f"{content['best_epoch']} of {len(material.history)}", "best epoch"))
    flipped = np.nan if audit is None else float(audit.figures["flipped"].mean())
    tiles += [] if np.isnan(flipped) else [(number(flipped, "flipped"), "labels with the opposite sign of m")]
    low, high = info.label_range
    return {
        "name": words(material.name),
        "dataset": words(info.dataset),
        "label_range": f"{low:g} to {high:g}",
        "model": words(info.model_name),
        "closed_form": info.closed_form,
        "averaged": [words(member.run) for member in info.members],
        "rule": material.settings.labels.rule,
        "source": info.labels,
        "tiles": tiles,
        "modalities": list(info.modalities),
        "colours": modality_colours(list(info.modalities)),
        "version": info.selfmm,
    }


def _worth(material: Material) -> dict[str, Any]:
    """Return why not to trust the run at all, and a row per score with whether it has information."""
    worth = material.folder.worth()
    if worth is None:
        return {"cautions": cautions(None), "worth": [], "worth_heads": (), "worth_title": "", "worth_notes": []}
    informs = [score.informs for score in worth.scores.values()]
    return {
        "cautions": cautions(worth),
        "worth": list(zip(map(list, worth_rows(worth)), informs, strict=True)),
        "worth_heads": HEADS,
        "worth_title": worth_title(worth),
        "worth_notes": worth_notes(worth),
    }


def _task(content: Mapping[str, Any], split: str, task: str) -> dict[str, Any]:
    """Return the metrics of one task on one split; empty if no clip of the split has a label."""
    entry = content["splits"].get(split, {}).get(task, {"count": 0})
    return dict(entry["values"]) if entry["count"] else {}


def _tables(material: Material) -> dict[str, Any]:
    content = material.metrics
    by_split = {split: values for split in SPLITS if (values := _task(content, split, "fusion"))}
    last = "test" if "test" in by_split else "valid"
    tasks = {task: values for task in content["splits"][last] if (values := _task(content, last, task))}
    counts = {split: content["splits"][split]["fusion"]["count"] for split in by_split}
    return {
        "splits": [f"{split} ({counts[split]:,})" for split in by_split],
        "metrics": metric_rows(by_split, material.scale.neutral),
        "task_split": last,
        "tasks": [task.replace("_", " ") for task in tasks],
        "task_metrics": metric_rows(tasks, material.scale.neutral),
        "settings": [(key, _setting(value)) for key, value in flatten(material.settings).items()],
    }


def _of_labels(material: Material, audit: Audit) -> dict[str, Any]:
    labels = material.generated_labels.until(audit.epoch)
    ordinary = clip_table(labels, typical(labels, _TYPICAL), material.predictions, material.samples)
    return {
        "epoch": audit.epoch,
        "all_clips": labels.splits is not None,
        "verdicts": [(name, words(verdict)) for name, verdict in verdict_lines(audit)],
        "labelled": list(labels.modalities),
        "audit": audit_rows(audit),
        "recovery": [] if audit.recovery is None else [*recovery_rows(audit.recovery), *split_rows(audit)],
        "recovered": [] if audit.recovery is None else list(audit.recovery.index),
        "cases": [
            ("Modalities disagree most", _cases(audit.clips.head(CASES), labels.modalities, material)),
            ("Ordinary clips", _cases(ordinary, labels.modalities, material)),
        ],
    }


def _without_labels(material: Material) -> dict[str, Any]:
    """Return the clips of the validation split with the largest error, in place of the labels."""
    clips = material.predictions
    cases = []
    if {"split", "label"} <= set(clips):
        valid = clips[clips["split"] == "valid"].dropna(subset="label")
        furthest = (valid["score"] - valid["label"]).abs().sort_values(ascending=False, kind="stable").index[:CASES]
        chosen = valid.loc[furthest, ["id", "label", "score"]].rename(columns={"label": "m_label"})
        if material.samples is not None:
            chosen = chosen.assign(**known_of(material.samples, REFERENCES, pd.Index(chosen["id"])))
        cases = [("Validation clips with the largest error", _cases(chosen, (), material))]
    return {"labelled": [], "audit": [], "cases": cases}


def _setting(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "all"
    return "" if value is None else str(value)


def _cases(clips: pd.DataFrame, modalities: Sequence[str], material: Material) -> list[dict[str, Any]]:
    """Return the text, place and labels of each clip; the side of the scale sets the colour of a label."""
    rows = []
    for row in clips.to_dict("records"):
        labels = [row["m_label"], *(row[f"u_{name}"] for name in modalities)]
        rows.append(
            {
                "id": words(row["id"]),
                "text": words(row.get("text")),
                "place": _place(row),
                "labels": [{"value": _signed(value), "side": _side(value, material)} for value in labels],
                "score": _signed(row.get("score", np.nan)),
            }
        )
    return rows


def _signed(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:+.2f}"


def _side(value: float, material: Material) -> str:
    distance = value - material.scale.neutral
    return "none" if np.isnan(distance) or distance == 0 else "positive" if distance > 0 else "negative"


def _place(row: Mapping[Any, Any]) -> str:
    """Return the media file or recording and the clip's time in it, as far as known."""
    place = words(row.get("path")) or words(row.get("video"))
    start, end = row.get("start"), row.get("end")
    if start is not None and end is not None and np.isfinite([float(start), float(end)]).all():
        place = f"{place}, {_clock(float(start))}–{_clock(float(end))}"
    return place


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}"
