"""The picture of a table says in words what it draws, and draws own systems only."""

from __future__ import annotations

import pytest

from experiments.test_formats import TABLE
from selfmm.experiments.picture import table_picture
from selfmm.report.style import drawing, pdf


def test_what_is_drawn() -> None:
    pytest.importorskip("matplotlib")
    with drawing():
        picture = table_picture(TABLE, "comparison")
        content = pdf(picture.figure)
    left, right = picture.figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["self_mm", "mult", "mean (trivial)"]
    assert picture.alt == (
        f"{TABLE.title}. MAE: self_mm 0.750, mult 0.550, mean (trivial) 1.400. "
        "Difference from self_mm: mult -0.100 (-0.200 to +0.010)."
    )
    assert content.startswith(b"%PDF")
    assert right.get_title(loc="left") == "Difference from self_mm"
