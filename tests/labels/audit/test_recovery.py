from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from selfmm.core.errors import DatasetError
from selfmm.data.planted import PlantedSettings, planted_source
from selfmm.labels.audit.recovery import DESCRIPTIONS, recovery

NAN = float("nan")


def by_hand() -> pd.DataFrame:
    #        whole  audio says
    return pd.DataFrame(
        {
            "label": [2.0, 1.0, -1.0, -2.0, 0.0, 1.0, NAN],
            "label_audio": [1.0, -1.0, -1.0, 2.0, 1.0, NAN, 1.0],
        }
    )


def test_worked_by_hand() -> None:
    # Known to both: clips 0-4. Contradicting: 1 and 3. Agreeing: 0 and 2. Clip 4 (whole is 0) is neither.
    u = [-1.0, -1.0, -3.0, -1.0, 1.0, 5.0, 5.0]
    row = recovery(by_hand(), {"audio": u}).loc["audio"]
    assert list(row.index) == list(DESCRIPTIONS)
    assert row["clips"] == 5
    assert row["mae"] == pytest.approx((2 + 0 + 2 + 3 + 0) / 5)
    assert row["mae_trivial"] == pytest.approx((1 + 2 + 0 + 4 + 1) / 5)
    assert (row["contradicting"], row["right"], row["right_trivial"]) == (2, 0.5, 0.0)
    assert (row["agreeing"], row["flipped"], row["flipped_trivial"]) == (2, 0.5, 0.0)
    truth = [1.0, -1.0, -1.0, 2.0, 1.0]
    assert row["corr"] == pytest.approx(np.corrcoef(u[:5], truth)[0, 1])
    assert row["corr_trivial"] == pytest.approx(np.corrcoef([2.0, 1.0, -1.0, -2.0, 0.0], truth)[0, 1])


def test_the_conflict_column_decides_where_there_is_one() -> None:
    table = by_hand().assign(conflict=["", "audio", "", "text", "", "", ""])
    row = recovery(table, {"audio": np.ones(7)}).loc["audio"]
    assert (row["contradicting"], row["agreeing"]) == (1, 2)


def test_the_truth_recovers_itself_and_the_m_label_is_the_trivial_answer() -> None:
    table = planted_source(PlantedSettings(clips=300, missing=0.2)).table
    names = ["text", "audio", "vision"]
    perfect = recovery(table, {name: table[f"label_{name}"] for name in names})
    np.testing.assert_allclose(perfect[["corr", "right"]], 1)
    np.testing.assert_allclose(perfect[["mae", "flipped"]], 0)
    assert perfect["clips"].lt(300).all()
    assert perfect["contradicting"].sum() == 60
    trivial = recovery(table, dict.fromkeys(names, table["label"]))
    for figure in ("corr", "mae", "right", "flipped"):
        np.testing.assert_allclose(trivial[figure], trivial[f"{figure}_trivial"])
    np.testing.assert_allclose(trivial["right"], 0)


def test_where_nothing_is_known_there_is_nan_and_no_warning() -> None:
    row = recovery(by_hand(), {"audio": np.full(7, NAN)}).loc["audio"]
    assert row["clips"] == 0
    assert row[["corr", "mae", "right", "flipped"]].isna().all()


def test_a_modality_without_truth_is_left_out() -> None:
    assert list(recovery(by_hand(), {"vision": np.ones(7), "audio": np.ones(7)}).index) == ["audio"]
    with pytest.raises(DatasetError, match=r"no true labels of \['vision'\]: a column label_<modality>"):
        recovery(by_hand(), {"vision": np.ones(7)})


def test_lengths_must_fit() -> None:
    with pytest.raises(DatasetError, match=r"'audio' are \(3,\); the table has 7 clips"):
        recovery(by_hand(), {"audio": np.ones(3)})


def test_sides_are_those_of_the_neutral_label() -> None:
    u = np.array([-1.0, -1.0, -3.0, -1.0, 1.0, 5.0, 5.0])
    plain, moved = recovery(by_hand(), {"audio": u}), recovery(by_hand() + 4.0, {"audio": u + 4.0}, neutral=4.0)
    pd.testing.assert_frame_equal(plain, moved)
    assert plain.loc["audio", "contradicting"] == 2
    assert recovery(by_hand() + 4.0, {"audio": u + 4.0}).loc["audio", "contradicting"] == 0
