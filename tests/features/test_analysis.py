"""One recording in one pass: what comes out depends on the recording alone, and memory on nothing that is over."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.portraits import clip as real_clip
from features.portraits import needs_weights
from features.sounds import voiced_sound
from selfmm.config.recipe import FaceSettings, Recipe, load_recipe
from selfmm.core.errors import SettingsError
from selfmm.features.analysis import Analysis, Features
from selfmm.features.face import analyser as face
from selfmm.features.face.landmarks import COLUMNS, Face, Image
from selfmm.features.media.recording import read_chunks
from selfmm.features.streams import SOUND_RATE, Chunk, Floats, Frame, Track, Transcript, Word
from selfmm.features.voice import activity
from selfmm.features.voice.blocks import Block, BlockAnalyser, SoundBlocks
from selfmm.features.words import speech
from selfmm.features.words.recogniser import Recognised

RATE = 10.0
STEP = 512
GIVEN = Transcript("So good.", source="given")
TIMED = Transcript("So good.", (Word("So", 0.5, 0.9), Word("good.", 1.1, 1.6)), "en", "subtitles")


class LoudIsSpeech(BlockAnalyser):
    """Stands for the model that finds speech."""

    def __init__(self) -> None:
        super().__init__(("speech",), SOUND_RATE / STEP, SoundBlocks(STEP))

    def _work(self, block: Block) -> None:
        self._rows.append(np.array([[np.abs(block.sound).max() > 0.05]], dtype=np.float32))


class Ear:
    """Stands for the recogniser: a word for each begun second, named after its sound."""

    languages, width = ("en",), 2

    def encode(self, sound: Floats) -> Floats:
        return np.tile(sound[::320, None], (1, 2))

    def recognise(self, sound: Floats, language: str | None) -> Recognised:
        said = range(len(sound) // SOUND_RATE + 1)
        words = tuple(
            (f" w{1e6 * np.abs(sound[i * SOUND_RATE :][:99]).sum():.0f}", i + 0.1, i + 0.4, 0.5) for i in said
        )
        return Recognised(words, "en", 1.0)


def see(image: Image) -> tuple[Face, ...]:
    """Replaces the face finder: a picture that is not black is a face, and its brightness is the feature."""
    level = float(image.mean())
    row = np.full(len(COLUMNS), level, dtype=np.float32)
    return (Face(row, np.array([0.2, 0.2, 0.6, 0.6]), level / 255, 20.0),) if level else ()


@pytest.fixture(autouse=True)
def stand_ins(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("slow"):
        return

    def face_analyser(given: FaceSettings, threads: int) -> face.FaceAnalyser:
        return face.FaceAnalyser(given, see, ThreadPoolExecutor(threads))

    monkeypatch.setattr(activity, "SpeechActivity", LoudIsSpeech)
    monkeypatch.setattr(speech, "load_recogniser", lambda name, threads: Ear())
    monkeypatch.setattr(face, "face_analyser", face_analyser)


def sound_of(seconds: float) -> Floats:
    """A voice that comes and goes."""
    times = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    return (voiced_sound(120 + 40 * np.sin(times)) * (np.sin(2 * times) > -0.3)).astype(np.float32)


def frames_of(seconds: float) -> tuple[Frame, ...]:
    levels = [0 if i % 7 == 3 else 20 + i % 200 for i in range(round(seconds * RATE))]
    return tuple(Frame(i / RATE, np.full((8, 8, 3), level, np.uint8)) for i, level in enumerate(levels))


SOUND, FRAMES = sound_of(4.0), frames_of(4.0)


def pieces(cuts: Sequence[int] = (), *, sound: bool = True, frames: bool = True) -> Iterator[Chunk]:
    """The four seconds, cut at these samples."""
    for first, last in itertools.pairwise([0, *sorted(set(cuts)), len(SOUND)]):
        start, end = first / SOUND_RATE, last / SOUND_RATE
        seen = tuple(frame for frame in FRAMES if start <= frame.time < end)
        yield Chunk(start, end, SOUND[first:last] if sound else None, seen if frames else None)


def analysis_of(
    chunks: Iterator[Chunk], recipe: Recipe | None = None, given: Transcript | None = None, threads: int = 1
) -> Analysis:
    analysis = Analysis(recipe or Recipe(), given=given, threads=threads)
    for chunk in chunks:
        analysis.feed(chunk)
    analysis.finish()
    return analysis


def same(one: Features, other: Features) -> bool:
    tracks = [
        (name, track.columns, track.rate, track.start, track.values.tobytes()) for name, track in one.tracks.items()
    ]
    others = [
        (name, track.columns, track.rate, track.start, track.values.tobytes()) for name, track in other.tracks.items()
    ]
    return tracks == others and replace(one, tracks={}) == replace(other, tracks={})


WHOLE = len(SOUND)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=6, deadline=None)
@given(st.lists(st.integers(1, WHOLE - 1), max_size=8), st.integers(1, 3))
def test_the_result_depends_neither_on_chunks_nor_on_threads(cuts: list[int], threads: int) -> None:
    whole = analysis_of(pieces()).features()
    assert same(analysis_of(pieces(cuts), threads=threads).features(), whole)
    assert list(whole.tracks) == ["audio", "vision"]
    assert whole.transcript.words
    assert (whole.start, whole.end) == (0, 4)


@pytest.mark.slow
def test_neither_does_it_with_the_true_models() -> None:
    needs_weights()
    path = real_clip("mosi_Oz06ZWiO20M_6.mp4")

    def found(seconds: float, threads: int) -> Features:
        chunks = read_chunks(path, frame_rate=RATE, seconds=seconds)
        return analysis_of(chunks, threads=threads).features()

    whole = found(10, 1)
    assert same(found(0.3, 2), whole)
    assert len(whole.transcript.words) > 5
    assert list(whole.tracks) == ["audio", "vision"]


def test_a_part_is_the_same_slice_of_the_whole() -> None:
    analysis = analysis_of(pieces())
    whole, part = analysis.features(), analysis.features(1.0, 2.5)
    for name, track in part.tracks.items():
        np.testing.assert_array_equal(track.values, whole.tracks[name].part(1.0, 2.5).values)
        assert track.start == whole.tracks[name].part(1.0, 2.5).start
    middles = [word for word in whole.transcript.words if 1.0 <= (word.start + word.end) / 2 < 2.5]
    assert part.transcript.words == tuple(middles) != ()
    assert part.transcript.text == " ".join(word.text for word in middles)
    assert analysis.words(1.0, 2.5) == part.transcript
    assert (part.start, part.end) == (1.0, 2.5)


def test_an_end_behind_the_recording_is_its_end() -> None:
    analysis = analysis_of(pieces())
    assert same(analysis.features(0.0, 99.0), analysis.features())


def test_what_is_ready_does_not_change() -> None:
    analysis = Analysis(load_recipe(["parts=audio,vision"]))  # words wait for a pause, see `test_speech`
    early: list[tuple[float, Features]] = []
    for chunk in pieces(range(1600, WHOLE, 1600)):
        analysis.feed(chunk)
        ready = analysis.ready
        assert ready <= chunk.end
        if ready > 0:
            early.append((ready, analysis.features(0.0, ready)))
    analysis.finish()
    assert analysis.ready == 4.0
    assert len(early) > 20
    for ready, found in early:
        later = analysis.features(0.0, ready)
        assert found.tracks["audio"].values.tobytes() == later.tracks["audio"].values.tobytes()
        assert found.speech == later.speech


def test_a_span_that_is_not_ready_or_forgotten_is_refused() -> None:
    analysis = Analysis(Recipe())
    chunks = list(pieces(range(8000, WHOLE, 8000)))
    for chunk in chunks[:-1]:
        analysis.feed(chunk)
    with pytest.raises(ValueError, match="up to"):
        analysis.features(0.0, chunks[-2].end)
    analysis.forget(1.0)
    with pytest.raises(ValueError, match="forgot"):
        analysis.features(0.5, 1.5)
    analysis.feed(chunks[-1])
    analysis.finish()
    whole = analysis_of(pieces())
    assert same(analysis.features(1.0, 4.0), whole.features(1.0, 4.0))


def test_without_sound() -> None:
    found = analysis_of(pieces(sound=False)).features()
    assert list(found.tracks) == ["vision"]
    assert found.transcript == Transcript("")
    assert found.sound is None
    assert found.speech is None
    assert found.face is not None
    assert found.face.pictures == 40


def test_without_pictures() -> None:
    found = analysis_of(pieces(frames=False)).features()
    assert list(found.tracks) == ["audio"]
    assert found.face is None
    assert same(found, replace(analysis_of(pieces()).features(), face=None, tracks={"audio": found.tracks["audio"]}))


def test_gaps_where_there_is_no_face() -> None:
    track = analysis_of(pieces()).features().tracks["vision"]
    assert np.flatnonzero(~track.present).tolist() == [i for i in range(40) if i % 7 == 3]


def test_silence_has_no_voice_and_a_dark_film_no_face() -> None:
    silence = np.zeros(2 * SOUND_RATE, np.float32)
    dark = tuple(Frame(i / RATE, np.zeros((8, 8, 3), np.uint8)) for i in range(20))
    found = analysis_of(iter([Chunk(0, 2, silence, dark)])).features()
    assert not found.tracks
    assert found.transcript.text == ""
    assert found.speech == 0.0
    assert found.sound is not None
    assert found.sound.silent == 1.0
    assert found.face is not None
    assert found.face.any_face == 0.0


@pytest.mark.parametrize(
    ("parts", "tracks", "words"),
    [("text", [], True), ("audio", ["audio"], False), ("vision", ["vision"], False), ("text,vision", ["vision"], True)],
)
def test_parts(parts: str, tracks: list[str], words: bool) -> None:
    found = analysis_of(pieces(), load_recipe([f"parts={parts}"])).features()
    assert list(found.tracks) == tracks
    assert bool(found.transcript.words) == words


def test_words_that_are_given_are_not_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("recognised")

    monkeypatch.setattr(speech, "load_recogniser", never)
    assert analysis_of(pieces(), given=TIMED).features().transcript == TIMED
    assert analysis_of(pieces(), given=TIMED).features(1.0, 2.0).transcript.text == "good."
    spread = analysis_of(pieces(), given=GIVEN).features().transcript
    assert spread.text == GIVEN.text
    assert (spread.words[0].start, spread.words[-1].end) == (0.0, 4.0)


def test_a_text_without_times_has_no_parts() -> None:
    analysis = analysis_of(pieces(), given=GIVEN)
    with pytest.raises(ValueError, match="no times"):
        analysis.features(1.0, 2.0)


def test_subtitles_of_a_span_in_which_nothing_is_said() -> None:
    nothing = Transcript("", (), "en", "subtitles")
    analysis = analysis_of(pieces(), given=nothing)
    assert analysis.features().transcript == nothing
    assert analysis.features(1.0, 2.0).transcript == nothing


def test_a_given_text_is_timed_by_what_is_recognised_where_frames_are_averaged_over_words() -> None:
    heard = analysis_of(pieces()).features().transcript.words
    text = " ".join(word.text for word in heard)
    timed = analysis_of(pieces(), load_recipe(["align=words"]), Transcript(text)).features().transcript
    assert timed.source == "given"
    assert [(word.text, word.start, word.end) for word in timed.words] == [(w.text, w.start, w.end) for w in heard]


def test_a_track_pooled_over_words_is_what_a_plain_loop_gives() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 3)).astype(np.float32)
    values[[5, 6, 7, 30]] = np.nan
    track = Track(("a", "b", "c"), values, 10.0, 2.0)
    spans = [(2.0, 2.31), (2.5, 2.8), (3.04, 3.06), (4.9, 5.2), (6.8, 9.0), (0.0, 1.0)]
    pooled = track.pooled(spans)
    for (start, end), row in zip(spans, pooled, strict=True):
        # A row is of the tenth of a second that it begins.
        inside = [v for t, v in zip(track.times, values, strict=True) if t < end - 1e-9 and t + 0.1 > start + 1e-9]
        inside = [v for v in inside if np.isfinite(v).all()]
        expected = np.mean(inside, axis=0) if inside else np.full(3, np.nan)
        np.testing.assert_allclose(row, expected, rtol=1e-6)
    assert np.isnan(pooled).all(axis=1).tolist() == [False, True, False, False, False, True]


def test_words_without_text_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"align = 'words'.*words need text"):
        load_recipe(["align=words", "parts=audio"])


def live(seconds: int) -> Iterator[Chunk]:
    """Sound and pictures that nobody keeps, second by second."""
    loud = 0.2 * np.ones(SOUND_RATE, np.float32)
    for second in range(seconds):
        frames = [Frame(second + i / RATE, np.full((48, 64, 3), second % 250 + 1, np.uint8)) for i in range(int(RATE))]
        yield Chunk(second, second + 1, loud.copy() if second % 5 else 0 * loud, tuple(frames))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [["parts=text,vision"], ["parts=text,audio", "voice.features=both"]])
def test_memory_of_a_live_source_is_flat(recipe: list[str]) -> None:
    analysis = Analysis(load_recipe(recipe))
    seconds, held = 100, 0
    tracemalloc.start()
    try:
        for count, chunk in enumerate(live(seconds), start=1):
            analysis.feed(chunk)
            analysis.forget(analysis.ready)
            if count == seconds // 2:
                held = tracemalloc.get_traced_memory()[0]
        grown = tracemalloc.get_traced_memory()[0] - held
    finally:
        tracemalloc.stop()
    # Less than the sound alone of the second half, or its pictures.
    assert grown < 1_000_000 < seconds / 2 * min(SOUND_RATE * 4, RATE * 48 * 64 * 3)
