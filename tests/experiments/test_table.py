"""The table in four forms: what is best, what is published, and that nothing in it is taken for code."""

from __future__ import annotations

import math
import re

import pytest

from selfmm.experiments.paired import Difference
from selfmm.experiments.table import Row, Table, to_html, to_latex, to_markdown

GAP = Difference(-0.1, -0.2, 0.01, 0.0005)
ROWS = (
    Row("self_mm", "run", {"mae": [0.7, 0.8], "corr": [0.6, math.nan]}, parameters=4_360_000, trained=360_000),
    Row("mult", "run", {"mae": [0.5, 0.6], "corr": [0.5, 0.5]}, GAP, corrected=0.0005, seconds=12.3, memory=1.5e9),
    Row("iccn", "failed", note="it is led by text | <b>& $x_1$</b>"),
    Row("mean", "trivial", {"mae": [1.4], "corr": [math.nan]}),
    Row("self_mm", "published", {"mae": [0.1]}, note="a paper"),
)
TABLE = Table("Models on <data> & more", ("mae", "corr"), ROWS, "self_mm", ("One more thing.",))


def test_markdown() -> None:
    lines = to_markdown(TABLE).splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert all(line.count(" | ") == rows[0].count(" | ") for line in rows), "a name cannot make a column"
    cells = {line.split(" | ")[0]: line for line in rows}
    assert "| 0.7500 ± 0.0707 | **0.6000** |" in cells[r"| self\_mm (baseline)"]
    assert "| **0.5500 ± 0.0707** | 0.5000 ± 0.0000 | -0.1000 \\[-0.2000, +0.0100\\] | \\< .001 |" in cells["| mult"]
    assert "4.36 M, 0.36 M trained" in cells[r"| self\_mm (baseline)"]
    assert "| 12 | 1.50 |" in cells["| mult"]
    assert "| - | - |" in cells[r"| iccn (no result) \[1\]"]
    assert "| 0.1000 | - |" in cells[r"| self\_mm (published) \[2\]"], "what is published is never the best"
    assert "- \\[2\\] a paper" in lines
    assert "- One more thing." in lines


def test_csv_is_unrounded() -> None:
    frame = TABLE.frame().set_index("system")
    assert frame.loc["mult", "mae_mean"] == pytest.approx(0.55, abs=1e-15)
    assert frame.loc["mult", "mae_difference_low"] == -0.2
    assert frame.loc["iccn", "kind"] == "failed"
    row = Row("mult", "run", {"mae": [0.5], "corr": [0.5]}, GAP, {"corr": Difference(0.02, -0.01, 0.05, 0.2)})
    other = Table("", ("mae", "corr"), (ROWS[0], row), "self_mm").frame()
    keys = ["corr_difference", "corr_difference_low", "corr_difference_high", "corr_p", "mae_difference"]
    assert other[keys].to_numpy()[1].tolist() == [0.02, -0.01, 0.05, 0.2, -0.1]
    assert frame["corr_p"].isna().all()
    assert frame["corr_runs"].tolist() == [1, 2, 0, 0, 0]
    assert len(frame) == len(ROWS)


def test_latex() -> None:
    text = to_latex(TABLE)
    assert r"Models on $<$data$>$ \& more" in text
    assert r"it is led by text | $<$b$>$\& \$x\_1\$$<$/b$>$" in text
    body = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len({line.replace(r"\&", "").count("&") for line in body}) == 1
    assert text.count(r"\midrule") == 4, "one below the heads, one before each other kind of row"
    assert r"\textbf{0.5500 $\pm$ 0.0707}" in text
    assert text.count("{") == text.count("}")


def test_html() -> None:
    page = to_html(TABLE, "td { color: red }")
    assert "&lt;data&gt; &amp; more" in page
    assert "<b>&amp;" not in page
    assert len(re.findall("<tr class='(run|failed|trivial|published)'>", page)) == len(ROWS)
    assert "<b>0.5500 ± 0.0707</b>" in page
    assert "<script" not in page
    assert "http" not in page
