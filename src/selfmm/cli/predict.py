"""The command that scores: data sets, sentences, clips, and long recordings window by window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfmm.cli.output import TABLES, check_out, complain, deliver
from selfmm.cli.runs import ForceOption, RunArgument
from selfmm.errors import MediaError, SettingsError, SourceError

if TYPE_CHECKING:
    import pandas as pd

    from selfmm.features.clips.clip import Clip
    from selfmm.predict import TrainedModel
    from selfmm.prediction import Prediction
    from selfmm.recordings import Sentences, Windows


def register(app: typer.Typer) -> None:
    app.command()(predict)


@dataclass(frozen=True)
class _Form:
    """How predictions of recordings are given out."""

    as_json: bool
    as_csv: bool
    as_table: bool
    out: Path | None


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
        bool, typer.Option("--explain", help="Of clips: say why, stream by stream and word by word.")
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
    force: ForceOption = False,
) -> None:
    """Score clips: all modalities together, and each alone."""
    from selfmm.api import load

    inputs = inputs or []
    if bool(inputs) == bool(text):
        raise SettingsError(["give either INPUT or --text, for example: selfmm predict RUN --text 'I loved it'"])
    curve = _spans(window, hop, by_sentence)
    form = _Form(as_json, as_csv, as_table, out)
    _check_options(form, curve is not None, explain, srt, picture)
    for path, endings in ((out, (*TABLES, ".json")), (srt, (".srt",)), (picture, (".png", ".svg"))):
        check_out(path, run, force, endings)
    model = load(run)
    clips = _recordings(model, inputs)
    if clips is None:
        if curve is not None or explain or as_json or as_csv or as_table or (out is not None and out.suffix == ".json"):
            raise SettingsError(["--window, --by-sentence, --explain, --json, --csv and --table are for recordings"])
        _predict_data(model, text or inputs[0], split, out)
    elif split is not None:
        raise SettingsError(["--split is for data sets; a recording has none"])
    elif curve is not None:
        _predict_curve(model, clips, curve, form, srt, picture)
    else:
        _predict_clips(model, clips, explain, form, picture)


def _spans(window: float | None, hop: float | None, by_sentence: bool) -> Windows | Sentences | None:
    if window is None and hop is None and not by_sentence:
        return None
    from selfmm.recordings import Sentences, Windows

    if by_sentence and (window is not None or hop is not None):
        raise SettingsError(["give --window or --by-sentence, not both"])
    if hop is not None and window is None:
        raise SettingsError(["--hop says how far windows are apart; give --window too"])
    return Sentences() if by_sentence else Windows(window or 5.0, hop or 1.0)


def _check_options(form: _Form, curve: bool, explain: bool, srt: Path | None, picture: Path | None) -> None:
    problems = []
    if form.as_json + form.as_csv + form.as_table > 1:
        problems.append("give one of --json, --csv and --table")
    if srt is not None and not curve:
        problems.append("--srt is for a curve; give --window or --by-sentence too")
    if picture is not None and not curve and not explain:
        problems.append("--picture is of a curve or of an explanation; give --window, --by-sentence or --explain too")
    if explain and curve:
        problems.append("--explain is for whole clips; leave --window and --by-sentence away")
    if problems:
        raise SettingsError(problems)


def _recordings(model: TrainedModel, inputs: Sequence[Path]) -> list[Clip] | None:
    """The clips that the inputs stand for; None if they are no recordings.

    Clips that a table or folder lists wrongly are told at once; the others go on.
    """
    from selfmm.features.clips.listing import holds_recordings, is_recording, read_clips

    listed = model.info.recipe is not None
    meant = [is_recording(path) or (holds_recordings(path) and (listed or path.is_dir())) for path in inputs]
    if not any(meant):
        if len(inputs) > 1:
            raise SettingsError(["several inputs must be recordings; give one data set or table at a time"])
        return None
    others = [str(path) for path, fits in zip(inputs, meant, strict=True) if not fits]
    if others:
        raise SourceError(f"{others[0]} is no recording, and the other inputs are. Give one kind at a time.")
    clips: list[Clip] = []
    for path in inputs:
        found = read_clips(path)
        clips += found.clips
        for failure in found.failures:
            complain(f"{failure.id}: {failure.reason}")
    if not clips:
        raise SourceError("there is nothing to score: none of the clips can be read.")
    return clips


def _predict_data(model: TrainedModel, data: Path | list[str], split: str | None, out: Path | None) -> None:
    table = model.predict(data, split)
    missing = [name for name in model.info.modalities if table[f"score_{name}"].isna().all()]
    if missing:
        typer.echo(f"note: no clip has {' or '.join(missing)}; the model's stand-in takes their place.", err=True)
    deliver(table, out)


def _predict_clips(
    model: TrainedModel, clips: Sequence[Clip], explain: bool, form: _Form, picture: Path | None
) -> None:
    from selfmm.recordings import predict_clip

    if picture is not None and len(clips) > 1:
        raise SettingsError([f"--picture is of one clip, and there are {len(clips)}"])
    made: list[Prediction] = []
    failed = 0
    for clip in clips:
        try:
            made.append(predict_clip(model, clip, explain=explain))
        except (MediaError, SourceError) as error:
            failed += 1
            complain(str(error))
    if made:
        _give_out(made, form)
    if picture is not None and made and made[0].explanation is not None:
        from selfmm.report.clip_pictures import explanation_picture, write_picture

        write_picture(explanation_picture(made[0].explanation), picture)
        typer.echo(f"{picture}: a picture of the explanation", err=True)
    if failed:
        raise typer.Exit(1)


def _predict_curve(
    model: TrainedModel,
    clips: Sequence[Clip],
    spans: Windows | Sentences,
    form: _Form,
    srt: Path | None,
    picture: Path | None,
) -> None:
    from selfmm.atomic import write_text
    from selfmm.features.words.subtitles import to_srt
    from selfmm.recordings import curve_table, overlay, predict_curve

    if len(clips) > 1:
        raise SettingsError([f"a curve is of one recording, and there are {len(clips)}"])
    made = list(_followed(predict_curve(model, clips[0], spans)))
    if not made:
        raise SourceError(f"{clips[0].path} has no sentence to score: nobody speaks in it, or nothing was understood.")
    _give_out(made, form, cards=False)
    if srt is not None:
        write_text(srt, to_srt(overlay(made)))
        typer.echo(f"{srt}: {len(made)} scores as subtitles", err=True)
    if picture is not None:
        from selfmm.report.clip_pictures import write_picture
        from selfmm.report.score_curve import curve_picture

        write_picture(curve_picture(curve_table(made), model.info.label_range), picture)
        typer.echo(f"{picture}: a picture of the curve", err=True)


def _followed(predictions: Iterable[Prediction]) -> Iterator[Prediction]:
    """Says on a terminal how far a long recording has been worked off."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from predictions
        return
    with console.status("reading ...") as status:
        for made in predictions:
            status.update(f"{made.end:.0f} s")
            yield made


def _give_out(made: Sequence[Prediction], form: _Form, *, cards: bool = True) -> None:
    """To a file by its suffix, or as the form says; else to a terminal for reading, and to a pipe as CSV."""
    import sys

    import pandas as pd

    from selfmm.training.folder import to_json

    table = pd.DataFrame([one.row() for one in made])
    if form.out is not None and form.out.suffix == ".json":
        from selfmm.atomic import write_text

        write_text(form.out, to_json([one.to_json() for one in made]) + "\n")
        typer.echo(f"{form.out}: {len(made)} predictions")
    elif form.out is not None:
        deliver(table, form.out)
    if form.as_json:
        typer.echo(to_json([one.to_json() for one in made]))
    elif form.as_csv or (form.out is None and not form.as_table and not sys.stdout.isatty()):
        typer.echo(table.to_csv(index=False), nl=False)
    elif form.out is None or form.as_table:
        _show(made, table, cards and not form.as_table)


def _show(made: Sequence[Prediction], table: pd.DataFrame, cards: bool) -> None:
    from rich.console import Console

    from selfmm.cli.tables import plain_table

    console = Console()
    if not cards:
        console.print(plain_table(table))
        return
    from selfmm.cli.prediction import card

    for one in made:
        console.print(card(one))
