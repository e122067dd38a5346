"""Extracted clips as a data set: in a folder, clip by clip, or in memory for a prediction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from selfmm.config.recipe import Recipe
from selfmm.data.store import TEXT, Dataset, Manifest, Modality
from selfmm.data.writer import WORDS, Frames, Source
from selfmm.features.analysis import Features
from selfmm.features.extraction import ClipFeatures
from selfmm.features.quality import warnings
from selfmm.features.streams import Floats, Track

STREAMS = ("audio", "vision")


def rows_of(features: Features, name: str, recipe: Recipe) -> Floats | None:
    """(length, d) frames of a stream as the model reads them: its own rows, or one per word; None if it is missing."""
    track = features.tracks.get(name)
    if track is None:
        return None
    if recipe.align == "none":
        return track.values
    pooled = track.pooled([(word.start, word.end) for word in features.transcript.words])
    return pooled if np.isfinite(pooled).any() else None


def modality_of(track: Track, name: str, recipe: Recipe) -> Modality:
    """What a stream is in the data set."""
    aligned = recipe.align == "words"
    return Modality(
        kind="frames",
        dim=len(track.columns),
        columns=track.columns,
        frame_rate=None if aligned else track.rate,
        gaps=aligned or name == "vision",
    )


def source_of(
    table: pd.DataFrame,
    load: Callable[[int], ClipFeatures],
    recipe: Recipe,
    *,
    name: str,
    label_range: tuple[float, float],
) -> Source:
    """The data set of many clips, whose frames are loaded again when they are written.

    Args:
        table: id, split, label, video and what else is known, a row per clip; text, language and warnings are added.
        load: what was extracted of the clip in row i.
        recipe: by which it was.
        name, label_range: of the data set.
    """
    texts, languages, remarks, words = [], [], [], []
    lengths: dict[str, list[int]] = {stream: [] for stream in STREAMS}
    modalities: dict[str, Modality] = {}
    for row in range(len(table)):
        found = load(row)
        features = found.features
        texts.append(features.transcript.text or None)
        languages.append(features.transcript.language)
        remarks.append("; ".join([*found.problems, *warnings(features)]))
        said = features.transcript.words
        words += [(table["id"].iloc[row], word.text, word.start, word.end, word.probability) for word in said]
        for stream in STREAMS:
            frames = rows_of(features, stream, recipe)
            lengths[stream].append(0 if frames is None else len(frames))
            if frames is not None and stream not in modalities:
                modalities[stream] = modality_of(features.tracks[stream], stream, recipe)

    def frames_of(stream: str) -> Frames:
        dim = modalities[stream].dim or 0

        def read(row: int) -> Floats:
            frames = rows_of(load(row).features, stream, recipe) if lengths[stream][row] else None
            return np.zeros((0, dim), np.float32) if frames is None else frames

        return Frames(modalities[stream], np.array(lengths[stream], dtype=np.int64), read)

    known = Counter(language for language in languages if language)
    columns = ["id", "word", "start", "end", "probability"]
    return Source(
        table=table.assign(text=_objects(texts), language=_objects(languages), warnings=remarks),
        frames={stream: frames_of(stream) for stream in STREAMS if stream in modalities},
        name=name,
        label_range=label_range,
        language=known.most_common(1)[0][0] if known else recipe.speech.language or None,
        recipe=recipe,
        tables={WORDS: pd.DataFrame(words, columns=columns)} if words else {},
    )


def dataset_of(clips: Sequence[tuple[str, Features]], recipe: Recipe, modalities: Mapping[str, Modality]) -> Dataset:
    """Clips that lie in memory, as a data set without labels for a model that reads ``modalities``.

    Args:
        clips: id and features of each.
        recipe: by which they were extracted.
        modalities: those of the model; a stream that it does not read is left out.
    """
    table = pd.DataFrame({"id": [name for name, _ in clips], "split": "test", "label": np.nan})
    texts = _objects([features.transcript.text or None for _, features in clips])
    table = table.assign(video=table["id"], text=texts)
    kept = {name: modality for name, modality in modalities.items() if name in STREAMS}
    matrices = {}
    for name, modality in kept.items():
        found = [rows_of(features, name, recipe) for _, features in clips]
        empty = np.zeros((0, modality.dim or 0), np.float32)
        rows = [empty if frames is None else frames for frames in found]
        lengths = np.array([len(frames) for frames in rows], dtype=np.int64)
        table[f"{name}_offset"], table[f"{name}_length"] = np.cumsum(lengths) - lengths, lengths
        matrices[name] = np.concatenate([empty, *rows])
    words = {TEXT: Modality(kind="text")} if TEXT in modalities else {}
    manifest = Manifest(name="clips", label_range=(-1.0, 1.0), modalities=words | kept, recipe=recipe)
    return Dataset(Path(), manifest, table, matrices)


def _objects(values: Sequence[str | None]) -> pd.Series:
    """A column of words, None where there is none (pandas would make it NaN)."""
    return pd.Series(list(values), dtype=object)
