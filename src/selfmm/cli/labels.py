"""Commands for labels per modality: those that a run generated, and those that people give."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selfmm import api
from selfmm.api import parts
from selfmm.api.parts import count, typed
from selfmm.cli import options
from selfmm.cli.output import note

if TYPE_CHECKING:
    import pandas as pd

    from selfmm.api import Audit


def register(app: typer.Typer) -> None:
    options.register(app, "Labels", labels=labels, annotate=annotate, corrections=corrections)


def labels(
    data: Annotated[
        Path, typer.Argument(metavar="RUN|DATA", help="A run folder; or a data-set folder, which needs no training.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Write to this .csv, .xlsx or .parquet file, and a data card (.md). With --import of the app's "
            "ratings: make a copy of DATA here, whose m-labels are the ratings of whole clips.",
        ),
    ] = None,
    long: Annotated[
        bool, typer.Option("--long", help="A row per clip and modality instead of a row per clip.")
    ] = False,
    split: Annotated[str | None, typer.Option(help="Only the clips of this split: train, valid or test.")] = None,
    epoch: Annotated[
        str,
        typer.Option(
            help="Of rules that make labels in training: best (the default, on the validation split), last, all (with "
            "--long), or a number."
        ),
    ] = "best",
    audit: Annotated[
        bool, typer.Option("--audit", help="Show how far to trust them; --out then writes the trust of each label.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --audit: print JSON with unrounded values.")] = False,
    preset: Annotated[str | None, typer.Option("--preset", "-p", help=f"For DATA: {options.PRESETS}")] = None,
    text_encoder: Annotated[
        str | None, typer.Option(help="For DATA: hub name, local folder, or minilm (offline weights, the default).")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="For DATA: a setting, key=value, like modalities=text,audio.")
    ] = None,
    force: options.ForceOut = False,
    import_: Annotated[
        Path | None,
        typer.Option(
            "--import",
            metavar="FILE",
            help="Import people's ratings: a sheet, Label Studio's JSON, or the app's .jsonl.",
        ),
    ] = None,
    weight: Annotated[float | None, typer.Option(help="With --import: weight in training, 0 to 1; default 1.")] = None,
    source: Annotated[
        str | None, typer.Option(help="With --import: where the labels come from; default: the file's name.")
    ] = None,
    rater: Annotated[
        str | None, typer.Option(help="With --import: who gave ratings that name nobody; default: the source.")
    ] = None,
) -> None:
    """Export labels per modality (u-labels) with their trust, of a run or a data set; or import people's labels."""
    settings: dict[str, Any] = {"preset": preset, "text_encoder": text_encoder, "overrides": overrides or ()}
    if import_ is not None:
        copies = out is not None and import_.suffix == ".jsonl"
        given = any(settings.values()) or (out is not None and not copies) or split is not None or epoch != "best"
        if given or audit or as_json or long or (force and not copies):
            raise api.ArgumentsError(["--import changes the data set; leave out --out, --audit and options of these"])
        if copies:
            _copy(data, import_, Path(str(out)), force)
            return
        _import(data, import_, 1.0 if weight is None else weight, source, rater)
        return
    if weight is not None or source is not None or rater is not None:
        raise api.ArgumentsError(
            ["--weight, --source and --rater describe the labels of --import FILE; give --import too"]
        )
    if as_json and not audit:
        raise api.ArgumentsError(["--json needs --audit; for the labels themselves, give --out FILE.csv or .xlsx"])
    if audit and (long or split is not None):
        raise api.ArgumentsError(["--audit shows all splits; leave out --split and --long"])
    if audit:
        parts.check_file(out, data, force)
        _audit(api.audit(data, epoch=epoch, **settings), as_json, out)
        return
    from selfmm.cli.show_results import deliver

    if out is None:
        chosen = parts.label_set(data, epoch=epoch, split=split, **settings)
        rows = parts.label_rows(chosen, epoch, long)
        note(chosen.notes, err=True)  # a pipe gets only the table
        deliver(rows, None)
        return
    written = api.save_labels(data, out, epoch=epoch, split=split, long=long, force=force, **settings)
    note(written.notes)
    table, card = written.files
    typer.echo(f"{table}: {count(written.rows, 'row')}; {card}: what they are, and how far to trust them")


def _audit(result: Audit, as_json: bool, out: Path | None) -> None:
    """Print the figures of the audit, and write the trust of each label to ``out``."""
    from rich.console import Console

    from selfmm.cli.show_labels import render, to_values

    if out is not None:
        parts.write_table(out, result.labels)
    if as_json:
        typer.echo(parts.to_json(to_values(result)))
        return
    Console().print(render(result), highlight=False)
    if out is not None:
        typer.echo(f"{out}: {count(len(result.labels), 'row')}")


def _import(target: Path, file: Path, weight: float, source: str | None, rater: str | None) -> None:
    imported = api.import_labels(target, file, weight=weight, source=source, rater=rater)
    note(imported.notes)
    counts = ", ".join(f"{name} {number}" for name, number in imported.counts.items())
    ratings = count(sum(imported.counts.values()), "rating")
    parted = {"new": imported.added, "replaced": imported.replaced, "unchanged": imported.unchanged}
    changes = ", ".join(f"{number} {name}" for name, number in parted.items() if number)
    typer.echo(f"{file}: {ratings} by {count(len(imported.raters), 'rater')} ({counts}): {changes}.")
    typer.echo(f"{parts.corrections_file(target)}: {count(imported.total, 'correction')} in all.")
    _agreement(imported.agreement)
    typer.echo("The next training on this data set takes them as truth.")


def _copy(data: Path, file: Path, out: Path, force: bool) -> None:
    applied = api.apply_ratings(data, api.open_ratings(file), out=out, force=force)
    note(applied.notes)
    labels = f"{count(applied.m_labels, 'm-label')} and {count(applied.corrections, 'correction')}"
    typer.echo(f"{out}: a copy of {data} with {labels} by people. Train on it: selfmm train {typed(out)}")


def _agreement(table: pd.DataFrame, *, err: bool = False) -> None:
    from selfmm.cli.show_raters import agreement_lines

    for line in agreement_lines(table):
        typer.echo(line, err=err)


def annotate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")],
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="A sheet to make, .csv, .xlsx or .parquet; or Label Studio's tasks, .json."),
    ],
    most: Annotated[
        int | None,
        typer.Option(min=1, help="Only this number of uncorrected clips, where the modalities disagree most."),
    ] = None,
    media_root: Annotated[
        str | None, typer.Option(help="Label Studio: the URL before media paths, for example /data/local-files/?d=")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Write the training clips with their u-labels for annotators; to import their answers: selfmm labels --import."""
    written = api.annotate(run, out, most=most, media_root=media_root, force=force)
    note(written.notes)
    if out.suffix == ".json":
        tasks = count(written.clips, "task")
        typer.echo(f"{out}: {tasks} with pre-annotations; {written.files[1]}: their labelling configuration.")
    else:
        columns = ", ".join(f"label_{name}" for name in written.modalities)
        typer.echo(f"{out}: {count(written.clips, 'clip')}. Fill in {columns}; leave the rest empty.")
    typer.echo(f"Then: selfmm labels {typed(run)} --import FILE")


def corrections(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A data-set folder, or a run on it.")],
    ratings: Annotated[
        bool, typer.Option("--ratings", help="Every rater's rating, instead of one label per clip and modality.")
    ] = False,
    forget: Annotated[str | None, typer.Option(metavar="SOURCE", help="Delete all ratings of this source.")] = None,
    out: options.OutTable = None,
    force: options.ForceOut = False,
) -> None:
    """Show the labels that people gave to clips, and how far they agree; or delete those of one source."""
    if forget is not None:
        if out is not None or ratings:
            raise api.ArgumentsError(["give --forget alone, without --out and --ratings"])
        deleted = count(api.forget_corrections(data, forget), "rating")
        typer.echo(f"{parts.corrections_file(data).parent}: deleted {deleted} from {forget!r}.")
        return
    from selfmm.cli.show_results import deliver

    parts.check_file(out, data, force)
    deliver(api.corrections(data, ratings=ratings), out)
    from selfmm.cli.show_raters import raters_line

    piped = out is None and not sys.stdout.isatty()  # a pipe gets only the table
    if line := raters_line(api.corrections(data, ratings=True)):
        typer.echo(line, err=piped)
    _agreement(api.agreement(data), err=piped)
