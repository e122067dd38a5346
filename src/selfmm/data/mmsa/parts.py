"""The splits of an MMSA pickle, and the table that their columns make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.core.errors import SourceError
from selfmm.core.messages import some
from selfmm.data.manifest import SPLITS, TEXT
from selfmm.data.mmsa.columns import clip_names, count, numbers, texts
from selfmm.data.tables.cells import SPLIT_WORDS

T = TypeVar("T")
ALONE = {"T": "text", "A": "audio", "V": "vision"}
"""The modalities of the suffixes in ``regression_labels_T``, ``_A`` and ``_V``."""
_LABELS = ("regression_labels", "labels")


@dataclass(frozen=True)
class Part:
    """One split of an MMSA pickle: its name, its columns, and its number of clips."""

    split: str
    columns: Mapping[str, Any]
    size: int


def split_parts(content: object, path: Path) -> tuple[list[Part], list[str]]:
    """Return the splits that hold clips, in the order train, valid, test, and notes on what was left out.

    Raises:
        SourceError: if the content is not a dict of splits, or holds no clip.
    """
    expected = (
        "expected: a dict of the splits train, valid and test, each a dict of columns (raw_text, audio, ...). "
        "Save the data in this form."
    )
    if not isinstance(content, dict):
        raise SourceError(f"{path} holds a {type(content).__name__}; {expected}")
    keys = [key for key in content if isinstance(key, str)]
    splits = {key: SPLIT_WORDS.get(key.lower(), key.lower()) for key in keys}
    columns = {split: content[key] for key, split in splits.items() if split in SPLITS}
    if not columns:
        raise SourceError(f"{path} holds a dict with {some(keys) or 'no names'}; {expected}")
    if wrong := [
        f"{split} is a {type(value).__name__}" for split, value in columns.items() if not isinstance(value, dict)
    ]:
        raise SourceError(f"{path}: {', '.join(wrong)}; {expected} Leave out splits that do not exist.")
    if len(columns) < sum(split in SPLITS for split in splits.values()):
        raise SourceError(f"{path} has the same split twice in {some(keys)}. Remove or rename one.")
    others = [key for key, split in splits.items() if split not in SPLITS]
    notes = [f"the keys {some(others)} are not splits and were left out."] if others else []
    parts = []
    for split in filter(columns.__contains__, SPLITS):
        named = {key: values for key, values in columns[split].items() if isinstance(key, str)}
        if size := _size(named):
            parts.append(Part(split, named, size))
    if not parts:
        raise SourceError(f"{path} has no clips. Check that it is the right file.")
    return parts, notes


def _labels_key(columns: Mapping[str, Any]) -> str | None:
    return next((key for key in _LABELS if key in columns), None)


def _size(columns: Mapping[str, Any]) -> int:
    """Return the number of clips, from the labels, or else the ids, or else any column."""
    for key in (_labels_key(columns) or "labels", "id", *columns):
        size = count(columns.get(key))
        if size is not None:
            return size
    return 0


def read_columns(parts: list[Part], problems: list[str]) -> pd.DataFrame:
    """Return ids, splits, labels and words of all splits, as `selfmm.data.writer.Source` takes them."""
    return pd.concat([_one_table(part, problems) for part in parts], ignore_index=True)


def _one_table(part: Part, problems: list[str]) -> pd.DataFrame:
    labels = _labels_key(part.columns)
    if labels is None:
        problems.append(f"{part.split} has no regression_labels (or labels). Add one number per clip.")
    names = column(part, "id", clip_names, problems) if "id" in part.columns else None
    ids = [name.id for name in names] if names else [f"{part.split}_{row}" for row in range(part.size)]
    table = pd.DataFrame({"id": ids, "split": part.split})
    table["label"] = number_column(part, labels, problems) if labels else np.nan
    words = column(part, "raw_text", texts, problems) if "raw_text" in part.columns else None
    table[TEXT] = pd.Series(words if words else [None] * part.size, dtype=object)
    table["video"] = [name.video for name in names] if names else ids
    if names and not all(np.isnan(name.start) for name in names):
        table["start"], table["end"] = [name.start for name in names], [name.end for name in names]
    for suffix, modality in ALONE.items():
        key = f"regression_labels_{suffix}"
        if key in part.columns:
            table[f"label_{modality}"] = number_column(part, key, problems)
    return table


def column(part: Part, key: str, convert: Callable[[Any], T], problems: list[str]) -> T | None:
    """Return a converted column; None, and a problem, if it does not have one valid entry per clip."""
    values = part.columns[key]
    if count(values) != part.size:
        problems.append(mismatch(part, key))
        return None
    try:
        return convert(values)
    except (ValueError, UnicodeError) as error:
        problems.append(f"{part.split}: {key} {error}. Fix the column.")
        return None


def number_column(part: Part, key: str, problems: list[str]) -> npt.NDArray[np.float64]:
    """Return the numbers of a column, (size,); NaN, and a problem, if they are not one number per clip."""
    values = column(part, key, numbers, problems)
    return np.full(part.size, np.nan) if values is None else values


def mismatch(part: Part, key: str) -> str:
    """Return the message about a column that does not have one entry per clip of its split."""
    size, by = count(part.columns[key]), _labels_key(part.columns) or "id"
    has = f"is a {type(part.columns[key]).__name__}, not a column" if size is None else f"has {size} clips"
    return f"{part.split}: {key} {has}, {by} has {part.size}. Make them one entry per clip."
