"""Settings, laid out for a terminal of any width."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import BaseModel
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from selfmm.api.parts import StreamSettings

_GAPS = 2  # characters between the columns of the table
_MEANING = 24  # characters that the meanings need at least


def show_settings(console: Console, settings: BaseModel) -> None:
    """Print every setting with its value and meaning; the names are those of ``--set`` and of TOML files.

    Names and values are never cut or divided, so that they can be copied: in a narrow terminal, a setting has its name
    and value on one line and its meaning below.
    """
    rows = list(_rows(settings))
    names, values = (max(len(row[place]) for row in rows) for place in (0, 1))
    if names + values + _GAPS + _MEANING > console.width:
        for name, value, meaning in rows:
            console.print(Text(f"{name} = {value}"), soft_wrap=True)
            console.print(Padding(Text(meaning, style="dim"), (0, 0, 0, 2)))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("setting", no_wrap=True, min_width=names)
    table.add_column("value", no_wrap=True, min_width=values)
    table.add_column("meaning")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _rows(group: BaseModel, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for name, field in type(group).model_fields.items():
        value = getattr(group, name)
        if isinstance(value, BaseModel):
            yield from _rows(value, f"{prefix}{name}.")
        elif name == "stream":
            for modality, stream in (value or {"<modality>": StreamSettings()}).items():
                yield from _rows(stream, f"stream.{modality}.")
        else:
            yield f"{prefix}{name}", plain_value(value), field.description or ""


def plain_value(value: object) -> str:
    """Return a value for a table."""
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:g}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "all"
    return str(value)
