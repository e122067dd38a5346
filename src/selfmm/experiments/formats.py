"""Tables of experiments as Markdown, LaTeX and HTML; one table can hold several data sets side by side."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from markupsafe import Markup

from selfmm.core.html import html_table, render
from selfmm.evaluation.tables import cell, head
from selfmm.experiments.papers import bibliography, display_name, paper_of
from selfmm.experiments.table import FACTS, SECTIONS, Row, Section, Table, legend

_FACT_HEADS = {"p": "p", "parameters": "parameters", "seconds": "s", "memory": "GB"}
_LATEX_FACTS = ("p",)  # as many columns as fit on a page
_FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"  # a box as wide as the text at most


@dataclass(frozen=True)
class Part:
    """The columns of one data set in a table.

    Attributes:
        title: name of the data set; empty if the table has only one.
        table: its table.
    """

    title: str
    table: Table


Tables = Table | Sequence[Part]


@dataclass(frozen=True)
class _Style:
    """The way in which a format writes text, bold text, a deviation, and the name of a row."""

    text: Callable[[str], str]
    bold: Callable[[str], str]
    deviation: Callable[[str], str]
    name: Callable[[Row, str], str]


@dataclass(frozen=True)
class _Layout:
    """A table as cells.

    Attributes:
        groups: the title of each data set and its number of columns.
        heads: of the columns after the name.
        rows: section, name and cells of each row.
        notes: sentences below the table.
        cites: keys of the papers of all rows.
    """

    groups: list[tuple[str, int]]
    heads: list[str]
    rows: list[tuple[Section, list[str]]]
    notes: list[str]
    cites: list[str] = field(default_factory=list)

    def sections(self) -> list[tuple[str, list[list[str]]]]:
        """Return the rows of each section, with its title; without one, if there is only one section."""
        parts = [(section, [cells for _, cells in rows]) for section, rows in groupby(self.rows, lambda row: row[0])]
        return [(SECTIONS[section] if len(parts) > 1 else "", rows) for section, rows in parts]


def _lay_out(tables: Tables, style: _Style, facts: Sequence[str] = FACTS) -> _Layout:
    parts = [Part("", tables)] if isinstance(tables, Table) else list(tables)
    columns = [part.table.shown(facts=facts if len(parts) == 1 else ("p",)) for part in parts]
    found = [{_key(row): row for row in part.table.rows} for part in parts]
    keys = list(dict.fromkeys(key for rows in found for key in rows))
    notes: list[str] = []
    rows: list[tuple[Section, list[str]]] = []
    cites: list[str] = []
    for key in sorted(keys, key=lambda key: list(SECTIONS).index(key[0])):
        same = [known.get(key) for known in found]
        marks = []
        for part, row in zip(parts, same, strict=True):
            note = f"{part.title}: {row.note}" if row and row.note and part.title and row.kind != "published" else ""
            note = note or (row.note if row else "")
            if note and note not in notes:
                notes.append(note)
            marks += [notes.index(note) + 1] if note else []
        row = next(row for row in same if row is not None)
        mark = "".join(f" [{number}]" for number in dict.fromkeys(marks))
        if row.kind == "run" and row.name == parts[0].table.baseline:
            mark = f" (baseline){mark}"
        cells = [
            style.text(_cell(own, name, part.table, style))
            if name in FACTS
            else _figure(own, name, part.table.best(name), style)
            for part, shown, own in zip(parts, columns, same, strict=True)
            for name in shown
        ]
        rows.append((row.section, [style.name(row, mark), *cells]))
        cites += [paper_of(row.name), *row.cites] if row.kind != "trivial" else []
    heads = [style.text(_head(name, part.table)) for part, own in zip(parts, columns, strict=True) for name in own]
    lines = [line for part, own in zip(parts, columns, strict=True) for line in legend(part.table, own)]
    remarks = [remark for part in parts for remark in part.table.remarks]
    numbered = [f"[{number}] {note}" for number, note in enumerate(notes, start=1)]
    return _Layout(
        [(style.text(part.title), len(own)) for part, own in zip(parts, columns, strict=True)],
        heads,
        rows,
        [style.text(line) for line in dict.fromkeys([*lines, *remarks, *numbered])],
        list(dict.fromkeys(filter(None, cites))),
    )


def _key(row: Row) -> tuple[Section, str, str]:
    return row.section, row.name, row.source


def _head(name: str, table: Table) -> str:
    return f"MAE minus {table.baseline}'s" if name == "difference" else _FACT_HEADS.get(name) or head(name)


def _figure(row: Row | None, key: str, best: float, style: _Style) -> str:
    mean, deviation = (math.nan, math.nan) if row is None else (row.mean(key), row.deviation(key))
    shown = style.text(cell(key, mean))
    if not math.isnan(deviation):
        shown += style.deviation(cell(key, deviation))
    return style.bold(shown) if row and row.kind in ("run", "trivial") and mean == best else shown


def _cell(row: Row | None, name: str, table: Table, style: _Style) -> str:
    gap = row.difference if row else None
    if row is None:
        return ""
    if name == "difference":
        return "" if gap is None else f"{gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]"
    if name == "p":
        p = math.nan if gap is None else gap.p if row.corrected is None else row.corrected
        return "" if gap is None else "< .001" if p < 0.001 else f"{p:.3f}"
    if name == "parameters":
        return "" if row.parameters is None else _count(row.parameters, row.trained)
    if name == "seconds":
        return "" if row.seconds is None else f"{row.seconds:.0f}"
    return "" if row.memory is None or math.isnan(row.memory) else f"{row.memory / 1e9:.2f}"


def _count(parameters: int, trained: int | None) -> str:
    shown = f"{parameters / 1e6:.2f} M"
    return shown if trained in (None, parameters) else f"{shown}, {(trained or 0) / 1e6:.2f} M trained"


# Markdown


def markdown(text: str) -> str:
    """Return text for Markdown, which shows all of its characters."""
    return re.sub(r"([|*_\\`<>\[\]])", r"\\\1", text)


_MARKDOWN = _Style(
    markdown,
    lambda text: f"**{text}**",
    lambda text: f" ± {text}",
    lambda row, mark: markdown(row.title + mark),
)


def to_markdown(tables: Tables, title: str = "") -> str:
    """Return a Markdown table with its legend."""
    layout = _lay_out(tables, _MARKDOWN)
    names = [group for group, size in layout.groups for _ in range(size)]
    heads = [f"{group} {name}".strip() for group, name in zip(names, layout.heads, strict=True)]
    rows: list[list[str]] = []
    for section, own in layout.sections():
        rows += [[f"*{section}*", *[""] * len(heads)]] if section else []
        rows += own
    rule = ["---", *["---:"] * len(heads)]
    return markdown_table(title or _title(tables), ["system", *heads], rule, rows, layout.notes)


def markdown_table(
    title: str, heads: Sequence[str], rule: Sequence[str], rows: Iterable[Sequence[str]], notes: Sequence[str]
) -> str:
    """Return a Markdown table below a heading.

    Args:
        title: as plain text; all else is Markdown.
        heads, rule, rows: the cells of each line; the rule below the heads has the sides of the columns.
        notes: sentences below the table.
    """
    lines = ("| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows))
    return "\n".join([f"### {markdown(title)}", "", *lines, "", *(f"- {note}" for note in notes), ""])


def _title(tables: Tables) -> str:
    return tables.title if isinstance(tables, Table) else f"Models on {', '.join(part.title for part in tables)}"


# LaTeX

_CHARACTERS = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
_CHARACTERS |= {char: f"\\{char}" for char in "&%$#_{}"} | {"<": "$<$", ">": "$>$"}
_CHARACTERS |= {"↑": r"$\uparrow$", "↓": r"$\downarrow$", "→": r"$\rightarrow$", "≥": r"$\geq$", "≤": r"$\leq$"}
_TRIVIAL = {"mean": "Training mean", "text ridge": "Ridge regression on text"}


def latex(text: str) -> str:
    """Return text for LaTeX. Characters outside Latin-1 are left to the fonts of the document."""
    return "".join(_CHARACTERS.get(char, char) for char in text.replace(">=", "≥").replace("<=", "≤"))


def _latex_name(row: Row, mark: str) -> str:
    if row.kind == "trivial":
        return latex(_TRIVIAL.get(row.name, row.name) + mark)
    paper, reported = paper_of(row.name), [key for key in row.cites if key != paper_of(row.name)]
    name = latex(display_name(row.name)) + (f"~\\cite{{{paper}}}" if paper else "")
    name += f", from~\\cite{{{','.join(reported)}}}" if reported else ""
    return name + latex(" (no result)" * (row.kind == "failed") + mark)


_LATEX = _Style(latex, lambda text: f"\\textbf{{{text}}}", lambda text: f" $\\pm$ {text}", _latex_name)


def to_latex(tables: Tables, bib: str = "", title: str = "") -> str:
    r"""Return a booktabs table to \input in a paper.

    Args:
        bib: name of the file with :func:`bibliography_of`, for the comment at the top.
    """
    layout = _lay_out(tables, _LATEX, _LATEX_FACTS)
    width = 1 + len(layout.heads)
    named = [group for group in layout.groups if group[0]]
    lines = [*(_latex_groups(named) if named else []), " & ".join(["system", *layout.heads]) + r" \\"]
    for section, rows in layout.sections():
        lines += [r"\midrule"]
        lines += [f"\\multicolumn{{{width}}}{{l}}{{\\emph{{{latex(section)}}}}} \\\\"] if section else []
        lines += [" & ".join(cells) + r" \\" for cells in rows]
    return latex_table(
        title or _title(tables),
        f"l{'r' * len(layout.heads)}",
        lines,
        [f"\\par\\footnotesize {note}" for note in layout.notes],
        above=[f"\\label{{tab:{bib}}}"] if bib else [],
        needs=f", and \\bibliography{{{bib}}}" if bib else "",
    )


def latex_table(
    caption: str,
    columns: str,
    lines: Sequence[str],
    notes: Sequence[str],
    *,
    above: Sequence[str] = (),
    needs: str = "",
) -> str:
    """Return a booktabs table that is scaled if it is wider than the text.

    Args:
        caption: as plain text; all else is LaTeX.
        columns: the argument of ``tabular``.
        lines: heads and rows.
        notes: lines below the table.
        above: lines between the caption and the table.
        needs: what a document needs besides the packages, for the comment at the top.
    """
    return "\n".join(
        [
            r"% \usepackage{booktabs, graphicx}" + needs,
            r"\begin{table}",
            r"\centering",
            f"\\caption{{{latex(caption)}}}",
            *above,
            _FIT,
            f"\\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *lines,
            r"\bottomrule",
            "\\end{tabular}%\n}",
            *notes,
            r"\end{table}",
            "",
        ]
    )


def _latex_groups(groups: Sequence[tuple[str, int]]) -> list[str]:
    """Return a line with the name of each data set above its columns, and rules below the names."""
    titles = "".join(f" & \\multicolumn{{{size}}}{{c}}{{{title}}}" for title, size in groups)
    rules, first = [], 2
    for _, size in groups:
        rules.append(f"\\cmidrule(lr){{{first}-{first + size - 1}}}")
        first += size
    return [f"{titles} \\\\", "".join(rules)]


def bibliography_of(tables: Tables) -> str:
    """Return a .bib file with the papers that the LaTeX table cites."""
    return bibliography(_lay_out(tables, _LATEX, _LATEX_FACTS).cites)


# HTML

_PAGE = """\
<!doctype html>
<html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>
<title>{{ title }}</title>
<style>{{ css }}</style></head>
<body><header><h1>{{ title }}</h1></header>
<main>{% for figure in figures %}<figure>{{ figure }}</figure>{% endfor %}
<div class='figures'><table><thead>
{%- if groups|length > 1 %}<tr><td></td>
{%- for title, size in groups %}<th scope='colgroup' colspan='{{ size }}'>{{ title }}</th>{% endfor %}</tr>{% endif %}
<tr><td></td>{% for head in heads %}<th scope='col'>{{ head }}</th>{% endfor %}</tr></thead>
{% for section, rows in sections %}
<tbody>
{%- if section %}<tr class='section'>
<th scope='rowgroup' colspan='{{ heads|length + 1 }}'>{{ section }}</th></tr>{% endif %}
{%- for cells in rows %}
<tr><th scope='row'>{{ cells[0] }}</th>
{%- for cell in cells[1:] %}<td data-head='{{ labels[loop.index0] }}'>{{ cell }}</td>{% endfor %}</tr>
{%- endfor %}</tbody>
{% endfor %}
</table></div>
<div class='notes'><ul>{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ul></div>
{{ more }}
</main></body></html>
"""
# A wide table fits because its heads wrap and deviations are below their means; on a phone, each row is a list.
_CSS = """
main, header { max-width: 90rem; }
.figures { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; margin: .6rem 0 0; }
.figures table { font-size: .84rem; }
.figures th, .figures td { padding: .35rem .45rem; }
.figures thead th { white-space: normal; text-align: right; vertical-align: bottom; line-height: 1.25; }
.figures thead th[colspan] { text-align: center; }
.figures td { text-align: right; font-variant-numeric: tabular-nums; }
.figures tbody th { min-width: 7rem; overflow-wrap: anywhere; }
.figures td small { display: block; color: var(--soft); white-space: nowrap; }
.section th { color: var(--soft); font-weight: 600; padding-top: .8rem; }
.figures td.words { text-align: left; min-width: 12rem; }
main > figure { max-width: 54rem; margin: .6rem 0 0; }
@media (max-width: 60rem) {
  .figures thead { display: none; }
  .figures table, .figures tbody, .figures tr { display: block; }
  .figures tr { border-top: 1px solid var(--line); padding: .4rem 0; }
  .figures th { display: block; border: 0; }
  .figures td { display: block; border: 0; padding: .15rem .6rem; overflow: hidden; }
  .figures td:empty { display: none; }
  .figures td small { display: inline; }
  .figures td::before { content: attr(data-head); float: left; margin-right: 1rem; color: var(--soft); }
}
"""
_HTML = _Style(
    str,
    lambda text: Markup("<b>{}</b>").format(Markup(text)),
    lambda text: Markup(" <small>± {}</small>").format(text),
    lambda row, mark: row.title + mark,
)


def to_html(tables: Tables, css: str, title: str = "", figures: Sequence[str] = (), more: str = "") -> str:
    """Return a self-contained page: no network, no script, no other file.

    Args:
        figures: SVG elements to show above the table.
        more: HTML to show below it.
    """
    layout = _lay_out(tables, _HTML)
    names = [group for group, size in layout.groups for _ in range(size)]
    labels = [f"{group} {name}".strip() for group, name in zip(names, layout.heads, strict=True)]
    content: Mapping[str, object] = {
        "title": title or _title(tables),
        "css": Markup(css + _CSS),
        "figures": [Markup(figure) for figure in figures],
        "groups": layout.groups,
        "heads": layout.heads,
        "labels": labels,
        "sections": layout.sections(),
        "notes": layout.notes,
        "more": Markup(more),
    }
    return render(_PAGE, **content) + "\n"


def notebook_table(table: Table) -> str:
    """Return the table as HTML for a notebook."""
    layout = _lay_out(table, _HTML)
    return html_table(
        [cells for _, cells in layout.rows], ["system", *layout.heads], caption=table.title, notes=layout.notes
    )
