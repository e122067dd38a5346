"""A small data set for annotation, with media, places and a clip that lacks its face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from selfmm.annotation.clips import clips_to_annotate
from selfmm.annotation.label_studio import Project
from selfmm.data.manifest import Modality
from selfmm.data.store import Dataset
from selfmm.data.writer import Frames, Source, write_dataset

MODALITIES = ["text", "audio", "vision"]
TRAIN = ["a", "b", "c <&> \"d\" 'é'", "e"]


def small(folder: Path, **columns: object) -> Dataset:
    """Four training clips, one of validation and one of test; the training clip ``e`` lacks vision."""
    ids = [*TRAIN, "v", "t"]
    table = pd.DataFrame(
        {
            "id": ids,
            "split": ["train"] * 4 + ["valid", "test"],
            "label": [1.0, -1.0, 0.4, -2.0, 1.0, -1.0],
            "text": ["good", "bad, very", "=so so", "真的不好", "good", "bad"],
            "video": ["one", "two", "three", "three", "four", "five"],
            **columns,
        }
    )
    lengths = {"audio": np.full(6, 2), "vision": np.array([2, 2, 2, 0, 2, 2])}
    frames = {
        name: Frames(Modality(kind="frames", dim=2), of_clip, lambda i, n=of_clip: np.ones((n[i], 2), dtype="f4"))  # type: ignore[misc]
        for name, of_clip in lengths.items()
    }
    return write_dataset(Source(table, frames, "small", (-3.0, 3.0)), folder)


def u_labels() -> pd.DataFrame:
    """Of the last epoch; modalities disagree most in ``b``, then in the third clip."""
    values = {"text": [1.0, -1.5, 0.4, -2.0], "audio": [1.0, 2.0, 1.26, -2.0], "vision": [1.1, -1.5, 0.4, -2.0]}
    return pd.concat(
        [pd.DataFrame({"id": TRAIN, "modality": name, "u_label": of_clips}) for name, of_clips in values.items()],
        ignore_index=True,
    )


def project(dataset: Dataset, media_root: str = "") -> Project:
    clips = clips_to_annotate(dataset, u_labels(), MODALITIES)
    return Project(clips, MODALITIES, dataset.manifest.label_range, "selfmm run", media_root)
