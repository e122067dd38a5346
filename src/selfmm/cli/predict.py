"""The command that scores: data sets, sentences, clips, and long recordings span by span."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfmm.cli.output import TABLES, check_out, deliver
from selfmm.cli.recordings import Form, find_clips, predict_clips, predict_curve
from selfmm.cli.runs import RunArgument
from selfmm.core.errors import SettingsError, SourceError

if TYPE_CHECKING:
    from selfmm.recordings.spans import Sentences, Windows
    from selfmm.runs.folder import RunFolder


def register(app: typer.Typer) -> None:
    app.command()(predict)


def predict(
    run: RunArgument,
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[INPUT]...",
            help="Recordings, or a folder or table of them; or a data-set folder, or a table with features beside it.",
        ),
    ] = None,
    text: Annotated[list[str] | None, typer.Option("--text", help="Score a sentence, words alone. Repeatable.")] = None,
    split: Annotated[str | None, typer.Option(help="Of a data set: only this split.")] = None,
    window: Annotated[
        float | None, typer.Option(help="Of a recording: a score for every so many seconds, as a curve.")
    ] = None,
    hop: Annotated[float | None, typer.Option(help="With --window: seconds from one to the next; default 1.")] = None,
    by_sentence: Annotated[bool, typer.Option("--by-sentence", help="Of a recording: a score per sentence.")] = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Say why: of recordings stream by stream and word by word, of data as columns."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Of recordings: print everything as JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Of recordings: print rows of CSV.")] = False,
    as_table: Annotated[bool, typer.Option("--table", help="Of recordings: print a table.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write to this .csv or .parquet file; of recordings also .json.")
    ] = None,
    srt: Annotated[
        Path | None, typer.Option(help="With --window or --by-sentence: write the scores as subtitles, .srt.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="With --window, --by-sentence or --explain: write a picture, .png or .svg.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False,
) -> None:
    """Score clips: all modalities together, and each alone."""
    from selfmm.runs.folder import RunFolder

    inputs = inputs or []
    if bool(inputs) == bool(text):
        raise SettingsError(["give either INPUT or --text, for example: selfmm predict RUN --text 'I loved it'"])
    spans = _spans(window, hop, by_sentence)
    form = Form(as_json, as_csv, as_table, out, srt, picture)
    _check_options(form, spans is not None, explain, split)
    for path, endings in ((out, (*TABLES, ".json")), (srt, (".srt",)), (picture, (".png", ".svg"))):
        check_out(path, run, force, endings)
    _check_drawing(picture)
    folder = RunFolder(run)
    found = find_clips(inputs, folder.require_finished().recipe)
    if found is None:
        _check_data_options(form, spans is not None)
        _predict_data(folder, inputs, text, split, explain, out)
        return
    clips, failed = found
    if split is not None:
        raise SettingsError(["--split is for data sets; a recording has none"])
    if not clips:
        raise SourceError("there is nothing to score: none of the clips can be read.")
    if spans is not None:
        predict_curve(folder, clips, spans, form)
    else:
        predict_clips(folder, clips, failed, explain, form)


def _spans(window: float | None, hop: float | None, by_sentence: bool) -> Windows | Sentences | None:
    if window is None and hop is None and not by_sentence:
        return None
    from selfmm.recordings.spans import Sentences, Windows

    if by_sentence and (window is not None or hop is not None):
        raise SettingsError(["give --window or --by-sentence, not both"])
    if window is None and not by_sentence:
        raise SettingsError(["--hop says how far windows are apart; give --window too"])
    return Sentences() if window is None else Windows(window, 1.0 if hop is None else hop)


def _check_options(form: Form, curve: bool, explain: bool, split: str | None) -> None:
    problems = []
    if form.as_json + form.as_csv + form.as_table > 1:
        problems.append("give one of --json, --csv and --table")
    if form.srt is not None and not curve:
        problems.append("--srt is for a curve; give --window or --by-sentence too")
    if form.picture is not None and not curve and not explain:
        problems.append("--picture is of a curve or of an explanation; give --window, --by-sentence or --explain too")
    if explain and curve:
        problems.append("--explain is for whole clips; leave --window and --by-sentence away")
    if explain and (form.as_csv or form.as_table):
        problems.append("--explain of recordings has no room in a table; leave --csv and --table away, or take --json")
    if problems:
        raise SettingsError(problems)


def _check_data_options(form: Form, curve: bool) -> None:
    given = {
        "--window or --by-sentence": curve,
        "--json": form.as_json,
        "--csv": form.as_csv,
        "--table": form.as_table,
        "--picture": form.picture is not None,
        "an --out that ends in .json": form.out is not None and form.out.suffix == ".json",
    }
    problems = [f"{name} is for recordings, and none is given" for name, is_given in given.items() if is_given]
    if problems:
        raise SettingsError(problems)


def _check_drawing(picture: Path | None) -> None:
    """Nobody should wait for scores to hear that they cannot be drawn."""
    if picture is not None:
        from selfmm.report.style import drawing

        with drawing():
            pass


def _predict_data(
    run: RunFolder, inputs: list[Path], text: list[str] | None, split: str | None, explain: bool, out: Path | None
) -> None:
    from selfmm.recordings.model import SentimentModel

    if text and split is not None:
        raise SettingsError(["--split is for data sets; a text has none"])
    model = SentimentModel.load(run)
    table = model.predict(text=text, explain=explain) if text else model.predict(inputs[0], split, explain=explain)
    scored = [name for name in model.info.modalities if f"score_{name}" in table]  # those with a task of their own
    missing = [name for name in scored if table[f"score_{name}"].isna().all()]
    if missing:
        typer.echo(f"note: no clip has {' or '.join(missing)}; the model's stand-in takes their place.", err=True)
    deliver(table, out)
