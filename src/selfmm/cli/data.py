"""Commands that make and inspect data sets."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfmm import api
from selfmm.api.parts import count, typed
from selfmm.cli import options
from selfmm.cli.output import as_options, interruptible, note

if TYPE_CHECKING:
    from selfmm.api import Dataset, Extracted

_FAILURES_SHOWN = 10


class TextForm(StrEnum):
    """The form of the text to import."""

    raw = "raw"
    tokens = "tokens"
    features = "features"


class NonFinite(StrEnum):
    """What to do with NaN and infinite features."""

    error = "error"
    zero = "zero"


class Synthesizer(StrEnum):
    """The voices of the demo's clips."""

    auto = "auto"
    tones = "tones"
    espeak = "espeak-ng"


class Missing(StrEnum):
    """What to do with clips that lack a modality."""

    error = "error"
    allow = "allow"


class BackendName(StrEnum):
    """The processes or cluster that extract clips."""

    local = "local"
    ray = "ray"
    dask = "dask"


def register(app: typer.Typer) -> None:
    options.register(app, "Data", import_=import_, inspect=inspect, extract=extract, planted=planted, demo=demo)


def import_(
    src: Annotated[
        Path, typer.Argument(metavar="SRC", help="A pickle of MOSI, MOSEI, SIMS and the like, a table, or a folder.")
    ],
    dst: options.Dst,
    name: Annotated[str | None, typer.Option(help="Name of the data set; default: the source's.")] = None,
    language: Annotated[str | None, typer.Option(help="Language of the words, for example en or zh.")] = None,
    label_range: options.LabelRange = None,
    text: Annotated[TextForm | None, typer.Option(help="Form of the text, if the source has several.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="Vocabulary of the token ids.")] = None,
    non_finite: Annotated[
        NonFinite, typer.Option(help="NaN and infinite features: refuse, or replace by 0.")
    ] = NonFinite.error,
    missing: Annotated[Missing, typer.Option(help="Clips that lack a modality: refuse, or allow.")] = Missing.error,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split, if the source has none.")] = 0,
    force: options.ForceDst = False,
) -> None:
    """Turn published or your own features into a data-set folder."""
    dataset, notes = api.import_dataset(
        src,
        dst,
        name=name,
        language=language,
        label_range=label_range,
        text=text.value if text else None,
        tokenizer=tokenizer,
        non_finite=non_finite.value,
        missing=missing.value,
        seed=seed,
        force=force,
    )
    note(notes)
    typer.echo(f"{dst}: {_describe(dataset)}.")
    typer.echo(f"Next: selfmm inspect {typed(dst)}")


def _describe(dataset: Dataset) -> str:
    counts = dataset.samples["split"].value_counts()
    splits = ", ".join(f"{counts.get(split, 0)} {split}" for split in ("train", "valid", "test"))
    return f"{count(len(dataset), 'clip')} ({splits}); {', '.join(dataset.modalities)}"


def inspect(
    data: options.Data,
    preset: Annotated[
        str | None, typer.Option("--preset", "-p", help=f"Judge the features for these settings: {options.PRESETS}")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a data set holds and what is wrong with it; the exit code is 1 if it has problems."""
    inspection = api.inspect(data, preset=preset)
    if as_json:
        import json

        typer.echo(json.dumps(inspection.to_dict(), indent=2))
    else:
        from rich.console import Console

        from selfmm.cli.show_data import render

        Console().print(render(inspection))
    raise typer.Exit(1 if inspection.problems else 0)


def extract(
    src: Annotated[
        Path, typer.Argument(metavar="SRC", help="A table of clips, a folder of recordings, or a recording.")
    ],
    dst: options.Dst,
    parts: Annotated[str | None, typer.Option(help="Modalities: text,audio,vision or some of them.")] = None,
    recogniser: Annotated[
        str | None, typer.Option(help="Speech recognition: tiny.en, base, a hub name, a folder, or none.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Language of the speech, such as en; default: detected.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the ratings; default: label.")] = None,
    media_root: Annotated[
        Path | None, typer.Option(help="Folder that relative paths in the table start from; default: the table's.")
    ] = None,
    label_range: options.LabelRange = None,
    name: Annotated[str | None, typer.Option(help="Name of the data set; default: the source's.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split, if the table has none.")] = 0,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Number of clips at once; default: the number of cores.")
    ] = None,
    backend: Annotated[
        BackendName, typer.Option(help="Processes of this machine, or a Ray or Dask cluster.")
    ] = BackendName.local,
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps extracted features.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the recipe, key=value; see `selfmm settings --recipe`. Repeatable."),
    ] = None,
    force: options.ForceDst = False,
) -> None:
    """Extract words, voice and face from recordings into a data-set folder; clips that cannot be read are left out.

    If it is interrupted, the same command continues. For the settings of the recipe: selfmm settings --recipe
    """
    from rich.console import Console

    from selfmm.cli.progress import watch_clips

    how = "extracted clips are kept, and the same command continues from there."
    with interruptible(how), watch_clips(Console(stderr=True)) as listener:
        extracted = api.extract(
            src,
            dst,
            parts=parts,
            recogniser=recogniser,
            language=language,
            overrides=overrides or (),
            label_column=label_column,
            media_root=media_root,
            label_range=label_range,
            name=name,
            seed=seed,
            jobs=jobs,
            backend=backend.value,
            cache=cache,
            force=force,
            listener=listener,
        )
    _report(extracted, dst)


def _report(extracted: Extracted, dst: Path) -> None:
    note(extracted.notes)
    for failure in extracted.failures[:_FAILURES_SHOWN]:
        typer.echo(f"left out: {failure.id}: {as_options(failure.reason)}", err=True)
    if extracted.failures:
        more = len(extracted.failures) - _FAILURES_SHOWN
        rest = f"and {more} more; " if more > 0 else ""
        typer.echo(f"{rest}{dst / 'failures.csv'} lists every clip that was left out", err=True)
    again = f"; {extracted.kept} had been extracted before" if extracted.kept else ""
    typer.echo(f"{dst}: {_describe(extracted.dataset)}{again}.")
    if extracted.dataset.samples["label"].notna().any():
        typer.echo(f"Next: selfmm inspect {typed(dst)} && selfmm train {typed(dst)}")
    else:
        to_train = "to train, extract again from a table with ratings in a column label"
        typer.echo(f"Next: selfmm predict {typed(dst)}; {to_train}")


def planted(
    dst: options.Dst,
    clips: Annotated[int, typer.Option(min=1, help="Number of clips.")] = 600,
    conflict: Annotated[
        float, typer.Option(min=0, max=1, help="Share of clips in which one modality contradicts the others.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Other seeds give other clips of the same kind.")] = 0,
    force: options.ForceDst = False,
) -> None:
    """Make a data set with a known true label of each modality, to try things on."""
    dataset = api.planted(dst, clips=clips, conflict=conflict, seed=seed, force=force)
    typer.echo(f"{dst}: {count(len(dataset), 'clip')}; {', '.join(dataset.modalities)}.")
    typer.echo(f"Next: selfmm train {typed(dst)} --preset quickstart")


def demo(
    dst: Annotated[
        Path, typer.Argument(metavar="DST", help="The folder to make: mp4 files, and clips.csv with the true labels.")
    ],
    count: Annotated[int, typer.Option(min=3, help="Number of clips.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Other seeds give other clips.")] = 0,
    synthesizer: Annotated[
        Synthesizer,
        typer.Option(help="What speaks: espeak-ng, or tones without words; auto: the first that is installed."),
    ] = Synthesizer.auto,
    force: Annotated[bool, typer.Option("--force", help="Replace the folder DST.")] = False,
) -> None:
    """Make small videos of drawn people who talk, with the true label of each modality, to try `selfmm extract` on."""
    table = api.demo(dst, count=count, seed=seed, synthesizer=synthesizer.value, force=force)
    typer.echo(f"{table}: {count} clips, each with a label, its words, and the true label of each modality.")
    typer.echo(f"Next: selfmm extract {typed(table)} data")
