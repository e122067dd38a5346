"""The main job on planted data: what a newcomer sees first."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from selfmm.api import train
from selfmm.cli.progress import listener
from selfmm.cli.tables import run_summary
from selfmm.data.planted import PlantedSettings, write_planted
from selfmm.data.store import Dataset
from selfmm.labels.recovery import recovery
from selfmm.predict import TrainedModel


def run(out: Path, clips: int) -> None:
    """Plants ``clips`` clips in ``out``/data, trains in ``out``/run and prints what came of it."""
    console = Console()
    started = time.perf_counter()
    console.print(f"1. planting {clips} clips with known truth per modality in {out / 'data'}")
    dataset = write_planted(out / "data", PlantedSettings(clips=clips), force=True)
    console.print(f"2. training Self-MM on one label per clip, in {out / 'run'}")
    with listener(console) as progress:
        model = train(dataset, preset="quickstart", out=_fresh(out / "run"), listener=progress)
    console.print("3. results: how well the fused score meets the label")
    console.print(run_summary(model))
    console.print("4. the labels it generated per modality, against the truth that training never saw")
    console.print(recovery_table(final_recovery(dataset, model)))
    console.print(_next_steps(out), highlight=False)
    console.print(f"took {time.perf_counter() - started:.0f} s")


def _fresh(path: Path) -> Path:
    """A run folder that is not there yet: an earlier quickstart's run is kept."""
    number = 1
    candidate = path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def final_recovery(dataset: Dataset, model: TrainedModel) -> pd.DataFrame:
    """How well the u-labels of the last epoch meet the data set's label per modality, see ``recovery``."""
    labels = model.labels
    last = labels[labels["epoch"] == labels["epoch"].max()]
    u_labels = {str(name): group["u_label"].to_numpy() for name, group in last.groupby("modality")}
    return recovery(dataset.samples.iloc[dataset.rows("train")], u_labels)


def recovery_table(frame: pd.DataFrame) -> Table:
    """The table of ``recovery`` for the terminal."""
    table = Table("", *map(str, frame.columns))
    for name, row in frame.iterrows():
        table.add_row(Text(str(name)), *(f"{value:.3f}" for value in row))
    return table


def _next_steps(out: Path) -> str:
    return "\n".join(
        [
            "",
            "Next:",
            f"  selfmm predict {out / 'run'} --text 'I really loved the ending'",
            f"  selfmm labels {out / 'run'} --out labels.csv",
            "  selfmm import your_features.csv mydata && selfmm train mydata",
        ]
    )
