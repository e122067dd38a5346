"""Checks of a source before it is stored, the same for every reader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.core.errors import SourceError, refuse
from selfmm.core.messages import clips, repeated_ids, some
from selfmm.data.manifest import SPLITS, TEXT
from selfmm.data.splits import shared_videos
from selfmm.data.writer import Source

Missing = Literal["error", "allow"]
_HAS = ("has", "have")


def unrated(number: int, what: str) -> str:
    """Return a note that some clips have no ``what``, and what can be done with them."""
    they, words = ("it", "its words") if number == 1 else ("they", "their words")
    return (
        f"{clips(number, _HAS)} no {what}: {they} can be scored, but not trained on. Only the model adapt also learns "
        f"from the score of {words}."
    )


def check_source(source: Source, *, missing: Missing = "error", require_labels: bool = True) -> tuple[str, ...]:
    """Check a whole source.

    Args:
        source: the result of a reader.
        missing: whether clips that lack a modality are an error.
        require_labels: whether labels are expected: they are checked, and clips without one are noted.

    Returns:
        Notes for the user, one sentence each.

    Raises:
        SourceError: if something is wrong; everything wrong is listed.
    """
    notes: list[str] = []
    problems = [*_table_problems(source, require_labels), *_modality_problems(source, missing, notes)]
    without = np.isnan(source.table["label"].to_numpy(dtype=np.float64))
    if require_labels and without.any():
        notes.append(unrated(int(without.sum()), f"label ({some(_ids(source.table, without))})"))
    refuse(f"the data set {source.name!r} cannot be made:", problems)
    return (*notes, *_shared_videos(source.table))


def check_table(source: Source, *, require_labels: bool = True) -> None:
    """Check only the table, for callers without frames; raise ``SourceError`` if ids, splits or labels are wrong."""
    refuse(f"the data set {source.name!r} cannot be made:", _table_problems(source, require_labels))


def _table_problems(source: Source, require_labels: bool) -> list[str]:
    if not len(source.table):
        raise SourceError(f"{source.name} has no clips. Check that it is the right file.")
    low, high = source.label_range
    if not (np.isfinite([low, high]).all() and low < high):
        raise SourceError(f"the label range is {low:g},{high:g}; give two finite numbers, the smaller one first.")
    return [*_name_problems(source.table), *_label_problems(source, require_labels)]


def _ids(table: pd.DataFrame, where: npt.ArrayLike) -> list[str]:
    return [str(clip_id) for clip_id in table["id"].to_numpy()[np.asarray(where, dtype=bool)]]


def _name_problems(table: pd.DataFrame) -> list[str]:
    problems = []
    blank = [row for row, value in enumerate(table["id"]) if not isinstance(value, str) or not value.strip()]
    if blank:
        where = f"row{'s' if len(blank) > 1 else ''} {some(blank, quoted=False)}"
        problems.append(f"{clips(len(blank), _HAS)} no id ({where}). Give each one its own.")
    repeated = [name for name in dict.fromkeys(_ids(table, table["id"].duplicated().to_numpy())) if name.strip()]
    if repeated:
        problems.append(f"{repeated_ids(repeated)}. Give each clip its own.")
    unknown = sorted({str(split) for split in table["split"]} - set(SPLITS))
    if unknown:
        problems.append(f"the splits {some(unknown)} are unknown. Name them train, valid and test.")
    for column in ("id", "video", TEXT):
        invalid = [not _is_text(value) for value in table[column]]
        if any(invalid):
            problems.append(
                f"{clips(sum(invalid), _HAS)} a {column} that is not valid text ({some(_ids(table, invalid))}). "
                "Save it again as Unicode."
            )
    return problems


def _is_text(value: object) -> bool:
    try:
        return not isinstance(value, str) or bool(value.encode("utf-8")) or not value
    except UnicodeEncodeError:
        return False


def _label_problems(source: Source, required: bool) -> list[str]:
    if not required:
        return []
    columns = [name for name in source.table.columns if name == "label" or str(name).startswith("label_")]
    return [problem for column in columns for problem in _outside(source, column)]


def _outside(source: Source, column: str) -> list[str]:
    low, high = source.label_range
    values = source.table[column].to_numpy(dtype=np.float64)
    outside = ~np.isnan(values) & ~((values >= low) & (values <= high))
    if not outside.any():
        return []
    ids = _ids(source.table, outside)
    named = [f"{clip_id} ({value:g})" for clip_id, value in zip(ids, values[outside], strict=True)]
    return [
        f"{clips(int(outside.sum()), _HAS)} a {column} outside [{low:g}, {high:g}]: {some(named)}. "
        "Give the true range with `label_range=(LOW, HIGH)`, or rescale the labels."
    ]


def _modality_problems(source: Source, missing: Missing, notes: list[str]) -> list[str]:
    present, problems = presence(source)
    if not present:
        return problems or [
            "there is neither text nor any feature. Give words, or frames of at least one modality, for each clip."
        ]
    nothing = ~np.any(list(present.values()), axis=0)
    if nothing.any():
        problems.append(
            f"{clips(int(nothing.sum()), _HAS)} no modality at all ({some(_ids(source.table, nothing))}). "
            "Leave them out."
        )
    for name, has in present.items():
        lack = clips(int((~has).sum()), _HAS) + f" no {name} ({some(_ids(source.table, ~has))})"
        if not has.any():
            empty = "the text of every clip is empty" if name == TEXT else f"no clip has any {name}"
            problems.append(f"{empty}. Leave the modality out, or check how it was extracted.")
        elif not has.all() and missing == "error":
            problems.append(
                f"{lack}. If that is right, pass `missing='allow'`, which leaves such clips out of the loss of {name}."
            )
        elif not has.all():
            notes.append(f"{lack}; the loss of {name} leaves out such clips.")
    return problems


def presence(source: Source) -> tuple[dict[str, npt.NDArray[np.bool_]], list[str]]:
    """Return for each modality which clips have it, (N,), and what is wrong with the lengths."""
    problems: list[str] = []
    present: dict[str, npt.NDArray[np.bool_]] = {}
    words = source.table[TEXT]
    if TEXT not in source.frames and words.notna().any():
        present[TEXT] = words.fillna("").str.strip().ne("").to_numpy(dtype=bool)
    for name, frames in source.frames.items():
        if len(frames.lengths) != len(source.table):
            problems.append(
                f"{name} has {clips(len(frames.lengths))}, the labels {len(source.table)}. Give one entry per clip."
            )
        else:
            present[name] = frames.lengths > 0
    return present, problems


def _shared_videos(table: pd.DataFrame) -> Sequence[str]:
    shared = shared_videos(table)
    if not shared:
        return ()
    return (
        f"videos have clips in more than one split ({some(shared)}): "
        "a model may recognise the speaker, so test results are too good.",
    )
