"""The table: its columns, what they mean, and its unrounded form."""

from __future__ import annotations

import pytest

from experiments.test_formats import GAP, ROWS, TABLE
from selfmm.core.errors import SettingsError
from selfmm.experiments.paired import Difference
from selfmm.experiments.table import FACTS, Row, Table, chosen_columns, legend


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


def test_columns_are_chosen_by_their_keys_or_kinds() -> None:
    mosi = ["mae", "corr", "acc2_has0", "f1_has0", "acc2_non0", "f1_non0", "acc5", "acc7"]
    assert chosen_columns(["acc2", "mae", "acc2_has0", "p"], mosi) == ("acc2_has0", "acc2_non0", "mae", "p")
    assert chosen_columns(["f1", "acc2"], ["mae", "acc2", "f1"]) == ("f1", "acc2"), "labels of SIMS have one kind"
    assert chosen_columns([], mosi) == ()
    with pytest.raises(SettingsError, match="columns: 'acc3' is not a column; did you mean"):
        chosen_columns(["acc3"], mosi)
    with pytest.raises(SettingsError, match="'acc2' is not a column"):
        chosen_columns(["acc2"], ["mae", "corr"])


def test_only_shown_columns_are_explained() -> None:
    assert any(line.startswith("p: ") for line in legend(TABLE, [*TABLE.metrics, *FACTS]))
    short = legend(TABLE, ["corr"])
    assert [line.partition(":")[0] for line in short[1:]] == ["Corr"]
