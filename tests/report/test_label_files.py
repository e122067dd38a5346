"""A file of labels and its data card: they come back as they were, in every format, and never half."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.test_spreadsheets import rows
from selfmm import api
from selfmm.core.errors import ArgumentsError, OutputError, SourceError
from selfmm.core.version import __version__
from selfmm.data.importing import import_dataset
from selfmm.data.store import Dataset, open_dataset
from selfmm.recordings.model import SentimentModel
from training.test_label_sets import tiny

ONE: dict[str, Any] = {"overrides": ["modalities=type"]}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """60 clips with ids like formulas, with commas and newlines, and texts that look like markup; not to be changed."""
    labels = np.random.default_rng(1).uniform(1, 5, 60).round(1)
    labels[3] = np.nan
    texts = ["@SUM(1)", "a | b\nc", "+1", "'=x", "<b>", "plain"] * 10
    return tiny(tmp_path_factory.mktemp("odd") / "data", labels, text=texts, label_type=labels)


def test_the_same_content_in_every_format(odd: Dataset, tmp_path: Path) -> None:
    table = api.labels(odd, **ONE)
    for suffix in (".csv", ".parquet", ".xlsx"):
        written = api.save_labels(odd, tmp_path / f"labels{suffix}", force=True, **ONE)
        assert written.files == (tmp_path / f"labels{suffix}", tmp_path / "labels.md")
        assert written.rows == 60
        assert written.notes == ("1 clip has no m-label, and so no labels per modality.",)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "labels.parquet"), table)
    header, *others = rows(tmp_path / "labels.xlsx")
    assert header == list(table)
    for cells, row in zip(others, table.to_dict("records"), strict=True):
        expected = [None if isinstance(value, float) and np.isnan(value) else value for value in row.values()]
        assert cells == expected
    stored = pd.read_csv(tmp_path / "labels.csv", keep_default_na=False, dtype=str)
    assert all(not re.match(r"[=+\-@]", word) for word in [*stored["id"], *stored["text"], *stored["video"]])
    assert set(stored["text"].iloc[:6]) == {"'@SUM(1)", "a | b\nc", "'+1", "''=x", "<b>", "plain"}
    assert stored["label_type"][3] == ""


def test_import_takes_them_as_labels_per_modality(odd: Dataset, tmp_path: Path) -> None:
    """Next to features, the table is a data set whose ids, texts and u-labels are those that were written."""
    api.save_labels(odd, tmp_path / "clips.csv", **ONE)
    frames: dict[str, Any] = {clip.id: clip.frames["type"] for clip in odd}
    np.savez(tmp_path / "type.npz", **frames)
    table = pd.read_csv(tmp_path / "clips.csv", dtype=str, keep_default_na=False)
    with pytest.raises(SourceError, match=r"labels that a program made, in label_type; made_type says how"):
        import_dataset(tmp_path / "clips.csv", tmp_path / "again", label_range=(1.0, 5.0), text="raw")
    table[table["label"] != ""].drop(columns="made_type").to_csv(tmp_path / "clips.csv", index=False)
    again, _ = import_dataset(tmp_path / "clips.csv", tmp_path / "again", label_range=(1.0, 5.0), text="raw")
    known = odd.samples[odd.samples["label"].notna()].reset_index(drop=True)
    for column in ("id", "text", "split", "video", "label"):
        assert again.samples[column].tolist() == known[column].tolist(), column
    u_labels = api.labels(odd, **ONE).set_index("id")["label_type"].loc[known["id"]]
    assert again.samples["label_type"].tolist() == u_labels.tolist()
    assert not [name for name in again.samples if str(name).startswith(("trust", "expected", "made", "known"))]


def test_mmsa_columns_are_compared_and_never_used(odd: Dataset, tmp_path: Path) -> None:
    """Labels under MMSA's names change no u-label, and have columns of their own."""
    rng = np.random.default_rng(0)
    ids, labels = [f"c{number}" for number in range(40)], rng.uniform(-1, 1, 40).round(1)
    frames: dict[str, Any] = {name: rng.normal(y, 1, (3, 2)) for name, y in zip(ids, labels, strict=True)}
    np.savez(tmp_path / "audio.npz", **frames)
    table = pd.DataFrame({"id": ids, "label": labels, "mode": ["train"] * 30 + ["val"] * 4 + ["test"] * 6})
    tables = {}
    for name, more in (("without", {}), ("with", {"label_A": -labels, "label_T": labels})):
        table.assign(**more).to_csv(tmp_path / "clips.csv", index=False)
        import_dataset(tmp_path / "clips.csv", tmp_path / name)
        tables[name] = api.labels(tmp_path / name)
    assert tables["with"]["known_label_audio"].tolist() == (-labels).tolist()
    pd.testing.assert_frame_equal(tables["with"].drop(columns="known_label_audio"), tables["without"])
    audit = api.audit(tmp_path / "with")
    assert audit.recovery is not None
    assert audit.recovery.index.tolist() == ["audio"]
    assert audit.recovery["clips"].tolist() == [40]


def test_the_card_says_what_they_are_and_is_the_same_each_time(odd: Dataset, tmp_path: Path) -> None:
    api.save_labels(odd, tmp_path / "labels.csv", **ONE)
    card = (tmp_path / "labels.md").read_text(encoding="utf-8")
    for part in (
        "# Labels per modality: tiny",
        f"| made by | selfmm {__version__}, rule posterior |",
        "| clips | 59 (train 36, valid 11, test 12) |",
        "| run | none: made without training |",
        "| licence | (fill in:",
        "| left out | estimated;",
        "- type: ",
        "| `known_label_type` | label of the modality that the data set has from elsewhere",
        "- 1 clip has no m-label, and so no labels per modality.",
    ):
        assert part in card, part
    assert str(tmp_path) not in card
    api.save_labels(odd, tmp_path / "labels.csv", force=True, **ONE)
    assert (tmp_path / "labels.md").read_text(encoding="utf-8") == card
    api.save_labels(odd, tmp_path / "long.csv", long=True, split="test", **ONE)
    card = (tmp_path / "long.md").read_text(encoding="utf-8")
    assert "| clips | 12 (test 12) |" in card
    assert "| `contradiction` | probability" in card
    assert len(pd.read_csv(tmp_path / "long.csv")) == 12


def test_the_card_of_a_run_names_its_epoch(trained: SentimentModel, tmp_path: Path) -> None:
    written = api.save_labels(trained, tmp_path / "labels.csv")
    card = written.files[1].read_text(encoding="utf-8")
    best = trained.metrics["best_epoch"]
    assert f"| run | run, epoch {best} |" in card
    assert "Only training clips have them." in card
    assert "trust" not in pd.read_csv(written.files[0]).columns.str.cat()
    assert "How far to trust" in card
    api.save_labels(trained, tmp_path / "all.parquet", long=True, epoch="all")
    assert "| run | run, epochs 1 to 4 |" in (tmp_path / "all.md").read_text(encoding="utf-8")
    with pytest.raises(ArgumentsError, match="a row per clip has the labels of one epoch"):
        api.labels(trained, epoch="all")


def test_nothing_is_replaced_and_nothing_half_written(
    odd: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "labels.md").write_text("years of work")
    with pytest.raises(OutputError, match=r"labels\.md exists already"):
        api.save_labels(odd, tmp_path / "labels.csv", **ONE)
    with pytest.raises(OutputError, match=r"ends in \.csv or \.xlsx or \.parquet"):
        api.save_labels(odd, tmp_path / "labels.txt", **ONE)
    with pytest.raises(OutputError, match="is in a data set"):
        api.save_labels(odd, odd.path / "labels.csv", **ONE)
    monkeypatch.setattr("selfmm.core.spreadsheets.MOST_ROWS", 10)
    with pytest.raises(OutputError, match="holds 10 rows"):
        api.save_labels(odd, tmp_path / "labels.xlsx", force=True, **ONE)
    assert [file.name for file in tmp_path.iterdir()] == ["labels.md"]
    assert (tmp_path / "labels.md").read_text() == "years of work"


def test_what_is_neither_a_run_nor_a_data_set(odd: Dataset, trained: SentimentModel, tmp_path: Path) -> None:
    with pytest.raises(api.RunError, match="is neither a run folder nor a data set: it does not exist"):
        api.labels(tmp_path / "nowhere")
    with pytest.raises(ArgumentsError, match="a run has settings of its own"):
        api.labels(trained, preset="mosi")
    with pytest.raises(ArgumentsError, match="labels from a data set alone have no epochs"):
        api.labels(odd, epoch=3, **ONE)
    with pytest.raises(ArgumentsError, match="an audit judges the labels of one epoch"):
        api.audit(trained, epoch="all")
    assert api.audit(open_dataset(odd.path), **ONE).epoch == 0
