"""What the quickstart needs besides the functions of :mod:`selfmm.api`: checks, and measures of its results."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from selfmm.core.errors import MissingPackageError
from selfmm.core.weights import find, locate

if TYPE_CHECKING:
    import pandas as pd

    from selfmm.data.store import Dataset
    from selfmm.features.clips.clip import Clip
    from selfmm.runs.trained_model import TrainedModel

INSTALL = "pip install 'selfmm[video]' && selfmm weights get e5 tiny.en face"
_MODULES = ("av", "faster_whisper", "joblib", "mediapipe")  # of the extra [video]
_SECONDS = (2.0, 3.0)


def missing_for_recordings() -> str:
    """Return what this machine lacks for recordings, in words; empty if it lacks nothing."""
    missing = [name for name in _MODULES if importlib.util.find_spec(name) is None]
    return ", ".join([*missing, *(f"the weights {name}" for name in ("face", "e5") if find(name) is None)])


def check_recordings(recordings: Path) -> None:
    """Check a user's recordings before anything takes time.

    Raises:
        MissingPackageError, WeightsError: if extraction needs something that is not installed.
        SourceError: if the list cannot be used, or has no ratings.
    """
    from selfmm.features.clips.listing import read_clips

    if missing := missing_for_recordings():
        raise MissingPackageError(f"recordings need {missing}. To get it: {INSTALL}")
    clips = read_clips(recordings, require_labels=True).clips
    if any(clip.text is None and clip.subtitles is None for clip in clips):
        locate("tiny.en")


def fresh(path: Path) -> Path:
    """Return a path that does not exist yet: ``path``, or with a number, to keep what was made before."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def final_recovery(model: TrainedModel) -> pd.DataFrame:
    """Return how close the u-labels of a run are to the true label of each modality, see ``recovery``."""
    from selfmm.runs.material import Material

    compared = Material.read(model.folder.path).audit().recovery
    assert compared is not None, "planted data have true labels"
    return compared


def short_clips(folder: Path, count: int) -> Path:
    """Make clips of talking heads that last two to three seconds, and return their table."""
    from selfmm.demo.clips import make_clips

    return make_clips(folder, count=count, seconds=_SECONDS, force=True)


def agreement(dataset: Dataset, model: TrainedModel) -> pd.DataFrame:
    """Return the Pearson correlation of scores and true labels.

    Returns:
        A column per split; a row ``label`` for the fused score, then a row ``label_<modality>`` for each modality with
        a known true label. NaN if a split has too few clips.
    """
    import pandas as pd

    from selfmm.data.manifest import SPLITS

    truths = ["label", *(f"label_{name}" for name in model.info.modalities)]
    truths = [name for name in truths if name in dataset.samples]
    scores = model.predictions.drop(columns="label").merge(dataset.samples[["id", *truths]], on="id")
    columns = {split: [_correlation(part, name) for name in truths] for split, part in scores.groupby("split")}
    return pd.DataFrame(columns, index=truths)[[split for split in SPLITS if split in columns]]


def _correlation(table: pd.DataFrame, truth: str) -> float:
    import numpy as np

    pair = table[[truth.replace("label", "score", 1), truth]].dropna()
    if len(pair) < 3 or (pair.nunique() < 2).any():
        return float("nan")
    return float(np.corrcoef(pair.to_numpy(dtype=np.float64).T)[0, 1])


def first_clip(source: Path) -> Clip:
    """Return the first clip of a list, with the words that came with it."""
    from selfmm.features.clips.listing import read_clips

    return read_clips(source).clips[0]


def unseen_clip(source: Path, dataset: Dataset) -> Clip:
    """Return the first clip of the test split with the words that came with it; without a test split, the last clip."""
    from selfmm.features.clips.listing import read_clips

    rows = dataset.rows("test")
    name = str(dataset.samples["id"].iloc[rows[0] if len(rows) else -1])
    return next(clip for clip in read_clips(source).clips if clip.id == name)
