"""A data card for a file of labels per modality: what they are, how they were made, and how far to trust them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from selfmm.core.version import __version__
from selfmm.data.manifest import SPLITS
from selfmm.labels.audit.audit import Audit
from selfmm.labels.estimated import MADE
from selfmm.labels.per_clip import KNOWN, LABEL
from selfmm.report.cells import number, words
from selfmm.training.label_sets import LabelSet

LICENCE = "(fill in: the labels derive from the labels of this data set, so its terms apply to them)"
_UNUSED = "Labels per modality that the data set has were not used, except for people's corrections of u-labels."
_ESTIMATED = (
    "Each label is the expected value of what the modality says on its own, given the label of the whole clip and "
    "evidence from the modality. The evidence is what a ridge regression on fixed inputs (a pretrained text encoder's "
    "mean state; mean and deviation of frames) predicts for a clip whose own label it did not see. "
    f"{_UNUSED} docs/label_study.md of selfmm derives the rule."
)
_GENERATED = (
    "A rule made them while a model was trained, from the distances of learned features to two class centres. Only "
    f"training clips have them. {_UNUSED}"
)


def label_card(labels: LabelSet, audit: Audit, file: str, columns: Sequence[str]) -> str:
    """Return the card in Markdown. The same labels give the same card.

    Args:
        labels: those of the file; their last epoch was audited.
        file: its name.
        columns: its columns.
    """
    parts = [
        f"# Labels per modality: {_inline(labels.dataset)}",
        _table(("", ""), _facts(labels, audit, file)),
        "## What they are",
        "Each clip has a label from people for the whole clip (`label` or `m_label`). Its labels per modality say what "
        "one modality expresses on its own, on the same scale. A program estimated them: they are not a person's "
        f"judgement, unless they are marked `{'person' if labels.estimated else 'fixed'}`.",
        "## How they were made",
        _ESTIMATED if labels.estimated else _GENERATED,
    ]
    if labels.estimated:
        parts.append(_table(("made", "meaning", "labels"), _made(labels.table)))
    parts += [
        "## How far to trust them",
        *_trust(audit),
        "## Columns",
        _table(("column", "meaning"), _columns(columns)),
    ]
    notes = [f"- {_inline(note)}" for note in labels.notes]
    return "\n\n".join([*parts, *(["## Notes", "\n".join(notes)] if notes else [])]) + "\n"


def _facts(labels: LabelSet, audit: Audit, file: str) -> list[tuple[str, str]]:
    low, high = labels.label_range
    ids = labels.table.drop_duplicates("id")
    splits = ids["split"] if "split" in ids else pd.Series(["train"] * len(ids))
    per_split = ", ".join(f"{split} {int((splits == split).sum()):,}" for split in SPLITS if (splits == split).any())
    made = f"selfmm {__version__}, rule {labels.rule}"
    return [
        ("file", _inline(file)),
        ("clips", f"{len(ids):,} ({per_split})"),
        ("modalities", ", ".join(audit.figures.index)),
        ("scale", f"{low:g} to {high:g}"),
        ("made by", made + (f", text encoder {_inline(labels.encoder)}" if labels.encoder else "")),
        ("made from", f"the data set {_inline(labels.dataset)} (fingerprint {labels.fingerprint[:16]})"),
        ("run", f"{_inline(labels.run)}, {_epoch(labels)}" if labels.run else "none: made without training"),
        ("licence", LICENCE),
    ]


def _epoch(labels: LabelSet) -> str:
    if labels.estimated:
        return "estimated before training"
    first, last = labels.epochs[0], labels.epochs[-1]
    return f"epoch {last}" if first == last else f"epochs {first} to {last}"


def _made(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    counts = table["made"].value_counts()
    return [(word, meaning, f"{int(counts[word]):,}") for word, meaning in MADE.items() if word in counts]


def _trust(audit: Audit) -> list[str]:
    figures = audit.figures
    lines = "\n".join(f"- {name}: {verdict}" for name, verdict in audit.verdicts.items())
    if figures["trust"].isna().all():
        return [lines]
    rows = [
        (str(name), number(float(row["trust"])), number(float(row["expected_error"])), number(float(row["distance_m"])))
        for name, row in figures.iterrows()
    ]
    heads = ("modality", "mean trust", "mean expected error", "mean distance to the m-label")
    meaning = (
        "The expected error is the expected distance between the label and what the modality says, on the label scale. "
        "Trust is 1 - expected error / expected error of the clip's own label as the label of this modality: 0 if the "
        "modality adds nothing to the label of the whole clip, 1 if the label is known."
    )
    return [lines, _table(heads, rows), meaning]


def _columns(columns: Iterable[str]) -> list[tuple[str, str]]:
    of_labels = {
        "trust": "trust in this label, 0 to 1",
        "expected_error": "expected error of this label",
        "made": "how this label was made",
        "outcome": "what became of the label in training",
    }
    prefixes = {
        KNOWN: "label of the modality that the data set has from elsewhere; not used, only for comparison",
        LABEL: "label of the modality; empty where the clip lacks it or has no label as a whole",
        **{f"{name}_": meaning for name, meaning in of_labels.items()},
    }
    exact = {
        **of_labels,
        "label": "label of the whole clip, from people",
        "m_label": "label of the whole clip, from people",
        "u_label": "label of the modality",
        "split": "train, valid or test",
        "weight": "weight of the label in training, 0 to 1",
        "epoch": "after which it was the label; 0: before training",
        "contradiction": "probability that the modality contradicts the label of the whole clip",
    }
    rows = []
    for column in columns:
        prefix = next((known for known in prefixes if column.startswith(known)), None)
        meaning = exact.get(column) or (prefixes[prefix] if prefix else "as in the data set")
        rows.append((f"`{column}`", meaning))
    return rows


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _inline(text: str) -> str:
    """Return text of a data set on one line, without what Markdown would read as markup or a cell's end."""
    return "".join(f"\\{character}" if character in "\\`*_[]<>|#" else character for character in words(text))
