"""Scores of recordings on the command line: clips, and long ones span by span."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from selfmm.cli.output import complain
from selfmm.core.errors import SettingsError, SourceError

if TYPE_CHECKING:
    from selfmm.config.recipe import Recipe
    from selfmm.features.clips.clip import Clip, Failure
    from selfmm.recordings.prediction import Prediction
    from selfmm.recordings.spans import Sentences, Windows
    from selfmm.runs.folder import RunFolder

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
    from selfmm.recordings.inputs import find_recordings

    listed = find_recordings(inputs, recipe)
    if listed is None:
        return None
    for failure in listed.failures:
        _complain_of(failure)
    return list(listed.clips), len(listed.failures)


def _complain_of(failure: Failure) -> None:
    named = bool(failure.path) and failure.path in failure.reason
    complain(failure.reason if named else f"{failure.id}: {failure.reason}")


def predict_clips(run: RunFolder, clips: Sequence[Clip], failed: int, explain: bool, form: Form) -> None:
    """Scores clips; the ones that cannot be scored are told, and make the exit code 1."""
    from selfmm.features.clips.clip import Failure
    from selfmm.recordings.scorer import RecordingScorer

    if form.picture is not None and len(clips) > 1:
        raise SettingsError([f"--picture is of one clip, and there are {len(clips)}"])
    made: list[Prediction] = []
    for one in _followed(RecordingScorer.of_run(run).clips(clips, explain=explain), len(clips)):
        if isinstance(one, Failure):
            failed += 1
            _complain_of(one)
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


def predict_curve(run: RunFolder, clips: Sequence[Clip], spans: Windows | Sentences, form: Form) -> None:
    """Scores one recording span by span."""
    from selfmm.recordings.prediction import overlay, table_of
    from selfmm.recordings.scorer import RecordingScorer

    if len(clips) != 1:
        raise SettingsError([f"a curve is of one recording, and there are {len(clips)}"])
    scorer = RecordingScorer.of_run(run)
    made = list(_followed(scorer.curve(clips[0], spans)))
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

        write_picture(curve_picture(table_of(made), scorer.info.label_range), form.picture)
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
