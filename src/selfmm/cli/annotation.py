"""People's labels: annotate sends clips out, `labels --import` takes the answers in, corrections shows them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfmm.cli.output import TABLES, check_out, deliver
from selfmm.core.errors import RunError, SettingsError

if TYPE_CHECKING:
    from selfmm.data.store import Dataset


def register(app: typer.Typer) -> None:
    for command in (annotate, corrections):
        app.command()(command)


def annotate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A sheet to make, .csv or .parquet; or Label Studio's tasks, .json.")
    ],
    most: Annotated[
        int | None,
        typer.Option(min=1, help="Only so many clips: where modalities disagree most, and nobody corrected yet."),
    ] = None,
    media_root: Annotated[
        str | None, typer.Option(help="What comes before media paths, for example /data/local-files/?d=")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Hand the training clips with their u-labels to people who annotate; their answers: selfmm labels RUN --import."""
    from selfmm.annotation.clips import clips_to_annotate
    from selfmm.data.store import open_dataset
    from selfmm.runs.folder import RunFolder

    check_out(file, run, force, (*TABLES, ".json"))
    if media_root is not None and file.suffix != ".json":
        raise SettingsError(["--media-root is for Label Studio's tasks; name a file that ends in .json"])
    folder = RunFolder(run)
    info = folder.require_finished()
    dataset = open_dataset(info.dataset_path)
    u_labels = folder.labels()
    last = u_labels[u_labels["epoch"] == u_labels["epoch"].max()]
    modalities = list(info.modalities)
    clips = clips_to_annotate(dataset, last, modalities, most=most)
    if clips.empty:
        raise RunError(f"people corrected every training clip of {dataset.path} already; there is none to annotate.")
    if file.suffix != ".json":
        from selfmm.annotation.sheet import write_sheet

        write_sheet(file, clips, modalities)
        columns = ", ".join(f"label_{name}" for name in modalities)
        typer.echo(f"{file}: {len(clips)} clips. Fill in {columns}; leave empty what nobody judged.")
    else:
        from selfmm.annotation.label_studio import Project, write_project

        name = f"selfmm {run.resolve().name}"
        project = Project(clips, modalities, info.label_range, name, media_root or "")
        config = file.with_name(f"{file.stem}-config.xml")
        check_out(config, run, force, (".xml",))
        write_project(project, file, config)
        for note in project.notes:
            typer.echo(f"note: {note}")
        typer.echo(f"{file}: {len(clips)} tasks with pre-annotations; {config}: the labelling configuration for them.")
    typer.echo(f"Then: selfmm labels {run} --import FILE")


def import_labels(target: Path, file: Path, weight: float, source: str | None) -> None:
    """Takes annotations into a data set, or into that of a run."""
    from selfmm.annotation.importing import import_corrections
    from selfmm.data.corrections import CORRECTIONS

    dataset = _dataset(target)
    imported = import_corrections(dataset, file, weight=weight, source=source)
    for note in imported.notes:
        typer.echo(f"note: {note}")
    counts = ", ".join(f"{name} {count}" for name, count in imported.counts.items())
    replaced = f", {imported.replaced} in the place of older ones" if imported.replaced else ""
    new = sum(imported.counts.values())
    typer.echo(f"{dataset.path / CORRECTIONS}: {new} corrections ({counts}){replaced}; {imported.total} in all.")
    typer.echo("The next training on this data set takes them as truth.")


def corrections(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A data-set folder, or a run on it.")],
    forget: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Take back all corrections of this source.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to this .csv or .parquet file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that --out names.")] = False,
) -> None:
    """Show the labels that people gave to clips of a data set, or take some back."""
    dataset = _dataset(data)
    if forget is not None:
        from selfmm.annotation.importing import forget_corrections

        if out is not None:
            raise SettingsError(["give --forget or --out, not both"])
        typer.echo(f"{dataset.path}: took back {forget_corrections(dataset, forget)} corrections from {forget!r}.")
        return
    check_out(out, data, force)
    deliver(dataset.corrections, out)


def _dataset(target: Path) -> Dataset:
    from selfmm.data.store import MANIFEST, open_dataset
    from selfmm.runs.folder import RunFolder

    if (target / "run.json").is_file() and not (target / MANIFEST).is_file():
        return open_dataset(RunFolder(target).info().dataset_path)
    return open_dataset(target)
