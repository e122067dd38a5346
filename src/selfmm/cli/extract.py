"""The command that turns recordings into a data set."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from selfmm.features.extract import Extracted


class BackendName(StrEnum):
    """Where clips are extracted."""

    local = "local"
    ray = "ray"
    dask = "dask"


def register(app: typer.Typer) -> None:
    app.command("extract")(extract)


def extract(
    clips: Annotated[
        Path, typer.Argument(metavar="CLIPS", help="A table of clips, a folder of recordings, or a recording.")
    ],
    dst: Annotated[Path, typer.Argument(metavar="DST", help="The data-set folder to make.")],
    parts: Annotated[str | None, typer.Option(help="Modalities: text,audio,vision or some of them.")] = None,
    recogniser: Annotated[
        str | None, typer.Option(help="Speech recognition: tiny.en, base, a hub name, a folder, or none.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Language of the speech, like en; default: detected.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the ratings; default: label.")] = None,
    media_root: Annotated[
        Path | None, typer.Option(help="Folder in which the table's relative paths start; default: the table's.")
    ] = None,
    label_range: Annotated[
        str | None, typer.Option(help="Lowest and highest rating, for example -3,3; default: as the field's sets have.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the data set; default: the source's.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split, where the table has none.")] = 0,
    jobs: Annotated[int | None, typer.Option(min=1, help="Clips at once; default: as many as there are cores.")] = None,
    backend: Annotated[
        BackendName, typer.Option(help="Processes of this machine, or a Ray or Dask cluster.")
    ] = BackendName.local,
    cache: Annotated[Path | None, typer.Option(help="Folder in which what is extracted is kept.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the recipe, key=value; see `selfmm settings --recipe`. Repeatable."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the data set DST.")] = False,
) -> None:
    """Extract words, voice and face from recordings into a data-set folder; a clip that cannot be read stops none.

    Stopped or killed, the same command goes on where it was. Settings of the recipe: selfmm settings --recipe
    """
    from rich.console import Console

    from selfmm.cli.data import parse_range
    from selfmm.cli.output import interruptible
    from selfmm.cli.progress import extract_listener
    from selfmm.config.recipe import load_recipe
    from selfmm.config.settings import with_values
    from selfmm.features.extract import extract as extract_

    named = {"parts": parts, "speech.recogniser": recogniser, "speech.language": language}
    recipe = load_recipe([*with_values((), named), *(overrides or ())])
    kept = "what was extracted is kept, and the same command goes on from there."
    with interruptible(kept), extract_listener(Console(stderr=True)) as progress:
        found = extract_(
            clips,
            dst,
            recipe=recipe,
            label_column=label_column,
            media_root=media_root,
            label_range=parse_range(label_range),
            name=name,
            seed=seed,
            jobs=jobs,
            backend=backend.value,
            cache=cache,
            force=force,
            listener=progress,
        )
    _tell(found, dst)


def _tell(found: Extracted, dst: Path) -> None:
    for note in found.notes:
        typer.echo(f"note: {note}")
    for failure in found.failures[:_SHOWN]:
        typer.echo(f"left out: {failure.id}: {failure.reason}", err=True)
    if found.failures:
        more = len(found.failures) - _SHOWN
        rest = f"{more} more; " if more > 0 else ""
        typer.echo(f"{rest}all {len(found.failures)} that were left out are in {dst / 'failures.csv'}", err=True)
    counts = found.dataset.samples["split"].value_counts()
    splits = ", ".join(f"{counts.get(split, 0)} {split}" for split in ("train", "valid", "test"))
    again = f"; {found.kept} had been extracted before" if found.kept else ""
    typer.echo(f"{dst}: {len(found.dataset)} clips ({splits}); {', '.join(found.dataset.modalities)}{again}.")
    typer.echo(f"Next: selfmm inspect {dst} && selfmm train {dst}")


_SHOWN = 10
