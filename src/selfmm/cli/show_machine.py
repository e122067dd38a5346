"""A diagnosis of this machine, laid out for the terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from selfmm.api import Diagnosis


def diagnosis_tables(diagnosis: Diagnosis) -> Group:
    """Lay out what works and what would add the rest, then what is installed."""
    return Group(_jobs(diagnosis), Text(), _installed(diagnosis))


def _jobs(diagnosis: Diagnosis) -> Table:
    table = Table("job", "works", "what it lacks, and what adds it", box=None, pad_edge=False)
    for job in diagnosis.jobs:
        lacks = Text(", ".join(job.missing))
        for command in job.commands:
            lacks.append(f"\n{command}", style="bold")
        table.add_row(job.name, _yes(not job.missing), lacks)
    return table


def _installed(diagnosis: Diagnosis) -> Table:
    table = Table("installed", "", "", box=None, pad_edge=False)
    table.add_row("selfmm", diagnosis.selfmm, Text(f"Python {diagnosis.python}, {diagnosis.system}"))
    table.add_row("processor", f"{diagnosis.threads} threads", "")
    table.add_row("GPU", _yes(diagnosis.gpu not in ("", "none")), Text(diagnosis.gpu))
    for package in diagnosis.packages:
        table.add_row(package.name, Text(package.version or "-"), Text(package.problem))
    for name, works in diagnosis.decoders.items():
        table.add_row(f"decoder of {name}", _yes(works), "")
    for weights in diagnosis.weights:
        state = Text(weights.problem or weights.about)
        table.add_row(f"weights {weights.name}", _yes(weights.path is not None), state)
    table.add_row("cache", "", Text(diagnosis.cache))
    return table


def _yes(value: bool) -> Text:
    return Text("yes", style="green") if value else Text("no", style="red")
