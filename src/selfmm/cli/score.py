"""Commands that use a finished run: predict, evaluate, report, export."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from selfmm import api
from selfmm.api import parts
from selfmm.cli import options
from selfmm.cli.output import complain, note

if TYPE_CHECKING:
    from selfmm.api import Prediction
    from selfmm.api.parts import ClipList, RunFolder

T = TypeVar("T")


def register(app: typer.Typer) -> None:
    options.register(app, "Score", predict=predict, evaluate=evaluate, report=report, export=export)


@dataclass(frozen=True)
class Form:
    """How predictions of recordings are printed and written.

    Attributes:
        as_json, as_csv, as_table: the format to print, at most one; by default readable text on a terminal, otherwise
            CSV.
        out: file for all predictions, .csv, .xlsx, .parquet or .json.
        srt: file for the scores as subtitles.
        picture: file for a picture.
    """

    as_json: bool
    as_csv: bool
    as_table: bool
    out: Path | None
    srt: Path | None
    picture: Path | None

    @property
    def printed(self) -> bool:
        """Whether the predictions are printed as data; standard output may then hold nothing else."""
        return self.as_json or self.as_csv

    def is_text(self, *, explain: bool) -> bool:
        """Whether the predictions are printed for people, without being asked for in a format."""
        return self.out is None and not (self.printed or self.as_table) and (sys.stdout.isatty() or explain)

    def is_card(self, *, curve: bool, explain: bool) -> bool:
        """Whether each prediction is printed as a card."""
        return self.is_text(explain=explain) and not curve


def predict(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN]",
            help="A run folder, or the folder of `train --seeds`; left out: starter, the run that comes with selfmm.",
        ),
    ] = None,
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="INPUT",
            help="Recordings, or a folder or table of them; or a data-set folder, or a table with features next to it.",
        ),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="Score a sentence by its words alone. Repeatable.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Data sets: only this split.")] = None,
    window: Annotated[
        float | None, typer.Option(help="Recordings: a score for each window of this number of seconds.")
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(help="With --window: seconds from one window to the next; default: 1, or the window if shorter."),
    ] = None,
    by_sentence: Annotated[bool, typer.Option("--by-sentence", help="Recordings: a score for each sentence.")] = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Explain the scores: recordings word by word, data sets as further columns."),
    ] = False,
    recogniser: Annotated[
        str | None,
        typer.Option(help="Recordings: recognise words with tiny.en, base, a hub name, a folder, or none."),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(help="Recordings: language of the speech, such as de; default: the run's, or detected."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; of recordings, everything.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_table: Annotated[bool, typer.Option("--table", help="Print a table.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write to this .csv, .xlsx, .parquet or .json file.")
    ] = None,
    srt: Annotated[
        Path | None, typer.Option(help="With --window or --by-sentence: write the scores as subtitles, .srt.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="With --window, --by-sentence or --explain: write a picture, .png or .svg.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    model: options.OwnModel = None,
    trust: options.Trust = False,
) -> None:
    """Score clips: all modalities together, and each alone."""
    named = run is not None
    run, inputs = parts.run_and_inputs(run, inputs or [])
    if named and not inputs and not text:
        parts.open_run(run, seeds=True).require_finished()  # perhaps a recording that does not exist
    if bool(inputs) == bool(text):
        raise api.ArgumentsError(["give either INPUT or --text, for example: selfmm predict --text 'I loved it'"])
    divided = parts.spans(window, hop, by_sentence)
    curve = divided is not None
    form = Form(as_json, as_csv, as_table, out, srt, picture)
    _check_options(form, curve, explain)
    _check_files(form, run, force)
    folder = parts.open_run(run, seeds=True)
    listed = api.find_recordings(folder, inputs if len(inputs) > 1 else inputs[0]) if inputs else None
    if listed is None:
        _check_table_options(form, curve)
        data = inputs[0] if inputs else None
        scores = api.predict(
            folder,
            data,
            text=text,
            split=split,
            explain=explain,
            recogniser=recogniser,
            language=language,
            model=model,
            trust=trust,
        )
        _warn(folder)
        note(folder.notes(), err=True)
        _introduce(folder)
        _print_table(scores, folder, form)
        return
    _check_recordings(listed, form, curve, split, explain)
    note(divided.notes if divided is not None else (), err=True)
    if not form.is_card(curve=curve, explain=explain):  # a card has the warnings itself
        _warn(folder)
    results = api.predict_each(
        folder,
        listed.clips,
        window=window,
        hop=hop,
        by_sentence=by_sentence,
        explain=explain,
        recogniser=recogniser,
        language=language,
        model=model,
        trust=trust,
    )
    results = _with_progress(_introduced(results, folder, listed.notes), None if curve else len(listed.clips))
    failed = _score_recordings(results, form, curve, explain)
    if failed or listed.failures:
        raise typer.Exit(1)


def _introduce(folder: RunFolder) -> None:
    """Print what a run that comes with selfmm is."""
    if about := folder.require_finished().about:
        typer.echo(parts.printable(about), err=True)  # a run may come from anybody


def _introduced(results: Iterator[T], folder: RunFolder, notes: Sequence[str]) -> Iterator[T]:
    """Yield the results, after the introduction and the notes: they are of no use if nothing can be scored."""
    for number, result in enumerate(results):
        if number == 0:
            _introduce(folder)
            note(notes, err=True)
        yield result


def _warn(folder: RunFolder) -> None:
    """Print the reasons not to trust a run at all, first."""
    folder.require_finished()
    for line in parts.cautions(folder.worth()):
        typer.echo(f"warning: {line}", err=True)


def _score_recordings(results: Iterable[Prediction | api.Failure], form: Form, curve: bool, explain: bool) -> bool:
    """Print and write the predictions; return whether a recording could not be scored, which is printed immediately."""
    predictions, failed = [], False
    for result in results:
        if isinstance(result, api.Failure):
            failed = True
            complain(parts.describe_failure(result))
        else:
            predictions.append(result)
    if predictions or form.as_json:
        _print_predictions(predictions, form, curve=curve, explain=explain)
    _write_files(predictions, form)
    return failed


def _check_options(form: Form, curve: bool, explain: bool) -> None:
    problems = []
    if form.as_json + form.as_csv + form.as_table > 1:
        problems.append("give one of --json, --csv and --table")
    if form.srt is not None and not curve:
        problems.append("--srt is for a curve; give --window or --by-sentence too")
    if form.picture is not None and not curve and not explain:
        problems.append("--picture shows a curve or an explanation; give --window, --by-sentence or --explain too")
    if explain and curve:
        problems.append("--explain is for whole clips; leave out --window and --by-sentence")
    if problems:
        raise api.ArgumentsError(problems)


def _check_files(form: Form, run: Path, force: bool) -> None:
    endings = ((form.out, (*parts.TABLES, ".json")), (form.srt, (".srt",)), (form.picture, (".png", ".svg")))
    for path, suffixes in endings:
        parts.check_file(path, run, force, suffixes)
    if form.picture is not None:
        with parts.drawing():
            pass  # fails now, rather than after the work, if pictures cannot be drawn


def _check_recordings(listed: ClipList, form: Form, curve: bool, split: str | None, explain: bool) -> None:
    """Check what can be scored; print the recordings that cannot."""
    if split is not None:
        raise api.ArgumentsError(["--split is for data sets; a recording has no splits"])
    if explain and (form.as_csv or form.as_table):
        raise api.ArgumentsError(
            ["--explain of recordings does not fit into a table; leave out --csv and --table, or use --json"]
        )
    if form.picture is not None and not curve and len(listed.clips) > 1:
        raise api.ArgumentsError([f"--picture shows one clip, but there are {len(listed.clips)}"])
    for failure in listed.failures:
        complain(parts.describe_failure(failure))
    if not listed.clips:
        raise api.SourceError("there is nothing to score: no clip can be read.")


def _check_table_options(form: Form, curve: bool) -> None:
    used = {
        "--window or --by-sentence": curve,
        "--picture": form.picture is not None,
    }
    problems = [f"{name} is for recordings, and no recording is given" for name, is_used in used.items() if is_used]
    if problems:
        raise api.ArgumentsError(problems)


def _print_table(table: object, folder: RunFolder, form: Form) -> None:
    import pandas as pd

    from selfmm.cli.show_results import first_rows

    assert isinstance(table, pd.DataFrame)
    modalities = [str(name).removeprefix("score_") for name in table if str(name).startswith("score_")]
    missing = [name for name in modalities if table[f"score_{name}"].isna().all()]
    if missing and not folder.require_finished().about:
        note([f"no clip has {' or '.join(missing)}; the model uses its stand-in for a missing modality."], err=True)
    worth = folder.worth()
    if form.out is not None:
        parts.write_table(form.out, table)
        typer.echo(f"{form.out}: {parts.count(len(table), 'row')}", err=form.printed)
    if form.as_json:
        typer.echo(parts.to_json(parts.records(table)))
    elif form.as_table or form.is_text(explain=False):
        from rich.console import Console

        from selfmm.cli.show_scores import readable

        Console().print(first_rows(table if worth is None else readable(table, worth)))
    elif form.as_csv or form.out is None:
        typer.echo(table.to_csv(index=False), nl=False)


def _with_progress(results: Iterable[T], total: int | None) -> Iterator[T]:
    """Show progress on a terminal: the number of clips, or the second of the recording."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from results
        return
    with console.status("reading ...") as status:
        for done, result in enumerate(results, start=1):
            status.update(f"{getattr(result, 'end', 0.0):.0f} s" if total is None else f"{done} of {total} clips")
            yield result


def _print_predictions(predictions: Sequence[Prediction], form: Form, *, curve: bool, explain: bool) -> None:
    if form.out is not None:
        api.save_predictions(predictions, form.out)
        typer.echo(f"{form.out}: {parts.count(len(predictions), 'prediction')}", err=form.printed)
    if form.as_json:
        typer.echo(parts.to_json([prediction.to_json() for prediction in predictions]))
    elif form.as_table or form.is_text(explain=explain):
        from rich.console import Console

        from selfmm.cli.show_scores import card, table

        console = Console()
        for shown in [table(predictions, curve=curve)] if curve or form.as_table else map(card, predictions):
            console.print(shown)
    elif form.as_csv or form.out is None:
        typer.echo(parts.table_of(predictions).to_csv(index=False), nl=False)


def _write_files(predictions: Sequence[Prediction], form: Form) -> None:
    if form.srt is not None and predictions:
        api.save_predictions(predictions, form.srt)
        typer.echo(f"{form.srt}: {parts.count(len(predictions), 'score')} as subtitles", err=True)
    if form.picture is not None and predictions:
        explained = predictions[0].explanation is not None
        api.save_predictions(predictions, form.picture)
        typer.echo(f"{form.picture}: a picture of the {'explanation' if explained else 'curve'}", err=True)


def evaluate(
    run: options.RunOrSeeds,
    data: Annotated[
        Path | None, typer.Argument(metavar="DATA", help="A data-set folder; default: the one of the training.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "test",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with unrounded values.")] = False,
    model: options.OwnModel = None,
    trust: options.Trust = False,
) -> None:
    """Measure a run, or a folder of seeds, on a split of a data set: the usual metrics, and how far to trust scores."""
    from dataclasses import asdict

    folder = parts.open_run(run, seeds=True)
    note(folder.notes(), err=True)
    metrics = api.evaluate(folder, data, split, model=model, trust=trust)
    if as_json:
        content = {"split": split, "count": metrics.count, **metrics.values, "reasons": metrics.reasons}
        if isinstance(metrics, api.SeedMetrics):
            content["seeds"] = metrics.summary.to_dict("index")
        if metrics.worth is not None:
            content["worth"] = asdict(metrics.worth)["scores"]
        typer.echo(parts.to_json(content))
        return
    from rich.console import Console

    console = Console()
    if isinstance(metrics, api.SeedMetrics):
        from selfmm.cli.show_results import seed_metrics

        console.print(seed_metrics(metrics, split, console.width))
        return
    assert metrics.worth is not None
    for line in parts.cautions(metrics.worth):
        console.print(f"warning: {line}", style="yellow", markup=False, highlight=False)
    neutral = parts.LabelScale.of(metrics.worth.label_range).neutral
    console.print(parts.metrics_table({split: metrics}, neutral))
    console.print(parts.worth_table(metrics.worth))


def report(
    run: options.Run,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page, .html; default: <run>-report.html next to the run.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", help="Also write each picture as PNG and SVG to this folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the page and the pictures if they exist.")] = False,
) -> None:
    """Make one page of HTML about a run: scores, generated labels, pictures, clips to look at."""
    written = api.report(run, out, pictures=pictures, force=force)
    typer.echo(f"{written[0]}")
    if pictures is not None:
        typer.echo(f"{pictures}: {parts.count(len(written) - 1, 'picture')}")


def export(
    run: options.Run,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to make, .onnx.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Store weights as 8-bit integers: smaller, faster, a little less accurate.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    model: options.OwnModel = None,
    trust: options.Trust = False,
) -> None:
    """Make one ONNX file that scores clips without selfmm and PyTorch, and check it against PyTorch."""
    exported = api.export(run, out, int8=int8, force=force, model=model, trust=trust)
    difference = f"scores differ from PyTorch's by at most {exported.difference:.1g}"
    typer.echo(f"fp32: {exported.fp32_size / 1e6:.1f} MB, {difference}")
    if int8:
        typer.echo(f"int8: {exported.size / 1e6:.1f} MB")
        for loss in exported.int8_losses:
            clips = parts.count(loss.clips, "clip")
            typer.echo(
                f"  MAE on {loss.split} ({clips}): fp32 {loss.fp32:.4f}, int8 {loss.int8:.4f} "
                f"({parts.signed(loss.int8 - loss.fp32, 4)}); scores differ by {loss.difference:.4f} on average"
            )
        if not exported.int8_losses:
            typer.echo("  MAE not measured: the data set of the training is missing, was changed, or has no labels")
    typer.echo(f"{out}")
