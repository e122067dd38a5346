"""The table in each format: what is best, what is published, and that nothing in it is taken for code."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from selfmm.experiments.case_study import cases_latex
from selfmm.experiments.formats import Part, bibliography_of, to_html, to_latex, to_markdown
from selfmm.experiments.paired import Difference
from selfmm.experiments.published import published_rows
from selfmm.experiments.table import SECTIONS, Row, Table

GAP = Difference(-0.1, -0.2, 0.01, 0.0005)
ROWS = (
    Row("self_mm", "run", {"mae": [0.7, 0.8], "corr": [0.6, math.nan]}, parameters=4_360_000, trained=360_000),
    Row("mult", "run", {"mae": [0.5, 0.6], "corr": [0.5, 0.5]}, GAP, corrected=0.0005, seconds=12.3, memory=1.5e9),
    Row("iccn", "failed", note="it is led by text | <b>& $x_1$</b>"),
    Row("mean", "trivial", {"mae": [1.4], "corr": [math.nan]}),
    Row("self_mm", "published", {"mae": [0.1]}, note="a paper", source="MMSA", cites=("mao2022msena",)),
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
    assert "| 0.1000 | - |" in cells[r"| self\_mm (published, MMSA) \[2\]"], "what is published is never the best"
    places = [lines.index(next(line for line in lines if SECTIONS[name] in line)) for name in SECTIONS]
    assert places == sorted(places), "own runs, trivial answers, and published figures, each with a title"
    assert "self\\_mm (published" in lines[places[2] + 1]
    assert "- \\[2\\] a paper" in lines
    assert "- One more thing." in lines


def test_latex() -> None:
    text = to_latex(TABLE, "comparison")
    assert r"Models on $<$data$>$ \& more" in text
    assert r"it is led by text | $<$b$>$\& \$x\_1\$$<$/b$>$" in text
    body = [line for line in text.splitlines() if line.endswith(r" \\") and "multicolumn" not in line]
    assert len({line.replace(r"\&", "").count("&") for line in body}) == 1
    assert text.count(r"\midrule") == 3, "one above each kind of row"
    assert r"\textbf{0.5500 $\pm$ 0.0707}" in text
    assert r"Self-MM~\cite{yu2021selfmm} (baseline) & 0.7500" in text
    assert r"Self-MM~\cite{yu2021selfmm}, from~\cite{mao2022msena} [2] & 0.1000" in text
    assert "Training mean & 1.4000" in text
    assert text.count("{") == text.count("}")
    assert " GB" not in text, "what does not fit on a page is left out unless it is chosen"
    bib = bibliography_of(TABLE)
    cited = set(re.findall("[a-z]+[0-9]{4}[a-z]+", " ".join(re.findall(r"\\cite{([^}]*)}", text))))
    assert (
        set(re.findall(r"@\w+{(\w+),", bib))
        == cited
        == {
            "yu2021selfmm",
            "tsai2019multimodal",
            "sun2020learning",
            "mao2022msena",
        }
    )


def test_names_are_text_in_titles_too() -> None:
    odd = replace(TABLE, title="Models on <b>50 %</b> | a_b")
    assert to_markdown(odd).startswith(r"### Models on \<b\>50 %\</b\> \| a\_b")
    assert "<b>50" not in to_html(odd, "")


def test_chosen_columns_in_their_order() -> None:
    table = replace(TABLE, columns=("corr", "difference"))
    assert to_markdown(table).splitlines()[2] == r"| system | Corr ↑ | MAE minus self\_mm's |"
    assert r"system & Corr $\uparrow$ & MAE minus self\_mm's \\" in to_latex(table)
    assert "mae_mean" in table.frame(), "the CSV file has everything"


def test_one_table_for_several_data_sets() -> None:
    sims = Table(
        "Models on sims",
        ("mae", "acc2"),
        (Row("mult", "run", {"mae": [0.4], "acc2": [0.8]}), Row("tfn", "run", {"mae": [0.3]})),
        "self_mm",
        columns=("mae", "acc2", "p"),
    )
    parts = [Part("mosi", replace(TABLE, columns=("mae", "p"))), Part("sims_1", sims)]
    text = to_latex(parts)
    assert r" & \multicolumn{2}{c}{mosi} & \multicolumn{3}{c}{sims\_1} \\" in text
    assert r"\cmidrule(lr){2-3}\cmidrule(lr){4-6}" in text
    rows = {line.split(" & ")[0]: line.split(" & ")[1:] for line in text.splitlines() if " & " in line}
    mult = rows[r"MulT~\cite{tsai2019multimodal}"]
    assert mult == [r"\textbf{0.5500 $\pm$ 0.0707}", "$<$ .001", "0.4000", r"\textbf{80.00}", r" \\"]
    assert rows[r"TFN~\cite{zadeh2017tensor}"][:3] == ["-", "", r"\textbf{0.3000}"]
    heads = to_markdown(parts).splitlines()[2]
    assert heads == r"| system | mosi MAE ↓ | mosi p | sims\_1 MAE ↓ | sims\_1 Acc-2 % ↑ | sims\_1 p |"
    assert "<th scope='colgroup' colspan='2'>mosi</th>" in to_html(parts, "")


@pytest.mark.slow
def test_a_document_with_every_table_compiles(tmp_path: Path) -> None:
    """What a paper does: the tables, the case study and the bibliography, without an overfull line."""
    missing = [name for name in ("pdflatex", "bibtex") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no TeX on this machine: {' and '.join(missing)} not found")
    many = {key: [0.75, 0.5] for key in ("mae", "corr", "acc2_has0", "f1_has0", "acc2_non0", "f1_non0", "acc5", "acc7")}
    wide = replace(TABLE, metrics=tuple(many), rows=(Row("self_mm", "run", many), *published_rows("mosi")))
    words = "50 % & more_ {of} $it$ \\ ~ ^ # — “so”"
    cases = pd.DataFrame([["a", words, 1.0, 0.5, -0.25, "hard for all"]])
    cases.columns = pd.Index(["id", "text", "label", "self_mm", "lf_dnn+labels.source=none", "shown"])
    tables = {
        "table": to_latex(TABLE, "table"),
        "wide": to_latex(wide, "wide"),
        "several": to_latex([Part("mosi", wide), Part("a_b", replace(TABLE, columns=("mae", "p")))], "several"),
        "cases": cases_latex(cases, "Single clips of <data>"),
    }
    for name, text in tables.items():
        (tmp_path / f"{name}.tex").write_text(text, encoding="utf-8")
    (tmp_path / "papers.bib").write_text(bibliography_of([Part("", wide), Part("", TABLE)]), encoding="utf-8")
    document = [
        r"\documentclass{article}\usepackage{booktabs,graphicx,url}\begin{document}",
        *(f"\\input{{{name}}}" for name in tables),
        r"\bibliographystyle{plain}\bibliography{papers}\end{document}",
    ]
    (tmp_path / "paper.tex").write_text("\n".join(document), encoding="utf-8")
    typeset = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper"]
    for command in (typeset, ["bibtex", "paper"], typeset, typeset):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000
    assert "undefined" not in log, "every cited paper is in the bibliography"
    assert "Overfull" not in log


def test_html() -> None:
    page = to_html(TABLE, "td { color: red }")
    assert "&lt;data&gt; &amp; more" in page
    assert "<b>&amp;" not in page
    assert page.count("<th scope='row'>") == len(ROWS)
    assert page.count("<tr class='section'>") == len(SECTIONS)
    assert "<b>0.5500 <small>± 0.0707</small></b>" in page
    assert "<script" not in page
    assert "http" not in page
