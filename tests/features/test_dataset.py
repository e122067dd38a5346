"""Extracted clips as a data set, in a folder or in memory: the same frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from selfmm.config.recipe import Recipe, load_recipe
from selfmm.data.inspect import inspect_dataset
from selfmm.data.writer import Source, write_dataset
from selfmm.features.analysis import Features
from selfmm.features.dataset import dataset_of, row_of, source_of
from selfmm.features.extraction import ClipFeatures
from selfmm.features.streams import Track, Transcript, Word

COLUMNS = ("a", "b", "c")


def track(rows: int, rate: float, seed: int, gaps: tuple[int, ...] = ()) -> Track:
    values = np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32)
    values[list(gaps)] = np.nan
    return Track(COLUMNS, values, rate)


def features(text: str, tracks: dict[str, Track]) -> Features:
    words = tuple(Word(word, place, place + 0.5, 0.9) for place, word in enumerate(text.split()))
    return Features(0.0, 2.0, Transcript(text, words, "en" if text else None), tracks, None, None, None)


CLIPS = (
    features("one two", {"audio": track(40, 20, 1), "vision": track(20, 10, 2, (0, 5, 6))}),
    features("", {"vision": track(20, 10, 3)}),
    features("three", {"audio": track(30, 20, 4)}),
)
TABLE = pd.DataFrame(
    {"id": ["x", "y", "z"], "split": ["train", "valid", "test"], "label": [1.0, 0.0, -1.0], "video": ["v", "w", "u"]}
)


def source(recipe: Recipe, problems: tuple[str, ...] = ()) -> Source:
    rows = [row_of(ClipFeatures(clip, problems), recipe) for clip in CLIPS]
    return source_of(TABLE, rows, lambda row, stream: CLIPS[row], recipe, name="n", label_range=(-1.0, 1.0))


def test_streams_lie_in_the_folder_clip_by_clip(tmp_path: Path) -> None:
    dataset = write_dataset(source(Recipe()), tmp_path / "data")
    assert list(dataset.modalities) == ["text", "audio", "vision"]
    assert dataset.modalities["audio"].columns == COLUMNS
    assert (dataset.modalities["audio"].frame_rate, dataset.modalities["vision"].frame_rate) == (20, 10)
    assert (dataset.modalities["audio"].gaps, dataset.modalities["vision"].gaps) == (False, True)
    assert dataset.samples["audio_length"].tolist() == [40, 0, 30]
    assert dataset.samples["vision_length"].tolist() == [20, 20, 0]
    whole = np.concatenate([CLIPS[0].tracks["vision"].values, CLIPS[1].tracks["vision"].values])
    np.testing.assert_array_equal(np.load(dataset.path / "vision.npy"), whole)
    assert inspect_dataset(dataset).modalities["vision"].gaps == 3
    states = write_dataset(source(load_recipe(["voice.features=whisper"])), tmp_path / "states")
    assert states.modalities["audio"].gaps  # where nobody speaks
    assert dataset.manifest.language == "en"
    words = pd.read_parquet(dataset.path / "words.parquet")
    assert words[["id", "word", "start", "end"]].to_numpy().tolist() == [
        ["x", "one", 0.0, 0.5], ["x", "two", 1.0, 1.5], ["z", "three", 0.0, 0.5],
    ]  # fmt: skip


def test_what_was_odd_about_a_file_is_among_its_warnings() -> None:
    table = source(Recipe(), ("the file was cut off.",)).table
    assert table["warnings"].str.startswith("the file was cut off.; no sound").all()
    assert table["text"].tolist() == ["one two", None, "three"]


def test_averaged_over_words_a_stream_has_a_row_per_word(tmp_path: Path) -> None:
    dataset = write_dataset(source(load_recipe(["align=words"])), tmp_path / "data")
    assert dataset.samples["audio_length"].tolist() == [2, 0, 1]
    assert dataset.samples["vision_length"].tolist() == [2, 0, 0]
    audio, vision = (CLIPS[0].tracks[name].values for name in ("audio", "vision"))
    expected = [audio[:10].mean(axis=0), audio[20:30].mean(axis=0), CLIPS[2].tracks["audio"].values[:10].mean(axis=0)]
    np.testing.assert_allclose(np.load(dataset.path / "audio.npy"), expected, rtol=1e-5, atol=1e-7)
    expected = [vision[1:5].mean(axis=0), vision[10:15].mean(axis=0)]  # the first row is a gap
    np.testing.assert_allclose(np.load(dataset.path / "vision.npy"), expected, rtol=1e-5, atol=1e-7)
    assert dataset.modalities["audio"].frame_rate is None


def test_in_memory_it_is_the_same(tmp_path: Path) -> None:
    written = write_dataset(source(Recipe()), tmp_path / "data")
    held = dataset_of(list(zip(TABLE["id"], CLIPS, strict=True)), Recipe(), written.modalities)
    assert list(held.modalities) == list(written.modalities)
    assert held.matrices is not None
    for name in ("audio", "vision"):
        np.testing.assert_array_equal(held.matrices[name], np.load(written.path / f"{name}.npy"))
        for column in (f"{name}_offset", f"{name}_length"):
            assert held.samples[column].tolist() == written.samples[column].tolist()
    assert held.samples["text"].fillna("").tolist() == written.samples["text"].fillna("").tolist()


def test_in_memory_only_what_the_model_reads() -> None:
    modalities = {"audio": source(Recipe()).frames["audio"].modality}
    held = dataset_of([("x", CLIPS[0])], Recipe(), modalities)
    assert list(held.modalities) == ["audio"]
    assert "vision_length" not in held.samples
