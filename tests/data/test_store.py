"""The data-set folder: what is written is read, and what is damaged is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from selfmm.core.errors import DatasetError, OutputError, SourceError
from selfmm.data.corrections import COLUMNS, write_corrections
from selfmm.data.store import Dataset, Manifest, Modality, check_modality_name, open_dataset
from selfmm.data.writer import Frames, Source, fingerprint, sha256, write_dataset

CLIPS = 70  # more than the writer takes at once
LENGTHS = np.arange(CLIPS) % 4


def audio(clip: int) -> Any:
    return np.full((LENGTHS[clip], 3), clip, dtype="f4")


def source(**changes: Any) -> Source:
    table = pd.DataFrame(
        {
            "id": [f"v$_${i}" for i in range(CLIPS)],
            "split": ["train", "valid", "test", "train", "train"] * (CLIPS // 5),
            "label": np.linspace(-3, 3, CLIPS),
            "text": ["words", " ", None, "é", "四"] * (CLIPS // 5),
            "video": "v",
        }
    )
    tokens = Frames(Modality(kind="tokens", tokenizer="t"), LENGTHS, lambda i: np.arange(LENGTHS[i]), np.dtype("i4"))
    frames = {"audio": Frames(Modality(kind="frames", dim=3), LENGTHS, audio), "text": tokens}
    given: dict[str, Any] = {"table": table, "frames": frames, "name": "set", "label_range": (-3, 3)}
    return Source(**(given | changes))


def written(tmp_path: Path, **changes: Any) -> Dataset:
    return write_dataset(source(**changes), tmp_path / "set")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written(tmp_path, language="en", provenance={"source": "x"})
    dataset = open_dataset(tmp_path / "set")
    assert (len(dataset), dataset.name, dataset.manifest.language) == (CLIPS, "set", "en")
    assert dataset.manifest.provenance == {"source": "x"}
    for clip in (0, 3, 66, CLIPS - 1):
        assert np.array_equal(dataset.frames("audio", clip), audio(clip))
        assert dataset.frames("text", clip).tolist() == list(range(LENGTHS[clip]))
    assert isinstance(dataset.matrix("audio"), np.memmap)
    assert dataset.lengths("audio").tolist() == LENGTHS.tolist()
    assert dataset.rows("valid").tolist() == list(range(1, CLIPS, 5))
    assert dataset.rows("none").tolist() == []
    assert np.array_equal(dataset.labels(), source().table["label"])


def test_a_view_without_a_split_has_all_else(tmp_path: Path) -> None:
    dataset = written(tmp_path)
    corrected = dataset.samples["id"].iloc[[1, 2]].tolist()  # one of valid, one of test
    filled: dict[str, Any] = {
        "label": 1.0,
        "weight": 1.0,
        "source": "s",
        "annotators": "",
        "imported_at": "2026",
        "sha256": "0",
    }
    table = pd.DataFrame({"id": corrected, "modality": "text"}).assign(**filled)
    write_corrections(dataset.path, table[list(COLUMNS)])
    view = dataset.without("test")
    kept = np.flatnonzero(dataset.samples["split"] != "test")
    assert len(view) == len(kept) == CLIPS - CLIPS // 5
    assert view.rows("test").tolist() == []
    assert view.samples["id"].tolist() == dataset.samples["id"].iloc[kept].tolist()
    assert view.labels()[view.rows("valid")].tolist() == dataset.labels()[dataset.rows("valid")].tolist()
    for row, clip in enumerate(kept.tolist()):
        assert np.array_equal(view.frames("audio", row), audio(clip))
    assert view.corrections["id"].tolist() == corrected[:1]
    assert view.without("valid").corrections["id"].tolist() == []
    assert fingerprint(view) == fingerprint(dataset)


def test_words_in_the_table_are_a_modality_without_a_matrix(tmp_path: Path) -> None:
    dataset = written(tmp_path, frames={})
    assert dataset.modalities["text"].kind == "text"
    assert dataset.lengths("text").tolist()[:5] == [1, 0, 0, 1, 1]
    assert sorted(path.name for path in dataset.path.iterdir()) == ["dataset.json", "samples.parquet"]


def test_checksums_are_those_of_the_files(tmp_path: Path) -> None:
    dataset = written(tmp_path)
    assert set(dataset.manifest.checksums) == {"audio.npy", "text.npy", "samples.parquet"}
    for name, checksum in dataset.manifest.checksums.items():
        assert sha256(dataset.path / name) == checksum


def test_half_precision_is_kept(tmp_path: Path) -> None:
    half = Frames(Modality(kind="frames", dim=3), LENGTHS, audio, np.dtype(np.float16))
    assert written(tmp_path, frames={"audio": half}).frames("audio", 5).dtype == np.float16


def test_a_reader_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(clip: int) -> Any:
        raise SourceError(f"clip {clip} is broken")

    with pytest.raises(SourceError, match="clip 0 is broken"):
        written(tmp_path, frames={"audio": Frames(Modality(kind="frames", dim=3), LENGTHS, fail)})
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_is_not_overwritten(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(OutputError, match="exists already"):
        written(tmp_path)


def edit(dataset: Dataset, **changes: Any) -> None:
    path = dataset.path / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_table(dataset: Dataset, column: str, values: Any) -> None:
    table = pd.read_parquet(dataset.path / "samples.parquet")
    table[column] = values
    table.to_parquet(dataset.path / "samples.parquet")


DAMAGES: list[tuple[Any, str]] = [
    (lambda d: (d.path / "dataset.json").unlink(), r"holds no dataset\.json.*selfmm import"),
    (lambda d: (d.path / "dataset.json").write_text("{"), "cannot read .*Import the data set anew"),
    (lambda d: (d.path / "dataset.json").write_text("[]"), "format version None"),
    (lambda d: edit(d, format_version=99), "format version 99; this selfmm reads version 1"),
    (lambda d: edit(d, colour="red"), "is not valid: colour"),
    (lambda d: edit(d, label_range=[3, -3]), "label_range is"),
    (lambda d: edit(d, modalities={}), "at least one modality"),
    (lambda d: edit(d, modalities={"../x": {"kind": "frames", "dim": 3}}), "cannot name a modality"),
    (lambda d: edit(d, modalities={"audio": {"kind": "frames"}}), "needs a dim"),
    (lambda d: edit(d, modalities={"audio": {"kind": "text"}}), "only 'text' may be"),
    (lambda d: edit(d, modalities={"audio": {"kind": "frames", "dim": 4}}), r"audio\.npy is \(\d+, 3\) float32"),
    (lambda d: edit(d, modalities={"vision": {"kind": "frames", "dim": 4}}), "lacks the columns"),
    (lambda d: (d.path / "samples.parquet").write_bytes(b"PAR1"), r"cannot read .*samples\.parquet"),
    (lambda d: (d.path / "audio.npy").unlink(), r"cannot read .*audio\.npy"),
    (lambda d: (d.path / "audio.npy").write_bytes(b"\x93NUMPY"), r"cannot read .*audio\.npy"),
    (lambda d: np.save(d.path / "audio.npy", np.array([{}]), allow_pickle=True), r"cannot read .*audio\.npy"),
    (lambda d: np.save(d.path / "audio.npy", np.ones((2, 3), dtype="f4")), r"points outside audio\.npy, which has 2 r"),
    (lambda d: np.save(d.path / "text.npy", np.ones(200)), "of whole numbers"),
    (lambda d: edit_table(d, "audio_offset", -1), "points outside"),
    (lambda d: edit_table(d, "split", "x"), r"has the splits \['x'\]"),
    (lambda d: edit_table(d, "split", None), r"has the splits \[None\]"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_damage_is_told_on_opening(tmp_path: Path, damage: Any, message: str) -> None:
    dataset = written(tmp_path)
    damage(dataset)
    with pytest.raises(DatasetError, match=message):
        open_dataset(tmp_path / "set")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"does not exist.*Make one with: selfmm import"):
        open_dataset(tmp_path / "none")


@pytest.mark.parametrize("name", ["", "Audio", "a b", "../x", "a/b", "1a", "x" * 33, "samples", "dataset", "audio.npy"])
def test_names_that_are_no_modality(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a modality"):
        check_modality_name(name)
    assert check_modality_name("gaze_2") == "gaze_2"


def test_an_infinite_range_is_refused() -> None:
    with pytest.raises(ValueError, match="two finite numbers"):
        Manifest(name="x", label_range=(0, float("inf")), modalities={"text": Modality(kind="text")})
