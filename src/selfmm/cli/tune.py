"""The command ``selfmm tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from selfmm.cli.output import interruptible


def register(app: typer.Typer) -> None:
    app.command()(tune)


def tune(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A data-set folder.")],
    trials: Annotated[int, typer.Option("--trials", "-n", help="So many trainings in all, the start among them.")],
    model: Annotated[str | None, typer.Option("--model", "-m", help="Which model; see `selfmm models`.")] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", "-p", help="Start from mosi, mosei, sims, simsv2, or a TOML file.")
    ] = None,
    text_encoder: Annotated[
        str | None, typer.Option(help="Hub name, local folder, or minilm (offline weights).")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="A setting that is not searched, key=value. Repeatable.")
    ] = None,
    spaces: Annotated[
        list[str] | None,
        typer.Option(
            "--space",
            help="Search this too, 'text.lr=1e-5..1e-3 log' or options.heads=2,4,8; * for each modality of frames. "
            "Takes the place of the model's own space of this key. Repeatable.",
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(help="So many at once, in processes.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder; default tune/<data>-<model>.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted search, or with more --trials.")
    ] = False,
) -> None:
    """Search settings of a model by the MAE on the validation split; the result is a preset. Never reads the test
    split."""
    from rich.console import Console

    from selfmm.cli.tuning import show_tuning, tune_listener
    from selfmm.experiments.tune import tune as tune_

    console = Console()
    with interruptible(), tune_listener(console) as listener:
        result = tune_(
            data,
            trials=trials,
            model=model,
            preset=preset,
            text_encoder=text_encoder,
            overrides=overrides or (),
            spaces=spaces or (),
            out=out,
            resume=resume,
            jobs=jobs,
            listener=listener,
        )
    origin = [("--preset", preset), ("--text-encoder", text_encoder), *(("--set", one) for one in overrides or ())]
    show_tuning(console, result, data, [word for option, value in origin if value for word in (option, value)])
