"""What browsers play as it is, and copies for the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from features.recordings import grey, tone, write_recording
from selfmm.core.errors import MediaError, MissingPackageError, OutputError
from selfmm.features.media.playback import playable, playable_copy
from selfmm.features.media.recording import probe, read_chunks
from selfmm.features.streams import SOUND_RATE


@pytest.mark.parametrize(
    ("name", "video", "audio", "expected"),
    [
        ("a.mp4", "libx264", "aac", "video/mp4"),
        ("a.mov", "libx264", "aac", "video/mp4"),
        ("a.mp4", "libx264", "libmp3lame", "video/mp4"),
        ("a.mp4", "mpeg4", "aac", ""),
        ("a.mov", "libx264", "pcm_s16le", ""),
        ("a.webm", "libvpx", "libopus", "video/webm"),
        ("a.webm", "libvpx-vp9", "libopus", "video/webm"),
        ("a.mkv", "libx264", "aac", ""),
        ("a.avi", "mpeg4", "pcm_s16le", ""),
        ("a.ts", "libx264", "aac", ""),
        ("a.wav", "", "pcm_s16le", "audio/wav"),
        ("a.mp3", "", "libmp3lame", "audio/mpeg"),
        ("a.m4a", "", "aac", "audio/mp4"),
        ("a.flac", "", "flac", "audio/flac"),
        ("a.ogg", "", "libopus", "audio/ogg"),
    ],
)
def test_browsers_play_by_container_and_codec(tmp_path: Path, name: str, video: str, audio: str, expected: str) -> None:
    path = tmp_path / name
    write_recording(
        path, seconds=0.5, sound=tone(0.5), pictures=grey if video else None, video_codec=video, audio_codec=audio
    )
    assert playable(path) == expected
    renamed = path.rename(tmp_path / "renamed.xyz")
    assert playable(renamed) == expected  # the name does not matter


def test_pictures_that_some_browsers_do_not_play(tmp_path: Path) -> None:
    path = tmp_path / "full_colour.mp4"
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(0), format="rgb24")))
        container.mux(stream.encode(None))
    assert playable(path) == ""


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".ts", ".mov"])
def test_a_copy_is_playable_and_in_time(tmp_path: Path, suffix: str) -> None:
    sound = np.where(np.arange(3 * SOUND_RATE) < 2 * SOUND_RATE, 0, tone(3)).astype(np.float32)
    codec = "libx264" if suffix == ".ts" else ""
    source = write_recording(tmp_path / f"film{suffix}", seconds=3, sound=sound, pictures=grey, video_codec=codec)
    copy = tmp_path / "copy.mp4"
    playable_copy(source, copy)
    assert playable(copy) == "video/mp4"
    assert probe(copy).duration == pytest.approx(3, abs=0.15)
    (chunk,) = read_chunks(copy, frame_rate=10)
    assert chunk.sound is not None
    assert np.argmax(np.abs(chunk.sound) > 0.2) / SOUND_RATE == pytest.approx(2, abs=0.08)
    assert [(frame.image.mean() - 20) / 50 for frame in chunk.frames or ()] == pytest.approx(
        [frame.time for frame in chunk.frames or ()], abs=0.2 if suffix == ".ts" else 0.08
    )
    assert copy.read_bytes().index(b"moov") < copy.read_bytes().index(b"mdat")  # plays before it is complete


def test_a_copy_is_small_upright_and_even(tmp_path: Path) -> None:
    image = np.full((1000, 602, 3), 120, dtype=np.uint8)
    source = write_recording(
        tmp_path / "large.mp4", seconds=0.4, pictures=lambda time: image, video_codec="mpeg4", rotation=90
    )
    playable_copy(source, tmp_path / "copy.mp4")
    info = probe(tmp_path / "copy.mp4")
    assert (info.width, info.height) == (640, 384)
    assert not info.sound


def test_a_copy_of_a_part(tmp_path: Path) -> None:
    source = write_recording(tmp_path / "film.mkv", seconds=6, sound=tone(6), pictures=grey)
    playable_copy(source, tmp_path / "part.mp4", start=2.0, end=3.5)
    assert probe(tmp_path / "part.mp4").duration == pytest.approx(1.5, abs=0.1)
    (chunk,) = read_chunks(tmp_path / "part.mp4", frame_rate=10)
    assert (chunk.frames or ())[5].image.mean() == pytest.approx(20 + 50 * 2.5, abs=4)


def test_a_copy_of_sound_alone(tmp_path: Path) -> None:
    source = write_recording(tmp_path / "voice.mkv", sound=tone(2))
    assert playable(source) == ""
    playable_copy(source, tmp_path / "copy.m4a")
    assert playable(tmp_path / "copy.m4a") == "audio/mp4"


def test_pictures_that_begin_late_stay_late(tmp_path: Path) -> None:
    times = [1.2 + place / 25 for place in range(20)]
    source = write_recording(tmp_path / "late.mkv", times=times, pictures=grey, sound=tone(2))
    playable_copy(source, tmp_path / "copy.mp4")
    frames = [frame for chunk in read_chunks(tmp_path / "copy.mp4", frame_rate=10) for frame in chunk.frames or ()]
    assert frames[0].time == pytest.approx(1.2, abs=0.11)


def test_a_source_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "text.avi").write_text("words", encoding="utf-8")
    with pytest.raises(MediaError, match="cannot be read as a recording"):
        playable_copy(tmp_path / "text.avi", tmp_path / "copy.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["text.avi"]


def test_an_existing_copy_stays_if_the_new_one_fails(tmp_path: Path) -> None:
    source = write_recording(tmp_path / "film.mkv", seconds=1, sound=tone(1), pictures=grey)
    (tmp_path / "copy.mp4").write_bytes(b"old")
    with pytest.raises(MediaError, match="before the clip starts"):
        playable_copy(source, tmp_path / "copy.mp4", start=5.0)
    assert (tmp_path / "copy.mp4").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    source = write_recording(tmp_path / "film.mkv", seconds=2, sound=tone(2), pictures=grey)
    code = (
        "import resource, sys; from selfmm import api\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "try: api.playable_copy(sys.argv[1], sys.argv[2])\n"
        "except api.OutputError as error: print(error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(source), str(tmp_path / "copy.mp4")], capture_output=True, text=True
    )
    assert "cannot write" in result.stdout, result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["film.mkv"]


def test_no_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_recording(tmp_path / "film.mkv", seconds=0.5, pictures=grey)
    monkeypatch.setattr("av.codecs_available", set())
    with pytest.raises(MissingPackageError, match="no encoder libx264"):
        playable_copy(source, tmp_path / "copy.mp4")


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    source = write_recording(tmp_path / "film.mkv", seconds=0.5, pictures=grey)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot write"):
        playable_copy(source, tmp_path / "file" / "copy.mp4")
