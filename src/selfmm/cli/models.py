"""``selfmm models``: what there is, and what each needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from selfmm.models.base import Model


def register(app: typer.Typer) -> None:
    app.command("models")(models)


def models(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show this one's own settings.")] = None,
) -> None:
    """Show every model, what it needs, and where it was published."""
    from rich.console import Console

    from selfmm.models import find_model

    Console().print(_overview() if name is None else _options(find_model(name)))


def _overview() -> Table:
    from rich import box
    from rich.table import Table

    from selfmm.models import MODELS, find_model

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("model", "published", "labels per modality", "needs"):
        table.add_column(head)
    for name in MODELS:
        model = find_model(name)
        table.add_row(name, model.paper, model.labels, ", ".join(_needs(model)))
    return table


def _needs(model: type[Model]) -> list[str]:
    needs = model.needs
    found = {
        "text": needs.text,
        f"{needs.modalities} modalities": needs.modalities > 1,
        "aligned streams": needs.aligned,
        "words or token ids": needs.inside,
    }
    return [what for what, needed in found.items() if needed]


def _options(model: type[Model]) -> Table:
    from rich import box
    from rich.table import Table

    from selfmm.models.base import Range

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("setting", "default", "meaning", "selfmm tune tries"):
        table.add_column(head)
    searched = {
        key: f"{space.low:g} to {space.high:g}" if isinstance(space, Range) else ", ".join(map(str, space))
        for key, space in model.search.items()
    }
    options = {f"options.{key}": field for key, field in model.Options.model_fields.items()}
    for key, field in options.items():
        table.add_row(key, str(field.default), field.description, searched.get(key, ""))
    for key in (key for key in searched if key not in options):
        table.add_row(key, "", "see `selfmm settings`", searched[key])
    return table
