"""Commands on runs: train, evaluate, labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from selfmm.cli.output import check_out, deliver, interruptible, speaks
from selfmm.core.errors import RunError, SettingsError, TrainingError

if TYPE_CHECKING:
    import pandas as pd

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, as `selfmm train` leaves it.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace the file that --out names.")]
OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="Write to this .csv or .parquet file.")]


def register(app: typer.Typer) -> None:
    for command in (train, evaluate, labels):
        app.command()(command)


def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A data-set folder.")],
    preset: Annotated[
        str | None, typer.Option("--preset", "-p", help="mosi, mosei, sims, simsv2, quickstart, or a TOML file.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Which model; see `selfmm models`.")] = None,
    labels: Annotated[
        str | None, typer.Option(help="Labels per modality: generated, human or none; default: as the model has them.")
    ] = None,
    text_encoder: Annotated[
        str | None, typer.Option(help="Hub name, local folder, or minilm (offline weights).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Several, side by side, for example 1111-1115 or 1111,1120-1122.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="With --seeds: so many at once; default: as cores and memory allow.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Run folder; default runs/<data>-<preset>-<seed>. With --seeds, the folder of all of them.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, key=value; see `selfmm settings`. Repeatable.")
    ] = None,
) -> None:
    """Train a model, by default Self-MM: one label per clip in, scores and labels per modality out."""
    if seed is not None and seeds is not None:
        raise SettingsError(["give --seed for one run or --seeds for several, not both"])
    if jobs is not None and seeds is None:
        raise SettingsError(["--jobs says how many of --seeds run at once; give these too"])
    from selfmm.config.settings import with_values

    common: _Training = {
        "preset": preset,
        "text_encoder": text_encoder,
        "overrides": with_values(overrides or (), {"model": model, "labels.source": labels}),
        "out": out,
        "resume": resume,
    }
    with interruptible():
        if seeds is None:
            _train_one(data, seed, common)
        else:
            _train_seeds(data, seeds, jobs, common)


class _Training(TypedDict):
    """What a training is told, of one seed or of several."""

    preset: str | None
    text_encoder: str | None
    overrides: Sequence[str]
    out: Path | None
    resume: bool


def _train_one(data: Path, seed: int | None, common: _Training) -> None:
    from rich.console import Console

    from selfmm.api import train as train_
    from selfmm.cli.progress import listener
    from selfmm.cli.tables import run_summary
    from selfmm.core.processes import leave

    console = Console()
    with listener(console) as progress:
        model = train_(data, seed=seed, listener=progress, **common)
    if speaks():
        console.print(run_summary(model))
    leave()


def _train_seeds(data: Path, seeds: str, jobs: int | None, common: _Training) -> None:
    from rich.console import Console

    from selfmm.api import train_seeds
    from selfmm.cli.seeds import pool_listener, seeds_summary

    console = Console()
    with pool_listener(console, "seed") as progress:
        result = train_seeds(data, seeds=seeds, jobs=jobs, listener=progress, **common)
    console.print(seeds_summary(result, console.width))
    if result.failed:
        missing = ", ".join(map(str, result.failed))
        raise TrainingError(f"no result for seed {missing}; go on with the same command and --resume.")


def evaluate(
    run: RunArgument,
    data: Annotated[
        Path | None, typer.Argument(metavar="[DATA]", help="A data-set folder; default: the one trained on.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "test",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with unrounded values.")] = False,
) -> None:
    """Measure a run on a split of a data set."""
    from selfmm.api import load

    model = load(run)
    metrics = model.evaluate(data, split)
    if as_json:
        from selfmm.core.files import to_json

        typer.echo(to_json({"split": split, "count": metrics.count, **metrics.values, "reasons": metrics.reasons}))
        return
    from rich.console import Console

    from selfmm.evaluation.tables import metrics_table

    Console().print(metrics_table({split: metrics}))


def labels(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder; with --import a data set or a run on it.")],
    epoch: Annotated[
        str, typer.Option(help="last (the default), best (of the best validation figure), all, or a number.")
    ] = "last",
    audit: Annotated[
        bool, typer.Option("--audit", help="Say how far to trust them; --out then writes the quality of each label.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --audit: print JSON with unrounded values.")] = False,
    out: OutOption = None,
    force: ForceOption = False,
    import_: Annotated[
        Path | None,
        typer.Option("--import", metavar="FILE", help="Take in what annotators said: a sheet, or Label Studio's JSON."),
    ] = None,
    weight: Annotated[float | None, typer.Option(help="With --import: weight in training, 0 to 1; default 1.")] = None,
    source: Annotated[
        str | None, typer.Option(help="With --import: where the labels come from; default: the file's name.")
    ] = None,
) -> None:
    """Export the generated labels per modality (u-labels) of the training clips; or import people's corrections."""
    if import_ is not None:
        from selfmm.cli.annotation import import_labels

        if out is not None or epoch != "last" or audit or as_json or force:
            raise SettingsError(
                ["--import changes the data set; --audit, --json, --epoch, --out and --force do not go with it"]
            )
        import_labels(run, import_, 1.0 if weight is None else weight, source)
        return
    if weight is not None or source is not None:
        raise SettingsError(["--weight and --source say something of the labels of --import FILE; give this too"])
    from selfmm.runs.folder import RunFolder

    if as_json and not audit:
        raise SettingsError(["--json goes with --audit; for the labels themselves, give --out FILE.csv or .parquet"])
    check_out(out, run, force)
    if audit:
        _audit(run, epoch, as_json, out)
        return
    folder = RunFolder(run)
    folder.require_finished()
    table = _choose_epoch(folder.labels(), epoch, folder.metrics()["best_epoch"])
    deliver(table, out)


def _audit(run: Path, epoch: str, as_json: bool, out: Path | None) -> None:
    """The figures to the terminal, and the quality of each label to a file if one is named."""
    from rich.console import Console

    from selfmm.cli.audit import as_json as to_values
    from selfmm.cli.audit import render
    from selfmm.core.files import to_json, write_table
    from selfmm.runs.material import Material

    if epoch != "last":
        raise SettingsError([f"--audit looks at all epochs and judges the last; leave --epoch {epoch} away"])
    material = Material.read(run)
    found = material.audit()
    if out is not None:
        write_table(out, found.labels)
    if as_json:
        typer.echo(to_json(to_values(found, material.notes)))
        return
    Console().print(render(found, material.notes), highlight=False)
    if out is not None:
        typer.echo(f"{out}: {len(found.labels)} rows")


def _choose_epoch(table: pd.DataFrame, epoch: str, best: int) -> pd.DataFrame:
    if epoch == "all":
        return table
    if not len(table) or "epoch" not in table:
        raise RunError("labels.parquet holds no labels; the run folder is damaged.")
    last = int(table["epoch"].max())
    named = {"last": last, "best": best}
    number = named.get(epoch) or (int(epoch) if epoch.isdecimal() and len(epoch) < 10 else 0)
    if not 1 <= number <= last:
        raise RunError(f"there is no epoch {epoch!r}: give a number from 1 to {last}, or last, best or all.")
    return table[table["epoch"] == number]
