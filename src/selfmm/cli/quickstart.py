"""The quickstart, a first look at selfmm: the starter, a fit to a few rated clips, and Self-MM on planted data."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfmm import api
from selfmm.cli import options
from selfmm.cli.output import as_options

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from selfmm.api import Clip, SentimentModel

_CLIPS = 64  # talking heads


def register(app: typer.Typer) -> None:
    options.register(app, "Start", quickstart=quickstart)


def quickstart(
    out: Annotated[Path, typer.Option(help="Folder for the data sets and runs.")] = Path("quickstart"),
    clips: Annotated[int, typer.Option(min=50, help="Number of clips to plant.")] = 400,
    recordings: Annotated[
        Path | None, typer.Option(help="Your own rated recordings, a table or folder, instead of talking heads.")
    ] = None,
) -> None:
    """Score a clip before anything is trained, learn from a few ratings, then train Self-MM on data with a known truth.

    The clips need optional packages and weights; without them, the first half is left out.
    """
    from rich.console import Console

    from selfmm.api import first_steps

    console = Console()
    begun = time.perf_counter()
    if recordings is not None:
        first_steps.check_recordings(recordings)
    runs = []
    if missing := first_steps.missing_for_recordings():
        console.print(f"Scores of recordings need {missing}. To get it:")
        console.print(f"  {first_steps.INSTALL}", markup=False, highlight=False)
    else:
        table = recordings or _make_recordings(console, out / "clips")
        run = first_steps.fresh(out / "clips-run")
        runs.append(learn_recordings(console, table, out / "clips-data", run).folder.path)
    runs.append(_learn_planted(console, out, clips).folder.path)
    console.print(_next_steps(*runs), highlight=False)
    console.print(f"took {time.perf_counter() - begun:.0f} s")


def _make_recordings(console: Console, folder: Path) -> Path:
    from selfmm.api import first_steps

    console.print(f"1. drawing {_CLIPS} talking heads whose true sentiment is known, in {folder}")
    return first_steps.short_clips(folder, _CLIPS)


def learn_recordings(console: Console, source: Path, data: Path, run: Path) -> SentimentModel:
    """Score a clip with the starter, extract all recordings to ``data``, fit them in ``run``, and score it again."""
    from selfmm.api import first_steps
    from selfmm.cli.progress import watch_clips, watch_training

    example = first_steps.first_clip(source)
    console.print(
        f"2. the score of one clip, before anything is trained: selfmm predict {example.path}", highlight=False
    )
    _print_card(console, "starter", example)
    console.print(f"3. extracting words, voice and face of each clip to {data}")
    with watch_clips(console) as clips:
        extracted = api.extract(source, data, force=True, listener=clips)
    for failure in extracted.failures:
        console.print(f"left out: {failure.id}: {as_options(failure.reason)}", markup=False)
    console.print(f"4. learning from one rating per clip: selfmm train {data} --out {run}", highlight=False)
    with watch_training(console) as epochs:
        model = api.train(extracted.dataset, out=run, listener=epochs)
    console.print("5. correlation of each score with its true label; ratings of the test split were not used")
    console.print(agreement_table(first_steps.agreement(extracted.dataset, model)))
    clip = first_steps.unseen_clip(source, extracted.dataset)
    console.print(f"6. a clip of the test split: selfmm predict {run} {clip.path}", highlight=False)
    _print_card(console, model, clip)
    return model


def _print_card(console: Console, run: SentimentModel | str, clip: Clip) -> None:
    from selfmm.cli.show_scores import card

    for prediction in api.predict_each(run, [clip]):
        if isinstance(prediction, api.Prediction):
            console.print(card(prediction))


def _learn_planted(console: Console, out: Path, clips: int) -> SentimentModel:
    from selfmm.api import first_steps
    from selfmm.cli.progress import watch_training
    from selfmm.cli.show_results import run_summary

    console.print(f"7. planting {clips} clips whose true label of each modality is known, in {out / 'data'}")
    dataset = api.planted(out / "data", clips=clips, force=True)
    console.print(f"8. training Self-MM on one label per clip, in {out / 'run'}")
    with watch_training(console) as listener:
        model = api.train(dataset, preset="quickstart", out=first_steps.fresh(out / "run"), listener=listener)
    console.print("9. results: how close the fused score is to the label")
    console.print(run_summary(model))
    console.print("10. the labels it generated for each modality, compared with the truth, which training never saw")
    recovery = first_steps.final_recovery(model)
    console.print(recovery_table(recovery))
    console.print("The trivial answer is the m-label itself. " + verdict(recovery))
    return model


_MEASURES = (
    ("correlation with the truth", "corr", "corr_trivial"),
    ("mean absolute error", "mae", "mae_trivial"),
    ("contradicting: right sign", "right", "right_trivial"),
    ("agreeing: wrong sign", "flipped", "flipped_trivial"),
)


def recovery_table(frame: pd.DataFrame) -> Table:
    """Lay out the table of ``recovery``: for each modality the u-label's figure, then the trivial answer's."""
    from selfmm.cli.show_results import figure_table

    table = figure_table("u-label | m-label", *frame.index)
    for measure, own, trivial in _MEASURES:
        table.add_row(measure, *(f"{row[own]:.3f} | {row[trivial]:.3f}" for _, row in frame.iterrows()))
    return table


def verdict(frame: pd.DataFrame) -> str:
    """Return one sentence: for which modalities the u-labels are closer to the truth than the m-label."""
    better = [str(name) for name, row in frame.iterrows() if row["corr"] > row["corr_trivial"]]
    if not better:
        return "Here no modality's u-labels correlate better with the truth than the plain m-label does."
    return f"Here the u-labels of {', '.join(better)} correlate better with the truth than the plain m-label does."


def agreement_table(frame: pd.DataFrame) -> Table:
    """Lay out the table of ``first_steps.agreement``."""
    from rich.text import Text

    from selfmm.cli.show_results import figure_table

    table = figure_table("score of", *frame.columns)
    for truth, row in frame.iterrows():
        name = str(truth).removeprefix("label_")
        cells = ["-" if math.isnan(value) else f"{value:.3f}" for value in row]
        table.add_row(Text("all together" if name == "label" else name), *cells)
    return table


def _next_steps(*runs: Path) -> str:
    *recorded, planted = runs
    lines = ["", "Next:", "  selfmm predict your_video.mp4"]
    lines += ["  selfmm extract your_clips.csv mydata && selfmm train mydata"] if recorded else []
    lines += [f"  selfmm predict {run} your_video.mp4 --explain" for run in recorded]
    lines += [f"  selfmm labels {planted} --audit", "  selfmm import your_features.csv mydata && selfmm train mydata"]
    return "\n".join(lines)
