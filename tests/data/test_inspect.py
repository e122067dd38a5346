from __future__ import annotations

import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from selfmm.core.errors import SettingsError
from selfmm.core.languages import ENGLISH_ONLY
from selfmm.data.findings import Finding
from selfmm.data.inspect import BINS, inspect_dataset
from selfmm.data.manifest import Modality
from selfmm.data.planted import PlantedSettings, write_planted
from selfmm.data.store import Dataset
from selfmm.data.writer import Frames, Source, write_dataset

NAN = float("nan")


def frames_of(clips: Sequence[npt.NDArray[Any]], dim: int) -> Frames:
    lengths = np.array([len(clip) for clip in clips], dtype=np.int64)
    return Frames(Modality(kind="frames", dim=dim), lengths, lambda i: np.asarray(clips[i], dtype=np.float32))


def clean_clips(lengths: Sequence[int], dim: int = 2) -> list[npt.NDArray[Any]]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, dim)) for length in lengths]


def build(path: Path, clips: Sequence[npt.NDArray[Any]], dim: int = 2, **columns: object) -> Dataset:
    n = len(clips)
    table = {
        "id": [f"c{i}" for i in range(n)],
        "split": (["train", "valid", "test"] * n)[:n],
        "label": np.tile([1.0, -1.0, 0.0, -2.0], n)[:n],
        "text": ["good film"] * n,
        "video": [f"v{i}" for i in range(n)],
    }
    source = Source(pd.DataFrame(table | columns), {"audio": frames_of(clips, dim)}, "faulty", (-3.0, 3.0))
    return write_dataset(source, path)


def test_a_sound_data_set_has_no_problems(tmp_path: Path) -> None:
    dataset = write_planted(tmp_path / "d", PlantedSettings(clips=60))
    inspection = inspect_dataset(dataset)
    assert inspection.problems == ()
    assert [note for note in inspection.notes if "labels of single modalities" not in note] == []
    assert inspection.verified
    assert sum(split.clips for split in inspection.splits.values()) == 60
    for name, split in inspection.splits.items():
        labels = dataset.labels()[dataset.rows(name)]
        assert split.negative + split.zero + split.positive == split.clips
        assert sum(split.histogram) == split.clips
        assert (split.mean, split.std) == pytest.approx((labels.mean(), labels.std()))
        np.testing.assert_array_equal(split.histogram, np.histogram(labels, BINS, (-3, 3))[0])


def test_lengths_worked_by_hand(tmp_path: Path) -> None:
    texts = ["one two three", "", "这部电影很好看，真的", "it's so-so", "a", "  "]
    inspection = inspect_dataset(build(tmp_path / "d", clean_clips([2, 4, 6, 8, 0, 1]), text=texts))
    audio, text = inspection.modalities["audio"], inspection.modalities["text"]
    # Splits go round: train has clips 0 and 3, valid 1 and 4, test 2 and 5.
    assert (audio.frames, audio.unit) == (21, "frames")
    train = audio.lengths["train"]
    assert (train.shortest, train.quarter, train.median, train.longest) == (2, 3.5, 5.0, 8)
    assert audio.lengths["valid"].longest == audio.lengths["valid"].shortest == 4
    assert (audio.missing.count, audio.missing.first) == (1, ("c4",))
    assert (text.unit, text.missing.first) == ("words", ("c1", "c5"))
    assert text.frames == 3 + 9 + 2 + 1  # nine Chinese characters, the comma is none
    assert "text is missing in clips: 2 (c1, c5)" in inspection.notes


def test_non_finite_values_are_laid_at_the_right_clips(tmp_path: Path) -> None:
    clips = clean_clips([3, 0, 4, 2, 5])
    clips[2][0, 0], clips[2][3, 1], clips[4][4, 1] = np.nan, np.inf, -np.inf
    inspection = inspect_dataset(build(tmp_path / "d", clips))
    assert inspection.modalities["audio"].non_finite.first == ("c2", "c4")
    assert "audio has NaN or infinite values in clips: 2 (c2, c4); extract it again" in inspection.problems


def test_constant_columns_are_named_though_other_values_are_nan(tmp_path: Path) -> None:
    clips = clean_clips([3, 4, 5], dim=3)
    for clip in clips:
        clip[:, 1] = 7.0
    clips[1][0] = np.nan
    inspection = inspect_dataset(build(tmp_path / "d", clips, dim=3))
    assert inspection.modalities["audio"].constant_columns == (1,)
    assert "audio has features that never change: 1 (1)" in inspection.notes


def test_small_pieces_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = clean_clips([3, 0, 7, 2, 5, 1])
    clips[2][6, 1] = clips[5][0, 0] = np.nan
    for clip in clips:
        clip[:, 0] = np.where(np.isnan(clip[:, 0]), np.nan, 1.0)
    dataset = build(tmp_path / "d", clips)
    whole = inspect_dataset(dataset)
    monkeypatch.setattr("selfmm.data.inspect._CHUNK_BYTES", 16)
    assert inspect_dataset(dataset) == whole
    assert whole.modalities["audio"].non_finite.first == ("c2", "c5")


def test_faults_of_the_table(tmp_path: Path) -> None:
    dataset = build(
        tmp_path / "d",
        clean_clips([0, 2, 2, 2]),
        id=["a", "a", "b", "a"],
        split=["train", "train", "train", "test"],
        label=[9.0, NAN, -3.0000001, 1.0],
        text=["", "x", "x", "x"],
        video=["v", "v", "w", "v"],
    )
    inspection = inspect_dataset(dataset)
    assert (inspection.duplicated_ids.count, inspection.duplicated_ids.first) == (1, ("a",))
    assert inspection.shared_videos.first == ("v",)
    assert (inspection.outside_range.count, inspection.outside_range.first) == (1, ("a",))
    assert inspection.empty_clips.count == 1
    text = "\n".join(inspection.problems)
    for part in (
        "ids belong to more than one clip: 1 (a); give every clip its own",
        "videos have clips in two splits: 1 (v)",
        "labels are outside [-3.0, 3.0]: 1 (a)",
        "clips have no modality at all: 1 (a)",
        "the split 'valid' is empty",
    ):
        assert part in text
    assert "1 clip of the split 'train' without a label" in inspection.notes
    assert "the split 'test' has no negative label" in inspection.notes
    assert inspection.splits["train"].unlabelled == 1
    assert sum(inspection.splits["train"].histogram) == 2


def test_a_training_split_without_labels_is_a_problem(tmp_path: Path) -> None:
    inspection = inspect_dataset(build(tmp_path / "d", clean_clips([2, 2, 2]), label=[NAN, 1.0, NAN]))
    assert inspection.problems == ("no clip of the split 'train' has a label; training needs labels",)


def test_changed_and_lost_files_are_found_and_verify_can_be_left_out(tmp_path: Path) -> None:
    dataset = build(tmp_path / "d", clean_clips([3, 3, 3]))
    whole = (dataset.path / "audio.npy").read_bytes()
    (dataset.path / "audio.npy").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert inspect_dataset(dataset).damaged_files == ("audio.npy",)
    assert "audio.npy does not match its checksum; make the data set again" in inspect_dataset(dataset).problems
    quick = inspect_dataset(dataset, verify=False)
    assert quick.problems == ()
    assert not quick.verified
    (dataset.path / "samples.parquet").unlink()
    assert inspect_dataset(dataset).damaged_files == ("audio.npy", "samples.parquet")


def test_only_the_first_ids_are_kept(tmp_path: Path) -> None:
    inspection = inspect_dataset(build(tmp_path / "d", clean_clips([0] * 9 + [1] * 3)))
    missing = inspection.modalities["audio"].missing
    assert (missing.count, len(missing.first)) == (9, 5)
    assert str(missing) == "9 (c0, c1, c2, c3, c4, ...)"


def test_tokens_are_counted_not_looked_through(tmp_path: Path) -> None:
    lengths = np.array([2, 3, 0], dtype=np.int64)
    tokens = Frames(Modality(kind="tokens"), lengths, lambda i: np.arange(lengths[i]), np.dtype(np.int32))
    table = pd.DataFrame(
        {
            "id": list("abc"),
            "split": ["train", "valid", "test"],
            "label": [1.0, -1.0, 0.0],
            "text": None,
            "video": list("xyz"),
        }
    )
    inspection = inspect_dataset(write_dataset(Source(table, {"text": tokens}, "t", (-1.0, 1.0)), tmp_path / "d"))
    text = inspection.modalities["text"]
    assert (text.unit, text.frames, text.missing.first) == ("tokens", 5, ("c",))
    assert list(text.lengths) == ["train", "valid"]


def test_it_can_be_written_as_json_without_nan(tmp_path: Path) -> None:
    inspection = inspect_dataset(build(tmp_path / "d", clean_clips([2, 2]), label=[NAN, 1.0]))
    content = json.loads(json.dumps(inspection.to_dict(), allow_nan=False))
    assert content["splits"]["train"]["mean"] is None
    assert content["problems"] == list(inspection.problems)
    assert content["modalities"]["audio"]["lengths"]["train"]["longest"] == 2


def test_memory_does_not_grow_with_the_frames(tmp_path: Path) -> None:
    clip = np.full((20_000, 40), np.nan, dtype=np.float32)  # 3.2 MB, all broken; 12 of them
    dataset = build(tmp_path / "d", [clip] * 12, dim=40)
    inspect_dataset(dataset, verify=False)
    tracemalloc.start()
    inspect_dataset(dataset)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6


def test_sides_are_those_of_the_neutral_label(tmp_path: Path) -> None:
    dataset = build(tmp_path / "d", clean_clips([3] * 9))
    manifest = dataset.manifest.model_copy(update={"label_range": (1.0, 5.0)})
    labels = [1.0, 3.0, 5.0, 2.0, 3.0, 4.0, 2.5, 3.5, 3.0]
    report = inspect_dataset(Dataset(dataset.path, manifest, dataset.samples.assign(label=labels)), verify=False)
    sides = {name: (split.negative, split.zero, split.positive) for name, split in report.splits.items()}
    assert sides == {"train": (3, 0, 0), "valid": (0, 2, 1), "test": (0, 1, 2)}


def test_ranges_of_the_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Extremes, deviations and the largest feature, as numpy finds them in one piece; NaN is left out."""
    monkeypatch.setattr("selfmm.data.inspect._CHUNK_BYTES", 50)
    rng = np.random.default_rng(3)
    clips = [rng.normal([0, 90, -0.5], [1, 40, 0.1], size=(length, 3)).astype("f4") for length in (4, 1, 7, 3)]
    clips[2][1, 1] = np.nan
    ranges = inspect_dataset(build(tmp_path / "d", clips, 3)).modalities["audio"].ranges
    frames = np.concatenate(clips).astype(np.float64)
    assert ranges is not None
    assert (ranges.lowest, ranges.highest) == (np.nanmin(frames), np.nanmax(frames))
    assert ranges.deviation == pytest.approx(np.median(np.nanstd(frames, axis=0)))
    assert ranges.widest.name == "column 1"
    assert (ranges.widest.lowest, ranges.widest.highest) == (np.nanmin(frames[:, 1]), np.nanmax(frames[:, 1]))
    assert ranges.widest.mean == pytest.approx(np.nanmean(frames[:, 1]))
    assert ranges.widest.deviation == pytest.approx(np.nanstd(frames[:, 1]))
    assert ranges.off_scale == Finding(1, ("column 1",))


def test_a_warning_where_nothing_standardises(tmp_path: Path) -> None:
    clips = [300 * clip for clip in clean_clips([2, 3, 2, 2])]
    dataset = build(tmp_path / "d", clips)

    def notes(preset: str | Path | None) -> list[str]:
        return [note for note in inspect_dataset(dataset, preset=preset).notes if "off scale" in note]

    [default] = notes(None)
    assert "2 features far off scale" in default
    assert "The default settings standardise it; the presets mosi, mosei, sims, simsv2 do not" in default
    [mosi] = notes("mosi")
    assert "mosi does not standardise it: train with `overrides=['stream.audio.standardise=true']`" in mosi
    assert notes("quickstart") == []
    (tmp_path / "own.toml").write_text("[stream.audio]\nstandardise = false\n")
    assert "own.toml does not standardise it" in notes(tmp_path / "own.toml")[0]
    (tmp_path / "own.toml").write_text("[stream.vision]\nstandardise = false\n")
    assert notes(tmp_path / "own.toml") == []
    with pytest.raises(SettingsError, match="did you mean 'mosi'"):
        inspect_dataset(dataset, preset="mossi")
    assert [
        note for note in inspect_dataset(build(tmp_path / "c", clean_clips([2, 3, 2]))).notes if "scale" in note
    ] == []


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_ranges_of_odd_values(tmp_path: Path, value: float) -> None:
    clips = [np.full((2, 2), value)] * 3
    inspection = inspect_dataset(build(tmp_path / "d", clips))
    ranges = inspection.modalities["audio"].ranges
    assert (ranges is None) == (not np.isfinite(value))
    json.dumps(inspection.to_dict(), allow_nan=False)


def test_labels_of_single_modalities_are_recognised(tmp_path: Path) -> None:
    clips = clean_clips([2, 3, 2])
    known = build(tmp_path / "d", clips, label_audio=[1.0, NAN, -1.0], label_text=[NAN] * 3, label_pulse=[1.0] * 3)
    inspection = inspect_dataset(known)
    assert inspection.unimodal_labels == {"audio": 2}
    [note] = [note for note in inspection.notes if "label_audio" in note]
    assert "label_audio (2 clips)" in note
    assert "unless it is told to with `labels='human'`" in note
    assert inspect_dataset(build(tmp_path / "none", clips)).unimodal_labels == {}


def test_text_that_is_mostly_capitals_is_mentioned(tmp_path: Path) -> None:
    clips = clean_clips([3] * 40)
    shouted = inspect_dataset(build(tmp_path / "a", clips, text=["GOOD film", "GOOD FILM"] * 20))
    assert shouted.capitals == Finding(20, ("c1", "c3", "c5", "c7", "c9"))
    [note] = [note for note in shouted.notes if "capitals" in note]
    assert note.startswith("the text is mostly capitals in clips: 20 (c1, c3,")
    few = inspect_dataset(build(tmp_path / "b", clips, text=["good film"] * 39 + ["OK"]))
    assert few.capitals == Finding()
    assert not [note for note in few.notes if "capitals" in note]


def test_speech_that_was_not_understood_is_mentioned(tmp_path: Path) -> None:
    clips = clean_clips([3] * 4)
    warned = ["", f"it seems to be in German, and tiny.en {ENGLISH_ONLY}", "", ""]
    inspection = inspect_dataset(build(tmp_path / "a", clips, warnings=warned))
    assert inspection.foreign == Finding(1, ("c1",))
    assert any("may not be in English" in note for note in inspection.notes)
    assert inspect_dataset(build(tmp_path / "b", clips)).foreign == Finding()
