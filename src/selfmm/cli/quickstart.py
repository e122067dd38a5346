"""The main job on planted data, and from raw recordings on: what a newcomer sees first."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from selfmm.api import train
from selfmm.cli.progress import listener
from selfmm.cli.quickstart_recordings import INSTALL, check_own, demo_clips, lacking, learn_recordings
from selfmm.cli.tables import run_summary
from selfmm.data.planted import PlantedSettings, write_planted
from selfmm.data.scales import LabelScale
from selfmm.data.store import Dataset
from selfmm.labels.audit.recovery import recovery
from selfmm.recordings.model import SentimentModel
from selfmm.runs.trained_model import TrainedModel


def run(out: Path, clips: int, recordings: Path | None = None) -> None:
    """Plants ``clips`` clips in ``out``/data, trains in ``out``/run and prints what came of it; then the same from
    recordings.

    Args:
        recordings: with ratings, see ``clips.listing``; by default talking heads are made in ``out``/clips. Without
            what extraction needs, that half is left out.

    Raises:
        MissingPackageError, WeightsError, SourceError: ``recordings`` cannot be used; this is told first.
    """
    console = Console()
    started = time.perf_counter()
    if recordings is not None:
        check_own(recordings)
    model = _learn_planted(console, out, clips)
    runs = [model.folder.path]
    if missing := lacking():
        console.print(f"\nThe same from raw videos would need {missing}. This brings it:")
        console.print(f"  {INSTALL}", markup=False, highlight=False)
    else:
        table = recordings or demo_clips(console, out / "clips")
        runs.append(learn_recordings(console, table, out / "clips-data", _fresh(out / "clips-run")).folder.path)
    console.print(_next_steps(*runs), highlight=False)
    console.print(f"took {time.perf_counter() - started:.0f} s")


def _learn_planted(console: Console, out: Path, clips: int) -> SentimentModel:
    console.print(f"1. planting {clips} clips with known truth per modality in {out / 'data'}")
    dataset = write_planted(out / "data", PlantedSettings(clips=clips), force=True)
    console.print(f"2. training Self-MM on one label per clip, in {out / 'run'}")
    with listener(console) as progress:
        model = train(dataset, preset="quickstart", out=_fresh(out / "run"), listener=progress)
    console.print("3. results: how well the fused score meets the label")
    console.print(run_summary(model))
    console.print("4. the labels it generated per modality, against the truth that training never saw")
    found = final_recovery(dataset, model)
    console.print(recovery_table(found))
    console.print("The m-label itself is the trivial answer. " + verdict(found))
    return model


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
    neutral = LabelScale.of(dataset.manifest.label_range).neutral
    return recovery(dataset.samples.iloc[dataset.rows("train")], u_labels, neutral)


_MEASURES = (
    ("correlation with the truth", "corr", "corr_trivial"),
    ("mean absolute error", "mae", "mae_trivial"),
    ("contradicting: right sign", "right", "right_trivial"),
    ("agreeing: wrong sign", "flipped", "flipped_trivial"),
)


def recovery_table(frame: pd.DataFrame) -> Table:
    """The table of ``recovery`` for the terminal: per modality the u-label's figure, then the trivial answer's."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("u-label | m-label", no_wrap=True)
    for name in frame.index:
        table.add_column(Text(str(name)), justify="right", no_wrap=True)
    for measure, own, trivial in _MEASURES:
        cells = [f"{row[own]:.3f} | {row[trivial]:.3f}" for _, row in frame.iterrows()]
        table.add_row(measure, *cells)
    return table


def verdict(frame: pd.DataFrame) -> str:
    """One sentence: where the generated labels are nearer to the truth than the m-label they started from."""
    better = [str(name) for name, row in frame.iterrows() if row["corr"] > row["corr_trivial"]]
    if not better:
        return "Here no modality's u-labels correlate better with the truth than the plain m-label does."
    return f"Here the u-labels of {', '.join(better)} correlate better with the truth than the plain m-label does."


def _next_steps(planted: Path, recorded: Path | None = None) -> str:
    lines = [
        "",
        "Next:",
        f"  selfmm predict {planted} --text 'I really loved the ending'",
        f"  selfmm labels {planted} --audit",
        "  selfmm import your_features.csv mydata && selfmm train mydata",
    ]
    if recorded is not None:
        lines += [
            f"  selfmm predict {recorded} your_video.mp4 --explain",
            "  selfmm extract your_clips.csv mydata && selfmm train mydata",
        ]
    return "\n".join(lines)
