"""The case study: which clips it shows, and that it shows successes and failures alike."""

from __future__ import annotations

import numpy as np
import pytest

from selfmm.data.store import Dataset
from selfmm.experiments.case_study import case_table, cases_html, cases_latex, cases_markdown, shown_cases


def test_the_best_system_is_shown_where_it_wins_and_where_it_loses(planted: Dataset) -> None:
    labels = planted.labels()[planted.rows("test")]
    better, worse = np.arange(len(labels)) % 2 == 0, np.arange(len(labels)) % 2 == 1
    base = labels + 0.5
    scores = {
        "self_mm": [base, base],
        "lf_dnn": [labels + np.where(worse, 0.7, 0.1), labels + np.where(worse, 0.9, 0.1)],
        "tfn": [],
    }
    table = case_table(planted, scores, "self_mm")
    assert list(table) == ["id", "text", "label", "self_mm", "lf_dnn", "shown"], "a system without a run has no column"
    assert table["lf_dnn"].to_numpy() == pytest.approx(labels + np.where(worse, 0.8, 0.1)), "mean over the seeds"
    kinds = table.groupby("shown").groups
    assert {name: len(rows) for name, rows in kinds.items() if name} == {
        "lf_dnn better than self_mm": 3,
        "lf_dnn worse than self_mm": 3,
        "hard for all": 3,
    }
    assert better[kinds["lf_dnn better than self_mm"]].all()
    assert worse[kinds["lf_dnn worse than self_mm"]].all()
    assert len(shown_cases(table)) == 9


def test_texts_are_not_taken_for_code(planted: Dataset) -> None:
    labels = planted.labels()[planted.rows("test")]
    table = case_table(planted, {"self_mm": [labels + 1]}, "self_mm")
    place = int(np.flatnonzero(table["shown"])[0])
    table.loc[place, "text"] = "a | b <i> & 5 % \n" + "x" * 300
    assert r"a \| b \<i\> & 5 % xxx" in cases_markdown(table, "Title")
    assert r"a | b $<$i$>$ \& 5 \% xxx" in cases_latex(table, "Title")
    assert "a | b &lt;i&gt; &amp; 5 %" in cases_html(table, "Title")
    assert "x ..." in cases_markdown(table, "Title")
