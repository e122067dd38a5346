"""The quickstart, a first look at selfmm: train on planted data, then do the same with raw recordings."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
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

    from selfmm.api import SentimentModel

_CLIPS = 64  # talking heads
# Chosen on the validation split of other talking heads (another seed) than those made here.
_SETTINGS = ("training.batch_size=8", "training.max_epochs=10", "training.patience=10", "stream.audio.lr=5e-3")


def register(app: typer.Typer) -> None:
    options.register(app, "Start", quickstart=quickstart)


def quickstart(
    out: Annotated[Path, typer.Option(help="Folder for the data sets and runs.")] = Path("quickstart"),
    clips: Annotated[int, typer.Option(min=50, help="Number of clips to plant.")] = 400,
    recordings: Annotated[
        Path | None, typer.Option(help="Your own rated recordings, a table or folder, instead of talking heads.")
    ] = None,
) -> None:
    """Train on a planted data set and show how true the generated labels are; then do the same with raw videos.

    The videos need optional packages and weights; without them, the second half is left out.
    """
    from rich.console import Console

    from selfmm.api import first_steps

    console = Console()
    start = time.perf_counter()
    if recordings is not None:
        first_steps.check_recordings(recordings)
    model = _learn_planted(console, out, clips)
    runs = [model.folder.path]
    if missing := first_steps.missing_for_recordings():
        console.print(f"\nThe same from raw videos needs {missing}. To get it:")
        console.print(f"  {first_steps.INSTALL}", markup=False, highlight=False)
    else:
        table = recordings or _make_recordings(console, out / "clips")
        run = first_steps.fresh(out / "clips-run")
        runs.append(learn_recordings(console, table, out / "clips-data", run).folder.path)
    console.print(_next_steps(*runs), highlight=False)
    console.print(f"took {time.perf_counter() - start:.0f} s")


def _learn_planted(console: Console, out: Path, clips: int) -> SentimentModel:
    from selfmm.api import first_steps
    from selfmm.cli.progress import watch_training
    from selfmm.cli.show_results import run_summary

    console.print(f"1. planting {clips} clips whose true label of each modality is known, in {out / 'data'}")
    dataset = api.planted(out / "data", clips=clips, force=True)
    console.print(f"2. training Self-MM on one label per clip, in {out / 'run'}")
    with watch_training(console) as listener:
        model = api.train(dataset, preset="quickstart", out=first_steps.fresh(out / "run"), listener=listener)
    console.print("3. results: how close the fused score is to the label")
    console.print(run_summary(model))
    console.print("4. the labels it generated for each modality, compared with the truth, which training never saw")
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


def _make_recordings(console: Console, folder: Path) -> Path:
    from selfmm.api import first_steps

    console.print(
        f"\n5. the same from raw videos: {_CLIPS} talking heads with known true labels, drawn and spoken, in {folder}"
    )
    return first_steps.short_clips(folder, _CLIPS)


def learn_recordings(
    console: Console, source: Path, data: Path, run: Path, overrides: Sequence[str] = _SETTINGS
) -> SentimentModel:
    """Extract recordings to ``data``, train in ``run``, and print the results and the card of one clip."""
    from selfmm.api import first_steps
    from selfmm.cli.progress import watch_clips, watch_training
    from selfmm.cli.show_scores import card

    console.print(f"6. extracting words, voice and face of each clip to {data}")
    with watch_clips(console) as clips:
        extracted = api.extract(source, data, force=True, listener=clips)
    for failure in extracted.failures:
        console.print(f"left out: {failure.id}: {as_options(failure.reason)}", markup=False)
    console.print(f"7. training on one label per clip, in {run}")
    with watch_training(console) as epochs:
        model = api.train(extracted.dataset, preset="quickstart", overrides=overrides, out=run, listener=epochs)
    console.print("8. correlation of each score with its true label; training saw only the labels of the train split")
    console.print(agreement_table(first_steps.agreement(extracted.dataset, model)))
    clip = first_steps.unseen_clip(source, extracted.dataset)
    console.print(f"9. one clip that training never saw: selfmm predict {run} {clip.path}", highlight=False)
    for prediction in api.predict_each(model, [clip]):
        if isinstance(prediction, api.Prediction):
            console.print(card(prediction))
    return model


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
