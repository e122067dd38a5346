"""The learning curve on rated texts: ``python benchmarks/learning_curve.py DATA [--sizes 10,30,100,300,1000]``.

DATA is a data set with words and labels, for example one imported from MOSI. A quarter of its videos is the test, drawn
again for each seed, and the given number of the other clips is rated. Each line is the mean over the draws, of

- ``train``: ``selfmm train`` as it is, which chooses the model by the number of rated clips;
- ``before``: what it did until version 0.2: Self-MM with MiniLM (with --slow);
- ``scratch``: a ridge regression on the same frozen text encoder that does not know the starter, its strength chosen by
  leaving out one clip.

``starter`` is the zero-shot score of the same test clips.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

import selfmm
from selfmm.config.settings import load_settings
from selfmm.data.store import Dataset
from selfmm.data.writer import Frames, Source, write_dataset
from selfmm.evaluation.metrics import evaluate
from selfmm.labels.ridge import left_out
from selfmm.models.frozen_inputs import frozen_inputs
from selfmm.models.text import text_encoder

_SHARE = 0.25  # of the videos, for the test
_DRAWS = {10: 10, 30: 10, 100: 5, 300: 3}  # by size; larger ones have 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sizes", default="10,30,100,300,1000")
    parser.add_argument("--modalities", default="text,audio")
    parser.add_argument("--slow", action="store_true", help="also train Self-MM on MiniLM")
    arguments = parser.parse_args()
    dataset = selfmm.open_dataset(arguments.data)
    states = _states(dataset)
    figures: dict[tuple[int, str], list[tuple[float, float]]] = defaultdict(list)
    for size in map(int, arguments.sizes.split(",")):
        for draw in range(_DRAWS.get(size, 2)):
            rated, test = _drawn(dataset, size, draw)
            with tempfile.TemporaryDirectory(prefix="selfmm-") as folder:
                part = _part(dataset, rated, test, Path(folder) / "data", arguments.modalities.split(","))
                scores = {"starter": selfmm.load("starter").score(part, split="test")}
                scores["train"] = selfmm.train(part, out=Path(folder) / "run").score(part, split="test")
                if arguments.slow:
                    before = selfmm.train(part, model="self_mm", text_encoder="minilm", out=Path(folder) / "before")
                    scores["before"] = before.score(part, split="test")
            for name, table in scores.items():
                figures[size, name].append(_figures(table["score"], table["label"]))
            scratch = left_out([states], np.where(rated, dataset.labels(), 0.0), rated)
            figures[size, "scratch"].append(_figures(scratch[test], dataset.labels()[test]))
        for name in dict.fromkeys(name for count, name in figures if count == size):
            corr, mae = np.mean(figures[size, name], axis=0)
            print(f"{size:>5} {name:>8}  Corr {corr:.3f}  MAE {mae:.3f}", flush=True)


def _figures(scores: pd.Series | np.ndarray, labels: pd.Series | np.ndarray) -> tuple[float, float]:
    values = evaluate(np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)).values
    return values["corr"], values["mae"]


def _states(dataset: Dataset) -> np.ndarray:
    settings = load_settings(None, ["text.encoder=e5", "text.finetune=false"])
    words = {"text": dataset.modalities["text"]}
    [states] = frozen_inputs(dataset, words, settings, text_encoder(settings.text))["text"]
    return np.nan_to_num(states)


def _drawn(dataset: Dataset, size: int, draw: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which clips are rated, and which are the test; no video has both."""
    random = np.random.default_rng(draw)
    names = dataset.samples["video"].to_numpy(dtype=str)
    videos = random.permutation(np.unique(names))
    test = np.isin(names, videos[: round(_SHARE * len(videos))])
    rated = np.zeros(len(names), dtype=bool)
    rated[random.permutation(np.flatnonzero(~test))[:size]] = True
    return rated, test


def _part(dataset: Dataset, rated: np.ndarray, test: np.ndarray, out: Path, modalities: list[str]) -> Dataset:
    """Write the drawn clips as a data set: a tenth of the rated ones are the validation split."""
    rows = np.flatnonzero(rated | test)
    table = dataset.samples.iloc[rows][["id", "label", "text", "video"]].reset_index(drop=True)
    number = np.cumsum(rated)[rows]
    table["split"] = np.where(test[rows], "test", np.where(number % 10 == 0, "valid", "train"))
    frames = {}
    for name in modalities:
        if dataset.modalities[name].kind == "frames":
            read = partial(_frames_of, dataset, name, rows)
            frames[name] = Frames(dataset.modalities[name], dataset.lengths(name)[rows], read)
    source = Source(pd.DataFrame(table), frames, "part", dataset.manifest.label_range)
    return write_dataset(source, out)


def _frames_of(dataset: Dataset, name: str, rows: np.ndarray, clip: int) -> np.ndarray:
    return dataset.frames(name, int(rows[clip]))


if __name__ == "__main__":
    main()
