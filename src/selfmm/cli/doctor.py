"""What ``selfmm doctor`` prints."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from selfmm.core.doctor import Diagnosis


def diagnosis_tables(diagnosis: Diagnosis) -> Group:
    """What works and what would bring the rest, then what was found."""
    return Group(_jobs(diagnosis), Text(), _found(diagnosis))


def _jobs(diagnosis: Diagnosis) -> Table:
    table = Table("job", "works", "what it lacks, and what brings it", box=None, pad_edge=False)
    for job in diagnosis.jobs:
        lacks = Text(", ".join(job.missing))
        for command in job.commands:
            lacks.append(f"\n{command}", style="bold")
        table.add_row(job.name, _yes(not job.missing), lacks)
    return table


def _found(diagnosis: Diagnosis) -> Table:
    table = Table("found", "", "", box=None, pad_edge=False)
    table.add_row("selfmm", diagnosis.selfmm, Text(f"Python {diagnosis.python}, {diagnosis.system}"))
    table.add_row("processor", f"{diagnosis.threads} threads", "")
    table.add_row("GPU", _yes(diagnosis.gpu not in ("", "none")), Text(diagnosis.gpu))
    for package in diagnosis.packages:
        table.add_row(package.name, Text(package.version or "-"), Text(package.problem))
    for name, there in diagnosis.decoders.items():
        table.add_row(f"decoder of {name}", _yes(there), "")
    for weights in diagnosis.weights:
        state = Text(weights.problem or weights.about)
        table.add_row(f"weights {weights.name}", _yes(weights.path is not None), state)
    table.add_row("cache", "", Text(diagnosis.cache))
    return table


def _yes(there: bool) -> Text:
    return Text("yes", style="green") if there else Text("no", style="red")
