"""A kept clip is found by all that it depends on, and never used if it is damaged."""

from __future__ import annotations

import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from features.recordings import tone, write_recording
from selfmm.config.recipe import Recipe, load_recipe
from selfmm.core.errors import OutputError, SourceError
from selfmm.features import kept
from selfmm.features.analysis import Features
from selfmm.features.clips.clip import Clip
from selfmm.features.extraction import ClipFeatures
from selfmm.features.face.analyser import FaceFigures
from selfmm.features.streams import Track, Transcript, Word
from selfmm.features.voice.loudness import SoundFigures

VALUES = np.array([[0.1, -2.0], [np.nan, np.nan]], dtype=np.float32)
FOUND = ClipFeatures(
    Features(
        start=0.0,
        end=1 / 3,
        transcript=Transcript(
            "très 好", (Word("très", 0.1, 0.2, 0.3), Word("好", 0.2, 0.3)), "fr", "recognised", "base", ("why",)
        ),
        tracks={"audio": Track(("a", "b"), VALUES, 20.0, 0.05)},
        sound=SoundFigures(1 / 3, -20.123456789, 0.0, 0.1),
        speech=0.7,
        face=FaceFigures(3, 1, 1.0, 0.0, 1 / 3, 0.2),
    ),
    ("it was cut off.",),
)
BARE = ClipFeatures(Features(0.0, 1.0, Transcript("a"), {}, None, None, None))


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    return Clip(write_recording(tmp_path / "a.wav", sound=tone(0.3)), id="a")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cache" / "ab" / "x.safetensors"
    kept.store(path, FOUND)
    return path


def test_one_clip_by_any_name_and_label_is_one(clip: Clip, tmp_path: Path) -> None:
    name = kept.name_of(clip, Recipe())
    copy = Path(shutil.copy(clip.path, tmp_path / "b c.wav"))
    assert kept.name_of(replace(clip, path=copy, id="b", label=2.0, split="train", video="v"), Recipe()) == name
    assert kept.name_of(replace(clip, text="  "), Recipe()) == name
    assert len(name.stem) == 64
    assert name.parent == Path(name.stem[:2])


def test_anything_else_is_another(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s.srt").write_text("1\n00:00:00,000 --> 00:00:00,200\nhello\n")
    other = write_recording(tmp_path / "other.wav", sound=tone(0.3, hertz=441))
    settings = ["parts=audio", "voice.rate=50", "align=words", "face.faces=2", "speech.recogniser=base"]
    names = [kept.name_of(clip, Recipe()), *(kept.name_of(clip, load_recipe([one])) for one in settings)]
    changes = [{"start": 0.1}, {"end": 0.2}, {"start": 0.1, "end": 0.2}, {"text": "hello"}, {"text": "Hello"}]
    names += [kept.name_of(replace(clip, **change), Recipe()) for change in changes]  # type: ignore[arg-type]
    names += [kept.name_of(replace(clip, subtitles=tmp_path / "s.srt"), Recipe())]
    names += [kept.name_of(replace(clip, path=other), Recipe())]
    monkeypatch.setattr(kept, "versions", lambda: {"av": "0"})
    names += [kept.name_of(clip, Recipe())]
    assert len(set(names)) == len(names)


def test_a_file_that_changes_is_another(clip: Clip) -> None:
    name, look = kept.name_of(clip, Recipe()), clip.path.stat()
    changed = bytearray(clip.path.read_bytes())
    changed[-1] ^= 1
    clip.path.write_bytes(changed)
    os.utime(clip.path, ns=(look.st_atime_ns, look.st_mtime_ns + 10**9))
    assert kept.name_of(clip, Recipe()) != name


def test_weights_in_a_folder_count_by_their_content(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"one")
    recipe = load_recipe([f"voice.features={folder}"])
    first = kept.weights_used(recipe)["voice"]
    (folder / "model.safetensors").write_bytes(b"three")
    second = kept.weights_used(recipe)["voice"]
    assert first != second
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kept.weights_used(load_recipe(["voice.features=~/encoder"]))["voice"] == second
    assert kept.weights_used(load_recipe(["voice.features=who/what"]))["voice"] == "who/what"
    for present, names in ((False, {"recogniser"}), (True, {"recogniser", "language"})):
        monkeypatch.setattr(kept, "checks_language", lambda speech, present=present: present)
        assert set(kept.weights_used(load_recipe(["parts=text"]))) == names
        assert "language" not in kept.weights_used(load_recipe(["parts=audio"]))
    assert set(kept.weights_used(load_recipe(["parts=audio"]))) == {"voice"}
    assert set(kept.weights_used(load_recipe(["parts=audio", "voice.features=whisper"]))) == {"recogniser", "voice"}


def test_what_cannot_be_read_is_told(clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        kept.name_of(replace(clip, path=tmp_path / "gone.wav"), Recipe())
    with pytest.raises(SourceError):
        kept.name_of(replace(clip, subtitles=tmp_path / "gone.srt"), Recipe())


@pytest.mark.parametrize("found", [FOUND, BARE])
def test_there_and_back(tmp_path: Path, found: ClipFeatures) -> None:
    kept.store(tmp_path / "x", found)
    again = kept.load(tmp_path / "x")
    assert again is not None
    assert replace(again.features, tracks={}) == replace(found.features, tracks={})
    assert again.problems == found.problems
    assert list(again.features.tracks) == list(found.features.tracks)
    for name, track in found.features.tracks.items():
        read = again.features.tracks[name]
        np.testing.assert_array_equal(read.values, track.values)
        assert (read.columns, read.rate, read.start) == (track.columns, track.rate, track.start)
        assert read.values.dtype == np.float32
    kept.store(tmp_path / "y", again)
    assert (tmp_path / "y").read_bytes() == (tmp_path / "x").read_bytes()


def test_one_track_alone_is_the_same_track(file: Path) -> None:
    whole, alone = kept.load(file), kept.load(file, "audio")
    assert whole is not None
    assert alone is not None
    np.testing.assert_array_equal(alone.features.tracks["audio"].values, VALUES)
    assert replace(alone.features, tracks={}) == replace(whole.features, tracks={})
    assert kept.load(file, "vision") is None


def test_no_damage_is_overlooked(file: Path) -> None:
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        file.write_bytes(whole[:place])
        assert kept.load(file) is None
        flipped = bytearray(whole)
        flipped[place] ^= 4
        file.write_bytes(flipped)
        found = kept.load(file)
        # Bytes that pad the header stand for nothing.
        assert found is None or str(found) == str(FOUND)
    file.write_bytes(whole)
    assert kept.load(file) is not None


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("trapped",)


def test_a_foreign_file_is_no_features(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tensors = load_file(file)
    for content in (b"", b"{}", pickle.dumps(Trap()), b"\xff" * 64):
        file.write_bytes(content)
        assert kept.load(file) is None
    for metadata in (None, {"selfmm": "null"}, {"selfmm": "[1]"}, {"selfmm": "{}"}, {"selfmm": "no JSON"}, {"x": "y"}):
        save_file(tensors, file, metadata)
        assert kept.load(file) is None
    file.unlink()
    assert kept.load(file) is None
    file.mkdir()
    assert kept.load(file) is None
    assert not (tmp_path / "trapped").exists()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        kept.store(tmp_path / "file" / "x", FOUND)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
