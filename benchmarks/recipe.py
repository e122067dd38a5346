"""Compare ways to train on the clips of train and valid, by cross-validation over recordings.

    python benchmarks/recipe.py DATA --encoder minilm                    # every recipe; a table, MAE / Corr
    python benchmarks/recipe.py DATA --encoder e5 --only mosi best       # two of them
    python benchmarks/recipe.py DATA --start runs/starter-minilm         # begin from a run that `selfmm starter` made

The recordings of train and valid are dealt to five folds of about the same number of clips. Each of the five seeds
trains on four of them and chooses its epoch on the fifth. So every clip is a validation clip once, and a recipe is
chosen on all of them. Test clips are scored as well, for the table; they choose nothing.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from command import run_benchmark

import selfmm
from selfmm.data.store import Dataset, open_dataset
from selfmm.training.seeds import run_figures

FOLDS = 5
SHOWN = ("valid_mae", "valid_corr", "test_mae", "test_corr")
_STEPS = ("training.schedule=linear", "training.max_epochs=6", "training.accumulation=1")
RECIPES: Mapping[str, tuple[str | None, tuple[str, ...]]] = {
    "mosi": ("mosi", ("training.max_epochs=12",)),
    "defaults": (None, ("training.max_epochs=10",)),
    "schedule": (None, ("training.schedule=linear", "training.max_epochs=6")),
    "schedule, a step per batch, mean token": (None, (*_STEPS, "text.pooling=mean")),
    "the same, first token": (None, (*_STEPS, "text.pooling=first")),
    "the same, all layers": (None, (*_STEPS, "text.pooling=mean", "text.layer=weighted")),
    "the same, one clip of context": (None, (*_STEPS, "text.pooling=mean", "text.context=1")),
    "best": ("best", ()),
}
"""Recipes by name: a preset, and settings. Those with ``--start`` leave pooling to the run that they start from."""


def folds(dataset: Dataset) -> dict[str, int]:
    """Return the fold of each recording of train and valid: the largest first, to the fold with the fewest clips."""
    chosen = dataset.samples[dataset.samples["split"] != "test"]
    sizes = chosen.groupby("video").size()
    order = sorted(np.random.default_rng(0).permutation(sizes.index.to_numpy()), key=lambda video: -sizes[video])
    clips, fold = [0] * FOLDS, {}
    for video in order:
        fold[video] = int(np.argmin(clips))
        clips[fold[video]] += int(sizes[video])
    return fold


def with_fold(dataset: Dataset, fold: Mapping[str, int], number: int) -> Dataset:
    """Return the data set with one fold as its validation split and the others as its training split."""
    samples = dataset.samples.copy()
    chosen = samples["split"] != "test"
    samples.loc[chosen, "split"] = np.where(samples.loc[chosen, "video"].map(fold) == number, "valid", "train")
    return replace(dataset, samples=samples)


def measure(
    dataset: Dataset, preset: str | None, settings: Sequence[str], encoder: str | None, start: str | None
) -> pd.Series:
    """Train a seed per fold and return the means of its figures, see :func:`selfmm.training.seeds.run_figures`."""
    fold, figures = folds(dataset), []
    for number in range(FOLDS):
        with tempfile.TemporaryDirectory(prefix="selfmm-") as out:
            model = selfmm.train(
                with_fold(dataset, fold, number),
                preset=preset,
                model="self_mm",
                overrides=settings,
                seed=1111 + number,
                text_encoder=encoder,
                start=start,
                out=Path(out) / "run",
            )
            figures.append(run_figures(model.folder))
    return pd.DataFrame(figures).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--encoder", help="text encoder; default: that of --start, or minilm")
    parser.add_argument("--start", help="a run to start from")
    parser.add_argument("--modalities", default="text,audio")
    parser.add_argument("--only", nargs="+", choices=list(RECIPES), default=list(RECIPES), metavar="RECIPE")
    arguments = parser.parse_args()
    dataset = open_dataset(arguments.data)
    encoder = arguments.encoder or (None if arguments.start else "minilm")
    for name in arguments.only:
        preset, settings = RECIPES[name]
        if arguments.start:
            settings = tuple(setting for setting in settings if not setting.startswith(("text.pooling", "text.layer")))
        figures = measure(dataset, preset, [*settings, f"modalities={arguments.modalities}"], encoder, arguments.start)
        print(f"{name:42}", *(f"{key} {figures[key]:.3f} " for key in SHOWN), flush=True)


if __name__ == "__main__":
    run_benchmark(main)
