"""Pickles in the layouts of MMSA, valid and broken."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.builders import SIZES, mmsa_data, objects, save
from selfmm.core.errors import SelfmmError, SourceError
from selfmm.data.mmsa.pickles import read_mmsa_pickle
from selfmm.data.writer import Source


def read(tmp_path: Path, content: object, **options: Any) -> Source:
    return read_mmsa_pickle(save(tmp_path / "set.pkl", content), **options)


def test_unaligned_files_are_cut_at_their_lengths(tmp_path: Path) -> None:
    content = mmsa_data()
    source = read(tmp_path, content)
    assert source.name == "set"
    assert source.label_range == (-3, 3)
    assert source.table.value_counts("split").to_dict() == SIZES
    assert list(source.table[["id", "video", "text"]].iloc[5]) == ["validvideo$_$1", "validvideo", "words 1"]
    assert source.frames["audio"].lengths.tolist() == [1, 2, 3, 4, 1, 2, 1, 2, 3]
    assert np.array_equal(source.frames["audio"].read(8), content["test"]["audio"][2, :3])
    assert source.frames["vision"].modality.dim == 2
    assert source.frames["vision"].read(0).dtype == np.float32
    assert source.notes == ()


@pytest.mark.parametrize("name", ["val", "dev", "Valid", "validation"])
def test_other_names_of_the_validation_split(tmp_path: Path, name: str) -> None:
    content = mmsa_data()
    content[name] = content.pop("valid")
    assert list(read(tmp_path, content).table["split"]).count("valid") == 2


def test_the_form_of_the_text_can_be_chosen(tmp_path: Path) -> None:
    content = mmsa_data()
    assert "text" not in read(tmp_path, content).frames
    tokens = read(tmp_path, content, text="tokens").frames["text"]
    assert (tokens.modality.kind, tokens.modality.tokenizer) == ("tokens", "bert-base-uncased")
    assert tokens.read(1).tolist() == [101, 102, 103]
    assert tokens.read(1).dtype == np.int32
    features = read(tmp_path, content, text="features").frames["text"]
    assert features.modality.dim == 7
    assert features.lengths.tolist() == tokens.lengths.tolist()  # the mask says how long the aligned text is
    for part in content.values():
        del part["raw_text"], part["text_bert"]
    with pytest.raises(SourceError, match=r"has no text_bert, which `text='tokens'` needs; it has: features"):
        read(tmp_path, content, text="tokens")
    assert read(tmp_path, content).frames["text"].modality.dim == 7


def test_chinese_is_recognised(tmp_path: Path) -> None:
    content = mmsa_data()
    for part in content.values():
        part["raw_text"] = ["我不 知道"] * len(part["id"])
    source = read(tmp_path, content, text="tokens")
    assert (source.language, source.frames["text"].modality.tokenizer) == ("zh", "bert-base-chinese")


def test_sims_has_labels_per_modality_on_its_own_scale(tmp_path: Path) -> None:
    content = mmsa_data()
    for part in content.values():
        part["regression_labels"] = part["regression_labels"] / 3
        for suffix in "TAV":
            part[f"regression_labels_{suffix}"] = part["regression_labels"] * -1
    source = read(tmp_path, content)
    assert source.label_range == (-1, 1)
    assert source.table["label_audio"].tolist() == (-source.table["label"]).tolist()
    assert {"label_text", "label_vision"} <= set(source.table)
    content["test"]["regression_labels"][0] = 2
    assert read(tmp_path, content).label_range == (-3, 3)
    assert read(tmp_path, content, label_range=(-2, 2)).label_range == (-2, 2)


def test_mult_files_are_padded_at_the_front_and_have_rows_for_ids(tmp_path: Path) -> None:
    audio = np.zeros((2, 4, 3))
    audio[0, 3:], audio[1, 2:] = 1, 2
    audio[1, 3] = 0  # a frame of zeros within a clip is not padding
    part = {
        "text": np.ones((2, 4, 5)),
        "audio": audio,
        "labels": np.array([[[1.0]], [[-1.0]]]),
        "id": np.array([[b"vid", b"0.5", b"1.25"], [b"vid", b"2", b"3"]]),
    }
    source = read(tmp_path, {"train": part})
    assert source.frames["audio"].lengths.tolist() == [1, 2]
    assert source.frames["audio"].read(1).tolist() == [[2, 2, 2], [0, 0, 0]]
    assert list(source.table[["id", "video", "start", "end"]].iloc[0]) == ["vid$_$0.5_1.25", "vid", 0.5, 1.25]
    assert source.table["label"].tolist() == [1, -1]
    assert any("zeros at the front" in note for note in source.notes)


def test_aligned_files_take_the_length_of_the_text(tmp_path: Path) -> None:
    content = mmsa_data()
    for part in content.values():
        del part["audio_lengths"], part["vision_lengths"]
        part["audio"] = np.ones((len(part["id"]), 6, 3), dtype="f4")
    source = read(tmp_path, content)
    assert source.frames["audio"].lengths.tolist()[:4] == [2, 3, 4, 5]
    assert source.frames["vision"].lengths.tolist()[:4] == [1, 2, 3, 4]  # another L: zeros are trimmed
    assert any(
        note.startswith("vision: the file states no lengths; frames of zeros at the end") for note in source.notes
    )


def test_lengths_of_the_original_are_cut_to_what_is_there(tmp_path: Path) -> None:
    content = mmsa_data()
    content["train"]["audio_lengths"] = [900, 5, 3, 2]
    source = read(tmp_path, content)
    assert source.frames["audio"].lengths.tolist()[:4] == [5, 5, 3, 2]
    assert source.notes == (
        "audio: 1 clip has a stated length above the 5 frames in the file; "
        "the length was cut to 5, as the frames were.",
    )


def test_further_modalities_and_shapes(tmp_path: Path) -> None:
    content = mmsa_data()
    for part in content.values():
        n = len(part["id"])
        part["gaze"] = np.ones((n, 3, 8), dtype="f2")
        part["Bad Name"] = np.ones((n, 3, 8))
        part["vision"] = np.ones((n, 2))
        del part["vision_lengths"]
        part["id"] = [[clip_id] for clip_id in part["id"]]
        part["raw_text"] = [text.encode() for text in part["raw_text"]]
        part["regression_labels"] = [[np.float32(label)] for label in part["regression_labels"]]
    content["extra"] = {}
    source = read(tmp_path, content)
    assert source.frames["gaze"].dtype == np.float16
    assert source.frames["vision"].lengths.tolist() == [1] * 9
    assert source.table["text"][0] == "words 0"
    assert [note[:30] for note in source.notes if "left out" in note] == [
        "the keys 'extra' are not split",
        "the array 'Bad Name' was left ",
    ]


def test_minus_inf_in_audio_becomes_zero_and_is_reported(tmp_path: Path) -> None:
    content = mmsa_data()
    content["train"]["audio"][1, 0, 2] = -np.inf
    content["train"]["audio"][0, 4, 2] = -np.inf  # in the padding: of no interest
    source = read(tmp_path, content)
    assert source.frames["audio"].read(1)[0, 2] == 0
    assert source.notes[0].startswith("audio: 1 -inf value, a known artefact")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_other_non_finite_features_are_an_error_or_zero(tmp_path: Path, value: float) -> None:
    content = mmsa_data()
    content["train"]["vision"][3, :2, 1] = value
    content["test"]["vision"][0, 0, 0] = value
    with pytest.raises(SourceError, match=r"vision has 3 .*in 2 clips \('trainvideo\$_\$3', 'test.*non_finite='zero'"):
        read(tmp_path, content)
    source = read(tmp_path, content, non_finite="zero")
    assert source.frames["vision"].read(3)[0, 1] == 0
    assert "vision: 3 NaN or infinite values" in source.notes[0]


BROKEN: list[tuple[Any, str]] = [
    (lambda c: c["train"].update(audio=np.ones((10, 5, 3))), "train: audio has 10 clips, regression_labels has 4"),
    (lambda c: c["train"].update(raw_text=["a"]), "train: raw_text has 1 clips, regression_labels has 4"),
    (lambda c: c["train"].update(id=7), "train: id is a int, not a column"),
    (lambda c: c["train"].update(id=[None] * 4), "id has None where text is expected"),
    (lambda c: c["test"].update(audio=np.ones((3, 5, 9))), "a different number of features per split.*'test': 9"),
    (lambda c: c["test"].update(audio=np.ones((3, 5, 2, 2))), r"shape \(3, 5, 2, 2\); expected: .*audio_lengths"),
    (lambda c: c["test"].update(audio="x"), "audio is a str"),
    (lambda c: c["test"].update(audio=objects([1, 2, 3])), "audio is an array .object. of shape"),
    (lambda c: c["test"].update(audio_lengths=[1, -1, 2]), "audio_lengths is -1.0 for clip number 1"),
    (lambda c: c["test"].update(audio_lengths=[1, np.nan, 2]), "audio_lengths is nan for clip number 1"),
    (lambda c: c["test"].pop("regression_labels"), "test has no regression_labels"),
    (lambda c: c["test"].update(regression_labels=["positive", 1, 2]), "'positive' where a number is expected"),
    (lambda c: c["test"].update(regression_labels=np.ones((3, 6))), r"shape \(3, 6\), expected one number per clip"),
    (lambda c: c["test"].update(regression_labels=[10**400, 1, 2]), "where a number is expected"),
    (lambda c: [part.update(audio=np.ones((len(part["id"]), 5, 0))) for part in c.values()], "audio has no features"),
    (lambda c: c.update(val=c["valid"]), "the same split twice in"),
    (lambda c: [c.pop(split) for split in list(c)], "expected: a dict of the splits train, valid and test"),
    (lambda c: c.update(train=[1]), "expected: a dict of the splits"),
    (lambda c: [part.clear() for part in c.values()], "has no clips"),
]


@pytest.mark.parametrize(("damage", "message"), BROKEN)
def test_what_is_wrong_is_reported(tmp_path: Path, damage: Any, message: str) -> None:
    content = mmsa_data()
    damage(content)
    with pytest.raises(SourceError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("row", "value", "message"),
    [(1, 0.5, "mask with values other than 0 and 1"), (0, 0.5, "not whole numbers"), (0, np.nan, "not whole numbers")],
)
def test_broken_token_ids(tmp_path: Path, row: int, value: float, message: str) -> None:
    content = mmsa_data()
    content["train"]["text_bert"][0, row, 0] = value
    with pytest.raises(SourceError, match=message):
        read(tmp_path, content, text="tokens")


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    content = mmsa_data()
    content["train"]["raw_text"] = ["a"]
    content["valid"]["audio"] = np.ones((3, 5, 3))
    content["test"]["vision"] = None
    content["test"]["regression_labels"] = ["x", 1, 2]
    with pytest.raises(SourceError) as caught:
        read(tmp_path, content)
    assert str(caught.value).count("\n  - ") == 3


def test_a_file_without_ids_gets_them(tmp_path: Path) -> None:
    content = mmsa_data()
    for part in content.values():
        del part["id"]
    assert read(tmp_path, content).table["id"].tolist()[:2] == ["train_0", "train_1"]


@pytest.mark.parametrize(
    ("one", "video"),
    [("a_b$_$3", "a_b"), ("video_0001$_$0001", "video_0001"), ("x-_y_12", "x-_y"), ("vid[3]", "vid"), ("vid", "vid")],
)
def test_the_video_of_an_id(tmp_path: Path, one: str, video: str) -> None:
    content = {"train": {"raw_text": ["a"], "id": [one], "labels": [1]}}
    assert read(tmp_path, content).table["video"].tolist() == [video]


VALID = [pickle.dumps(mmsa_data(), protocol=protocol) for protocol in (2, 4)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.sampled_from(VALID), flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4))
def test_damaged_files_only_ever_raise_our_errors(tmp_path: Path, seed: bytes, flips: list[tuple[int, int]]) -> None:
    data = bytearray(seed)
    for place, value in flips:
        data[place % len(data)] = value
    path = tmp_path / "set.pkl"
    path.write_bytes(data)
    try:
        source = read_mmsa_pickle(path, non_finite="zero")
    except SelfmmError:
        return
    for frames in source.frames.values():
        assert len(frames.read(0)) == frames.lengths[0]


def test_columns_that_are_not_read_are_noted(tmp_path: Path) -> None:
    content = mmsa_data()
    for part in content.values():
        part |= {"prosody": np.ones((len(part["id"]), 5)), "meta": "x", "face_lengths": None}
    assert read(tmp_path, content).notes == (
        "the columns 'prosody', 'meta' were left out: a modality is (clips, frames, dim).",
    )


def test_a_text_that_pandas_lacks_is_empty(tmp_path: Path) -> None:
    content = mmsa_data()
    content["train"]["raw_text"] = ["a", float("nan"), None, np.float32("nan")]
    assert list(read(tmp_path, content).table["text"][:4]) == ["a", "", "", ""]


@pytest.mark.parametrize("value", [None, [1], "x"])
def test_a_split_that_is_not_a_dict_is_named(tmp_path: Path, value: object) -> None:
    with pytest.raises(SourceError, match=rf"valid is a {type(value).__name__}; expected.*Leave out splits"):
        read(tmp_path, mmsa_data() | {"valid": value})


def test_a_file_of_several_pickles_is_refused(tmp_path: Path) -> None:
    content = pickle.dumps(mmsa_data())
    path = tmp_path / "set.pkl"
    path.write_bytes(content + pickle.dumps({"more": 1}))
    with pytest.raises(SourceError, match="goes on after its first object"):
        read_mmsa_pickle(path)
    path.write_bytes(content + b"\n\0\0")
    assert len(read_mmsa_pickle(path).table) == 9
