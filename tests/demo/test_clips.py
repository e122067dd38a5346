from __future__ import annotations

import csv
import hashlib
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from demo.voice_measures import level, semitones
from selfmm.core.errors import OutputError, SettingsError
from selfmm.data.planted import MODALITIES, PlantedSettings, planted_source
from selfmm.demo.clips import COLUMNS, make_clips, make_long_recording, record
from selfmm.demo.film import DRAWING, read_sound
from selfmm.demo.scripts import Script, write_scripts
from selfmm.features.clips.listing import read_clips
from selfmm.features.streams import SOUND_RATE

av = pytest.importorskip("av", reason="clips are written by PyAV")


def _read(table: Path) -> pd.DataFrame:
    return pd.read_csv(table, dtype={"text": str, "id": str, "video": str})


def _digests(table: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in table.parent.iterdir()}


@pytest.mark.slow
def test_the_table_names_every_file_once_and_nothing_else_is_there(table: Path) -> None:
    with table.open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == list(COLUMNS)
    rows = _read(table)
    assert rows["id"].is_unique
    assert sorted(rows["path"]) == sorted(file.name for file in table.parent.glob("*.mp4"))
    assert {file.name for file in table.parent.iterdir()} == {"clips.csv", *rows["path"]}
    assert not rows.isna().any().any()


@pytest.mark.slow
def test_each_speaker_has_several_clips(table: Path) -> None:
    assert _read(table)["video"].value_counts().to_dict() == {"ada": 3, "ben": 3, "cleo": 3, "dan": 3}


def test_the_truth_is_that_of_the_planted_data_set(table: Path) -> None:
    rows, planted = _read(table), planted_source(PlantedSettings(clips=12, seed=1)).table
    for name in ("label", "label_text", "label_audio", "label_vision"):
        np.testing.assert_allclose(rows[name], planted[name], atol=6e-4)
    signs = np.sign(rows[["label_text", "label_audio", "label_vision"]].to_numpy())
    assert 0 < np.sum(np.abs(signs.sum(axis=1)) < 3) < 6, "some clips contradict themselves, most do not"


def test_every_clip_decodes_to_its_stated_length(table: Path) -> None:
    for path in table.parent.glob("*.mp4"):
        with av.open(str(path)) as container:
            stated = container.duration / 1e6
            times = [frame.time for frame in container.decode(video=0)]
        assert 1.6 - DRAWING / 2 <= stated <= 2.2 + DRAWING / 2
        np.testing.assert_allclose(times, np.arange(len(times)) / 25, atol=1e-6)
        assert len(times) / 25 == pytest.approx(stated, abs=1e-3)
        # The sound coder works in packets of 1024 samples and may fill up the last.
        assert 0 <= len(read_sound(path)) / SOUND_RATE - stated < 1024 / SOUND_RATE


def test_the_voice_carries_its_planted_sentiment(table: Path, scripts: list[Script]) -> None:
    sounds = [read_sound(table.parent / f"{script.id}.mp4") for script in scripts]
    truth = [script.truth[1] for script in scripts]
    pitch = [semitones(sound, s.speaker.voice.pitch) for sound, s in zip(sounds, scripts, strict=True)]
    assert np.corrcoef(truth, pitch)[0, 1] > 0.9
    assert np.corrcoef(truth, [level(sound) for sound in sounds])[0, 1] > 0.9


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    a, b = (make_clips(tmp_path / name, count=3, seed=5, seconds=(1.0, 1.2), synthesizer="tones") for name in "ab")
    assert a == tmp_path / "a" / "clips.csv"
    assert _digests(a) == _digests(b)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_espeak_speaks_in_the_clips(tmp_path: Path) -> None:
    table = make_clips(tmp_path / "clips", count=3, seconds=(1.5, 2.0), synthesizer="auto")
    for script, path in zip(write_scripts(3, 0, (1.5, 2.0)), _read(table)["path"], strict=True):
        sound = read_sound(table.parent / path)
        said = record(script, (1.5, 2.0), "espeak-ng")
        assert level(said) > -45
        assert np.corrcoef(said, sound[: len(said)])[0, 1] > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 2}, "count is 2; it must be at least 3"),
        ({"seed": -1}, "seed is -1"),
        ({"seconds": (3.0, 2.0)}, "the shortest"),
        ({"seconds": (0.5, 2.0)}, "at least 1"),
        ({"seconds": (1.0, math.nan)}, "at most 60"),
        ({"synthesizer": "mbrola"}, "must be 'auto', 'tones' or 'espeak-ng'"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=message):
        make_clips(tmp_path / "clips", **settings)  # type: ignore[arg-type]
    assert not (tmp_path / "clips").exists()


def test_only_a_folder_of_clips_is_replaced_and_only_on_request(tmp_path: Path) -> None:
    quick = {"count": 3, "seconds": (1.0, 1.0), "synthesizer": "tones"}
    before = _digests(make_clips(tmp_path / "clips", seed=0, **quick))  # type: ignore[arg-type]
    with pytest.raises(OutputError, match="exists already"):
        make_clips(tmp_path / "clips", seed=1, **quick)  # type: ignore[arg-type]
    after = _digests(make_clips(tmp_path / "clips", seed=1, force=True, **quick))  # type: ignore[arg-type]
    assert not set(before.values()) & set(after.values()), "another seed is another sample"
    (tmp_path / "clips" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        make_clips(tmp_path / "clips", seed=0, force=True, **quick)  # type: ignore[arg-type]
    assert (tmp_path / "clips" / "notes.txt").read_text() == "mine"


@pytest.mark.slow
def test_a_long_recording_is_as_long_as_asked_and_in_step(tmp_path: Path) -> None:
    path = make_long_recording(tmp_path / "long.mp4", minutes=0.5, synthesizer="tones")
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(30 * 25) / 25, atol=1e-3)
    loop = round(3 * 3.84 * 25)
    for number in (0, 60, 280):  # the third is in the last clip of the loop
        images = [frames[number + turn * loop].to_ndarray(format="gray") for turn in (0, 1)]
        np.testing.assert_array_equal(*images)
    sound = read_sound(path)
    assert len(sound) / SOUND_RATE == pytest.approx(30, abs=2 * 1024 / SOUND_RATE)
    first, second = (sound[start + 3200 : start + 48_000] for start in (0, loop * SOUND_RATE // 25))
    # The coder guesses some noise, so not to the bit.
    assert np.corrcoef(first, second)[0, 1] > 0.99


@pytest.mark.parametrize("minutes", [0, -1, math.nan, math.inf])
def test_a_long_recording_has_a_length(minutes: float, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="minutes is"):
        make_long_recording(tmp_path / "long.mp4", minutes=minutes)
    assert not list(tmp_path.iterdir())


def test_the_table_is_what_extraction_reads(table: Path, scripts: list[Script]) -> None:
    found = read_clips(table)
    assert not found.failures
    for clip, script in zip(found.clips, scripts, strict=True):
        assert (clip.id, clip.text, clip.video) == (script.id, script.text, script.speaker.name)
        assert clip.path.is_file()
        assert clip.label == pytest.approx(script.label, abs=1e-6)
        assert clip.labels == pytest.approx(dict(zip(MODALITIES, script.truth, strict=True)), abs=6e-4)
