"""Scores of recordings on the command line: clips, and long ones span by span."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from selfmm.cli.output import complain
from selfmm.core.errors import SettingsError, SourceError

if TYPE_CHECKING:
    from selfmm.config.recipe import Recipe
    from selfmm.features.clips.clip import Clip
    from selfmm.recordings.prediction import Prediction
    from selfmm.recordings.spans import Sentences, Windows

T = TypeVar("T")


@dataclass(frozen=True)
class Form:
    """How predictions are given out.

    Attributes:
        as_json, as_csv, as_table: printed so, one at most; else to a terminal for reading, to a pipe as CSV.
        out: file for all of it, .csv, .parquet or .json.
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
        """Whether standard output was chosen for the predictions, so that nothing else may stand in it."""
        return self.as_json or self.as_csv


def find_clips(inputs: Sequence[Path], recipe: Recipe | None) -> tuple[list[Clip], int] | None:
    """The clips that the inputs stand for, and how many of them cannot be used, which is told at once.

    Args:
        inputs: what the user names.
        recipe: of the run; None: a table with a column ``path`` is then one of features.

    Returns:
        None if they are no recordings.

    Raises:
        SettingsError, SourceError: they are of several kinds, or none can be read.
    """
    from selfmm.features.clips.listing import holds_recordings, is_recording, read_clips

    meant = [
        is_recording(path) or (holds_recordings(path) and (recipe is not None or path.is_dir())) for path in inputs
    ]
    if not any(meant):
        if len(inputs) > 1:
            raise SettingsError(["several inputs must be recordings; give one data set or table at a time"])
        return None
    others = [path for path, fits in zip(inputs, meant, strict=True) if not fits and path.exists()]
    if others:
        raise SourceError(f"{others[0]} is no recording, and the other inputs are. Give one kind at a time.")
    clips: list[Clip] = []
    failed = 0
    for path in inputs:
        try:
            found = read_clips(path)
        except SourceError as error:
            complain(str(error))
            failed += 1
            continue
        clips += found.clips
        failed += len(found.failures)
        for failure in found.failures:
            complain(f"{failure.id}: {failure.reason}")
    return _told_apart(clips), failed


def _told_apart(clips: Sequence[Clip]) -> list[Clip]:
    """Recordings of one name in several folders get their paths as names."""
    often = Counter(clip.id for clip in clips)
    return [clip if often[clip.id] == 1 else replace(clip, id=str(clip.path)) for clip in clips]


def predict_clips(run: Path, clips: Sequence[Clip], failed: int, explain: bool, form: Form) -> None:
    """Scores clips; the ones that cannot be scored are told, and make the exit code 1."""
    from selfmm.features.clips.clip import Failure
    from selfmm.recordings.scores import predict_clips as predict_clips_

    if form.picture is not None and len(clips) > 1:
        raise SettingsError([f"--picture is of one clip, and there are {len(clips)}"])
    made: list[Prediction] = []
    for one in _followed(predict_clips_(run, clips, explain=explain), len(clips)):
        if isinstance(one, Failure):
            failed += 1
            complain(one.reason if one.path in one.reason else f"{one.id}: {one.reason}")
        else:
            made.append(one)
    if made or form.as_json:
        _give_out(made, form, explain=explain)
    if form.picture is not None and made and made[0].explanation is not None:
        from selfmm.report.clip_pictures import explanation_picture, write_picture

        write_picture(explanation_picture(made[0].explanation), form.picture)
        typer.echo(f"{form.picture}: a picture of the explanation", err=True)
    if failed:
        raise typer.Exit(1)


def predict_curve(run: Path, clips: Sequence[Clip], spans: Windows | Sentences, form: Form) -> None:
    """Scores one recording span by span."""
    from selfmm.api import load
    from selfmm.recordings.prediction import overlay, table_of
    from selfmm.recordings.scores import predict_curve as predict_curve_

    if len(clips) != 1:
        raise SettingsError([f"a curve is of one recording, and there are {len(clips)}"])
    model = load(run)
    made = list(_followed(predict_curve_(model, clips[0], spans)))
    if not made:
        raise SourceError(f"{clips[0].path} has no sentence to score: nobody speaks in it, or nothing was understood.")
    _give_out(made, form, curve=True)
    if form.srt is not None:
        from selfmm.core.files import write_text
        from selfmm.features.words.subtitles import to_srt

        write_text(form.srt, to_srt(overlay(made)))
        typer.echo(f"{form.srt}: {len(made)} scores as subtitles", err=True)
    if form.picture is not None:
        from selfmm.report.clip_pictures import write_picture
        from selfmm.report.score_curve import curve_picture

        write_picture(curve_picture(table_of(made), model.info.label_range), form.picture)
        typer.echo(f"{form.picture}: a picture of the curve", err=True)


def _followed(results: Iterable[T], total: int | None = None) -> Iterator[T]:
    """Says on a terminal how far it is: of how many clips, or at which second of a recording."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from results
        return
    with console.status("reading ...") as status:
        for done, one in enumerate(results, start=1):
            status.update(f"{getattr(one, 'end', 0.0):.0f} s" if total is None else f"{done} of {total} clips")
            yield one


def _give_out(made: Sequence[Prediction], form: Form, *, curve: bool = False, explain: bool = False) -> None:
    from selfmm.core.files import to_json
    from selfmm.recordings.prediction import table_of

    if form.out is not None:
        _write(made, form.out)
        typer.echo(f"{form.out}: {len(made)} predictions", err=form.printed)
    if form.as_json:
        typer.echo(to_json([one.to_json() for one in made]))
    elif form.as_csv:
        typer.echo(table_of(made).to_csv(index=False), nl=False)
    elif form.as_table or (form.out is None and (sys.stdout.isatty() or explain)):
        _show(made, curve=curve, in_rows=curve or form.as_table)
    elif form.out is None:
        typer.echo(table_of(made).to_csv(index=False), nl=False)


def _write(made: Sequence[Prediction], path: Path) -> None:
    from selfmm.core.files import to_json, write_table, write_text
    from selfmm.recordings.prediction import table_of

    if path.suffix == ".json":
        write_text(path, to_json([one.to_json() for one in made]) + "\n")
    else:
        write_table(path, table_of(made))


def _show(made: Sequence[Prediction], *, curve: bool, in_rows: bool) -> None:
    from rich.console import Console

    from selfmm.cli.prediction import card, table

    console = Console()
    if in_rows:
        console.print(table(made, curve=curve))
        return
    for one in made:
        console.print(card(one))
