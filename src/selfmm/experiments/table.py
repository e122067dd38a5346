"""The table of an experiment in four formats: Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from markupsafe import Markup

from selfmm.core.html import html_table, render
from selfmm.evaluation.metrics import DESCRIPTIONS, HIGHER_IS_BETTER, describe
from selfmm.evaluation.tables import cell, head
from selfmm.experiments.paired import Difference

Kind = Literal["run", "trivial", "published", "failed"]


@dataclass(frozen=True)
class Row:
    """The row of one system.

    Attributes:
        name: the system's name.
        kind: trained here (``run``), a trivial baseline, published elsewhere, or without a result (``failed``).
        figures: values per metric, one per seed; shares in [0, 1].
        difference: its MAE minus the baseline's; None for the baseline itself, or if it cannot be computed.
        others: the same for further metrics, by key; their p values are not corrected.
        corrected: ``difference.p`` after Holm's correction over all rows.
        parameters, trained: number of parameters, and of those that were trained; None if unknown.
        seconds, memory: training time (mean over seeds) and peak memory in bytes; None if unknown.
        note: source of a published row, or the reason why a run failed.
    """

    name: str
    kind: Kind
    figures: Mapping[str, Sequence[float]] = field(default_factory=dict)
    difference: Difference | None = None
    others: Mapping[str, Difference] = field(default_factory=dict)
    corrected: float | None = None
    parameters: int | None = None
    trained: int | None = None
    seconds: float | None = None
    memory: float | None = None
    note: str = ""

    @property
    def seeds(self) -> int:
        return max((len(values) for values in self.figures.values()), default=0)

    def known(self, key: str) -> list[float]:
        """Return the values of a metric that are not NaN."""
        return [value for value in self.figures.get(key, ()) if not math.isnan(value)]

    def mean(self, key: str) -> float:
        """Return the mean over the seeds; NaN without a value."""
        return float(np.mean(values)) if (values := self.known(key)) else math.nan

    def deviation(self, key: str) -> float:
        """Return the standard deviation (n - 1); NaN for fewer than two values."""
        return float(np.std(values, ddof=1)) if len(values := self.known(key)) > 1 else math.nan


@dataclass(frozen=True)
class Table:
    """The table of an experiment.

    Attributes:
        title: one line.
        metrics: keys of the metric columns.
        rows: in the order shown.
        baseline: name of the row that the others are compared with.
        remarks: sentences below the table.
        neutral: the label between negative and positive, for the meanings of metrics.
    """

    title: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    baseline: str
    remarks: tuple[str, ...] = ()
    neutral: float = 0.0

    def __repr__(self) -> str:
        return f"<Table {self.title!r}: {', '.join(row.name for row in self.rows)}>"

    def _repr_html_(self) -> str:
        heads, rows, notes = _cells(self, _HTML)
        return html_table(rows, heads, caption=self.title, notes=notes)

    def best(self, key: str) -> float:
        """Return the best mean of a metric, without published rows: those were measured elsewhere."""
        means = [row.mean(key) for row in self.rows if row.kind in ("run", "trivial") and not math.isnan(row.mean(key))]
        if not means:
            return math.nan
        return max(means) if HIGHER_IS_BETTER.get(key, True) else min(means)

    def frame(self) -> pd.DataFrame:
        """Return one unrounded row per system: ``<metric>_mean``, ``_std``, ``_runs``, differences, sizes, notes."""
        return pd.DataFrame([_flat(row, self.metrics) for row in self.rows])


def _flat(row: Row, metrics: Sequence[str]) -> dict[str, object]:
    flat: dict[str, object] = {"system": row.name, "kind": row.kind, "seeds": row.seeds}
    for key in metrics:
        flat |= {f"{key}_mean": row.mean(key), f"{key}_std": row.deviation(key), f"{key}_runs": len(row.known(key))}
    unknown = Difference(*[math.nan] * 4)
    differences = {**{key: row.others.get(key) for key in metrics if key != "mae"}, "mae": row.difference}
    for key, difference in differences.items():
        difference = difference or unknown
        flat |= {
            f"{key}_difference": difference.value,
            f"{key}_difference_low": difference.low,
            f"{key}_difference_high": difference.high,
            "p" if key == "mae" else f"{key}_p": difference.p,
        }
    return flat | {
        "p_holm": math.nan if row.corrected is None else row.corrected,
        "parameters": row.parameters,
        "trained_parameters": row.trained,
        "seconds": row.seconds,
        "peak_memory_bytes": row.memory,
        "note": row.note,
    }


@dataclass(frozen=True)
class _Style:
    """The way in which a format writes text, bold text and plus-minus."""

    text: Callable[[str], str]
    bold: Callable[[str], str]
    pm: str


def _cells(table: Table, style: _Style) -> tuple[list[str], list[list[str]], list[str]]:
    """Return column heads, rows and footnotes; they are the same in every format."""
    facts = [f"MAE minus {table.baseline}'s", "p", "parameters", "s", "GB"]
    heads = [style.text(name) for name in ("system", *map(head, table.metrics), *facts)]
    notes: list[str] = []
    rows = []
    for row in table.rows:
        if row.note and row.note not in notes:
            notes.append(row.note)
        mark = f" [{notes.index(row.note) + 1}]" if row.note else ""
        kind = {"published": " (published)", "trivial": " (trivial)", "failed": " (no result)"}.get(row.kind, "")
        baseline = " (baseline)" if row.name == table.baseline and row.kind == "run" else ""
        figures = [_figure(row, key, table.best(key), style) for key in table.metrics]
        rows.append([style.text(f"{row.name}{kind}{baseline}{mark}"), *figures, *map(style.text, _facts(row))])
    lines = [f"[{number}] {note}" for number, note in enumerate(notes, start=1)]
    return heads, rows, [style.text(line) for line in [*legend(table), *table.remarks, *lines]]


def _figure(row: Row, key: str, best: float, style: _Style) -> str:
    mean, deviation = row.mean(key), row.deviation(key)
    shown = style.text(cell(key, mean))
    if not math.isnan(deviation):
        shown += f"{style.pm}{style.text(cell(key, deviation))}"
    return style.bold(shown) if row.kind in ("run", "trivial") and mean == best else shown


def _facts(row: Row) -> list[str]:
    gap = row.difference
    p = math.nan if gap is None else gap.p if row.corrected is None else row.corrected
    return [
        "" if gap is None else f"{gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]",
        "" if gap is None else "< .001" if p < 0.001 else f"{p:.3f}",
        "" if row.parameters is None else _count(row.parameters, row.trained),
        "" if row.seconds is None else f"{row.seconds:.0f}",
        "" if row.memory is None or math.isnan(row.memory) else f"{row.memory / 1e9:.2f}",
    ]


def _count(parameters: int, trained: int | None) -> str:
    shown = f"{parameters / 1e6:.2f} M"
    return shown if trained in (None, parameters) else f"{shown}, {(trained or 0) / 1e6:.2f} M trained"


def legend(table: Table) -> list[str]:
    """Return the meaning of every column, one line each."""
    seeds = sorted({row.seeds for row in table.rows if row.kind == "run"})
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}" if seeds else "no"
    noun = "seed" if seeds == [1] else "seeds"
    lines = [
        f"Test split. Mean ± standard deviation (n - 1) over {count} {noun}, each at its best epoch by validation MAE; "
        "the best mean of each column is bold, published figures excluded.",
        *(describe(key, table.neutral) + "." for key in table.metrics if key in DESCRIPTIONS),
    ]
    if any(row.difference for row in table.rows):
        lines.append(
            f"MAE minus {table.baseline}'s: below 0 is better; in brackets the 95 % interval of a paired bootstrap "
            "over videos and seeds. p: paired permutation test with Holm's correction over the rows."
        )
    return [*lines, "s: seconds to train one seed, with other runs in parallel; GB: peak memory of its process."]


def to_markdown(table: Table) -> str:
    """Return a Markdown table with its legend."""
    style = _Style(lambda text: re.sub(r"([|*_\\`<>\[\]])", r"\\\1", text), lambda text: f"**{text}**", " ± ")
    heads, rows, notes = _cells(table, style)
    lines = [f"### {table.title}", "", _piped(heads), _piped(["---", *["---:"] * (len(heads) - 1)])]
    return "\n".join([*lines, *map(_piped, rows), "", *(f"- {note}" for note in notes), ""])


def _piped(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
_LATEX |= {char: f"\\{char}" for char in "&%$#_{}"} | {"<": "$<$", ">": "$>$", "↑": r"$\uparrow$", "↓": r"$\downarrow$"}


def to_latex(table: Table) -> str:
    """Return a booktabs table to \\input in a paper; it needs \\usepackage{booktabs}."""
    style = _Style(_latex, lambda text: f"\\textbf{{{text}}}", r" $\pm$ ")
    heads, rows, notes = _cells(table, style)
    body = []
    for number, (row, cells) in enumerate(zip(table.rows, rows, strict=True)):
        if number and row.kind != table.rows[number - 1].kind:
            body.append(r"\midrule")
        body.append(" & ".join(cells) + r" \\")
    lines = [
        r"\begin{table}",
        r"\centering",
        f"\\caption{{{_latex(table.title)}}}",
        f"\\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *(f"\\par\\footnotesize {note}" for note in notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(char, char) for char in text)


_PAGE = """\
<!doctype html>
<html lang='en'><head><meta charset='utf-8'><title>{{ title }}</title>
<style>{{ css }}</style></head>
<body><header><h1>{{ title }}</h1></header>
<main><div class='scroll' tabindex='0'><table><thead><tr>
{%- for head in heads %}<th scope='col'>{{ head }}</th>{% endfor %}</tr></thead>
<tbody>
{% for kind, cells in rows %}
<tr class='{{ kind }}'><th scope='row'>{{ cells[0] }}</th>
{%- for cell in cells[1:] %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
<div class='notes'><ul>{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ul></div></main></body></html>
"""
_HTML = _Style(str, lambda text: Markup("<b>{}</b>").format(text), " ± ")


def to_html(table: Table, css: str) -> str:
    """Return a self-contained page: no network, no script, no other file."""
    heads, rows, notes = _cells(table, _HTML)
    pairs = [(row.kind, cells) for row, cells in zip(table.rows, rows, strict=True)]
    return render(_PAGE, title=table.title, css=Markup(css), heads=heads, rows=pairs, notes=notes) + "\n"
