from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from cli.command_line import shown
from selfmm.evaluation.metrics import evaluate
from selfmm.evaluation.tables import head, metrics_table, summarise


def test_every_row_says_which_figure_it_is() -> None:
    good = evaluate([1.0, -2.0, 0.5], [1.0, -1.0, 1.0], "mosi")
    text = shown(metrics_table({"valid": good, "[test]": good}), 160)
    for expected in ("MAE ↓", "Corr ↑", "Acc-2 has0 % ↑", "Acc-2 non0 % ↑", "Acc-7 % ↑", "100.00", "0.5000", "[test]"):
        assert expected in text
    assert "labels of 0 count" in text
    assert "because" not in text
    assert "0 counts as negative" in shown(metrics_table({"a": evaluate([1.0], [1.0], "sims")}), 160)


def test_figures_are_never_cut_on_a_narrow_terminal() -> None:
    good = evaluate([1.0, -2.0, 0.5], [1.0, -1.0, 1.0], "mosi")
    text = shown(metrics_table({"valid": good, "test": good}), 60)
    assert text.count("100.00") == 2 * sum(value == 1.0 for key, value in good.values.items() if key != "corr")


def test_a_figure_without_a_value_is_a_dash_and_the_caption_says_why() -> None:
    text = shown(metrics_table({"[test]": evaluate([1.0, 1.0, 2.0], [0.0, 0.0, math.nan], "mosi")}), 160)
    assert "[test]: no Corr, because all predictions are equal (1)" in text
    assert "[test]: no Acc-2 non0, F1 non0, because all labels are neutral" in text
    assert "[test]: 1 clip without a label left out" in text
    assert " - " in text


def test_columns_of_different_scales_share_a_table() -> None:
    columns = {"a": evaluate([1.0, 0.0], [1.0, 0.5], "sims"), "b": evaluate([1.0, 0.0], [1.0, 0.5], "general")}
    assert metrics_table(columns).row_count == 1 + len({**columns["a"].values, **columns["b"].values})


def test_an_empty_table_is_not_an_error() -> None:
    assert shown(metrics_table({}))


def test_heads() -> None:
    assert head("f1_non0") == "F1 non0 % ↑"
    assert head("own") == "own"


def test_mean_and_deviation_over_seeds() -> None:
    runs = [{"mae": 1.0, "corr": 0.5}, {"mae": 2.0, "corr": math.nan}, {"mae": 4.0, "corr": 0.7, "extra": 1.0}]
    expected = pd.DataFrame(
        # std of 1, 2, 4: mean 7/3, squares 16/9 + 1/9 + 25/9 = 42/9, over 2.
        {"mean": [7 / 3, 0.6, 1.0], "std": [math.sqrt(42 / 18), 0.2 / math.sqrt(2), math.nan], "runs": [3, 2, 1]},
        index=pd.Index(["mae", "corr", "extra"], name="metric"),
    )
    pd.testing.assert_frame_equal(summarise(runs), expected)


@pytest.mark.parametrize("runs", [[], [{}], [{"mae": math.nan}]])
def test_nothing_to_summarise_is_not_an_error(runs: list[dict[str, float]]) -> None:
    summary = summarise(runs)
    assert list(summary.columns) == ["mean", "std", "runs"]
    assert np.isnan(summary["mean"].to_numpy(dtype=np.float64)).all()
