"""The file of corrections: what it may hold, where it counts, and that nothing loses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.core.errors import DatasetError, OutputError
from selfmm.data.corrections import (
    COLUMNS,
    CORRECTIONS,
    digest,
    empty_corrections,
    merge_corrections,
    write_corrections,
)
from selfmm.data.inspect import inspect_dataset
from selfmm.data.planted import PlantedSettings, write_planted
from selfmm.data.store import Dataset, open_dataset


def table(*rows: tuple[str, str, float]) -> pd.DataFrame:
    filled: dict[str, Any] = {"weight": 1.0, "source": "s", "annotators": "", "imported_at": "2026", "sha256": "0"}
    return pd.DataFrame(rows, columns=["id", "modality", "label"]).assign(**filled)[list(COLUMNS)]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_planted(tmp_path / "data", PlantedSettings(clips=40))


def test_none_at_first(dataset: Dataset) -> None:
    pd.testing.assert_frame_equal(dataset.corrections, empty_corrections())
    assert digest(dataset.corrections) == ""
    assert inspect_dataset(dataset).corrections == {}


def test_written_and_read(dataset: Dataset) -> None:
    first, second = dataset.samples["id"].iloc[:2]
    written = table((first, "text", 1.5), (second, "audio", -3.0), (second, "text", 0.0))
    write_corrections(dataset.path, written)
    assert dataset.corrections is dataset.corrections, "a run sees one state of them"
    again = open_dataset(dataset.path)
    pd.testing.assert_frame_equal(again.corrections, written, check_dtype=False)
    inspection = inspect_dataset(again)
    assert inspection.corrections == {"text": 2, "audio": 1}
    assert any("text 2, audio 1" in note for note in inspection.notes)
    assert not inspection.problems
    write_corrections(dataset.path, written.iloc[:0])
    assert not (dataset.path / CORRECTIONS).exists()


pairs = st.dictionaries(st.tuples(st.sampled_from("abcd"), st.sampled_from(["text", "audio"])), st.floats(-3, 3))


@given(old=pairs, new=pairs)
def test_a_merge_is_that_of_dictionaries(old: dict[tuple[str, str], float], new: dict[tuple[str, str], float]) -> None:
    merged, replaced = merge_corrections(
        table(*((*key, label) for key, label in old.items())), table(*((*key, label) for key, label in new.items()))
    )
    assert {(row.id, row.modality): row.label for row in merged.itertuples()} == {**old, **new}
    assert replaced == len(set(old) & set(new))


def test_the_digest_is_of_what_training_sees() -> None:
    one, two = table(("a", "text", 1.0), ("b", "text", 2.0)), table(("b", "text", 2.0), ("a", "text", 1.0))
    assert digest(one) == digest(two.assign(source="other", imported_at="later"))
    for other in (one.assign(weight=0.5), one.assign(label=1.0), one.assign(modality="audio"), one.iloc[:1]):
        assert digest(other) != digest(one)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"label": 4.0}, r"labels are outside \[-3, 3\]: '4 \(text of .*, '4 \(text of"),
        ({"label": float("nan")}, "labels are outside"),
        ({"label": "good"}, "lacks the columns"),
        ({"weight": 1.1}, "weights are not in"),
        ({"modality": "pulse"}, "labels of 'pulse'; the data set has text, audio, vision"),
        ({"id": "nobody"}, "no clips with these ids"),
        ({"source": 1}, "lacks the columns"),
    ],
)
def test_a_file_that_does_not_fit(dataset: Dataset, change: dict[str, Any], says: str) -> None:
    ids = dataset.samples["id"]
    good = table((ids[0], "text", 1.0), (ids[1], "text", -1.0))
    good.assign(**change).to_parquet(dataset.path / CORRECTIONS)
    with pytest.raises(DatasetError, match=says) as error:
        _ = dataset.corrections
    assert "move" in str(error.value)


def test_a_damaged_file(dataset: Dataset) -> None:
    one = table((dataset.samples["id"][0], "text", 1.0))
    pd.concat([one, one]).to_parquet(dataset.path / CORRECTIONS)
    with pytest.raises(DatasetError, match="corrected twice"):
        _ = dataset.corrections
    one.drop(columns="sha256").to_parquet(dataset.path / CORRECTIONS)
    with pytest.raises(DatasetError, match="lacks the columns"):
        _ = dataset.corrections
    (dataset.path / CORRECTIONS).write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match="cannot read"):
        _ = dataset.corrections


def test_making_a_data_set_again_does_not_lose_them(dataset: Dataset) -> None:
    write_corrections(dataset.path, table((dataset.samples["id"][0], "text", 1.0)))
    before = (dataset.path / CORRECTIONS).read_bytes()
    with pytest.raises(OutputError, match="put the file back"):
        write_planted(dataset.path, PlantedSettings(clips=30), force=True)
    assert (dataset.path / CORRECTIONS).read_bytes() == before
    assert len(open_dataset(dataset.path)) == 40
