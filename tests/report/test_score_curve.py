"""The picture of a recording: gaps stay gaps, windows that stand out are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from selfmm.core.errors import DatasetError
from selfmm.report.clip_pictures import write_picture
from selfmm.report.score_curve import _clock, _line, _picked, curve_picture


def curve(windows: int = 50, *, step: float = 10.0, length: float = 10.0) -> pd.DataFrame:
    start = np.arange(windows) * step
    score = 2 * np.sin(np.arange(windows) / 5)
    table = pd.DataFrame({"start": start, "end": start + length, "score": score})
    return table.assign(score_text=score / 2, score_audio=score / 3, score_vision=np.nan)


def runs(places: np.ndarray, values: np.ndarray) -> list[tuple[float, float]]:
    """(first, last) place of every unbroken part of a line."""
    known = np.flatnonzero(~np.isnan(values))
    parts = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
    return [(float(places[part[0]]), float(places[part[-1]])) for part in parts]


def test_a_missing_stream_and_a_pause_are_gaps() -> None:
    table = curve(6)
    table.loc[1, "score_text"] = np.nan
    table.loc[4:, ["start", "end"]] += 7.0
    assert runs(*_line(table, table["score_text"].to_numpy())) == [(0, 10), (20, 40), (47, 67)]


def test_windows_that_overlap_are_points_and_a_lonely_one_is_seen() -> None:
    table = curve(7, step=2.0, length=6.0)
    table.loc[[2, 4], "score_text"] = np.nan
    assert runs(*_line(table, table["score_text"].to_numpy())) == [(3, 5), (8, 10), (13, 15)]


def test_a_score_without_information_is_grey_and_stands_out_nowhere() -> None:
    pytest.importorskip("matplotlib", reason="it draws the picture")
    table = curve().assign(text="so good", low=-1.0, high=1.0, informs=True, informs_text=False, informs_audio=True)
    picture = curve_picture(table, (-3, 3))
    fused, text, audio, _ = picture.figure.axes
    assert [[shape.get_text() for shape in axes.texts] for axes in (text, audio)] == [["no information"], []]
    assert text.lines[0].get_color() != audio.lines[0].get_color()
    assert len(text.collections) == 0
    assert len(fused.collections) == 3  # above and below neutral, and the interval
    assert "so good" in picture.alt
    nothing = curve_picture(table.assign(informs=False), (-3, 3))
    assert "so good" not in nothing.alt
    assert len(nothing.figure.axes[0].collections) == 0


def test_the_windows_that_stand_out_are_quoted() -> None:
    table = curve(60)
    table["text"] = [f"window {number}" for number in range(60)]
    table.loc[8, "text"] = " "  # the highest says nothing
    table.loc[20, "score"] = np.nan
    picked = _picked(table, 0.0)
    scores = table["score"].to_numpy()
    assert picked == sorted(picked)
    assert 8 not in picked
    assert sorted(np.sign(scores[picked])) == [-1, -1, 1, 1]
    assert np.diff(picked).min() >= 0.06 * 60
    assert max(scores[picked]) > 1.9
    assert max(scores[_picked(table, 2.5)]) < -1.9  # the neutral label is what they stand out from
    picture = curve_picture(table, (-3, 3))
    for row in picked:
        assert f"window {row}" in picture.alt


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "table",
    [
        curve(1),
        curve(700, step=1.0, length=5.0).assign(text="said <b>$x$</b> \x1b and on and on" * 9),
        curve(3).assign(score=np.nan, text=None),
        curve(9)[["start", "end", "score"]],
        curve(9) * 100,
    ],
)
def test_every_shape_is_drawn_the_same_each_time(table: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg", "one.png"):
        write_picture(curve_picture(table, (-3, 3)), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    figure: Any = curve_picture(table, (-3, 3)).figure
    assert len(figure.axes) == 1 + sum(str(name).startswith("score_") for name in table)
    for axes in figure.axes:
        low, high = axes.get_ylim()
        assert low < -3
        assert high > 3
        assert axes.get_xlim() == (table["start"].min(), table["end"].max())


def test_a_table_that_is_not_a_curve_is_named() -> None:
    with pytest.raises(DatasetError, match=r"lacks the columns \['end'\]"):
        curve_picture(curve().drop(columns="end"), (-3, 3))
    with pytest.raises(DatasetError, match="has no rows"):
        curve_picture(curve(0), (-3, 3))


def test_times_are_read_as_on_a_clock() -> None:
    assert [_clock(seconds) for seconds in (0, 59.6, 75, 3600, 36061)] == [
        "0:00",
        "1:00",
        "1:15",
        "1:00:00",
        "10:01:01",
    ]
