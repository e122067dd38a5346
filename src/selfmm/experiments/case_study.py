"""The case study of a table: what each system says about single clips of the test split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.core.html import render
from selfmm.data.manifest import TEXT
from selfmm.data.store import Dataset
from selfmm.experiments.formats import latex, latex_table, markdown, markdown_table
from selfmm.experiments.papers import display_name

_Array = npt.NDArray[np.float64]
_EACH = 3  # clips of each kind that the table shows
_HARD = "hard for all"
_LONGEST = 160  # characters of a text


def case_table(dataset: Dataset, scores: Mapping[str, Sequence[_Array]], baseline: str) -> pd.DataFrame:
    """Return a row for each test clip with a label: what it is, and the score of each system.

    Args:
        scores: scores of the test clips by system, (n,) for each seed, in the order of the data set.
        baseline: the system that the others are compared with.

    Returns:
        ``id``, ``text``, ``label``, a column for each system with its mean score over the seeds; ``shown``, the reason
        why the tables of the case study show this clip, or an empty string: among the clips that the system with the
        lowest MAE judges better or worse than the baseline, those with the largest gap, and those that all systems
        judge worst. Both directions are shown: a table of successes alone would say nothing.
    """
    rows = dataset.rows("test")
    samples = dataset.samples.iloc[rows]
    table = pd.DataFrame({"id": samples["id"].to_numpy(), "label": dataset.labels()[rows]})
    text = samples[TEXT].fillna("").tolist() if TEXT in samples else [""] * len(table)
    table.insert(1, "text", text)
    systems = {name: np.mean(runs, axis=0) for name, runs in scores.items() if runs}
    table = table.assign(**systems)[np.isfinite(table["label"])].reset_index(drop=True)
    errors = {name: (table[name] - table["label"]).abs() for name in systems}
    shown = pd.Series("", index=table.index)
    if errors and len(table):
        best = min(errors, key=lambda name: (name == baseline, float(errors[name].mean())))
        if best != baseline and baseline in errors:
            gain = errors[baseline] - errors[best]
            for reason, order in ((f"{best} better", -gain), (f"{best} worse", gain)):
                chosen = order[order < 0].sort_values(kind="stable").index[:_EACH]
                shown[[place for place in chosen if not shown[place]]] = f"{reason} than {baseline}"
        hardest = pd.concat(errors, axis=1).min(axis=1).sort_values(ascending=False, kind="stable")
        shown[[place for place in hardest.index if not shown[place]][:_EACH]] = _HARD
    whole: pd.DataFrame = table.assign(shown=shown)
    return whole


def shown_cases(table: pd.DataFrame) -> pd.DataFrame:
    """Return the clips to show, by the reason why, with figures as text."""
    chosen = table[table["shown"] != ""]
    reasons = sorted(chosen["shown"].unique(), key=lambda reason: (reason == _HARD, reason))
    order = {reason: place for place, reason in enumerate(reasons)}
    chosen = chosen.sort_values("shown", key=lambda reasons: reasons.map(order), kind="stable")
    figures = {name: chosen[name].map("{:+.2f}".format) for name in table.columns[2:-1]}
    text = chosen["text"].map(lambda words: words if len(words) <= _LONGEST else f"{words[:_LONGEST].rstrip()} ...")
    return chosen.assign(text=text, **figures)


_NOTE = "Mean score over the seeds of each system. The CSV file has all labelled clips of the test split."


def cases_markdown(table: pd.DataFrame, title: str) -> str:
    """Return the clips to show as a Markdown table."""
    cases = shown_cases(table)
    rule = ["---"] * 2 + ["---:"] * (len(cases.columns) - 3) + ["---"]
    cells = cases.map(lambda cell: " ".join(markdown(str(cell)).split()))
    return markdown_table(title, list(cases.columns), rule, cells.itertuples(index=False), [_NOTE])


def cases_latex(table: pd.DataFrame, title: str) -> str:
    """Return the clips to show as a booktabs table."""
    cases = shown_cases(table)
    systems = list(cases.columns[3:-1])
    lines = [" & ".join(["text", "label", *(latex(display_name(name)) for name in systems)]) + r" \\"]
    for reason, rows in cases.groupby("shown", sort=False):
        lines += [r"\midrule", f"\\multicolumn{{{2 + len(systems)}}}{{l}}{{\\emph{{{latex(str(reason))}}}}} \\\\"]
        for row in rows.to_dict("records"):
            cells = [row["text"] or row["id"], row["label"], *(row[name] for name in systems)]
            lines.append(" & ".join(latex(" ".join(str(cell).split())) for cell in cells) + r" \\")
    columns = f"p{{.45\\linewidth}}r{'r' * len(systems)}"
    return latex_table(title, columns, lines, [f"\\par {latex(_NOTE)}"], above=[r"\footnotesize"])


_HTML = """\
<h2>{{ title }}</h2>
<div class='figures'><table><thead><tr><td></td>
{%- for name in ['text', 'label'] + systems %}<th scope='col'>{{ name }}</th>{% endfor %}</tr></thead>
{% for reason, rows in groups %}
<tbody><tr class='section'><th scope='rowgroup' colspan='{{ systems|length + 3 }}'>{{ reason }}</th></tr>
{%- for row in rows %}
<tr><th scope='row'>{{ row['id'] }}</th><td class='words'>{{ row['text'] }}</td>
{%- for name in ['label'] + systems %}<td data-head='{{ name }}'>{{ row[name] }}</td>{% endfor %}</tr>
{%- endfor %}</tbody>
{% endfor %}
</table></div>
<p class='soft'>{{ note }}</p>
"""


def cases_html(table: pd.DataFrame, title: str) -> str:
    """Return the clips to show as a part of the page of :func:`selfmm.experiments.formats.to_html`."""
    cases = shown_cases(table)
    groups = [(str(reason), rows.to_dict("records")) for reason, rows in cases.groupby("shown", sort=False)]
    return render(_HTML, title=title, systems=list(cases.columns[3:-1]), groups=groups, note=_NOTE)
