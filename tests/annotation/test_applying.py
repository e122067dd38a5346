"""Ratings become m-labels of a copy, corrections, tables to extract and sheets; the original stays as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from annotation.journals import rate, rated
from annotation.worlds import small
from selfmm import api
from selfmm.annotation.acts import Act
from selfmm.annotation.applying import rated_copy
from selfmm.annotation.importing import import_corrections
from selfmm.annotation.journal import RatingJournal
from selfmm.core.errors import ArgumentsError, DatasetError, OutputError, SourceError
from selfmm.data.store import Dataset, open_dataset
from selfmm.data.writer import FAILURES, WORDS


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return small(tmp_path / "data")


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".lock"}


def unrated(tmp_path: Path) -> Dataset:
    made = small(tmp_path / "unrated", label=np.nan, split="test")
    pd.DataFrame({"id": ["a"], "word": ["good"], "start": [0.0], "end": [1.0]}).to_parquet(made.path / WORDS)
    pd.DataFrame({"id": ["007"], "path": ["x.mp4"], "reason": ["NA"]}).to_csv(made.path / FAILURES, index=False)
    return made


def test_a_copy_has_the_new_labels_and_the_same_features(dataset: Dataset, tmp_path: Path) -> None:
    before = content(dataset.path)
    copy = rated_copy(dataset, tmp_path / "copy", {"b": 2.5, "v": -0.5}, source="Ann")
    assert content(dataset.path) == before
    changed = dataset.samples.copy()
    changed.loc[changed["id"].isin(["b", "v"]), "label"] = [2.5, -0.5]
    pd.testing.assert_frame_equal(copy.samples, changed)
    for name in ("audio", "vision"):
        np.testing.assert_array_equal(copy.matrix(name), dataset.matrix(name))
        assert (copy.path / f"{name}.npy").samefile(dataset.path / f"{name}.npy")
    assert copy.manifest.provenance["m_labels"] == {"source": "Ann", "clips": 2}
    assert copy.manifest.modalities == dataset.manifest.modalities


def test_frames_in_another_order_are_read_and_not_linked(dataset: Dataset, tmp_path: Path) -> None:
    table = dataset.samples.iloc[::-1].reset_index(drop=True)
    table.to_parquet(dataset.path / "samples.parquet")
    shuffled = open_dataset(dataset.path)
    copy = rated_copy(shuffled, tmp_path / "copy", {"b": 2.5})
    assert not (copy.path / "audio.npy").samefile(dataset.path / "audio.npy")
    for clip in shuffled:
        np.testing.assert_array_equal(copy[clip.id].frames["audio"], clip.frames["audio"])


def test_clips_without_a_label_get_splits_once_some_are_rated(tmp_path: Path) -> None:
    made = unrated(tmp_path)
    labels = {"a": 1.0, "b": -1.0, "v": 5.0, "t": 4.0}
    copy = rated_copy(made, tmp_path / "copy", labels, (-1.0, 5.0))
    table = copy.samples.set_index("id")
    assert set(table.loc[list(labels), "split"]) == {"train", "valid", "test"}
    assert (table["split"]["e"], np.isnan(table["label"]["e"])) == ("test", True)
    assert copy.manifest.label_range[1] == 5
    assert pd.read_csv(copy.path / FAILURES, dtype=str, keep_default_na=False).values.tolist() == [
        ["007", "x.mp4", "NA"]
    ]
    assert len(pd.read_parquet(copy.path / WORDS)) == 1


def test_what_a_copy_refuses(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no clips with these ids: 'x'"):
        rated_copy(dataset, tmp_path / "copy", {"x": 1.0})
    with pytest.raises(SourceError, match="nobody rated a clip"):
        rated_copy(dataset, tmp_path / "copy", {})
    with pytest.raises(DatasetError, match=r"from 1 to 5, but the labels that stay in .* are from -3 to 3"):
        rated_copy(dataset, tmp_path / "copy", {"a": 2.0}, (1, 5))
    with pytest.raises(SourceError, match="label outside"):
        rated_copy(dataset, tmp_path / "copy", {"a": 7.0})
    with pytest.raises(OutputError, match="exists already"):
        rated_copy(dataset, dataset.path, {"a": 1.0})
    assert not (tmp_path / "copy").exists()


def test_ratings_of_modalities_become_corrections(dataset: Dataset, tmp_path: Path) -> None:
    journal = rated(
        tmp_path / "data-ratings.jsonl",
        rate("a", 1, target="audio"),
        rate("a", 2, "Bo", target="audio"),
        rate("b", -1, target="text"),
        rate("gone", -1, target="text"),
        rate("b", 3),
    )
    done = import_corrections(dataset, journal.path)
    assert done.counts == {"audio": 2, "text": 1}
    assert done.raters == ("Ann", "Bo")
    assert "1 rating left out: the data set lacks the clip or the modality." in done.notes
    assert open_dataset(dataset.path).corrections["label"].tolist() == [1.5, -1.0]
    journal.add(Act("b", "text", "Ann", "undo"), rate("a", 3, target="audio"))
    import_corrections(dataset, journal.path)
    assert open_dataset(dataset.path).corrections["label"].tolist() == [2.5]


def test_applying_both_kinds_to_a_copy(dataset: Dataset, tmp_path: Path) -> None:
    before = content(dataset.path)
    ratings = api.open_ratings(dataset.path)
    assert (ratings.path, ratings.label_range) == (tmp_path.resolve() / "data-ratings.jsonl", (-3.0, 3.0))
    ratings.add(rate("b", 2), rate("b", 3, "Bo"), rate("b", 1, target="vision"))
    applied = api.apply_ratings(dataset, ratings, out=tmp_path / "rated")
    assert (applied.m_labels, applied.corrections) == (1, 1)
    assert applied.dataset["b"].label == 2.5
    assert content(dataset.path) == before
    again = api.apply_ratings(dataset.path, ratings)
    assert (again.m_labels, again.corrections) == (0, 1)
    only_clips = rated(tmp_path / "x-ratings.jsonl", rate("b", 2))
    with pytest.raises(ArgumentsError, match="nobody rated a single modality"):
        api.apply_ratings(dataset, only_clips)


def recordings(folder: Path, count: int = 4) -> Path:
    (folder / "clips").mkdir()
    for number in range(count):
        (folder / "clips" / f"clip{number}.wav").write_bytes(b"RIFF")
    (folder / "clips" / "clip0.txt").write_text("so good")
    (folder / "clips" / "clip2.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\n<i>so</i> bad\n")
    (folder / "clips" / "clip3.srt").write_text("no subtitles")
    return folder / "clips"


def test_a_folder_of_recordings_needs_no_data_set(tmp_path: Path) -> None:
    source = recordings(tmp_path)
    table = api.clips_to_rate(source)
    assert table["id"].tolist() == [f"clip{number}" for number in range(4)]
    assert table["text"].tolist() == ["so good", None, "so bad", None]
    assert table["label"].isna().all()
    ratings = api.open_ratings(source)
    with pytest.raises(SourceError, match="nobody has rated a clip yet"):
        api.save_rated_clips(ratings, source, tmp_path / "rated.csv")
    ratings.add(rate("clip1", 2), rate("clip1", 1, "Bo"), rate("clip3", -3))
    out = api.save_rated_clips(ratings, source, tmp_path / "rated.csv")
    again = api.clips_to_rate(out)
    assert again["id"].tolist() == table["id"].tolist()
    assert again["label"].tolist() == pytest.approx([np.nan, 1.5, np.nan, -3.0], nan_ok=True)
    assert again["text"].tolist() == table["text"].tolist()
    assert api.clips_to_rate(source)["id"].tolist() == table["id"].tolist()


def test_a_table_of_clips_keeps_what_it_says(tmp_path: Path) -> None:
    recordings(tmp_path)
    table = pd.DataFrame(
        {
            "id": ["-3g5y", "b", "c"],
            "path": ["clips/clip1.wav"] * 2 + ["clips/clip2.wav"],
            "start": [0, 5.5, None],
            "end": [5.5, 9, None],
            "label": [None, 1, None],
            "split": ["train", "test", None],
            "text": ["well", None, None],
        }
    )
    table.to_csv(tmp_path / "table.csv", index=False)
    ratings = api.open_ratings(tmp_path / "table.csv")
    ratings.add(rate("-3g5y", -2))
    saved = api.save_rated_clips(ratings, tmp_path / "table.csv", tmp_path / "out.csv")
    first, second, third = api.clips_to_rate(saved).to_dict("records")
    assert (first["id"], first["label"], first["split"], first["text"], first["end"]) == (
        *("-3g5y", -2.0, "train"),
        *("well", 5.5),
    )
    assert (second["label"], second["start"], second["split"]) == (1.0, 5.5, "test")
    assert np.isnan(third["label"])
    ratings.add(rate("c", 3))
    assert api.clips_to_rate(api.save_rated_clips(ratings, tmp_path / "table.csv", saved))["split"].isna().all()


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_saved_ratings_can_be_imported(dataset: Dataset, tmp_path: Path, suffix: str) -> None:
    ratings = rated(
        tmp_path / "data-ratings.jsonl",
        rate("a", 1, "=Ann", target="audio"),
        rate("b", -1, "=Ann", target="text"),
        rate("b", -2, "Bo", target="text"),
        rate("b", 3, "Bo"),
    )
    out = api.save_ratings(ratings, tmp_path / f"sheet.{suffix}")
    done = api.import_labels(dataset.path, out)
    assert (done.counts, done.raters) == ({"audio": 1, "text": 2}, ("=Ann", "Bo"))
    stored = open_dataset(dataset.path).ratings[["id", "modality", "rater", "label"]]
    assert stored.values.tolist() == [["a", "audio", "=Ann", 1], ["b", "text", "=Ann", -1], ["b", "text", "Bo", -2]]
    with pytest.raises(OutputError, match="exists already"):
        api.save_ratings(ratings, out)


def test_a_spreadsheet_of_ratings_can_be_imported(dataset: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("openpyxl", reason="the extra [excel] is not installed")
    ratings = rated(tmp_path / "data-ratings.jsonl", rate("a", 1, "'=Ann", target="audio"), rate("a", 2, target="text"))
    done = api.import_labels(dataset.path, api.save_ratings(ratings, tmp_path / "sheet.xlsx"))
    assert "'=Ann" in done.raters
    assert done.counts == {"audio": 1, "text": 1}


def test_a_spreadsheet_and_what_cannot_be_saved(tmp_path: Path) -> None:
    ratings = api.open_ratings(tmp_path / "clips")
    with pytest.raises(SourceError, match="nobody has rated a clip yet"):
        api.save_ratings(ratings, tmp_path / "sheet.csv")
    ratings.add(rate("a", 1))
    assert api.save_ratings(ratings, tmp_path / "sheet.xlsx").stat().st_size > 500
    with pytest.raises(OutputError, match="cannot tell the format"):
        api.save_ratings(ratings, tmp_path / "sheet.txt")


def test_the_file_does_not_disturb_other_readers(dataset: Dataset, tmp_path: Path) -> None:
    """Next to a data set, in the folder of the recordings, and in the folder of the data set itself."""
    source = recordings(tmp_path)
    for place in (tmp_path, source, dataset.path):
        journal = api.open_ratings(place, root=place)
        assert journal.path.parent == place.resolve()
        journal.add(rate("a", 1))
    assert len(api.clips_to_rate(source)) == 4
    assert len(open_dataset(dataset.path)) == 6
    assert api.inspect(dataset.path).problems == api.inspect(small(tmp_path / "other")).problems
    features = tmp_path / "features"
    features.mkdir()
    pd.DataFrame({"id": ["a", "b", "c"], "label": [1, 2, 3], "text": ["x", "y", "z"]}).to_csv(features / "t.csv")
    RatingJournal(features / "features-ratings.jsonl").add(rate("a", 1))
    api.import_dataset(features, tmp_path / "imported")


def test_agreement_and_disagreements(tmp_path: Path) -> None:
    ratings = api.open_ratings(tmp_path / "clips")
    ratings.add(*(rate(str(n), n - 2, who) for n in range(5) for who in ("Ann", "Bo")), rate("4", 3, "Bo"))
    assert 0.9 < api.rater_agreement(ratings)["alpha"]["clip"] < 1
    assert api.rater_disagreements(ratings)["id"].tolist()[0] == "4"
