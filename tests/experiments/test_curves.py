"""Curves as tables and pictures: areas by the definition, and what has no value never passes for one."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.core.errors import OutputError
from selfmm.experiments.curves import Curves, draw_curves

LEVELS = (0.0, 0.1, 0.5, 1.0)
MAE = {"text": [[0.5, 0.6, 0.8, 1.0], [0.7, 0.7, 1.1, 1.2]], "text+audio": [[0.5, 0.7, 1.0, 1.5], [0.7, 0.9, 1.2, 1.5]]}
CORR = {"text": [[0.8, 0.7, 0.6, 0.4], [0.9, 0.8, 0.5, 0.3]], "text+audio": [[0.8, 0.6, 0.2, np.nan]] * 2}


def made(kind: str = "clips", mae: dict[str, list[list[float]]] = MAE) -> Curves:
    rows = [
        (kind, modality, level, metric, run, value)
        for metric, curves in (("mae", mae), ("corr", CORR))
        for modality, runs in curves.items()
        for run, values in enumerate(runs)
        for level, value in zip(LEVELS, values, strict=True)
    ]
    return Curves(pd.DataFrame(rows, columns=["kind", "modality", "level", "metric", "run", "value"]), ("noted",))


def one(table: pd.DataFrame, **where: object) -> pd.Series:
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_points() -> None:
    found = one(made().points, modality="text", level=0.5, metric="mae")
    assert (found["mean"], found["runs"]) == (pytest.approx(0.95), 2)
    assert found["std"] == pytest.approx(np.std([0.8, 1.1], ddof=1))
    assert found["change"] == pytest.approx(((0.8 - 0.5) + (1.1 - 0.7)) / 2)
    lost = one(made().points, modality="text+audio", level=1.0, metric="corr")
    assert np.isnan(lost["mean"])
    assert lost["runs"] == 0


def area(levels: list[float], values: list[float]) -> float:
    """The mean height, by adding up trapezoids."""
    total = 0.0
    for i in range(len(levels) - 1):
        total += (levels[i + 1] - levels[i]) * (values[i] + values[i + 1]) / 2
    return total / (levels[-1] - levels[0])


@given(st.lists(st.lists(st.floats(0, 5), min_size=4, max_size=4), min_size=1, max_size=4))
def test_areas_are_means_over_the_levels(runs: list[list[float]]) -> None:
    found = one(made(mae={"text": runs}).areas, modality="text", metric="mae")
    expected = [area(list(LEVELS), values) for values in runs]
    assert found["mean"] == pytest.approx(np.mean(expected))
    assert found["change"] == pytest.approx(np.mean(np.subtract(expected, [values[0] for values in runs])), abs=1e-9)
    assert (found["runs"], found["until"]) == (len(runs), 1)
    assert np.isnan(found["std"]) if len(runs) == 1 else found["std"] == pytest.approx(np.std(expected, ddof=1))


def test_an_area_ends_where_a_run_has_no_value() -> None:
    found = one(made().areas, modality="text+audio", metric="corr")
    assert found["until"] == 0.5
    assert found["mean"] == pytest.approx(area([0, 0.1, 0.5], [0.8, 0.6, 0.2]))


def test_an_area_does_not_jump_over_a_gap() -> None:
    gap = {"text": [[0.5, 0.6, np.nan, 1.0], [0.5, 0.8, 0.9, 1.0]]}
    found = one(made(mae=gap).areas, modality="text", metric="mae")
    assert (found["until"], found["mean"]) == (0.1, pytest.approx((0.55 + 0.65) / 2))


def test_a_run_that_never_had_a_value_is_left_out() -> None:
    never = {"text": [[0.5, 0.6, 0.8, 1.0], [np.nan] * 4]}
    found = one(made(mae=never).areas, modality="text", metric="mae")
    assert (found["runs"], found["mean"]) == (1, pytest.approx(area(list(LEVELS), never["text"][0])))
    gone = one(made(mae={"text": [[np.nan] * 4]}).areas, modality="text", metric="mae")
    assert gone["runs"] == 0
    assert gone[["mean", "std", "until", "change"]].isna().all()


def test_table() -> None:
    lines = made().markdown().splitlines()
    assert lines[0] == "| damage | of | MAE ↓ | Corr ↑ |"
    assert lines[2].startswith("| none |  | 0.6000 ± 0.1414 | 0.8500 ± 0.0707 |")
    assert lines[3].startswith(f"| clips | text | {np.mean([area(list(LEVELS), v) for v in MAE['text']]):.4f} ± ")
    assert "- clips of text+audio: Corr ↑ up to level 0.5; above it a run has no value" in lines
    assert "- noted" in lines
    assert "nan" not in made().markdown().lower()


def test_written(tmp_path: Path) -> None:
    curves = made()
    paths = curves.write(tmp_path / "new")
    assert [path.name for path in paths] == ["robustness.csv", "robustness-areas.csv", "robustness.md"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in paths)
    pd.testing.assert_frame_equal(pd.read_csv(paths[0]), curves.points)
    pd.testing.assert_frame_equal(pd.read_csv(paths[1]), curves.areas)
    assert paths[2].read_text(encoding="utf-8") == curves.markdown()
    with pytest.raises(OutputError, match="is a file, not a folder"):
        curves.write(paths[0])


def test_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    paths = draw_curves(made("noise"), tmp_path, metrics=("corr", "acc7"))
    assert [path.name for path in paths] == ["robustness-noise-corr.png", "robustness-noise-corr.svg"]
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in paths[1].read_bytes()


def test_pictures_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return importing(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(OutputError, match=r"pip install 'selfmm\[report\]'"):
        draw_curves(made(), tmp_path)
    assert not list(tmp_path.iterdir())
