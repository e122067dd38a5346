"""Recordings under a run: the same scores as in its data set, whole, span by span, and while they arrive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("av", reason="recordings are read by PyAV")

import selfmm
from features.recordings import write_recording
from selfmm import api
from selfmm.config.recipe import Recipe, load_recipe
from selfmm.config.settings import StreamSettings
from selfmm.core.errors import MediaError, RunError, SettingsError, SourceError, WeightsError
from selfmm.core.listener import Listener
from selfmm.data.context import with_earlier
from selfmm.data.store import Dataset
from selfmm.demo.clips import record
from selfmm.demo.scripts import write_scripts
from selfmm.evaluation.worth import FUSION
from selfmm.features.analysis import Analysis, Features
from selfmm.features.clips.clip import Clip, Failure
from selfmm.features.clips.listing import read_clips
from selfmm.features.extraction import extract_clip, given_words, open_clip
from selfmm.features.streams import SOUND_RATE, Chunk, Floats, Word
from selfmm.recordings.lanes import STEP, merged
from selfmm.recordings.model import SentimentModel
from selfmm.recordings.prediction import Prediction
from selfmm.recordings.recipe import recipe_of
from selfmm.recordings.scorer import EXPLAINING, FINISHING, LOADING, SCORING, RecordingScorer
from selfmm.recordings.spans import Even, Sentences, Windows

CUES = [("the plot was wonderful.", 0.2, 2.0), ("the acting was dreadful.", 4.1, 6.0), ("I loved it.", 10.0, 11.5)]


@pytest.fixture(scope="module")
def sound() -> Floats:
    """13 s of speaking in tones."""
    scripts = write_scripts(7, 0, (1.6, 2.2))
    return np.concatenate([record(script, (1.6, 2.2), "tones") for script in scripts])[: 13 * SOUND_RATE]


@pytest.fixture(scope="module")
def talk(sound: Floats, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """The same as a file with subtitles."""
    folder = tmp_path_factory.mktemp("talk")
    path = write_recording(folder / "talk.wav", sound=sound)
    stamps = "\n\n".join(f"{n}\n{_stamp(a)} --> {_stamp(b)}\n{text}" for n, (text, a, b) in enumerate(CUES, start=1))
    (folder / "talk.srt").write_text(stamps)
    [clip] = read_clips(path).clips
    assert clip.subtitles == folder / "talk.srt"
    return clip


def _stamp(time: float) -> str:
    return f"00:00:{int(time):02},{round(time % 1 * 1000):03}"


def with_info(model: SentimentModel, **changes: Any) -> SentimentModel:
    return replace(model, info=model.info.model_copy(update=changes))


def only(model: SentimentModel, *parts: str) -> SentimentModel:
    return with_info(model, modalities={part: model.info.modalities[part] for part in parts})


def clips_of(table: Path, count: int) -> list[Clip]:
    return list(read_clips(table).clips[:count])


def same(got: Prediction, expected: Prediction) -> None:
    assert (got.id, got.start, got.end) == (expected.id, expected.start, expected.end)
    assert (got.transcript, got.warnings) == (expected.transcript, expected.warnings)
    for one, other in ((got.score, expected.score), *zip(got.scores.values(), expected.scores.values(), strict=True)):
        assert one == pytest.approx(other, abs=1e-5)


def all_same(got: list[Prediction], expected: list[Prediction]) -> None:
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        same(one, other)


def test_a_clip_scores_as_in_its_data_set(clip_run: SentimentModel, demo_clips: Path) -> None:
    table = clip_run.predictions.set_index("id")
    for clip in clips_of(demo_clips, 4):
        made = clip_run.predict(clip)
        stored = table.loc[clip.id]
        assert made.score is not None
        assert made.score == pytest.approx(stored["score"], abs=1e-5)
        assert made.scores == pytest.approx({"text": stored["score_text"], "audio": stored["score_audio"]}, abs=1e-5)
        assert made.transcript.text == clip.text
        assert made.transcript.source == "given"
        train = table[table["split"] == "train"]
        least, most = ((train["score"] < made.score + slack).mean() for slack in (-1e-4, 1e-4))
        rank = made.ranks[FUSION]
        assert rank is not None
        assert least <= rank <= most
        assert made.spreads["audio"].mean == pytest.approx(train["score_audio"].mean())
        assert made.spreads["audio"].deviation == pytest.approx(train["score_audio"].std())


def test_a_path_is_a_clip_without_words(clip_run: SentimentModel, demo_clips: Path) -> None:
    path = demo_clips.with_name(f"{clips_of(demo_clips, 1)[0].id}.mp4")
    made = clip_run.predict(str(path))
    assert isinstance(made, Prediction)
    assert made.id == path.stem
    assert made.present == {"text": False, "audio": True}
    assert made.ranks["text"] is None
    assert made.score is not None
    with pytest.raises(SettingsError, match="a recording has no splits"):
        clip_run.predict(path, split="test")
    with pytest.raises(SourceError, match="holds recordings, but a data set is needed"):
        clip_run.evaluate(demo_clips.parent)


def test_many_clips_in_order_and_no_failure_stops_the_others(
    clip_run: SentimentModel, demo_clips: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no film")
    first, second = clips_of(demo_clips, 2)
    asked = [first, Clip(text), second, Clip(tmp_path / "none.mp4"), first]
    later = RecordingScorer(clip_run.info, lambda: selfmm.load(clip_run.folder.path))
    for scorer in (clip_run.recordings, later):
        made = list(scorer.clips(asked))
        assert [type(one) for one in made] == [Prediction, Failure, Prediction, Failure, Prediction]
        for one, clip in zip(made, asked, strict=True):
            if isinstance(one, Prediction):
                same(one, clip_run.predict(clip))
            else:
                assert (one.id, one.path) == (clip.path.stem, str(clip.path))
                assert str(clip.path) in one.reason
    assert list(clip_run.recordings.clips([])) == []


def test_an_explanation_adds_up_to_the_score(clip_run: SentimentModel, demo_clips: Path) -> None:
    [clip] = clips_of(demo_clips, 1)
    for one, lacking in ((clip, ()), (replace(clip, text=None), ("text",))):
        made = clip_run.predict(one, explain=True)
        explanation = made.explanation
        assert explanation is not None
        assert explanation.lacking == lacking
        total = explanation.base + sum(part.value for part in explanation.contributions)
        assert total == pytest.approx(made.score, abs=1e-4)
        assert len(made.spoken) == len(explanation.words)


@pytest.mark.parametrize(("content", "match"), [("silence", "nothing to extract"), ("picture", "cannot be read")])
def test_what_says_nothing(clip_run: SentimentModel, tmp_path: Path, content: str, match: str) -> None:
    if content == "silence":
        path = write_recording(tmp_path / "a.wav", sound=np.zeros(2 * SOUND_RATE, np.float32))
    else:
        image = pytest.importorskip("PIL.Image")
        path = tmp_path / "a.png"
        image.new("RGB", (64, 64)).save(path)
    with pytest.raises(MediaError, match=match):
        clip_run.predict(path)


def test_a_clip_of_a_moment_is_scored_with_a_warning(clip_run: SentimentModel, sound: Floats, tmp_path: Path) -> None:
    made = clip_run.predict(write_recording(tmp_path / "a.wav", sound=sound[8000:12000]))
    assert made.score is not None
    assert "only 0.25 s long" in made.warnings


def test_a_transcript_that_is_cut_is_a_warning(clip_run: SentimentModel, sound: Floats, tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.wav", sound=sound[:32000])
    limit = clip_run.assembly.settings.text.max_tokens
    [warning] = [text for text in clip_run.predict(Clip(path, text="so " * 200)).warnings if "too long" in text]
    assert warning == (
        f"the text is too long: only the first {limit} of 202 tokens are read; score a long recording in windows or "
        "by sentence"
    )


def test_warnings_are_of_what_the_run_reads(clip_run: SentimentModel, talk: Clip, tmp_path: Path) -> None:
    """It looks at no pictures, so it does not miss any."""
    assert clip_run.predict(talk).warnings == clip_run.notes
    wave = 1e-3 * np.sin(0.1 * np.arange(SOUND_RATE))
    quiet = write_recording(tmp_path / "quiet.wav", sound=wave.astype(np.float32))
    assert any("quiet" in one for one in clip_run.predict(Clip(quiet, text="so")).warnings)
    assert only(clip_run, "text").predict(Clip(quiet, text="so")).scores.keys() == {"text"}


def whole(model: SentimentModel, clip: Clip) -> Features:
    return extract_clip(clip, model.recordings.recipe).features


def sliced(features: Features, start: float, end: float) -> Features:
    tracks = {name: track.part(start, end) for name, track in features.tracks.items()}
    return replace(
        features,
        start=start,
        end=end,
        transcript=features.transcript.part(start, end),
        tracks={name: track for name, track in tracks.items() if track.present.any()},
    )


@pytest.mark.parametrize("spans", [Windows(5.0, 5.0), Windows(4.0, 1.5), Windows(60.0, 1.0)])
def test_a_windows_features_are_a_slice_of_the_recordings(clip_run: SentimentModel, talk: Clip, spans: Windows) -> None:
    made = list(clip_run.recordings.curve(talk, spans))
    features = whole(clip_run, talk)
    assert made[0].start == 0
    assert made[-1].end == pytest.approx(13.0)
    for number, one in enumerate(made):
        assert one.id == f"talk_{number:05d}"
        [expected] = clip_run.recordings.score([(one.id, sliced(features, one.start, one.end))])
        same(replace(one, warnings=()), replace(expected, warnings=()))
    said = {word for one in made for word in one.transcript.words}
    assert said == set(features.transcript.words)


def test_subtitles_of_later_do_not_belong_to_what_was_heard(talk: Clip) -> None:
    """A window that ends where the source has come to is not yet all of it."""
    analysis = Analysis(load_recipe(["parts=text"]), given=given_words(talk))
    analysis.feed(Chunk(0.0, 3.0, None, None))
    assert analysis.features(0.0, 3.0).transcript.text == CUES[0][0]


def test_sentences_of_subtitles(clip_run: SentimentModel, talk: Clip) -> None:
    made = list(clip_run.recordings.curve(talk, Sentences()))
    assert [one.transcript.text for one in made] == [text for text, _, _ in CUES]
    np.testing.assert_allclose([(one.start, one.end) for one in made], [cue[1:] for cue in CUES], atol=1e-3)
    assert all(one.scores["text"] is not None for one in made)
    with pytest.raises(SettingsError, match="cannot find sentences"):
        list(clip_run.recordings.curve(replace(talk, subtitles=None), Sentences()))


def arriving(sound: Floats, step: float) -> Iterator[Chunk]:
    size = round(step * SOUND_RATE)
    for first in range(0, len(sound), size):
        piece = sound[first : first + size]
        yield Chunk(first / SOUND_RATE, (first + len(piece)) / SOUND_RATE, piece, None)


def test_a_live_source_scores_as_the_file(clip_run: SentimentModel, sound: Floats, tmp_path: Path) -> None:
    spans = Windows(4.0, 2.0)
    path = write_recording(tmp_path / "a.wav", sound=sound)
    from_file = [replace(one, id="") for one in clip_run.recordings.curve(Clip(path), spans)]
    heard = 0.0

    def source() -> Iterator[Chunk]:
        nonlocal heard
        for chunk in arriving((np.round(sound * 32767) / 32768).astype(np.float32), 0.1):
            heard = chunk.end
            yield chunk

    live, late = [], []
    for one in clip_run.recordings.stream(source(), spans):
        live.append(replace(one, id=""))
        late.append(heard - one.end)
    assert len(live) == len(from_file)
    for got, expected in zip(live, from_file, strict=True):
        assert (got.start, got.end) == (expected.start, expected.end)
        assert got.score == pytest.approx(expected.score, abs=2e-3)  # the file is rounded to 16 bits
    assert max(late) <= 1.0, "voice is settled within half a second and a chunk"


def test_streams_do_not_depend_on_the_chunks(clip_run: SentimentModel, sound: Floats) -> None:
    spans = Windows(3.0, 1.0)
    expected = list(clip_run.recordings.stream(arriving(sound, 5.0), spans, threads=1))
    for step, threads in ((0.1, 2), (0.73, 1)):
        all_same(list(clip_run.recordings.stream(arriving(sound, step), spans, threads=threads)), expected)


def test_a_run_on_other_features_reads_words_alone(clip_run: SentimentModel, demo_clips: Path) -> None:
    """Such as a data set for MMSA, whose audio and vision nobody can extract again."""
    foreign = with_info(clip_run, recipe=None)
    [clip] = clips_of(demo_clips, 1)
    made = foreign.predict(clip)
    assert made.present == {"text": True, "audio": False}
    assert made.scores["text"] == pytest.approx(clip_run.predict(clip).scores["text"], abs=1e-5)
    assert "audio is left out: the run was trained on audio features that selfmm did not extract" in made.warnings
    with pytest.raises(RunError, match=r"the run reads audio, as features that selfmm did not extract.*selfmm extract"):
        only(foreign, "audio").predict(clip)


@pytest.mark.parametrize(("language", "recogniser"), [(None, "tiny.en"), ("en", "tiny.en"), ("zh", "base")])
def test_who_hears_for_a_run_on_other_features(clip_run: SentimentModel, language: str | None, recogniser: str) -> None:
    recipe, _ = recipe_of(with_info(clip_run, recipe=None, language=language).info)
    assert recipe.parts == ("text",)
    assert recipe.speech.recogniser == recogniser
    assert recipe.speech.language == (language or "" if recogniser == "base" else "")


def test_nothing_is_extracted_that_the_run_does_not_read(clip_run: SentimentModel) -> None:
    full = with_info(clip_run, recipe=Recipe())
    assert recipe_of(only(full, "audio").info)[0].parts == ("audio",)
    assert recipe_of(only(full, "text").info)[0].parts == ("text",)
    assert recipe_of(full.info)[0].parts == ("text", "audio")
    aligned = with_info(clip_run, recipe=Recipe(align="words"))
    assert recipe_of(only(aligned, "audio").info)[0].parts == ("text", "audio"), "it is averaged over words"


def test_no_model_is_loaded_for_what_is_not_read(
    clip_run: SentimentModel, demo_clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selfmm.core import weights

    def never(name: str) -> Path:
        raise WeightsError(f"asked for {name}")

    monkeypatch.setattr(weights, "locate", never)
    full = with_info(clip_run, recipe=Recipe(parts=("text", "audio", "vision")))
    [clip] = clips_of(demo_clips, 1)
    bare = replace(clip, text=None)
    made = only(full, "audio").predict(bare)
    assert made.score is not None
    assert made.transcript.text == ""
    assert full.predict(clip).present == {"text": True, "audio": True}, "words that are given are not recognised"


def test_missing_weights(
    clip_run: SentimentModel, demo_clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selfmm.core import weights
    from selfmm.features.words import recogniser

    recogniser.load_recogniser.cache_clear()
    monkeypatch.setattr(weights, "find", lambda name: None)
    listens = with_info(clip_run, recipe=load_recipe(["parts=text,audio", "speech.recogniser=tiny.en"]))
    with pytest.raises(WeightsError, match=r"selfmm weights get tiny\.en"):
        listens.predict(replace(clips_of(demo_clips, 1)[0], text=None))


def test_a_recording_is_not_centred_and_the_prediction_says_so(clip_run: SentimentModel, demo_clips: Path) -> None:
    stream = {"audio": StreamSettings(centre="video")}
    centred = clip_run.assembly.settings.model_copy(update={"stream": stream})
    model = replace(clip_run, assembly=replace(clip_run.assembly, settings=centred))
    [clip] = clips_of(demo_clips, 1)
    got, expected = model.predict(clip), clip_run.predict(clip)
    assert got.score == expected.score
    assert [warning for warning in got.warnings if warning not in expected.warnings] == [
        "audio could not be centred by video as in training, because recordings are scored one by one; extract the "
        "clips of a speaker to a data set and score that"
    ]


def with_context(model: SentimentModel) -> SentimentModel:
    settings = model.assembly.settings
    text = settings.text.model_copy(update={"context": 2})
    return replace(model, assembly=replace(model.assembly, settings=settings.model_copy(update={"text": text})))


@pytest.mark.parametrize("spans", [Sentences(), Windows(4.0, 2.0)])
def test_spans_are_read_after_those_before_them(
    clip_run: SentimentModel, talk: Clip, spans: Sentences | Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[list[str]] = []

    def noted(dataset: Dataset, earlier: list[list[str]]) -> Dataset:
        texts.extend(earlier)
        return with_earlier(dataset, earlier)

    monkeypatch.setattr("selfmm.recordings.scorer.with_earlier", noted)
    made = list(with_context(clip_run).recordings.curve(talk, spans))
    said = [one.transcript.text for one in made]
    if isinstance(spans, Sentences):
        assert texts == [[], said[:1], said[:2]]
    else:
        assert [(one.start, one.end) for one in made[4:]] == [(8.0, 12.0), (9.0, 13.0)]
        assert texts == [[], [], said[:1], said[1:2], said[0:3:2], said[0:3:2]]
    plain = list(clip_run.recordings.curve(talk, spans))
    assert made[0].scores["text"] == pytest.approx(plain[0].scores["text"], abs=1e-6)
    differences = [
        abs((one.scores["text"] or 0.0) - (other.scores["text"] or 0.0)) for one, other in zip(made, plain, strict=True)
    ]
    assert max(differences) > 1e-6
    assert [one.warnings for one in made] == [one.warnings for one in plain]


def test_a_clip_of_its_own_is_read_without_the_words_before_and_says_so(clip_run: SentimentModel, talk: Clip) -> None:
    got, expected = with_context(clip_run).predict(talk), clip_run.predict(talk)
    assert got.score == expected.score
    assert [warning for warning in got.warnings if warning not in expected.warnings] == [
        "it was scored without the words before it, which the model reads in training (text.context = 2); score a "
        "whole recording by sentence, or its clips as a data set"
    ]


@pytest.mark.parametrize("about", ["", "comes with selfmm"])
def test_words_by_another_recogniser_than_in_training(clip_run: SentimentModel, talk: Clip, about: str) -> None:
    """Also for a run of the user's whose frozen text encoder has a name: only the starter knows no such clips."""
    recipe = load_recipe(["parts=text,audio", "speech.recogniser=tiny.en"])
    info = clip_run.info.model_copy(update={"recipe": recipe, "encoder_weights": "e5", "about": about})
    scorer = RecordingScorer(info, lambda: clip_run, recogniser="base")
    features = whole(clip_run, talk)
    words = replace(features.transcript, source="recognised", recogniser="base", language="de")
    [prediction] = scorer.score([("talk", replace(features, transcript=words))])
    other = "the words were recognised by base, those of the training clips by tiny.en"
    assert (other in prediction.warnings) == (not about)


def test_states_of_the_recogniser_need_its_weights(
    clip_run: SentimentModel, demo_clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selfmm.core import weights
    from selfmm.features.words import recogniser

    recogniser.load_recogniser.cache_clear()
    monkeypatch.setattr(weights, "find", lambda name: None)
    [clip] = clips_of(demo_clips, 1)
    assert clip.text
    with pytest.raises(WeightsError, match=r"selfmm weights get tiny\.en"):
        with_info(clip_run, recipe=load_recipe(["parts=text,audio", "voice.features=whisper"])).predict(clip)


def test_states_in_windows_do_not_depend_on_the_chunks(sound: Floats, monkeypatch: pytest.MonkeyPatch) -> None:
    from selfmm.features.words import speech

    class Encoder:
        languages, width = ("en",), 2

        def encode(self, sound: Floats) -> Floats:
            return np.tile(np.abs(sound[::320, None]), (1, 2))

    monkeypatch.setattr(speech, "load_recogniser", lambda name, threads: Encoder())

    def states(seconds: float) -> list[bytes]:
        analysis = Analysis(load_recipe(["parts=audio", "voice.features=whisper"]))
        windows, found, step = Even(analysis, Windows(4.0, 4.0)), [], round(seconds * SOUND_RATE)
        for first in range(0, len(sound), step):
            piece = sound[first : first + step]
            analysis.feed(Chunk(first / SOUND_RATE, (first + len(piece)) / SOUND_RATE, piece, None))
            found += windows.due()
        analysis.finish()
        tracks = [span.tracks.get("audio") for span in [*found, *windows.rest()]]
        return [b"" if track is None else track.values.tobytes() for track in tracks]

    assert states(0.1) == states(5.0)
    assert any(states(5.0))


@pytest.mark.slow
def test_a_face_in_a_window_is_a_slice_of_the_faces(demo_clips: Path) -> None:
    pytest.importorskip("mediapipe", reason="it finds the face")
    from selfmm.core import weights

    if weights.find("face") is None:
        pytest.skip("the weights of the face are not on this machine: selfmm weights get face")
    recipe = load_recipe(["parts=vision"])
    clip = clips_of(demo_clips, 1)[0]
    features = extract_clip(clip, recipe).features
    analysis = Analysis(recipe)
    for chunk in open_clip(clip, recipe, [], seconds=0.3):
        analysis.feed(chunk)
    analysis.finish()
    part = analysis.features(0.5, 1.5).tracks["vision"]
    np.testing.assert_array_equal(part.values, features.tracks["vision"].part(0.5, 1.5).values)


class Heard(Listener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, str]] = []
        self.read: list[tuple[str, float, float | None]] = []

    def stage(self, clip: Clip, name: str) -> None:
        self.stages.append((clip.path.name, name))

    def reading(self, clip: Clip, seconds: float, total: float | None) -> None:
        self.read.append((clip.path.name, seconds, total))


def test_lanes_of_windows_are_those_of_the_whole_and_scores_stay_the_same(clip_run: SentimentModel, talk: Clip) -> None:
    [plain] = api.predict_each(clip_run, talk)
    [watched] = api.predict_each(clip_run, talk, lanes=True)
    assert isinstance(plain, Prediction)
    assert isinstance(watched, Prediction)
    assert plain.lanes is None
    assert "lanes" not in plain.to_json()
    assert watched.lanes is not None
    same(plain, replace(watched, lanes=None))
    assert len(watched.lanes) == 13 / STEP
    windows = list(api.predict_each(clip_run, talk, window=4, hop=1.5, lanes=True, explain=True))
    parts = []
    for one in windows:
        assert isinstance(one, Prediction)
        assert one.lanes is not None
        assert one.explanation is not None
        assert one.lanes.start == pytest.approx(one.start, abs=STEP)
        assert len(one.lanes) == pytest.approx((one.end - one.start) / STEP, abs=1)
        parts.append(one.lanes)
    together = merged(parts)
    assert together is not None
    for name, lane in watched.lanes.values.items():
        assert (lane is None) == (name in watched.lanes.missing)
        if lane is not None:
            np.testing.assert_array_equal(together.values[name], lane)
    energy = watched.lanes.values["energy"]
    assert energy is not None
    assert -60 < energy.max() < 0
    assert json.loads(json.dumps(watched.to_json()["lanes"], allow_nan=False))["lanes"].keys() == {
        "energy",
        "pitch",
        "speech",
    }


def test_progress_of_clips_and_of_a_curve(clip_run: SentimentModel, talk: Clip, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no film")
    heard = Heard()
    results = list(api.predict_each(clip_run, [talk, Clip(text, id="text")], listener=heard))
    assert [type(one) for one in results] == [Prediction, Failure]
    assert [name for path, name in heard.stages if path == "talk.wav"] == [LOADING, FINISHING, SCORING]
    ends = [seconds for path, seconds, _ in heard.read if path == "talk.wav"]
    assert ends == sorted(ends)
    assert ends[0] == 0
    assert ends[-1] == pytest.approx(13.0)
    assert {total for path, _, total in heard.read if path == "talk.wav"} == {13.0}
    heard = Heard()
    list(api.predict_each(clip_run, replace(talk, start=2.0, end=9.0), window=3, listener=heard))
    assert [name for _, name in heard.stages] == [LOADING, FINISHING]
    assert [seconds for _, seconds, _ in heard.read] == [5.0, 7.0]
    assert {total for *_, total in heard.read} == {7.0}


def test_a_corrected_transcript_keeps_the_times_of_the_words_that_stay(clip_run: SentimentModel, talk: Clip) -> None:
    spoken = Clip(talk.path, words=(Word("the", 0.2, 0.4), Word("plot", 0.5, 1.0), Word("won", 1.2, 1.5)))
    [made] = api.predict_each(clip_run, spoken)
    assert isinstance(made, Prediction)
    assert made.transcript.text == "the plot won"
    assert made.transcript.words == spoken.words
    corrected = replace(spoken, text="the plot was wonderful")
    [made] = api.predict_each(clip_run, corrected, explain=True)
    assert isinstance(made, Prediction)
    assert made.transcript.text == "the plot was wonderful"
    words = made.transcript.words
    assert [(word.text, word.start, word.end) for word in words[:2]] == [("the", 0.2, 0.4), ("plot", 0.5, 1.0)]
    assert (words[2].start, words[3].end) == (1.2, 1.5)
    assert made.spoken == (0.2, 0.5, 1.2, words[3].start)
    assert made.scores["text"] == pytest.approx(clip_run.predict(Clip(talk.path, text=corrected.text)).scores["text"])
    windows = list(api.predict_each(clip_run, corrected, window=1.0, hop=1.0))
    assert [one.transcript.text for one in windows[:2] if isinstance(one, Prediction)] == ["the plot", "was wonderful"]


def test_a_part_with_its_words(clip_run: SentimentModel, talk: Clip) -> None:
    [made] = api.predict_each(clip_run, Clip(talk.path, start=4.0, end=6.5, text="the acting was dreadful."))
    assert isinstance(made, Prediction)
    assert (made.start, made.end) == (0.0, 2.5)
    assert made.transcript.text == "the acting was dreadful."


class Early(Heard):
    """Also keeps the scores that come before their explanation."""

    def __init__(self) -> None:
        super().__init__()
        self.early: list[Prediction] = []

    def scored(self, clip: Clip, prediction: Prediction) -> None:
        self.early.append(prediction)


def test_the_scores_come_before_their_explanation(clip_run: SentimentModel, demo_clips: Path) -> None:
    [clip] = clips_of(demo_clips, 1)
    heard = Early()
    [made] = api.predict_each(clip_run, clip, explain=True, listener=heard)
    assert isinstance(made, Prediction)
    [early] = heard.early
    assert early.explanation is None
    same(early, made)
    assert [name for _, name in heard.stages][-2:] == [SCORING, EXPLAINING]


def test_sentences_alone(clip_run: SentimentModel) -> None:
    texts = ["the plot was wonderful.", " I loved it. "]
    made = api.predict_texts(clip_run, texts, explain=True)
    table = clip_run.predict(text=[text.strip() for text in texts])
    assert [one.id for one in made] == ["text_1", "text_2"]
    assert [one.score for one in made] == pytest.approx(table["score"].tolist(), abs=1e-5)
    assert [one.transcript.text for one in made] == ["the plot was wonderful.", "I loved it."]
    assert all(one.explanation is not None and one.scores["audio"] is None for one in made)
    assert not any("sound" in warning for one in made for warning in one.warnings)
    for wrong in ([], ["so", " "]):
        with pytest.raises(SourceError, match="none of them empty"):
            api.predict_texts(clip_run, wrong)
    with pytest.raises(RunError, match="reads no words"):
        only(clip_run, "audio").recordings.texts(["so"])
