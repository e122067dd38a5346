"""The data-set folder: what is written is read, and damage is reported."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from selfmm.core.errors import DatasetError, OutputError, SourceError
from selfmm.data.manifest import Modality
from selfmm.data.ratings import write_ratings
from selfmm.data.store import Dataset, open_dataset
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
        "rater": "s",
        "imported_at": "2026",
        "sha256": "0",
    }
    table = pd.DataFrame({"id": corrected, "modality": "text"}).assign(**filled)
    write_ratings(dataset.path, table)
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


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


DAMAGES: list[tuple[Any, str]] = [
    (lambda d: (d.path / "dataset.json").unlink(), r"has no dataset\.json.*selfmm import"),
    (lambda d: (d.path / "dataset.json").write_text("{"), "cannot read .*Make the data set again"),
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
    (lambda d: (d.path / "samples.parquet").write_bytes(b"PAR1"), r"cannot read .*samples\.parquet.*[^.]\. Make"),
    (lambda d: cut_off(d.path / "audio.npy"), r"audio\.npy: the file is cut off\. Make"),
    (lambda d: (d.path / "audio.npy").unlink(), r"audio\.npy is missing\. Make"),
    (lambda d: (d.path / "audio.npy").write_bytes(b"\x93NUMPY"), r"cannot read .*audio\.npy"),
    (lambda d: np.save(d.path / "audio.npy", np.array([{}]), allow_pickle=True), r"cannot read .*audio\.npy"),
    (lambda d: np.save(d.path / "audio.npy", np.ones((2, 3), dtype="f4")), r"points outside audio\.npy, which has 2 r"),
    (lambda d: np.save(d.path / "text.npy", np.ones(200)), "of whole numbers"),
    (lambda d: edit_table(d, "audio_offset", -1), "points outside"),
    (lambda d: edit_table(d, "split", "x"), r"has the splits 'x'; only train, valid, test"),
    (lambda d: edit_table(d, "split", None), r"has the splits 'None'"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_damage_is_reported_on_opening(tmp_path: Path, damage: Any, message: str) -> None:
    dataset = written(tmp_path)
    damage(dataset)
    with pytest.raises(DatasetError, match=message):
        open_dataset(tmp_path / "set")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"does not exist.*Make a data set with: selfmm import"):
        open_dataset(tmp_path / "none")


def test_clips_by_number_id_and_slice(tmp_path: Path) -> None:
    dataset = written(tmp_path)
    clip = dataset[3]
    assert (clip.id, clip.split, clip.text, clip.video) == ("v$_$3", "train", "é", "v")
    assert clip.label == dataset.labels()[3]
    assert np.array_equal(clip.frames["audio"], audio(3))
    assert clip.frames["text"].tolist() == [0, 1, 2]
    assert clip.unimodal_labels == {}
    assert (dataset[2].text, dataset[4].frames["audio"].shape) == (None, (0, 3))
    assert dataset["v$_$3"].id == dataset[np.int64(3)].id == dataset[3 - CLIPS].id == clip.id
    assert [clip.id for clip in dataset[1:4]] == ["v$_$1", "v$_$2", "v$_$3"]
    assert [clip.id for clip in dataset] == dataset.samples["id"].tolist()
    assert "v$_$3" in dataset
    assert "nobody" not in dataset
    assert repr(clip) == "<DatasetClip 'v$_$3': train, label -2.73913, text 'é', audio (3, 3), text (3,)>"


@pytest.mark.parametrize(("key", "error"), [(CLIPS, IndexError), (-CLIPS - 1, IndexError), ("v", KeyError)])
def test_a_clip_that_does_not_exist(tmp_path: Path, key: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"the data set in .* has no clip"):
        _ = written(tmp_path)[key]


def test_clips_are_read_only_and_stay_in_the_file(tmp_path: Path) -> None:
    frames = written(tmp_path)[3].frames["audio"]
    assert isinstance(frames, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        frames[0] = 1


def test_labels_of_one_modality_alone(tmp_path: Path) -> None:
    table = source().table.assign(label_audio=[1.5, np.nan] * (CLIPS // 2), label_other="word")
    dataset = written(tmp_path, table=table.drop(columns="label_other"))
    assert (dataset[0].unimodal_labels, dataset[1].unimodal_labels) == ({"audio": 1.5}, {})


def test_a_pickled_data_set_does_not_take_its_frames_along(tmp_path: Path) -> None:
    dataset = written(tmp_path)
    small = len(pickle.dumps(dataset))
    copy = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(copy[3].frames["audio"], audio(3))
    assert len(pickle.dumps(copy)) < small + 10_000


def test_how_a_data_set_shows_itself(tmp_path: Path) -> None:
    table = source().table
    table.loc[0, ["id", "text"]] = "<script>", "<b>"
    dataset = written(tmp_path, name="<set>", table=table)
    facts = "70 clips (train 42, valid 14, test 14); audio (3 features), text (token ids); labels -3 to 3"
    assert repr(dataset) == f"<Dataset '<set>': {facts}>"
    page = dataset._repr_html_()
    assert "<caption>Data set &lt;set&gt;</caption>" in page
    assert "<td>&lt;script&gt;</td><td>train</td><td>-3</td><td>&lt;b&gt;</td>" in page
    assert "70 clips (train 42, valid 14, test 14)" in page


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("clips.csv", "is a table, not a data set.*selfmm extract .*clips.csv DST.*selfmm import"),
        ("best.toml", "is a file of settings.*--preset"),
        ("notes", "is a file, not a data set"),
        ("talk.mp4", "is a recording, not a data set.*selfmm extract"),
        ("data.pkl", "is a pickle, not a data set.*selfmm import"),
        ("nothing/", "it has no dataset.json.*selfmm import SOURCE DST"),
        ("nowhere/../x", "does not exist"),
        ("clips/anna/a.mp4", "holds recordings and is not a data set yet.*selfmm extract .*clips DST"),
        ("run/run.json", "is a run folder, not a data set"),
        ("mine/features.csv", "selfmm import .*features.csv DST"),
    ],
)
def test_what_is_no_data_set_gets_advice_that_fits(tmp_path: Path, name: str, says: str) -> None:
    path = tmp_path / name
    if ".." not in name:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if name.endswith("/") else path.touch()
    if name == "run/run.json":
        (path.parent / "settings.toml").touch()
    with pytest.raises(DatasetError, match=says):
        open_dataset(tmp_path / name.split("/")[0] if "/" in name else path)
