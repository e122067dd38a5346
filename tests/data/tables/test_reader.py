"""Tables with features next to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data.builders import savez
from selfmm.core.errors import SourceError
from selfmm.data.tables.reader import find_table, read_table_source

IDS = ["a", "b", "c", "007"]


def table(folder: Path, name: str = "clips.csv", **columns: Any) -> Path:
    """A table of four clips; a column given as None is left out."""
    every: dict[str, Any] = {"id": IDS, "label": [1, -2, 0.5, 0], "text": ["one, two", "NA", "drei", "四"]}
    frame = pd.DataFrame({key: values for key, values in (every | columns).items() if values is not None})
    folder.mkdir(exist_ok=True)
    path = folder / name
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


def features(dim: int = 3, **extra: Any) -> dict[str, Any]:
    return {clip_id: np.full((n + 1, dim), n, dtype="f4") for n, clip_id in enumerate(IDS)} | extra


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_tables_in_every_format(tmp_path: Path, suffix: str) -> None:
    source = read_table_source(table(tmp_path, f"clips{suffix}", split=["train", "dev", "test", "train"]))
    assert source.name == "clips"
    assert source.table["id"].tolist() == IDS
    assert source.table["text"].tolist() == ["one, two", "NA", "drei", "四"]
    assert source.table["split"].tolist() == ["train", "valid", "test", "train"]
    assert source.table["label"].tolist() == [1, -2, 0.5, 0]
    assert source.table["video"].tolist() == IDS
    assert source.label_range == (-3, 3)
    assert read_table_source(table(tmp_path, f"clips{suffix}", label=[1, 0, 0, -1])).label_range == (-3, 3), (
        "too few to tell"
    )


def test_features_as_npz_and_as_folder(tmp_path: Path) -> None:
    path = table(tmp_path)
    savez(tmp_path / "audio.npz", features(b=np.arange(3.0), extra=np.zeros(1)))
    (tmp_path / "vision").mkdir()
    for one, array in features(2).items():
        np.save(tmp_path / "vision" / f"{one}.npy", array.astype("f2"))
    (tmp_path / "notes").mkdir()  # no features in it
    source = read_table_source(path)
    assert list(source.frames) == ["audio", "vision"]
    assert source.frames["audio"].lengths.tolist() == [1, 1, 3, 4]  # a vector is one frame
    assert source.frames["audio"].read(1).tolist() == [[0, 1, 2]]
    assert source.frames["vision"].dtype == np.float16
    assert source.frames["vision"].read(3).shape == (4, 2)
    assert source.provenance["files"] == ["clips.csv", "audio.npz", "vision"]
    assert read_table_source(tmp_path).name == tmp_path.name


def test_packed_features_in_the_order_of_the_table(tmp_path: Path) -> None:
    np.savez(tmp_path / "audio.npz", frames=np.arange(8.0).reshape(4, 2), lengths=[1, 0, 2, 1])
    source = read_table_source(table(tmp_path))
    assert source.frames["audio"].lengths.tolist() == [1, 0, 2, 1]
    assert source.frames["audio"].read(2).tolist() == [[2, 3], [4, 5]]
    assert source.frames["audio"].read(1).shape == (0, 2)
    np.savez(tmp_path / "audio.npz", frames=np.ones((4, 2)), lengths=[1, 0, 2])
    with pytest.raises(SourceError, match=r"lengths is \(3,\).*the 4 clips of the table"):
        read_table_source(tmp_path)
    np.savez(tmp_path / "audio.npz", frames=np.ones((4, 2)), lengths=[1, 0, 2, 7])
    with pytest.raises(SourceError, match=r"frames is \(4, 2\); its first axis must be the sum of lengths"):
        read_table_source(tmp_path)


def test_ids_never_reach_outside_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "set"
    path = table(inside, id=["../secret", str(tmp_path / "secret"), "audio/../../secret", "d"])
    np.save(tmp_path / "secret.npy", np.ones((2, 3)))
    (inside / "audio").mkdir()
    np.save(inside / "audio" / "d.npy", np.ones((5, 3)))
    assert read_table_source(path).frames["audio"].lengths.tolist() == [0, 0, 0, 5]


def test_text_as_tokens_or_features(tmp_path: Path) -> None:
    path = table(tmp_path)
    savez(tmp_path / "text.npz", {clip_id: np.array([101, 7, 102]) for clip_id in IDS})
    source = read_table_source(path)
    assert not source.frames
    assert any("text.npz was left out; to use it" in note and "`text='tokens'`" in note for note in source.notes)
    with pytest.raises(SourceError, match=r"holds token ids; name their vocabulary.*`tokenizer="):
        read_table_source(path, text="tokens")
    tokens = read_table_source(path, text="tokens", tokenizer="bert-base-uncased").frames["text"]
    assert tokens.read(0).tolist() == [101, 7, 102]
    table(tmp_path, text=None)
    assert read_table_source(path, tokenizer="t").frames["text"].modality.tokenizer == "t"
    savez(tmp_path / "text.npz", features())
    assert read_table_source(path).frames["text"].modality.dim == 3
    with pytest.raises(SourceError, match="`text='raw'` needs a column text"):
        read_table_source(path, text="raw")
    savez(tmp_path / "text.npz", {clip_id: np.array([1, 2]) for clip_id in IDS} | {"b": np.array([-1, 2])})
    with pytest.raises(SourceError, match=r"token ids must be .* not in 1 clip \('b'\)"):
        read_table_source(path, tokenizer="t")


def test_the_fields_own_names_of_columns(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        id=None,
        video_id=["v", "v", "w", "w"],
        clip_id=["0001", "0002", "1", "2"],
        mode=["train", "valid", "test", "test"],
        label_T=[1, 1, 1, ""],
        start_s=[0, 1, 2, 3],
        label_name=["good", "bad", "good", "good"],
    )
    source = read_table_source(path)
    assert source.table["id"].tolist() == ["v$_$0001", "v$_$0002", "w$_$1", "w$_$2"]
    assert source.table["video"].tolist() == ["v", "v", "w", "w"]
    assert source.table["label_text"].tolist()[:3] == [1, 1, 1]
    assert np.isnan(source.table["label_text"][3])
    assert "label_name" not in source.table


def test_a_split_is_made_by_video(tmp_path: Path) -> None:
    source = read_table_source(table(tmp_path, video=["v", "v", "w", "x"]), seed=3)
    assert source.table.groupby("video")["split"].nunique().max() == 1
    assert set(source.table["split"]) == {"train", "valid", "test"}
    assert any("70/10/20 by video with seed 3" in note for note in source.notes)


def test_labels_may_be_absent_for_a_prediction(tmp_path: Path) -> None:
    path = table(tmp_path, label=None)
    source = read_table_source(path, require_labels=False)
    assert source.table["label"].isna().all()
    assert set(source.table["split"]) == {"test"}
    assert source.notes == ("1 clip has the words 'NA'. If nothing was said there, empty the cell.",)
    with pytest.raises(SourceError, match=r"has no column label; it has 'id', 'text'"):
        read_table_source(path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"label": ["positive", "1", "0,5", "2"]},
            r"column label: 2 clips have .* not a finite number: 'positive \(a\)'",
        ),
        ({"id": ["a", "a", "b", "b"]}, "ids occur more than once: 'a', 'b'"),
        ({"id": ["a", "", "b", "c"]}, "1 clip has no id"),
        ({"split": ["train", "", "test", "train"]}, r"1 clip has no split \('b'\)"),
        ({"split": ["train", "x", "test", "train"]}, "splits 'x' are unknown. Name them train"),
        ({"id": None}, "has no column id"),
        ({"Label": [1, 2, 3, 4]}, r"has the columns 'label' twice"),
        ({"text": None}, "no words in a column text, and no features next to it"),
        ({"text": [" ", "", " ", ""]}, "no words in a column text"),
        ({"start": ["0:15", "1", "2", "3"]}, "column start: 1 clip has a value that is not a finite number"),
    ],
)
def test_what_is_wrong_with_a_table_is_reported(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_table_source(table(tmp_path, **columns))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones((2, 3))}, "has no clip of the table: it has 'x', the table has 'a', 'b', 'c' and 1 more"),
        (features(b=np.ones((2, 4))), r"number of features: 3 in 'a', 'c', '007'; 4 in 'b'"),
        (features(b=np.ones((2, 3, 1))), r"expected: \(frames, features\) of numbers, but got 'b: \(2, 3, 1\)"),
        (features(b=np.array(["x"])), "but got 'b"),
        (features(b=np.array([{}], dtype=object)), "cannot read .*audio.npz .*plain arrays of numbers"),
        (features(b=np.array([[1, np.nan, np.inf]])), r"2 NaN or infinite values in 1 clip \('b'\)"),
        ({clip_id: np.zeros((0, 3)) for clip_id in IDS}, "every array is empty"),
    ],
)
def test_what_is_wrong_with_features_is_reported(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    savez(tmp_path / "audio.npz", arrays)
    with pytest.raises(SourceError, match=message):
        read_table_source(table(tmp_path))


def test_non_finite_features_can_become_zero(tmp_path: Path) -> None:
    savez(tmp_path / "audio.npz", features(b=np.array([[1, np.nan, np.inf]])))
    source = read_table_source(table(tmp_path), non_finite="zero")
    assert source.frames["audio"].read(1).tolist() == [[1, 0, 0]]
    assert any("2 NaN or infinite values" in note for note in source.notes)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x93NUMPY\x01\x00\xff\xff", b"text"])
def test_damaged_feature_files_are_named(tmp_path: Path, content: bytes) -> None:
    path = table(tmp_path)
    (tmp_path / "audio.npz").write_bytes(content)
    with pytest.raises(SourceError, match=r"cannot read .*audio\.npz"):
        read_table_source(path)
    (tmp_path / "audio.npz").unlink()
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "a.npy").write_bytes(content)
    with pytest.raises(SourceError, match=r"cannot read .*a\.npy"):
        read_table_source(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty. Write a header"),
        (b"id,label,text\n", "has no row"),
        (b"id,label,text\na,1,x,y\n", "rows longer than its header.*quotes"),
        (b"id,label,text\na,1,x\nb,1,x,y\n", "has 4 fields in line 3, and its header has 3. Put quotes"),
        (b"id,label,text\na,1,\xff\xfe\n", "is not UTF-8"),
        (b"id,label,text,label\na,1,x,2\n", r"has the columns 'label' twice"),
        (b"name;rating\na;1\n", "no column id and no column label; it has 'name', 'rating'"),
        (b"\x00\x00", "."),
        (b'id,label,text\na,1,"x\nb,1,y\n', "has a quote in line 2 that is never closed"),
        (b"id,label,text\n,1,x\nb,1,y\n,,\n,2,z\n", r"clips have no id \(rows 2, 5\). Give each one its own\.$"),
        (b"id,label,text\na,1,x\na,1,y\n", "1 id occurs more than once: 'a'"),
        (b"id,label,text\na,1e999,x\nb,abc,x\nc,inf,x\n", r"3 clips have .*: '1e999 \(a\)', 'abc \(b\)', 'inf \(c\)'"),
    ],
)
def test_damaged_tables_are_explained(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "clips.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read_table_source(path)


@pytest.mark.parametrize("below", ["", ",,\n,,\n", "\n\n", " , ,\n"])
def test_rows_without_content_are_no_clips(tmp_path: Path, below: str) -> None:
    """As spreadsheets leave them below a table; columns without a name and without content go too."""
    path = tmp_path / "clips.csv"
    path.write_text(f"id,label,text\na,1,x\n{below}b,NaN,y\nc,,z\n{below}")
    source = read_table_source(path)
    assert source.table["id"].tolist() == ["a", "b", "c"]
    assert np.isnan(source.table["label"]).tolist() == [False, True, True], "NaN and an empty cell are the same"


def test_a_table_in_utf_16(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    path.write_text("id,label,text\na,1,schön\n", encoding="utf-16")
    assert read_table_source(path).table["text"].tolist() == ["schön"]


def test_damaged_parquet_and_odd_cells(tmp_path: Path) -> None:
    (tmp_path / "clips.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(SourceError, match="Check that it is a valid table"):
        read_table_source(tmp_path)
    pd.DataFrame({"id": [[1], None], "label": [True, None], "text": [{"a": 1}, None]}).to_parquet(
        tmp_path / "clips.parquet"
    )
    with pytest.raises(SourceError, match="1 clip has no id"):
        read_table_source(tmp_path)


def test_which_table(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no table in it"):
        read_table_source(tmp_path)
    table(tmp_path, "a.csv")
    table(tmp_path, "b.parquet")
    with pytest.raises(SourceError, match=r"has 2 tables in it: 'a\.csv', 'b\.parquet'"):
        read_table_source(tmp_path)
    with pytest.raises(SourceError, match="does not exist"):
        read_table_source(tmp_path / "c.csv")
    (tmp_path / "x.pkl").touch()
    with pytest.raises(SourceError, match=r"is not a table.*selfmm import PICKLE FOLDER"):
        read_table_source(tmp_path / "x.pkl")
    (tmp_path / "dataset.json").touch()
    with pytest.raises(SourceError, match="is already a data set"):
        read_table_source(tmp_path)


def test_two_files_of_one_modality_and_names_that_are_none(tmp_path: Path) -> None:
    path = table(tmp_path)
    savez(tmp_path / "audio.npz", features())
    (tmp_path / "audio").mkdir()
    np.save(tmp_path / "audio" / "a.npy", np.ones((1, 3)))
    with pytest.raises(SourceError, match="both hold audio"):
        read_table_source(path)
    (tmp_path / "audio.npz").rename(tmp_path / "My Features.npz")
    with pytest.raises(SourceError, match=r"cannot name a modality.*Rename it"):
        read_table_source(path)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_labels_that_a_program_made_are_not_taken_for_those_of_people(tmp_path: Path, suffix: str) -> None:
    name, values = f"clips{suffix}", [1.0, -1.5, np.nan, 0.5]
    made = {"label_text": values, "made_text": ["left out", "person", "missing", "held out"]}
    with pytest.raises(SourceError, match=r"labels that a program made, in label_text; made_text says how\."):
        read_table_source(table(tmp_path, name, **made))
    by_people = made | {"made_text": ["person", "person", "missing", ""]}
    assert read_table_source(table(tmp_path, name, **by_people)).table["label_text"].notna().sum() == 3
    with pytest.raises(SourceError, match="outcome_text says how"):
        read_table_source(table(tmp_path, name, label_text=values, outcome_text=["fixed", "updated", "", "start"]))


def test_an_export_of_label_studio_is_not_a_table_of_clips(tmp_path: Path) -> None:
    """Its ids are the numbers of tasks, which would find the features of other clips."""
    path = table(tmp_path, clip=[7, 8, 9, 10], annotation_id=[1, 2, 3, 4])
    with pytest.raises(SourceError, match=r"id is the number of a task, .* selfmm labels DATA --import"):
        read_table_source(path)
    with pytest.raises(SourceError, match="id is the number of a task"):
        read_table_source(path, require_labels=False)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", "others", "packed", "pickled"])
@pytest.mark.parametrize("name", ["backup 2024.npz", "other.NPZ"])
def test_arrays_next_to_a_table_that_are_not_its_features_are_left_out(
    tmp_path: Path, name: str, content: bytes | str
) -> None:
    path = table(tmp_path)
    savez(tmp_path / "audio.npz", features())
    for stray in ("._audio.npz", "~$audio.npz"):
        (tmp_path / stray).write_bytes(b"stray")
    arrays = {
        "others": {"x": np.ones((2, 2))},
        "packed": {"frames": np.ones((3, 2)), "lengths": np.array([3])},
        "pickled": {"x": np.array([{}], dtype=object)},
    }
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        with (tmp_path / name).open("wb") as file:
            np.savez(file, **arrays[content])  # type: ignore[arg-type]
    source = read_table_source(path)
    assert list(source.frames) == ["audio"]
    assert any(note.startswith(f"{name} was left out: ") for note in source.notes)
    (tmp_path / name).rename(tmp_path / "vision.npz")
    with pytest.raises(SourceError, match=r"vision\.npz"):
        read_table_source(path)


def test_stray_files_are_no_tables(tmp_path: Path) -> None:
    path = table(tmp_path)
    for stray in ("._clips.csv", "~$clips.csv", ".~lock.clips.csv#"):
        (tmp_path / stray).write_bytes(b"\x00\x05\x16\x07")
    assert find_table(tmp_path) == path


def test_ids_that_differ_only_in_capitals_are_noted(tmp_path: Path) -> None:
    source = read_table_source(table(tmp_path, id=["Clip 1", "clip  1", "cafe\u0301", "caf\u00e9"]))
    assert source.notes[0] == (
        "ids differ only in capitals, blanks or stored accents: 'Clip 1, clip  1', 'cafe\u0301, caf\u00e9'. They count "
        "as different clips."
    )


@pytest.mark.parametrize(("own", "file"), [("Clip 1", "clip 1"), ("caf\u00e9", "cafe\u0301"), ("a  b", "a b")])
def test_features_of_ids_that_differ_only_in_capitals(tmp_path: Path, own: str, file: str) -> None:
    path = table(tmp_path, id=[own, "b", "c", "d"])
    savez(tmp_path / "audio.npz", {name: np.ones((2, 3), "f4") for name in (file, "b", "c", "d")})
    with pytest.raises(SourceError, match="differ only in capitals, blanks or stored accents"):
        read_table_source(path)


def test_repeated_ids_that_a_spreadsheet_rounded(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"more than once: '2.02E\+16'.*seems to have changed the ids"):
        read_table_source(table(tmp_path, id=["2.02E+16", "2.02E+16", "b", "c"]))


def test_times_that_cannot_be(tmp_path: Path) -> None:
    good: dict[str, Any] = {"start": ["0", "NA", "", "3.5"], "end": ["1", "2", "", "NaN"]}
    source = read_table_source(table(tmp_path, **good))
    assert source.table["start"].fillna(-1).tolist() == [0, -1, -1, 3.5]
    wrong: dict[str, Any] = {"start": [-1, 5, 0, 3], "end": [1, 5, 1, 2]}
    with pytest.raises(SourceError, match=r"3 clips have impossible times: 'a \(-1 to 1 s\)', 'b \(5 to 5 s\)'"):
        read_table_source(table(tmp_path, **wrong))
    with pytest.raises(SourceError, match=r"'0:05 \(a\)'. Write seconds, with a point"):
        read_table_source(table(tmp_path, start=["0:05", 1, 2, 3]))


def test_the_minus_of_other_countries(tmp_path: Path) -> None:
    source = read_table_source(table(tmp_path, label=["\u22121.5", "\u2013.5", " +2 ", 0]))
    assert source.table["label"].tolist() == [-1.5, -0.5, 2, 0]


def test_arrays_of_no_clip_are_noted(tmp_path: Path) -> None:
    path = table(tmp_path, split=["train"] * 4)
    savez(tmp_path / "audio.npz", features(x=np.zeros(1), y=np.zeros(1)))
    assert read_table_source(path).notes[-1] == "audio.npz: 2 arrays of no clip of the table left out: 'x', 'y'."


@pytest.mark.parametrize("name", ["audio.npy", "vision.pkl", "text.pt", "audio/a.csv", "vision/one/a.npy"])
def test_features_in_a_form_that_is_not_read_are_noted(tmp_path: Path, name: str) -> None:
    path = table(tmp_path, split=["train"] * 4)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"x")
    assert read_table_source(path).notes[-1] == (
        f"{name.partition('/')[0]} was left out: features are read from <modality>.npz, or <modality>/<id>.npy."
    )


def test_the_suffix_of_an_array_may_be_in_capitals(tmp_path: Path) -> None:
    path = table(tmp_path)
    (tmp_path / "audio").mkdir()
    for name, array in features().items():
        with (tmp_path / "audio" / f"{name}.NPY").open("wb") as file:
            np.save(file, array)
    (tmp_path / "audio" / "._a.npy").write_bytes(b"x")
    assert read_table_source(path).frames["audio"].lengths.tolist() == [1, 2, 3, 4]


def test_a_parquet_file_as_pandas_writes_it(tmp_path: Path) -> None:
    frame = pd.DataFrame({"label": [1, 2.5], "text": [["so", "good"], ["bad"]]})
    frame.set_axis(pd.Index([1.0, 2.0], name="id")).to_parquet(tmp_path / "a.parquet")
    read = read_table_source(tmp_path / "a.parquet").table
    assert read[["id", "label", "text"]].to_numpy().tolist() == [["1", 1, "so good"], ["2", 2.5, "bad"]]
