"""Commands on data: import, inspect, planted, demo."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from selfmm.core.errors import SettingsError


class TextForm(StrEnum):
    """Which form of the text to import."""

    raw = "raw"
    tokens = "tokens"
    features = "features"


class NonFinite(StrEnum):
    """What to do with NaN and infinite features."""

    error = "error"
    zero = "zero"


class Synthesizer(StrEnum):
    """Who speaks in the demo's clips."""

    auto = "auto"
    tones = "tones"
    espeak = "espeak-ng"


class Missing(StrEnum):
    """What to do with clips that lack a stream."""

    error = "error"
    allow = "allow"


def register(app: typer.Typer) -> None:
    app.command("import")(import_)
    app.command("inspect")(inspect)
    app.command("planted")(planted)
    app.command("demo")(demo)


def import_(
    src: Annotated[Path, typer.Argument(help="A pickle of the field (MOSI, MOSEI, SIMS ...), a table, or a folder.")],
    dst: Annotated[Path, typer.Argument(help="The data-set folder to make.")],
    name: Annotated[str | None, typer.Option(help="Name of the data set; default: the source's.")] = None,
    language: Annotated[str | None, typer.Option(help="Language of the words, for example en or zh.")] = None,
    label_range: Annotated[
        str | None, typer.Option(help="Lowest and highest label, for example -3,3; default: as the field's sets have.")
    ] = None,
    text: Annotated[TextForm | None, typer.Option(help="Form of the text, where the source has several.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="Vocabulary that token ids belong to.")] = None,
    non_finite: Annotated[NonFinite, typer.Option(help="NaN, infinite features: refuse, or put 0.")] = NonFinite.error,
    missing: Annotated[Missing, typer.Option(help="Clips that lack a stream: refuse, or allow.")] = Missing.error,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split, where the source has none.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace the data set DST.")] = False,
) -> None:
    """Turn features of the field, or your own, into a data-set folder."""
    from selfmm.data.importing import import_dataset

    dataset, notes = import_dataset(
        src,
        dst,
        name=name,
        language=language,
        label_range=parse_range(label_range),
        text=text.value if text else None,
        tokenizer=tokenizer,
        non_finite=non_finite.value,
        missing=missing.value,
        seed=seed,
        force=force,
    )
    for note in notes:
        typer.echo(f"note: {note}")
    counts = dataset.samples["split"].value_counts()
    splits = ", ".join(f"{counts.get(split, 0)} {split}" for split in ("train", "valid", "test"))
    typer.echo(f"{dst}: {len(dataset)} clips ({splits}); {', '.join(dataset.modalities)}.")
    typer.echo(f"Next: selfmm inspect {dst}")


def inspect(
    path: Annotated[Path, typer.Argument(metavar="DATA", help="A data-set folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a data set holds and what is wrong with it; exit code 1 if anything is."""
    from selfmm.data.inspect import inspect_dataset
    from selfmm.data.store import open_dataset

    inspection = inspect_dataset(open_dataset(path))
    if as_json:
        import json

        typer.echo(json.dumps(inspection.to_dict(), indent=2))
    else:
        from rich.console import Console

        from selfmm.cli.inspection import render

        Console().print(render(inspection))
    raise typer.Exit(1 if inspection.problems else 0)


def planted(
    dst: Annotated[Path, typer.Argument(help="The data-set folder to make.")],
    clips: Annotated[int, typer.Option(min=1, help="How many clips.")] = 600,
    conflict: Annotated[
        float, typer.Option(min=0, max=1, help="Share of clips in which one modality contradicts the others.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Other seeds are other clips of the same world.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace the data set DST.")] = False,
) -> None:
    """Make a data set with known truth per modality, to try things on."""
    from selfmm.data.planted import PlantedSettings, write_planted

    dataset = write_planted(dst, PlantedSettings(clips=clips, conflict=conflict, seed=seed), force=force)
    typer.echo(f"{dst}: {len(dataset)} clips; {', '.join(dataset.modalities)}.")
    typer.echo(f"Next: selfmm train {dst} --preset quickstart")


def demo(
    dst: Annotated[Path, typer.Argument(help="The folder to make: mp4 files, and clips.csv with the truth.")],
    count: Annotated[int, typer.Option(min=3, help="How many clips.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Other seeds are other clips.")] = 0,
    synthesizer: Annotated[
        Synthesizer, typer.Option(help="Who speaks: espeak-ng, or tones without words; auto: the first that is here.")
    ] = Synthesizer.auto,
    force: Annotated[bool, typer.Option("--force", help="Replace the folder DST.")] = False,
) -> None:
    """Make small videos of drawn people who talk, with known truth per modality, to try `selfmm extract` on."""
    from selfmm.demo.clips import make_clips

    table = make_clips(dst, count=count, seed=seed, synthesizer=synthesizer.value, force=force)
    typer.echo(f"{table}: {count} clips, each with a label, what is said, and the truth per modality.")
    typer.echo(f"Next: selfmm extract {table} data")


def parse_range(value: str | None) -> tuple[float, float] | None:
    if value is None:
        return None
    try:
        low, high = (float(edge) for edge in value.split(","))
    except ValueError:
        low, high = 0.0, 0.0
    if not low < high:
        raise SettingsError([f"--label-range {value!r}: write the lowest and the highest label, for example -3,3"])
    return low, high
