"""The second half of the quickstart: from raw recordings to a score."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from selfmm.api import train
from selfmm.cli.prediction import card
from selfmm.cli.progress import extract_listener, listener
from selfmm.config.recipe import load_recipe
from selfmm.core.errors import MissingPackageError
from selfmm.core.weights import find, locate
from selfmm.data.store import SPLITS, Dataset
from selfmm.demo.clips import make_clips
from selfmm.features.clips.clip import Clip
from selfmm.features.clips.listing import read_clips
from selfmm.features.extract import extract
from selfmm.recordings.model import SentimentModel
from selfmm.runs.trained_model import TrainedModel

INSTALL = "pip install 'selfmm[video]' && selfmm weights get tiny.en face"
_MODULES = ("av", "faster_whisper", "joblib", "mediapipe")  # of the extra [video]
_COUNT = 64
_SECONDS = (2.0, 3.0)
# Found by the validation split of other talking heads than those made here (another seed).
_SETTINGS = ("training.batch_size=8", "training.max_epochs=10", "training.patience=10", "stream.audio.lr=5e-3")


def lacking() -> str:
    """What recordings need and is not here, as words; empty: all is."""
    missing = [name for name in _MODULES if importlib.util.find_spec(name) is None]
    return ", ".join([*missing, *([] if find("face") else ["the weights face"])])


def check_own(recordings: Path) -> None:
    """Tells what is wrong with the user's recordings before anything takes time.

    Raises:
        MissingPackageError, WeightsError: extraction needs something that is not here.
        SourceError: the list is wrong as a whole, or brings no ratings.
    """
    if missing := lacking():
        raise MissingPackageError(f"recordings need {missing}. This brings it: {INSTALL}")
    clips = read_clips(recordings, require_labels=True).clips
    if any(clip.text is None and clip.subtitles is None for clip in clips):
        locate("tiny.en")


def demo_clips(console: Console, folder: Path, count: int = _COUNT) -> Path:
    """The table of talking heads made in ``folder``."""
    console.print(
        f"\n5. the same from raw videos: {count} talking heads with known truth, drawn and spoken in {folder}"
    )
    return make_clips(folder, count=count, seconds=_SECONDS, force=True)


def learn_recordings(
    console: Console, source: Path, data: Path, run: Path, overrides: Sequence[str] = _SETTINGS
) -> SentimentModel:
    """Extracts recordings to ``data``, trains in ``run``, and prints what came of it with the card of one clip."""
    console.print(f"6. extracting words, voice and face of each clip to {data}")
    with extract_listener(console) as progress:
        found = extract(source, data, recipe=load_recipe(), force=True, listener=progress)
    for failure in found.failures:
        console.print(f"left out: {failure.id}: {failure.reason}", markup=False)
    console.print(f"7. training on one label per clip, in {run}")
    with listener(console) as epochs:
        model = train(found.dataset, preset="quickstart", overrides=overrides, out=run, listener=epochs)
    console.print("8. correlation of each score with its truth; training saw the label of the train split alone")
    console.print(agreement_table(agreement(found.dataset, model)))
    clip = _one(source, found.dataset)
    console.print(f"9. one clip that training never saw: selfmm predict {run} {clip.path}", highlight=False)
    console.print(card(model.predict(clip)))
    return model


def agreement(dataset: Dataset, model: TrainedModel) -> pd.DataFrame:
    """Pearson correlation of scores and truth per split: a row ``label`` of the fused score, then a row
    ``label_<modality>`` of each modality whose truth is known; NaN where there are too few clips."""
    truths = ["label", *(f"label_{name}" for name in model.info.modalities)]
    truths = [name for name in truths if name in dataset.samples]
    scores = model.predictions.drop(columns="label").merge(dataset.samples[["id", *truths]], on="id")
    found = {split: [_correlation(part, name) for name in truths] for split, part in scores.groupby("split")}
    return pd.DataFrame(found, index=truths)[[split for split in SPLITS if split in found]]


def _correlation(table: pd.DataFrame, truth: str) -> float:
    pair = table[[truth.replace("label", "score", 1), truth]].dropna()
    if len(pair) < 3 or (pair.nunique() < 2).any():
        return float("nan")
    return float(np.corrcoef(pair.to_numpy(dtype=np.float64).T)[0, 1])


def agreement_table(frame: pd.DataFrame) -> Table:
    """The table of ``agreement`` for the terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("score of", no_wrap=True)
    for split in frame.columns:
        table.add_column(Text(str(split)), justify="right", no_wrap=True)
    for truth, row in frame.iterrows():
        name = str(truth).removeprefix("label_")
        cells = ["-" if np.isnan(value) else f"{value:.3f}" for value in row]
        table.add_row(Text("all together" if name == "label" else name), *cells)
    return table


def _one(source: Path, dataset: Dataset) -> Clip:
    """The first clip of the test split, with the words that came with it; the last of all if there is no such split."""
    rows = dataset.rows("test")
    name = str(dataset.samples["id"].iloc[rows[0] if len(rows) else -1])
    return next(clip for clip in read_clips(source).clips if clip.id == name)
