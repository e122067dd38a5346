from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from selfmm.labels.per_clip import per_clip

NAN = float("nan")


def long_table(**columns: Any) -> pd.DataFrame:
    """Two modalities of clips a and b; b lacks vision."""
    table = pd.DataFrame(
        {
            "id": ["a", "b", "a", "b"],
            "modality": ["type", "type", "vision", "vision"],
            "m_label": [1.0, -1.0, 1.0, -1.0],
            "u_label": np.array([0.8, -0.9, 1.4, -1.0], dtype=np.float32),
            "outcome": ["updated", "fixed", "updated", "missing"],
        }
    )
    return table.assign(**columns)


ESTIMATED = {
    "trust": np.array([0.1, 1.0, 0.2, NAN], dtype=np.float32),
    "expected_error": np.array([0.5, 0.0, 0.4, NAN], dtype=np.float32),
    "made": ["left out", "person", "left out", "missing"],
}


def samples() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": ["c", "b", "a"],
            "split": ["test", "train", "train"],
            "label": [NAN, -1.0, 1.0],
            "text": ["x", None, "y\nz, w"],
            "video": ["v"] * 3,
            "label_type": [0.0, NAN, 2.0],
            "vision_length": [1, 0, 3],
        }
    )


def test_one_row_per_clip_in_the_order_of_the_data_set() -> None:
    table = per_clip(long_table(**ESTIMATED), samples())
    assert list(table) == [
        *("id", "video", "text", "split", "label", "label_type", "label_vision", "trust_type", "trust_vision"),
        *("expected_error_type", "expected_error_vision", "made_type", "made_vision", "known_label_type"),
    ]
    assert table["id"].tolist() == ["c", "b", "a"]
    np.testing.assert_array_equal(table["label_type"], [NAN, -0.9, 0.8])
    np.testing.assert_array_equal(table["label_vision"], [NAN, NAN, 1.4])
    assert table["made_vision"].tolist() == ["", "missing", "left out"]
    np.testing.assert_array_equal(table["known_label_type"], [0.0, NAN, 2.0])
    np.testing.assert_array_equal(table["trust_type"], [NAN, 1.0, 0.1])


def test_rules_that_make_labels_in_training_have_rows_of_the_training_clips_only() -> None:
    table = per_clip(long_table(), samples())
    assert table["id"].tolist() == ["b", "a"]
    assert table["outcome_type"].tolist() == ["fixed", "updated"]
    assert not [name for name in table if str(name).startswith(("trust", "made", "expected"))]


def test_without_the_data_set_there_are_ids_and_labels() -> None:
    table = per_clip(long_table(split=["train", "test"] * 2, **ESTIMATED), None)
    assert list(table)[:5] == ["id", "split", "label", "label_type", "label_vision"]
    assert table["split"].tolist() == ["train", "test"]


def test_tables_of_old_runs_have_neither_outcome_nor_trust() -> None:
    table = per_clip(long_table().drop(columns="outcome"), samples())
    assert list(table)[-3:] == ["label_type", "label_vision", "known_label_type"]
    assert table["label_vision"].tolist() == [-1.0, 1.4]
