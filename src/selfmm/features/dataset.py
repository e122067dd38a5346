"""Extracted clips as a data set: written to a folder clip by clip, or kept in memory for a prediction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from selfmm.config.recipe import Recipe
from selfmm.data.manifest import TEXT, Manifest, Modality
from selfmm.data.store import Dataset
from selfmm.data.writer import WORDS, Frames, Source
from selfmm.features.analysis import Features
from selfmm.features.extraction import ClipFeatures
from selfmm.features.quality import warnings
from selfmm.features.streams import Floats, Word

STREAMS = ("audio", "vision")


def rows_of(features: Features, stream: str, recipe: Recipe) -> Floats | None:
    """Return the (length, d) frames that a model reads: those of the track, or one per word; None without a track."""
    track = features.tracks.get(stream)
    if track is None:
        return None
    if recipe.align == "none":
        return track.values
    pooled = track.pooled([(word.start, word.end) for word in features.transcript.words])
    return pooled if np.isfinite(pooled).any() else None


@dataclass(frozen=True)
class ClipRow:
    """The entries of a clip in the tables of a data set.

    Attributes:
        text, language: the words and their language; None if unknown.
        warnings: reasons not to trust the clip, as one text.
        words: each with start, end (seconds in the clip) and probability.
        lengths: number of frames of each of ``STREAMS``; 0 if the clip has none.
        modalities: descriptions of those that the clip has.
    """

    text: str | None
    language: str | None
    warnings: str
    words: tuple[Word, ...]
    lengths: Mapping[str, int]
    modalities: Mapping[str, Modality]


def row_of(clip: ClipFeatures, recipe: Recipe) -> ClipRow:
    """Return the entries of a clip that was extracted with ``recipe``."""
    features = clip.features
    frames = {stream: rows_of(features, stream, recipe) for stream in STREAMS}
    aligned = recipe.align == "words"
    return ClipRow(
        text=features.transcript.text or None,
        language=features.transcript.language,
        warnings="; ".join([*clip.problems, *warnings(features)]),
        words=features.transcript.words,
        lengths={stream: 0 if rows is None else len(rows) for stream, rows in frames.items()},
        modalities={
            stream: Modality(
                kind="frames",
                dim=len(features.tracks[stream].columns),
                columns=features.tracks[stream].columns,
                frame_rate=None if aligned else features.tracks[stream].rate,
                gaps=aligned or stream == "vision" or recipe.voice.reads_phrases,
            )
            for stream, rows in frames.items()
            if rows is not None
        },
    )


def source_of(
    table: pd.DataFrame,
    clips: Sequence[ClipRow],
    load: Callable[[int, str], Features],
    recipe: Recipe,
    *,
    name: str,
    label_range: tuple[float, float],
) -> Source:
    """Return the data set of many clips. Their frames are loaded when they are written.

    Args:
        table: id, split, label, video and other columns, one row per clip; text, language and warnings are added.
        clips: one per row of the table.
        load: takes a row and the name of a stream, and returns features with at least this stream.
        recipe: the recipe of the extraction.
        name, label_range: of the data set.
    """
    modalities: dict[str, Modality] = {}
    for clip in clips:
        modalities = {**clip.modalities, **modalities}  # the first clip with a stream describes it

    def frames_of(stream: str) -> Frames:
        dim = modalities[stream].dim or 0

        def read(row: int) -> Floats:
            frames = rows_of(load(row, stream), stream, recipe) if clips[row].lengths[stream] else None
            return np.zeros((0, dim), np.float32) if frames is None else frames

        lengths = np.array([clip.lengths[stream] for clip in clips], dtype=np.int64)
        return Frames(modalities[stream], lengths, read)

    words = [
        (clip_id, word.text, word.start, word.end, word.probability)
        for clip_id, clip in zip(table["id"], clips, strict=True)
        for word in clip.words
    ]
    counts = Counter(clip.language for clip in clips if clip.language)
    columns = ["id", "word", "start", "end", "probability"]
    return Source(
        table=table.assign(
            text=_objects([clip.text for clip in clips]),
            language=_objects([clip.language for clip in clips]),
            warnings=[clip.warnings for clip in clips],
        ),
        frames={stream: frames_of(stream) for stream in STREAMS if stream in modalities},
        name=name,
        label_range=label_range,
        language=counts.most_common(1)[0][0] if counts else recipe.speech.language or None,
        recipe=recipe,
        tables={WORDS: pd.DataFrame(words, columns=columns)} if words else {},
    )


def dataset_of(clips: Sequence[tuple[str, Features]], recipe: Recipe, modalities: Mapping[str, Modality]) -> Dataset:
    """Return clips as a data set in memory, without labels, for a model that reads ``modalities``.

    Args:
        clips: the id and features of each clip.
        recipe: the recipe of the extraction.
        modalities: those of the model; other streams are left out.
    """
    table = pd.DataFrame({"id": [name for name, _ in clips], "split": "test", "label": np.nan})
    texts = _objects([features.transcript.text or None for _, features in clips])
    table = table.assign(video=table["id"], text=texts)
    streams = {name: modality for name, modality in modalities.items() if name in STREAMS}
    matrices = {}
    for name, modality in streams.items():
        empty = np.zeros((0, modality.dim or 0), np.float32)
        frames = [rows_of(features, name, recipe) for _, features in clips]
        rows = [empty if values is None else values for values in frames]
        lengths = np.array([len(values) for values in rows], dtype=np.int64)
        table[f"{name}_offset"], table[f"{name}_length"] = np.cumsum(lengths) - lengths, lengths
        matrices[name] = np.concatenate([empty, *rows])
    words = {TEXT: Modality(kind="text")} if TEXT in modalities else {}
    manifest = Manifest(name="clips", label_range=(-1.0, 1.0), modalities=words | streams, recipe=recipe)
    return Dataset(Path(), manifest, table, matrices)


def _objects(values: Sequence[str | None]) -> pd.Series:
    """Return a column of texts that keeps None (pandas would make it NaN)."""
    return pd.Series(list(values), dtype=object)
