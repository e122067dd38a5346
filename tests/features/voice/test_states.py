"""States of the recogniser's encoder as rows: means by hand, NaN without speech, the same in any pieces."""

from __future__ import annotations

import itertools
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from features.sounds import feed, voiced_sound
from selfmm.config.recipe import VoiceSettings, load_recipe
from selfmm.core import weights
from selfmm.features.clips.clip import Clip
from selfmm.features.extraction import extract_clip
from selfmm.features.media.recording import read_chunks
from selfmm.features.streams import SOUND_RATE, Chunk, Floats, Track
from selfmm.features.voice.analyser import COLUMNS, VoiceFeatures, voice_analyser
from selfmm.features.voice.states import SpokenStates
from selfmm.features.words.phrases import Phrases

WIDTH = 3
FRAME = 320


class Reader:
    """Stands for ``SpeechAnalyser``: phrases at given samples, whose states are known from their place in the sound."""

    width = WIDTH

    def __init__(self, phrases: Sequence[tuple[int, int]]) -> None:
        self.phrases, self.samples, self.finished = list(phrases), 0, False

    @property
    def ready(self) -> float:
        waiting = [start for start, _ in self.phrases]
        return math.inf if self.finished else min([self.samples, *waiting]) / SOUND_RATE

    def take_states(self) -> list[tuple[float, Floats]]:
        over = [phrase for phrase in self.phrases if phrase[1] <= self.samples or self.finished]
        self.phrases = self.phrases[len(over) :]
        return [(start / SOUND_RATE, states_of(start, end)) for start, end in over]


def states_of(start: int, end: int) -> Floats:
    return np.random.default_rng(start).normal(size=(-(-(end - start) // FRAME), WIDTH)).astype(np.float32)


def rows_of(phrases: Sequence[tuple[int, int]], sound: Floats, rate: float, sizes: Sequence[int], both: bool) -> Track:
    reader = Reader(phrases)
    analyser = SpokenStates(reader, rate, VoiceFeatures(rate) if both else None)

    class Together:
        def feed(self, chunk: Chunk) -> None:
            reader.samples += len(chunk.sound if chunk.sound is not None else ())
            analyser.feed(chunk)

        def finish(self) -> None:
            reader.finished = True
            analyser.finish()

    feed(Together(), sound, sizes)
    return analyser.track(0, 99)


PHRASES = ((16_000, 41_088), (41_088, 52_352), (80_000, 89_000))
SOUND = voiced_sound(np.full(int(6.03 * SOUND_RATE), 140.0))


@pytest.mark.parametrize("rate", [5.0, 20.0, 50.0, 80.0])
def test_a_row_is_the_mean_of_the_states_in_its_time_and_missing_without_speech(rate: float) -> None:
    track = rows_of(PHRASES, SOUND, rate, (1600,), both=False)
    assert track.columns == ("whisper_000", "whisper_001", "whisper_002")
    assert len(track) == math.ceil(6.03 * rate)
    times = np.concatenate([np.arange(start, end, FRAME) for start, end in PHRASES]) / SOUND_RATE
    states = np.concatenate([states_of(*phrase) for phrase in PHRASES])
    for row, values in enumerate(track.values):
        inside = (row / rate <= times + 1e-9) & (times + 1e-9 < (row + 1) / rate)
        if rate <= 50 or inside.any():
            expected = states[inside].mean(axis=0) if inside.any() else np.full(WIDTH, np.nan)
            np.testing.assert_allclose(values, expected, atol=1e-6)
        else:  # the states of a phrase are .02 s apart, further than rows
            beside = np.abs(times - (row + 0.5) / rate) < 0.02
            assert np.isnan(values).all() != any(np.array_equal(values, state) for state in states[beside])
    spoken = np.array([any(s <= t * SOUND_RATE < e for s, e in PHRASES) for t in track.times + 0.5 / rate])
    assert (track.present == spoken).mean() > 0.9


def test_both_are_the_voice_and_then_the_states_where_somebody_speaks() -> None:
    track, states = (rows_of(PHRASES, SOUND, 20, (1600,), both=both) for both in (True, False))
    measured = feed(VoiceFeatures(20), SOUND).track(0, 99)
    assert track.columns == (*COLUMNS, *states.columns)
    np.testing.assert_array_equal(track.values[:, len(COLUMNS) :], states.values)
    np.testing.assert_array_equal(track.values[states.present, : len(COLUMNS)], measured.values[states.present])
    assert np.isnan(track.values[~states.present]).all()
    np.testing.assert_array_equal(track.present, states.present)


@pytest.mark.parametrize("both", [False, True])
def test_pieces_change_nothing(both: bool) -> None:
    whole = rows_of(PHRASES, SOUND, 20, (len(SOUND),), both).values
    for sizes in ((160,), (1, 7777, 1600), (50_001,)):
        assert rows_of(PHRASES, SOUND, 20, sizes, both).values.tobytes() == whole.tobytes()


def test_a_live_source_waits_for_the_end_of_the_phrase_and_frees_what_is_over() -> None:
    reader = Reader([(16_000, 48_000)])
    analyser = SpokenStates(reader, 20)
    for second in range(4):
        reader.samples += SOUND_RATE
        analyser.feed(Chunk(second, second + 1, np.zeros(SOUND_RATE, np.float32), None))
        assert analyser.ready == (1, 1, 3, 4)[second]
        analyser.forget(analyser.ready)
    with pytest.raises(ValueError, match="forgotten"):
        analyser.track(0, 1)


def test_without_speech_nothing_is_there() -> None:
    assert not rows_of((), SOUND, 20, (1600,), both=True).present.any()
    assert rows_of((), SOUND[:0], 20, (1600,), both=True).values.shape == (0, len(COLUMNS) + WIDTH)


def test_a_reader_of_phrases_is_needed() -> None:
    with pytest.raises(ValueError, match="reader of phrases"):
        voice_analyser(VoiceSettings(features="whisper"))


# From here on with the real recogniser.


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two phrases with a pause of 4 s between them."""
    pytest.importorskip("faster_whisper")
    if weights.find("tiny.en") is None:
        pytest.skip("the weights tiny.en are not on this machine: selfmm weights get tiny.en")
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed, so there is no speech of known words")
    path = tmp_path_factory.mktemp("spoken") / "a.wav"
    said = '<speak>The plot was boring and slow.<break time="4s"/>But I really enjoyed the music.</speak>'
    subprocess.run(["espeak-ng", "-v", "en-us", "-m", "-w", path, said], check=True)
    return path


def extracted(path: Path, *settings: str, text: str | None = None, threads: int = 1) -> Track:
    recipe = load_recipe(["voice.features=whisper", "parts=text,audio", *settings])
    return extract_clip(Clip(path, text=text), recipe, threads=threads).features.tracks["audio"]


@pytest.mark.slow
def test_rows_are_the_encoder_s_own_states_averaged(spoken: Path) -> None:
    from selfmm.features.voice.activity import SpeechActivity
    from selfmm.features.words.recogniser import load_recogniser

    chunks = read_chunks(spoken, frame_rate=None)
    sound = np.concatenate([chunk.sound for chunk in chunks if chunk.sound is not None])
    speech = feed(SpeechActivity(), sound).track(0, 99).column("speech").tolist()
    phrases = Phrases()
    spans = [*itertools.chain.from_iterable(map(phrases.add, speech)), *phrases.finish()]
    assert len(spans) == 2
    model = load_recogniser("tiny.en")._whole  # a ``faster_whisper.WhisperModel``
    rows: dict[int, list[Floats]] = {}
    padded = np.pad(sound, (0, 512))
    for first, last in spans:
        phrase = padded[first * 512 : last * 512]
        # The phrase and 10 s of nothing after it.
        columns = np.pad(model.feature_extractor(phrase)[:, : len(phrase) // 160], ((0, 0), (0, 1000)))
        columns = np.pad(columns, ((0, 0), (0, columns.shape[1] % 2)))
        for place, state in enumerate(np.array(model.encode(columns))[0, : math.ceil(len(phrase) / 320)]):
            rows.setdefault(math.floor((first * 0.032 + place * 0.02) * 20 + 1e-6), []).append(state)
    track = extracted(spoken)
    assert track.values.shape == (math.ceil(len(sound) / 800), 384)
    assert np.flatnonzero(track.present).tolist() == sorted(row for row in rows if row < len(track))
    assert 0.3 < track.present.mean() < 0.8
    for row in np.flatnonzero(track.present).tolist():
        np.testing.assert_allclose(track.values[row], np.mean(rows[row], axis=0), atol=1e-5)


@pytest.mark.slow
def test_states_do_not_depend_on_the_threads_of_other_libraries(spoken: Path) -> None:
    code = (
        "import sys, hashlib; from pathlib import Path; from features.voice.test_states import extracted; "
        "print(hashlib.sha256(extracted(Path(sys.argv[1]), threads=int(sys.argv[2])).values.tobytes()).hexdigest())"
    )
    paths = f"{os.environ.get('PYTHONPATH', '')}{os.pathsep}{Path(__file__).parents[2]}"
    sums = set()
    for threads in ("1", "2"):
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
        command, environment = [sys.executable, "-c", code, str(spoken), threads], {**os.environ, **limits}
        done = subprocess.run(command, env={**environment, "PYTHONPATH": paths}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        sums.add(done.stdout)
    assert len(sums) == 1


@pytest.mark.slow
@pytest.mark.parametrize("features", ["whisper", "both"])
def test_given_and_recognised_words_have_the_same_states(spoken: Path, features: str) -> None:
    wanted = f"voice.features={features}"
    recognised = extracted(spoken, wanted).values.tobytes()
    assert extracted(spoken, wanted, text="It was so so.").values.tobytes() == recognised
    assert extracted(spoken, wanted, "parts=audio", threads=2).values.tobytes() == recognised
    assert extracted(spoken, wanted, "align=words", text="It was so so.", threads=2).values.tobytes() == recognised
