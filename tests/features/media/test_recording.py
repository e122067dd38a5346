"""Recordings against planted truth: pictures that tell their time by their brightness, tones and clicks."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from features.recordings import grey, noise, tone, write_recording
from selfmm.core.errors import MediaError
from selfmm.features.media.lanes import Lane, PictureLane
from selfmm.features.media.recording import MediaInfo, probe, read_chunks, seconds_of
from selfmm.features.streams import SOUND_RATE, Chunk, Floats, Frame


def sound_of(chunks: list[Chunk]) -> Floats:
    return np.concatenate([chunk.sound for chunk in chunks if chunk.sound is not None])


def frames_of(chunks: list[Chunk]) -> list[Frame]:
    return [frame for chunk in chunks for frame in chunk.frames or ()]


def told(frames: list[Frame]) -> list[float]:
    """The times that the pictures of ``grey`` tell."""
    return [(float(frame.image.mean()) - 20) / 50 for frame in frames]


def clicks(seconds: float, at: list[float]) -> Floats:
    """Short loud tones in silence."""
    sound = np.zeros(round(seconds * SOUND_RATE), dtype=np.float32)
    for time in at:
        first = round(time * SOUND_RATE)
        sound[first : first + 160] = tone(0.01, hertz=2000)
    return sound


def onset(sound: Floats) -> float:
    return float(np.argmax(np.abs(sound) > 0.2) / SOUND_RATE)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds, grey pictures and a click at 1.5 s."""
    path = tmp_path_factory.mktemp("media") / "film.mp4"
    return write_recording(path, seconds=3, sound=clicks(3, [1.5]), pictures=grey)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi"])
def test_sound_and_pictures_of_every_container_are_in_time(tmp_path: Path, suffix: str) -> None:
    path = write_recording(tmp_path / f"film{suffix}", seconds=2, sound=clicks(2, [1.0]), pictures=grey)
    problems: list[str] = []
    chunks = list(read_chunks(path, frame_rate=10, seconds=0.7, problems=problems))
    assert problems == []
    assert [chunk.start for chunk in chunks] == [0, *(chunk.end for chunk in chunks[:-1])]
    assert all(len(chunk.sound) == round((chunk.end - chunk.start) * SOUND_RATE) for chunk in chunks)  # type: ignore[arg-type]
    assert chunks[-1].end == pytest.approx(2, abs=0.1)
    assert onset(sound_of(chunks)) == pytest.approx(1, abs=0.01)
    frames = frames_of(chunks)
    assert [frame.time for frame in frames][:20] == [place / 10 for place in range(20)]
    assert told(frames[:20]) == pytest.approx([frame.time for frame in frames[:20]], abs=0.045)
    assert frames[0].image.shape == (48, 64, 3)
    assert frames[0].image.dtype == np.uint8
    for chunk in chunks:
        assert all(chunk.start <= frame.time < chunk.end for frame in chunk.frames or ())


@pytest.mark.parametrize("suffix", [".m4a", ".mp3", ".wav", ".flac", ".ogg"])
def test_sound_alone(tmp_path: Path, suffix: str) -> None:
    path = write_recording(tmp_path / f"voice{suffix}", sound=clicks(2, [1.0]))
    chunks = list(read_chunks(path, frame_rate=10))
    assert all(chunk.frames is None for chunk in chunks)
    assert onset(sound_of(chunks)) == pytest.approx(1, abs=0.01)
    assert chunks[-1].end == pytest.approx(2, abs=0.1)
    info = probe(path)
    assert (info.sound, info.video, info.width, info.frame_rate) == (True, False, 0, None)


def test_lossless_sound_comes_out_as_it_is(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).uniform(-0.9, 0.9, SOUND_RATE).astype(np.float32)
    path = write_recording(tmp_path / "noise.wav", sound=sound)
    read = sound_of(list(read_chunks(path, frame_rate=None, seconds=0.3)))
    assert np.abs(read - sound).max() < 1e-4
    part = sound_of(list(read_chunks(path, frame_rate=None, start=0.25, end=0.75)))
    assert np.array_equal(part, read[4000:12000])


def test_other_rates_and_channels_become_mono_without_shift_or_gain(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    times = np.arange(44100) / 44100
    left = 0.9 * np.sin(2 * np.pi * 440 * times)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=44100, layout="stereo")
        both = (np.stack([left, left], axis=1) * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    read = sound_of(list(read_chunks(path, frame_rate=None)))
    assert len(read) == SOUND_RATE
    assert np.abs(read - tone(1, loudness=0.9))[200:-200].max() < 1e-3


def channels(path: Path, *sounds: Floats, layout: str = "stereo", rate: int = SOUND_RATE) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout=layout)
        interleaved = (np.stack(sounds, axis=1) * 32767).round().astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(interleaved, format="s16", layout=layout)
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("rest", [0.0, 0.1], ids=["exactly", "nearly"])
@pytest.mark.parametrize("layout", ["stereo", "5.1"])
def test_channels_that_cancel_are_heard(tmp_path: Path, layout: str, rest: float) -> None:
    sound = tone(2.5, loudness=0.8)
    other = tone(2.5, hertz=200, loudness=rest)
    sounds = (sound, other - sound) if layout == "stereo" else (sound, other - sound, *[np.zeros_like(sound)] * 4)
    problems: list[str] = []
    path = channels(tmp_path / "a.wav", *sounds, layout=layout)
    chunks = list(read_chunks(path, frame_rate=None, problems=problems))
    read = sound_of(chunks)
    level = np.sqrt(np.mean(read[200:-200] ** 2)) / np.sqrt(np.mean(sound**2))
    assert 0.2 < level < 1.1
    assert np.corrcoef(read, sound)[0, 1] > 0.95
    assert problems == [
        "left and right cancel each other for 2.5 s (one is the other upside down): their difference was read."
    ]
    part = sound_of(list(read_chunks(path, frame_rate=None, start=0.3, end=1.7, seconds=0.2)))
    assert np.abs(part - read[4800:27200]).max() < 1e-6


@pytest.mark.parametrize("other", ["equal", "silent", "different", "opposite for a moment"])
def test_channels_that_do_not_cancel_are_mixed_as_ever(tmp_path: Path, other: str) -> None:
    sound = tone(2.5, loudness=0.8)
    sign = np.where(np.arange(len(sound)) // 800 % 20 == 0, -1, 1)  # .05 s in a second
    right = {
        "equal": sound,
        "silent": 0 * sound,
        "different": tone(2.5, hertz=523, loudness=0.5),
        "opposite for a moment": (sound * sign).astype(np.float32),
    }[other]
    problems: list[str] = []
    read = sound_of(list(read_chunks(channels(tmp_path / "a.wav", sound, right), frame_rate=None, problems=problems)))
    assert np.abs(read - (sound + right) / 2).max() < 1e-4
    assert not problems


def test_sound_that_cancels_only_later(tmp_path: Path) -> None:
    sound = tone(3, loudness=0.8)
    right = np.concatenate([sound[:SOUND_RATE], -sound[SOUND_RATE:]])
    read = sound_of(list(read_chunks(channels(tmp_path / "a.wav", sound, right), frame_rate=None)))
    assert np.abs(np.abs(read) - np.abs(sound)).max() < 1e-4


def test_cutting_changes_nothing(film: Path) -> None:
    whole = list(read_chunks(film, frame_rate=12.5))
    pieces = list(read_chunks(film, frame_rate=12.5, seconds=0.13))
    assert len(whole) == 1
    assert len(pieces) > 20
    assert np.array_equal(sound_of(whole), sound_of(pieces))
    assert [frame.time for frame in frames_of(whole)] == [frame.time for frame in frames_of(pieces)]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(frames_of(whole), frames_of(pieces), strict=True))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi", ".ts", ".mp3", ".m4a", ".ogg", ".flac"])
def test_a_span_is_what_the_whole_has_there(tmp_path: Path, suffix: str) -> None:
    silent = suffix in (".mp3", ".m4a", ".ogg", ".flac")
    codec = "libx264" if suffix in (".mp4", ".ts") else ""  # with pictures that need later ones
    path = tmp_path / f"long{suffix}"
    pictures = None if silent else (lambda time: grey(time, per_second=18))
    write_recording(path, seconds=12, sound=clicks(12, [8.0]), pictures=pictures, video_codec=codec)
    whole = list(read_chunks(path, frame_rate=10))
    chunks = list(read_chunks(path, start=7.3, end=9.1, frame_rate=10))
    assert chunks[0].start == 0
    assert chunks[-1].end == 1.8
    sound = sound_of(chunks)
    assert onset(sound) == pytest.approx(onset(sound_of(whole)) - 7.3, abs=0.0015)
    first = round(7.3 * SOUND_RATE)
    if suffix != ".webm":  # its times are rounded to a millisecond
        assert np.abs(sound - sound_of(whole)[first : first + len(sound)]).max() < 1e-3
    frames = frames_of(chunks)
    if not silent:
        assert [frame.time for frame in frames] == [place / 10 for place in range(18)]
        assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, frames_of(whole)[73:91], strict=True))


def test_a_jump_reads_only_what_it_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A key picture every .5 s: a clip near the end needs few of all packets.
    path = write_recording(tmp_path / "long.mkv", seconds=30, sound=tone(30), pictures=grey, frame_rate=24)
    fed = count_packets(monkeypatch)
    list(read_chunks(path, start=20, end=21, frame_rate=10))
    assert len(fed) < 200  # of some 1200


def test_pictures_with_irregular_times_are_those_shown(tmp_path: Path) -> None:
    times = [0, 0.1, 0.5, 0.52, 1.7]
    path = write_recording(tmp_path / "variable.mkv", pictures=grey, times=times, sound=tone(2.5))
    frames = frames_of(list(read_chunks(path, frame_rate=10)))
    shown = [max(time for time in times if time <= frame.time + 1e-6) for frame in frames]
    assert told(frames) == pytest.approx(shown, abs=0.03)
    assert len(frames) == 18  # the last picture stays for its own duration, not until the sound ends


def test_sound_that_begins_late_is_silent_before(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "late.mkv", pictures=grey, sound=clicks(1, [0.25]), sound_from=0.5)
    sound = sound_of(list(read_chunks(path, frame_rate=10, seconds=0.3)))
    assert not sound[: round(0.45 * SOUND_RATE)].any()
    assert onset(sound) == pytest.approx(0.75, abs=0.01)
    assert len(sound) == 2 * SOUND_RATE  # pictures go on for longer


def test_pictures_that_begin_late_are_missing_before(tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    write_recording(path, pictures=grey, times=[0.52 + place / 25 for place in range(25)], sound=tone(2))
    frames = frames_of(list(read_chunks(path, frame_rate=10)))
    assert frames[0].time == 0.5  # stands in for .02 s
    assert told(frames)[0] == pytest.approx(0.52, abs=0.03)


def test_a_lane_that_ends_early_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fed = count_packets(monkeypatch)
    path = write_recording(tmp_path / "short_sound.mkv", pictures=grey, seconds=40, frame_rate=5, sound=tone(1))
    ends, packets = [], []
    for chunk in read_chunks(path, frame_rate=5, seconds=2):
        assert chunk.sound is not None
        assert len(chunk.frames or ()) == 10
        ends.append(chunk.end)
        packets.append(len(fed))
    assert ends == [2.0 * place for place in range(1, 21)]
    assert packets[0] < 100  # else an hour of pictures would be kept until the end of the file
    assert packets == sorted(packets)


def count_packets(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Grows by each packet that is decoded."""
    fed: list[Any] = []
    own = Lane.feed

    def counting(lane: Lane, packet: Any) -> None:
        fed.append(packet)
        own(lane, packet)

    monkeypatch.setattr(Lane, "feed", counting)
    return fed


def test_no_sound_and_no_pictures_asked_for(film: Path, tmp_path: Path) -> None:
    silent = write_recording(tmp_path / "silent.mp4", pictures=grey)
    assert all(chunk.sound is None and chunk.frames for chunk in read_chunks(silent, frame_rate=10))
    assert all(chunk.sound is None and chunk.frames for chunk in read_chunks(film, frame_rate=10, sound=False))
    assert all(chunk.frames is None for chunk in read_chunks(film, frame_rate=None))
    with pytest.raises(MediaError, match="has pictures but no sound"):
        list(read_chunks(silent, frame_rate=None))


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_pictures_are_upright(tmp_path: Path, rotation: int) -> None:
    stored = np.zeros((48, 96, 3), dtype=np.uint8)
    stored[:24, :48] = 200  # a bright corner
    path = write_recording(tmp_path / "turned.mp4", seconds=0.2, pictures=lambda time: stored, rotation=rotation)
    (image,) = {
        frame.image.tobytes(): frame.image for frame in frames_of(list(read_chunks(path, frame_rate=5)))
    }.values()
    expected = matrix_applied(stored, path)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 10


MATRICES = {  # a, b, c, d; the eight ways to put a rectangle
    "upright": (1, 0, 0, 1),
    "mirrored": (-1, 0, 0, 1),
    "upside down and mirrored": (1, 0, 0, -1),
    "turned by 180": (-1, 0, 0, -1),
    "turned right": (0, 1, -1, 0),
    "turned left": (0, -1, 1, 0),
    "transposed": (0, 1, 1, 0),
    "transposed and turned by 180": (0, -1, -1, 0),
}


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_pictures_of_every_orientation_are_upright(
    tmp_path: Path, matrix: tuple[int, int, int, int], suffix: str
) -> None:
    stored = np.full((48, 96, 3), 20, dtype=np.uint8)
    stored[:16, :32], stored[:16, 64:], stored[32:, :32] = 240, 160, 90  # each corner has its own brightness
    path = write_recording(tmp_path / f"film{suffix}", seconds=0.2, pictures=lambda time: stored)
    content = bytearray(path.read_bytes())
    header, (a, b, c, d) = content.index(b"tkhd") + 4, (part * 65536 for part in matrix)
    content[header + 40 : header + 60] = struct.pack(">5i", a, b, 0, c, d)
    path.write_bytes(content)
    image = frames_of(list(read_chunks(path, frame_rate=5)))[0].image
    expected = matrix_applied(stored, path)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 10


def matrix_applied(stored: np.ndarray[Any, Any], path: Path) -> np.ndarray[Any, Any]:
    """Turns a picture by the matrix in the track header (ISO 14496-12, 8.3.2): x' = a x + c y, y' = b x + d y."""
    content = path.read_bytes()
    header = content.index(b"tkhd") + 4
    a, b, _, c, d = (value / 65536 for value in struct.unpack(">5i", content[header + 40 : header + 60]))
    rows, columns = np.indices(stored.shape[:2])
    x, y = np.rint(a * columns + c * rows).astype(int), np.rint(b * columns + d * rows).astype(int)
    turned = np.zeros((np.ptp(y) + 1, np.ptp(x) + 1, 3), dtype=np.uint8)
    turned[y - y.min(), x - x.min()] = stored
    return turned


@pytest.mark.slow
def test_large_pictures_are_made_smaller_and_small_ones_are_not_made_larger(tmp_path: Path) -> None:
    path = tmp_path / "huge.mp4"
    write_recording(path, times=[0], pictures=lambda time: grey(0.5, width=7680, height=4320), video_codec="mpeg4")
    (frame,) = frames_of(list(read_chunks(path, frame_rate=10, longest_side=320)))
    assert frame.image.shape == (180, 320, 3)
    assert told([frame]) == pytest.approx([0.5], abs=0.05)
    assert probe(path).width == 7680


def test_one_picture(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "one.mp4", times=[0], pictures=grey)
    (chunk,) = read_chunks(path, frame_rate=10)
    assert [frame.time for frame in chunk.frames or ()] == [0]
    assert 0 < chunk.end <= 0.1


def test_probe(film: Path, tmp_path: Path) -> None:
    assert probe(film) == MediaInfo(3.0, sound=True, video=True, width=64, height=48, frame_rate=25.0)
    live = tmp_path / "live.webm"
    write_recording(live, pictures=grey, sound=tone(2), options={"live": "1"})
    assert probe(live).duration is None
    assert list(read_chunks(live, frame_rate=10))[-1].end == pytest.approx(2, abs=0.1)


def test_a_file_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    write_recording(path, seconds=8, sound=tone(8), pictures=noise, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    problems: list[str] = []
    chunks = list(read_chunks(path, frame_rate=10, seconds=1, problems=problems))
    assert 2 < chunks[-1].end < 6
    assert f"the file ends at {chunks[-1].end:.1f} s of 8.0 s" in problems[0]


def moving(time: float) -> Any:
    """A bright square that goes to the right, on a background that does not compress to nothing."""
    image = np.random.default_rng(0).integers(0, 60, (96, 128, 3), dtype=np.uint8)
    image[30:60, round(40 * time) : round(40 * time) + 30] = 200
    return image


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("steady", [True, False])
def test_pictures_that_are_not_needed_are_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, steady: bool
) -> None:
    gaps = np.random.default_rng(1).integers(10, 90, 60) / 1000
    times = None if steady else np.cumsum(gaps).round(3).tolist()
    path = tmp_path / f"film{suffix}"
    write_recording(path, seconds=2.4, times=times, pictures=moving, sound=tone(2.4), video_codec="libx264")
    decoded: list[float] = []
    see = PictureLane._see

    def count(lane: PictureLane, frame: Any) -> None:
        decoded.append(frame.time)
        see(lane, frame)

    monkeypatch.setattr(PictureLane, "_see", count)
    counts: list[tuple[list[Any], int]] = []
    for needs in (PictureLane._needs, lambda lane, packet: True):
        monkeypatch.setattr(PictureLane, "_needs", needs)
        pictures: list[Any] = []
        before = len(decoded)
        for start, end, rate in [(None, None, 10), (0.5, 1.7, 10), (1.1, 1.9, 7), (None, None, 30)]:
            problems: list[str] = []
            chunks = list(read_chunks(path, start=start, end=end, frame_rate=rate, seconds=0.5, problems=problems))
            assert problems == []
            pictures.append([(frame.time, frame.image.tobytes()) for frame in frames_of(chunks)])
            pictures.append([chunk.end for chunk in chunks])
        counts.append((pictures, len(decoded) - before))
    assert counts[0][0] == counts[1][0]
    assert all(len(clip) > 4 for clip in counts[0][0][::2])
    assert counts[0][1] < 0.9 * counts[1][1]


def test_a_damaged_middle_is_left_out(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "damaged.mp4", seconds=4, sound=tone(4), pictures=noise)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = b"\xff" * 2000
    path.write_bytes(content)
    problems: list[str] = []
    chunks = list(read_chunks(path, frame_rate=10, problems=problems))
    assert chunks[-1].end == pytest.approx(4, abs=0.1)
    assert np.isfinite(sound_of(chunks)).all()
    assert "could not be decoded" in problems[0]


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (20.0, None, "ends at 3.*before the clip starts"),
        (20.0, 25.0, "before the clip starts"),
        (2.0, 1.0, "the end must be later"),
        (1.0, 1.0, "the end must be later"),
        (None, 0.0, "the end must be later"),
        (-1.0, 1.0, "start is -1.0 s; expected seconds in the file, 0 or more"),
        (float("nan"), 1.0, "start is nan"),
        (0.0, float("inf"), "end is inf"),
    ],
)
def test_impossible_spans(film: Path, start: float | None, end: float | None, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        list(read_chunks(film, start=start, end=end, frame_rate=10))


def test_an_end_behind_the_file_is_the_files(film: Path) -> None:
    problems: list[str] = []
    chunks = list(read_chunks(film, start=1, end=30, frame_rate=10, problems=problems))
    assert chunks[-1].end == pytest.approx(2, abs=0.1)
    assert problems == [f"the file ends at {chunks[-1].end + 1:.1f} s, before the end of the clip (30 s)."]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mosi_Oz06ZWiO20M_6.mp4", "pyfeat_face_noface.mov", "pyfeat_single_face.mp4"])
def test_real_clips(name: str) -> None:
    path = Path(__file__).parents[4] / "shared" / "data" / "clips" / name
    if not path.is_file():
        pytest.skip("the clips are not beside this checkout (they are not ours to ship)")
    problems: list[str] = []
    chunks = list(read_chunks(path, frame_rate=10, seconds=1, problems=problems))
    assert problems == []
    assert chunks[-1].end == pytest.approx(probe(path).duration, abs=0.05)
    assert [frame.time for frame in frames_of(chunks)] == [place / 10 for place in range(len(frames_of(chunks)))]
    assert len(frames_of(chunks)) == pytest.approx(chunks[-1].end * 10, abs=1)


def test_the_length_of_a_recording_whose_header_does_not_say_it(tmp_path: Path) -> None:
    """Such as that of a browser's recorder, or an mp3."""
    tone = np.sin(np.arange(3 * SOUND_RATE) * 0.1).astype(np.float32)
    mp3 = write_recording(tmp_path / "a.mp3", sound=tone)
    assert probe(mp3).duration is None
    assert seconds_of(mp3) == pytest.approx(3.0, abs=0.1)
    wav = write_recording(tmp_path / "a.wav", sound=tone)
    assert seconds_of(wav) == 3.0
    with pytest.raises(MediaError, match="does not exist"):
        seconds_of(tmp_path / "b.wav")


@pytest.mark.parametrize("suffix", [".webm", ".mkv", ".ogg", ".mp4", ".ts"])
def test_a_clock_that_does_not_begin_at_zero(tmp_path: Path, suffix: str) -> None:
    """Some headers hold the time of the end, not the length: such a file is not cut off."""
    path = write_recording(tmp_path / f"late{suffix}", sound=tone(2), sound_from=5.0)
    problems: list[str] = []
    chunks = list(read_chunks(path, frame_rate=None, problems=problems))
    assert problems == []
    assert chunks[-1].end == pytest.approx(2, abs=0.15)
    assert seconds_of(path) == pytest.approx(2, abs=0.15)
    with pytest.raises(MediaError, match=r"ends (at .* s, )?before"):
        list(read_chunks(path, start=60, frame_rate=None))


@pytest.mark.parametrize("suffix", [".wav", ".avi"])
def test_a_cut_that_only_the_size_in_the_header_shows(tmp_path: Path, suffix: str) -> None:
    path = write_recording(tmp_path / f"whole{suffix}", sound=tone(4))
    content = path.read_bytes()
    problems: list[str] = []
    list(read_chunks(path, frame_rate=None, problems=problems))
    assert problems == []
    path.write_bytes(content[: len(content) // 2])
    list(read_chunks(path, frame_rate=None, end=1, problems=problems))
    assert problems == [], "the clip is whole"
    list(read_chunks(path, frame_rate=None, problems=problems))
    assert problems == ["the file lacks the last 50% of what its header declares: it was cut off."]


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_wav_that_was_written_to_a_pipe_does_not_know_its_size(tmp_path: Path, size: int) -> None:
    path = write_recording(tmp_path / "a.wav", sound=tone(2))
    content = bytearray(path.read_bytes())
    place = content.find(b"data") + 4
    content[4:8] = content[place : place + 4] = size.to_bytes(4, "little")
    path.write_bytes(content)
    problems: list[str] = []
    assert list(read_chunks(path, frame_rate=None, problems=problems))[-1].end == pytest.approx(2, abs=0.01)
    assert problems == []


def test_which_of_several_tracks_is_read(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=SOUND_RATE, layout="mono") for _ in range(2)]
        streams[0].metadata["language"] = "deu"
        for stream in streams:
            frame = av.AudioFrame.from_ndarray((tone(1)[None] * 32767).astype(np.int16), format="s16", layout="mono")
            frame.sample_rate = SOUND_RATE
            container.mux([*stream.encode(frame), *stream.encode(None)])
    problems: list[str] = []
    list(read_chunks(path, frame_rate=None, problems=problems))
    assert problems == [
        "the file has 2 sound tracks: only track 1 (deu) was read; to read another, save it as a file of its own."
    ]
