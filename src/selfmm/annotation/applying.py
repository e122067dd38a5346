"""Prepare a training with ratings: copy a data set with new m-labels, or list rated recordings for an extraction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from selfmm.core.errors import DatasetError, SourceError
from selfmm.core.files import write_table
from selfmm.core.messages import some
from selfmm.data.checks import check_source
from selfmm.data.ratings import write_ratings
from selfmm.data.splits import split_rated
from selfmm.data.store import Dataset, open_dataset
from selfmm.data.writer import FAILURES, WORDS, Frames, Source, write_dataset
from selfmm.features.clips.clip import Clip


def rated_copy(
    dataset: Dataset,
    out: str | Path,
    labels: Mapping[str, float],
    label_range: tuple[float, float] | None = None,
    *,
    source: str = "ratings",
    seed: int = 0,
    force: bool = False,
) -> Dataset:
    """Copy a data set and give the copy new m-labels.

    Where the file system supports hard links, the frame matrices are links to those of the original. The original does
    not change. Corrections are copied too.

    Args:
        dataset: the original.
        out: the folder to make.
        labels: the m-label of each rated clip, by id. Other clips keep their labels.
        label_range: lowest and highest label; default: that of the original. A clip that keeps its label needs the
            range of the original.
        source: where the labels come from; ``dataset.json`` records it.
        seed: seed of new splits. These are made, by video, only if no clip of the original has a label.
        force: replace a data set at ``out``.

    Raises:
        SourceError: if clips are unknown, or labels are outside the range.
        DatasetError: if clips that keep their labels have them on another scale.
        OutputError: if ``out`` exists or cannot be written.
    """
    table, old = dataset.samples.reset_index(drop=True).copy(), dataset.manifest
    unknown = [clip for clip in labels if clip not in dataset]
    if unknown or not labels:
        what = f"has no clips with these ids: {some(unknown)}" if unknown else "gets no labels: nobody rated a clip"
        raise SourceError(f"{dataset.path} {what}. Rate clips of this data set.")
    label_range = label_range or old.label_range
    rated, had = table["id"].isin(list(labels)), table["label"].notna()
    if label_range != old.label_range and (had & ~rated).any():
        raise DatasetError(
            f"the ratings are from {label_range[0]:g} to {label_range[1]:g}, but the labels that stay in "
            f"{dataset.path} are from {old.label_range[0]:g} to {old.label_range[1]:g}. Rate on that scale, or "
            "rate all its clips."
        )
    table["label"] = table["id"].map(labels).astype("float64").where(rated, table["label"])
    if not had.any():
        table["split"] = split_rated(table["video"].tolist(), rated.to_numpy(), seed)
    copy = Source(
        table,
        {name: _frames(dataset, name) for name, modality in old.modalities.items() if modality.kind != "text"},
        old.name,
        label_range,
        language=old.language,
        provenance={**old.provenance, "m_labels": {"source": source, "clips": len(labels)}},
        recipe=old.recipe,
        tables=_further_tables(dataset.path),
    )
    check_source(copy, missing="allow")
    ratings = dataset.ratings
    made = write_dataset(copy, out, force=force)
    if len(ratings):
        write_ratings(made.path, ratings)
    return open_dataset(made.path)


def _frames(dataset: Dataset, name: str) -> Frames:
    lengths, matrix = dataset.lengths(name), dataset.matrix(name)
    offsets = dataset.samples[f"{name}_offset"].to_numpy()
    in_order = len(matrix) == lengths.sum() and bool((offsets == np.cumsum(lengths) - lengths).all())
    return Frames(
        dataset.modalities[name],
        lengths,
        lambda row: dataset.frames(name, row),
        dtype=matrix.dtype,
        file=dataset.path / f"{name}.npy" if in_order else None,
    )


def _further_tables(folder: Path) -> dict[str, pd.DataFrame]:
    tables = {}
    if (folder / WORDS).is_file():
        tables[WORDS] = pd.read_parquet(folder / WORDS)
    if (folder / FAILURES).is_file():
        tables[FAILURES] = pd.read_csv(folder / FAILURES, dtype=str, keep_default_na=False)
    return tables


def write_rated_table(
    path: Path, clips: Sequence[Clip], labels: Mapping[str, float], *, listed_labels: bool = True
) -> None:
    """Write a table of recordings for ``selfmm extract``: ``id``, ``path`` (absolute), ``label`` and more.

    A clip without a label can be scored but not trained on. Splits stay if all clips with a label have one; otherwise
    the extraction makes new ones. It also does so if the labels of the list are left out, and no clip with a label
    remains for training or for validation.

    Args:
        path: the table to write.
        clips: the clips of the source.
        labels: the m-label of each rated clip, by id.
        listed_labels: whether clips that nobody rated keep their labels, and all clips those of single modalities.

    Raises:
        SourceError: if no clip has a label.
        OutputError: if the file cannot be written.
    """
    if not listed_labels:
        clips = [replace(clip, label=None, labels={}) for clip in clips]
    table = pd.DataFrame([_row(clip, labels.get(clip.id)) for clip in clips])
    if table.empty or table["label"].isna().all():
        raise SourceError("nobody has rated a clip yet. Rate some clips first.")
    splits = table["split"][table["label"].notna()]
    if splits.isna().any() or not (listed_labels or {"train", "valid"} <= set(splits)):
        table = table.drop(columns="split")
    empty = [name for name in table if name not in ("path", "label") and table[name].isna().all()]
    write_table(path, table.drop(columns=empty))


def _row(clip: Clip, label: float | None) -> dict[str, Any]:
    return {
        "id": clip.id,
        "path": str(clip.path.absolute()),
        "start": clip.start,
        "end": clip.end,
        "label": clip.label if label is None else label,
        "video": clip.video or None,
        "split": clip.split,
        "text": clip.text,
        "subtitles": None if clip.subtitles is None else str(clip.subtitles.absolute()),
        **{f"label_{modality}": value for modality, value in clip.labels.items()},
    }
