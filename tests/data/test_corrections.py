"""The file of corrections: what it may hold, where it counts, and that nothing loses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.core.errors import DatasetError, OutputError
from selfmm.data.corrections import COLUMNS, corrections_of, digest
from selfmm.data.inspect import inspect_dataset
from selfmm.data.planted import PlantedSettings, write_planted
from selfmm.data.ratings import CORRECTIONS, RATINGS, empty_ratings, merge_ratings, write_ratings
from selfmm.data.store import Dataset, open_dataset


def table(*rows: tuple[str, str, float], **columns: Any) -> pd.DataFrame:
    filled: dict[str, Any] = {"rater": "s", "weight": 1.0, "source": "s", "imported_at": "2026", "sha256": "0"}
    rated = pd.DataFrame(rows, columns=["id", "modality", "label"]).astype({"label": "float64"})
    return rated.assign(**filled | columns)[list(RATINGS)]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_planted(tmp_path / "data", PlantedSettings(clips=40))


def test_none_at_first(dataset: Dataset) -> None:
    pd.testing.assert_frame_equal(dataset.ratings, empty_ratings())
    assert list(dataset.corrections) == list(COLUMNS)
    assert dataset.corrections.empty
    assert digest(dataset.corrections) == ""
    assert inspect_dataset(dataset).corrections == {}


def test_written_and_read(dataset: Dataset) -> None:
    first, second = dataset.samples["id"].iloc[:2]
    written = table((first, "text", 1.5), (second, "audio", -3.0), (second, "text", 0.0))
    write_ratings(dataset.path, written)
    assert dataset.corrections is dataset.corrections, "a run sees one state of them"
    again = open_dataset(dataset.path)
    pd.testing.assert_frame_equal(again.ratings, written, check_dtype=False)
    columns = ["id", "modality", "label", "weight"]
    expected = written.sort_values(["id", "modality"], ignore_index=True)[columns]
    pd.testing.assert_frame_equal(again.corrections[columns], expected, check_dtype=False)
    inspection = inspect_dataset(again)
    assert inspection.corrections == {"text": 2, "audio": 1}
    assert any("text 2, audio 1" in note for note in inspection.notes)
    assert not inspection.problems
    write_ratings(dataset.path, written.iloc[:0])
    assert not (dataset.path / CORRECTIONS).exists()


keys = st.tuples(st.sampled_from("abcd"), st.sampled_from(["text", "audio"]), st.sampled_from(["Ann", "Bo"]))
ratings = st.dictionaries(keys, st.floats(-3, 3))


def of_raters(rated: dict[tuple[str, str, str], float]) -> pd.DataFrame:
    raters = [rater for _, _, rater in rated]
    return table(*((clip, modality, label) for (clip, modality, _), label in rated.items()), rater=raters)


@given(old=ratings, new=ratings)
def test_a_merge_is_that_of_dictionaries(
    old: dict[tuple[str, str, str], float], new: dict[tuple[str, str, str], float]
) -> None:
    merged, both = merge_ratings(of_raters(old), of_raters(new))
    assert {(row.id, row.modality, row.rater): row.label for row in merged.itertuples()} == {**old, **new}
    assert {(row.id, row.modality, row.rater): (row.label, row.label_new) for row in both.itertuples()} == {
        key: (old[key], new[key]) for key in set(old) & set(new)
    }


@given(ratings)
def test_a_label_is_the_mean_of_its_ratings(rated: dict[tuple[str, str, str], float]) -> None:
    corrections = corrections_of(of_raters(rated))
    labels: dict[Any, Any] = {(row.id, row.modality): (row.label, row.ratings) for row in corrections.itertuples()}
    groups: dict[tuple[str, str], list[float]] = {}
    for (clip, modality, _), label in rated.items():
        groups.setdefault((clip, modality), []).append(label)
    assert set(labels) == set(groups)
    for key, group in groups.items():
        label, number = labels[key]
        assert (label, number) == (pytest.approx(sum(group) / len(group), abs=1e-12), len(group))
    assert corrections["weight"].between(0, 1).all()


def test_a_lone_rating_keeps_its_label_and_weight_exactly() -> None:
    """Otherwise a run could not be resumed with corrections that were imported by an older version."""
    one = table(("a", "text", 0.1), ("b", "text", -2.3), weight=[0.3, 0.7])
    rows = corrections_of(one)
    assert rows["label"].tolist() == [0.1, -2.3]
    assert rows["weight"].tolist() == [0.3, 0.7]


def test_the_weight_grows_with_the_ratings_and_their_agreement() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200).clip(-2, 2)
    parts = []
    for noise, modality in ((0.3, "text"), (1.0, "audio")):
        for number in range(3):
            rated = truth[: 200 - 60 * number] + noise * rng.normal(size=200 - 60 * number)
            rows = [(f"c{row}", modality, float(value)) for row, value in enumerate(rated)]
            parts.append(table(*rows, rater=f"r{number}"))
    weights = corrections_of(pd.concat(parts, ignore_index=True)).groupby(["modality", "ratings"])["weight"]
    assert (weights.nunique() == 1).all(), "it depends on nothing else"
    text, audio = (weights.first()[name].tolist() for name in ("text", "audio"))
    assert text == sorted(text)
    assert audio == sorted(audio)
    assert all(clear > noisy for clear, noisy in zip(text, audio, strict=True))
    # Reliability is 1 / (1 + noise²) of the variance of the truth; Spearman-Brown for three ratings.
    assert audio[2] == pytest.approx(3 * 0.5 / (1 + 2 * 0.5), abs=0.08)


def test_weights_of_imports() -> None:
    """An expert with weight 1 and a crowd with weight .25: the label is nearer to the expert's."""
    two = table(("a", "text", 2.0), ("a", "text", -1.0), rater=["expert", "crowd"], weight=[1.0, 0.25])
    row = corrections_of(two).iloc[0]
    assert row["label"] == pytest.approx((2.0 - 0.25) / 1.25)
    none = corrections_of(table(("a", "text", 2.0), ("a", "text", -1.0), rater=["x", "y"], weight=0.0)).iloc[0]
    assert (none["label"], none["weight"]) == (0.5, 0.0)


def test_names_and_the_last_import() -> None:
    two = table(("a", "text", 2.0), ("a", "text", 1.0), rater=["Bo", "Ann"]).assign(
        source=["new.csv", "old.csv"], imported_at=["2027", "2026"], sha256=["n", "o"]
    )
    row = corrections_of(two).iloc[0]
    assert row[["source", "annotators", "imported_at", "sha256"]].tolist() == [
        "new.csv, old.csv",
        "Ann, Bo",
        "2027",
        "n",
    ]


def test_a_file_of_an_older_version(dataset: Dataset) -> None:
    first, second = dataset.samples["id"].iloc[:2]
    old = table((first, "text", 1.5), (second, "audio", -2.0)).drop(columns="rater")
    old["annotators"] = ["12, 7", ""]
    order = ["id", "modality", "label", "weight", "source", "annotators", "imported_at", "sha256"]
    old[order].to_parquet(dataset.path / CORRECTIONS)
    opened = open_dataset(dataset.path)
    assert opened.ratings["rater"].tolist() == ["12, 7", "s"]
    assert digest(opened.corrections) == digest(old)
    write_ratings(dataset.path, opened.ratings)
    pd.testing.assert_frame_equal(open_dataset(dataset.path).ratings, opened.ratings)


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
    with pytest.raises(DatasetError, match="one rater rated clips twice"):
        _ = dataset.corrections
    one.drop(columns="sha256").to_parquet(dataset.path / CORRECTIONS)
    with pytest.raises(DatasetError, match="lacks the columns"):
        _ = dataset.corrections
    (dataset.path / CORRECTIONS).write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match="cannot read"):
        _ = dataset.corrections


def test_making_a_data_set_again_does_not_lose_them(dataset: Dataset) -> None:
    write_ratings(dataset.path, table((dataset.samples["id"][0], "text", 1.0)))
    before = (dataset.path / CORRECTIONS).read_bytes()
    with pytest.raises(OutputError, match="put the file back"):
        write_planted(dataset.path, PlantedSettings(clips=30), force=True)
    assert (dataset.path / CORRECTIONS).read_bytes() == before
    assert len(open_dataset(dataset.path)) == 40
