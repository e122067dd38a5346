"""Commands that train a model, and list models and settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypedDict

import typer

from selfmm import api
from selfmm.api import parts
from selfmm.cli import options
from selfmm.cli.output import interruptible, speaks


def register(app: typer.Typer) -> None:
    options.register(app, "Train", train=train, starter=starter, ensemble=ensemble)
    options.register(app, "Train", tune=tune, models=models, settings=settings)


def train(
    data: options.Data,
    preset: options.Preset = None,
    model: options.Model = None,
    labels: Annotated[
        str | None, typer.Option(help="Labels per modality: generated, human or none; default: as published.")
    ] = None,
    text_encoder: options.TextEncoder = None,
    start: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Begin from the text encoder, encoders and heads of this run; starter comes with selfmm.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Several seeds, one run each, for example 1111-1115 or 1111,1120-1122.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(help="With --seeds: number of runs at once; default: as many as cores and memory allow."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Run folder; default: runs/<data>-<preset>-<seed>. With --seeds, the folder of all runs.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    overrides: options.Overrides = None,
) -> None:
    """Train a model. Without --model, few rated clips are fitted by adapt, and many train Self-MM.

    Self-MM learns scores and labels of each modality from one label per clip.
    """
    if seed is not None and seeds is not None:
        raise api.ArgumentsError(["give --seed for one run or --seeds for several, not both"])
    if jobs is not None and seeds is None:
        raise api.ArgumentsError(["--jobs is the number of --seeds that run at once; give --seeds too"])
    common: _Training = {
        "preset": preset,
        "model": model,
        "labels": labels,
        "text_encoder": text_encoder,
        "start": start,
        "overrides": overrides or (),
        "out": out,
        "resume": resume,
    }
    with interruptible():
        if seeds is None:
            _train_one(data, seed, common)
        else:
            _train_seeds(data, seeds, jobs, common)


class _Training(TypedDict):
    """Arguments of one training and of several."""

    preset: str | None
    model: str | None
    labels: str | None
    text_encoder: str | None
    start: Path | None
    overrides: Sequence[str]
    out: Path | None
    resume: bool


def _train_one(data: Path, seed: int | None, common: _Training) -> None:
    from rich.console import Console

    from selfmm.cli.progress import watch_training
    from selfmm.cli.show_results import run_summary

    console = Console()
    with watch_training(console) as listener:
        model = api.train(data, seed=seed, listener=listener, **common)
    if speaks():
        console.print(run_summary(model))
    parts.leave()


def _train_seeds(data: Path, seeds: str, jobs: int | None, common: _Training) -> None:
    from rich.console import Console

    from selfmm.cli.progress import watch_runs
    from selfmm.cli.show_results import seeds_summary

    console = Console()
    with watch_runs(console, "seed", epochs=True) as listener:
        result = api.train_seeds(data, seeds=seeds, jobs=jobs, listener=listener, **common)
    console.print(seeds_summary(result, console.width))
    if result.failed:
        missing = ", ".join(map(str, result.failed))
        raise api.TrainingError(f"no result for seed {missing}; continue with the same command and --resume.")


def starter(
    finetune: Annotated[
        bool, typer.Option("--finetune", help="Train the text encoder on the texts, for `train --start`.")
    ] = False,
    encoder: Annotated[str, typer.Option(help="e5, minilm, mpnet, a hub name or a local folder.")] = "e5",
    archive: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The source archive of vadersentiment 3.3.2; default: pip downloads it."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="With --finetune: seed of everything random.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder; default: runs/starter-<encoder>.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted --finetune.")] = False,
    overrides: options.Overrides = None,
) -> None:
    """Train a text encoder on rated texts with --finetune, or fit the starter to them again.

    The texts, 23,703 in English, are downloaded by pip (2.5 MB). `train DATA --start RUN` begins from the result.
    """
    from rich.console import Console

    from selfmm.cli.progress import watch_training
    from selfmm.cli.show_results import run_summary

    console = Console()
    with interruptible(None if finetune else "continue with the same command"), watch_training(console) as listener:
        model = api.starter(
            finetune=finetune,
            encoder=encoder,
            archive=archive,
            overrides=overrides or (),
            seed=seed,
            out=out,
            resume=resume,
            listener=listener,
        )
    console.print(run_summary(model) if finetune else model.info.about)


def ensemble(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Two or more run folders, or the folder of `train --seeds`.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run folder to make.")],
    model: options.OwnModel = None,
    trust: options.Trust = False,
) -> None:
    """Make one run that scores with the mean of several: closer to the label, and less sure where they disagree."""
    from rich.console import Console

    from selfmm.cli.show_results import run_summary

    Console().print(run_summary(api.ensemble(runs, out=out, model=model, trust=trust)))


def tune(
    data: options.Data,
    trials: Annotated[int, typer.Option("--trials", "-n", help="Total number of trials, the start included.")],
    model: options.Model = None,
    preset: options.Preset = None,
    text_encoder: options.TextEncoder = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="A setting that is not searched, key=value. Repeatable.")
    ] = None,
    spaces: Annotated[
        list[str] | None,
        typer.Option(
            "--space",
            help="Also search this space, 'text.lr=1e-5..1e-3 log' or options.heads=2,4,8; * stands for each modality "
            "with frames. It replaces the model's own space for this key. Repeatable.",
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Number of trials at once, each in its own process.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder; default: tune/<data>-<model>.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted search, or add --trials to it.")
    ] = False,
) -> None:
    """Search the settings of a model for the lowest MAE on the validation split; the result is a preset.

    The test split is never read.
    """
    from rich.console import Console

    from selfmm.cli.progress import watch_trials
    from selfmm.cli.show_results import show_tuning

    console = Console()
    with interruptible(), watch_trials(console) as listener:
        result = api.tune(
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
    sets = [("--set", override) for override in overrides or ()]
    start = [("--preset", preset), ("--text-encoder", text_encoder), *sets]
    show_tuning(console, result, data, [word for option, value in start if value for word in (option, value)])


def models(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show the settings of this model.")] = None,
) -> None:
    """Show every model, what it needs, and where it was published."""
    from rich.console import Console

    from selfmm.cli.show_results import plain_table

    Console().print(plain_table(api.models(name)))


def settings(
    preset: Annotated[str | None, typer.Option(help=options.PRESETS)] = None,
    toml: Annotated[bool, typer.Option("--toml", help="Print a TOML file to edit and pass to --preset.")] = False,
    recipe: Annotated[
        bool, typer.Option("--recipe", help="Show the settings of extraction, which `selfmm extract --set` takes.")
    ] = False,
) -> None:
    """Show every setting with its value and meaning."""
    if recipe and (preset or toml):
        raise api.ArgumentsError(["--recipe shows settings of extraction, which have no --preset and no --toml"])
    if toml:
        typer.echo(api.settings(preset).to_toml(), nl=False)
        return
    from rich.console import Console

    from selfmm.cli.show_settings import show_settings

    show_settings(Console(), api.recipe() if recipe else api.settings(preset))
