"""Extract the words, voice and face of a clip, a long file or a live source in one pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from selfmm.config.recipe import Recipe
from selfmm.features.streams import Chunk, Track, Transcript
from selfmm.features.words.times import time_words

if TYPE_CHECKING:
    from selfmm.features.face.analyser import FaceAnalyser, FaceFigures
    from selfmm.features.voice.blocks import BlockAnalyser
    from selfmm.features.voice.loudness import SoundFigures
    from selfmm.features.words.speech import SpeechAnalyser

    Analyser = BlockAnalyser | SpeechAnalyser | FaceAnalyser

SILENCE = -70.0
"""dBFS; a quieter span has no voice."""


@dataclass(frozen=True)
class Signals:
    """What voice and face do over time, for people to look at. It does not depend on what the model reads.

    Each is None if the recording has no sound or no pictures, or the recipe extracts no vision.

    Attributes:
        level: columns ``samples`` and ``squares`` for each .01 s, see `selfmm.features.voice.loudness.SoundLevel`.
        speech: column ``speech``, the probability that somebody speaks, 0 to 1.
        pitch: column ``pitch`` for each .01 s, Hz; NaN if unvoiced.
        face: columns ``left``, ``top``, ``right`` and ``bottom`` of the chosen face, in widths and heights of the
            picture; NaN where it is not found.
    """

    level: Track | None
    speech: Track | None
    pitch: Track | None
    face: Track | None


@dataclass(frozen=True)
class Features:
    """The features of a span of a recording.

    Attributes:
        start, end: seconds.
        transcript: the words; its text is empty if nothing is said.
        tracks: ``audio`` and ``vision``, if the span has them; times count from the beginning of the recording.
        sound: None if the recording has no sound.
        speech: share of the span in which somebody speaks, 0 to 1; None without sound.
        face: None if the recording has no pictures, or the recipe does not extract vision.
        signals: None unless they were requested.
    """

    start: float
    end: float
    transcript: Transcript
    tracks: Mapping[str, Track]
    sound: SoundFigures | None
    speech: float | None
    face: FaceFigures | None
    signals: Signals | None = None


class Analysis:
    """Takes a recording chunk by chunk and returns the features of any complete span.

    The features depend neither on how the recording is cut into chunks nor on ``threads``.

    Args:
        recipe: what to extract, and how.
        given: the words, if they came with the recording.
        threads: with 1, :meth:`feed` returns when the chunk is analysed; with more, sound and faces are analysed at the
            same time, while the next chunk is read.
        signals: also measure `Signals`. The features stay the same.

    Attributes:
        given: the words that came with the recording; they can be replaced before features are requested.

    Raises:
        MissingPackageError: if an optional package is not installed.
        WeightsError: if weights that the recipe names are not on this machine.
    """

    def __init__(
        self, recipe: Recipe, *, given: Transcript | None = None, threads: int = 1, signals: bool = False
    ) -> None:
        self.recipe = recipe
        self.given = given
        recognise = _wants_recognition(recipe, given)
        self._wants_signals = signals
        self._sound = _Sound(
            recipe, recognise=recognise, check_language=given is None, threads=threads, wants_pitch=signals
        )
        self._pictures = _Pictures(recipe, threads)
        self._end = 0.0
        self._finished = False

    @property
    def ready(self) -> float:
        """Seconds up to which the features are complete; once finished, the end of the recording."""
        if self._finished:
            return self._end
        self._wait()
        return min(self._end, self._sound.ready, self._pictures.ready)

    def feed(self, chunk: Chunk) -> None:
        """Take the next chunk, which begins where the previous one ended."""
        self._end = chunk.end
        if chunk.sound is not None:
            self._sound.feed(chunk)
        if chunk.frames is not None:
            self._pictures.feed(chunk)

    def finish(self) -> None:
        """Take the end of the recording."""
        self._sound.finish()
        self._pictures.finish()
        self._finished = True

    def features(self, start: float = 0.0, end: float | None = None) -> Features:
        """Return the features of the span [``start``, ``end``); by default, of the whole recording.

        Raises:
            ValueError: if the span is not ready yet, or was forgotten.
        """
        self._wait()
        end = self._end if end is None else min(end, self._end)
        speech = self._sound.speech(start, end)
        voice, level = self._sound.voice(start, end)
        face, figures = self._pictures.face(start, end, speech)
        tracks = {"audio": voice, "vision": face}
        return Features(
            start=start,
            end=end,
            transcript=self._transcript(start, end),
            tracks={name: track for name, track in tracks.items() if track is not None and track.present.any()},
            sound=level,
            speech=None if speech is None else float((speech.column("speech") >= 0.5).mean()) if len(speech) else 0.0,
            face=figures,
            signals=self._signals(start, end, speech) if self._wants_signals else None,
        )

    def words(self, start: float, end: float) -> Transcript:
        """Return the words in a span that is ready."""
        self._wait()
        return self._transcript(start, min(end, self._end))

    def forget(self, before: float) -> None:
        """Free everything before this time (seconds). It can no longer be requested."""
        self._wait()
        self._sound.forget(before)
        self._pictures.forget(before)

    def _wait(self) -> None:
        self._sound.wait()
        self._pictures.wait()

    def _signals(self, start: float, end: float, speech: Track | None) -> Signals:
        level, pitch = self._sound.signals(start, end)
        return Signals(level=level, speech=speech, pitch=pitch, face=self._pictures.box(start, end, speech))

    def _transcript(self, start: float, end: float) -> Transcript:
        recognised = self._sound.transcript(start, end)
        whole = self._finished and start == 0 and end == self._end
        if self.given is None:
            return recognised or Transcript("")
        if self.given.words or not self.given.text:
            return self.given if whole else self.given.part(start, end)
        if not whole:
            raise ValueError("the given words have no times, so the words of a part are not known")
        return replace(self.given, words=time_words(self.given.text, recognised, (start, end)))


def _wants_recognition(recipe: Recipe, given: Transcript | None) -> bool:
    """Return whether to recognise speech: for the words, or for the times of given words if frames are averaged."""
    if recipe.speech.recogniser == "none" or "text" not in recipe.parts:
        return False
    return given is None or (recipe.align == "words" and not given.words)


class _Side:
    """The analysers of sound, or those of pictures. If threaded, they work in one thread, one chunk behind."""

    def __init__(self, analysers: Sequence[Analyser | None], threaded: bool) -> None:
        self.fed = False
        self._analysers = [analyser for analyser in analysers if analyser is not None]
        self._pool = ThreadPoolExecutor(1) if threaded else None
        self._pending: Future[None] | None = None

    @property
    def ready(self) -> float:
        return min((analyser.ready for analyser in self._analysers), default=math.inf) if self.fed else math.inf

    def feed(self, chunk: Chunk) -> None:
        self.wait()
        self.fed = True
        if self._pool is None:
            self._feed(chunk)
        else:
            self._pending = self._pool.submit(self._feed, chunk)

    def _feed(self, chunk: Chunk) -> None:
        for analyser in self._analysers:
            analyser.feed(chunk)

    def wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def finish(self) -> None:
        self.wait()
        for analyser in self._analysers:
            analyser.finish()
        if self._pool is not None:
            self._pool.shutdown()

    def forget(self, before: float) -> None:
        for analyser in self._analysers:
            analyser.forget(before)


class _Sound(_Side):
    def __init__(
        self, recipe: Recipe, *, recognise: bool, check_language: bool, threads: int, wants_pitch: bool
    ) -> None:
        from selfmm.features.voice.activity import SpeechActivity
        from selfmm.features.voice.analyser import voice_analyser
        from selfmm.features.voice.loudness import SoundLevel
        from selfmm.features.voice.pitch_track import PitchTrack
        from selfmm.features.words.speech import SpeechAnalyser

        self._activity = SpeechActivity()
        self._level = SoundLevel()
        self._pitch = PitchTrack() if wants_pitch else None
        speech, states = None, recipe.encodes_speech
        if recognise or states:
            speech = SpeechAnalyser(
                recipe.speech,
                self._activity,
                threads=threads,
                check_language=check_language,
                words=recognise,
                states=states,
            )
        self._words = speech if recognise else None
        self._voice = voice_analyser(recipe.voice, speech) if "audio" in recipe.parts else None
        # The voice comes last, because it may read what the recogniser has encoded.
        super().__init__((self._activity, self._level, self._pitch, speech, self._voice), threads > 1)

    def speech(self, start: float, end: float) -> Track | None:
        return self._activity.track(start, end) if self.fed else None

    def voice(self, start: float, end: float) -> tuple[Track | None, SoundFigures | None]:
        if not self.fed:
            return None, None
        level = self._level.figures(start, end)
        if self._voice is None or level.heard < SILENCE:
            return None, level
        return self._voice.track(start, end), level

    def signals(self, start: float, end: float) -> tuple[Track | None, Track | None]:
        if not self.fed or self._pitch is None:
            return None, None
        return self._level.track(start, end), self._pitch.track(start, end)

    def transcript(self, start: float, end: float) -> Transcript | None:
        return self._words.transcript(start, end) if self.fed and self._words is not None else None


class _Pictures(_Side):
    def __init__(self, recipe: Recipe, threads: int) -> None:
        self._face = None
        if "vision" in recipe.parts:
            from selfmm.features.face.analyser import face_analyser

            self._face = face_analyser(recipe.face, threads=threads)
        super().__init__((self._face,), threads > 1)

    def face(self, start: float, end: float, speech: Track | None) -> tuple[Track | None, FaceFigures | None]:
        if not self.fed or self._face is None:
            return None, None
        return self._face.track(start, end, speech), self._face.faces(start, end, speech)

    def box(self, start: float, end: float, speech: Track | None) -> Track | None:
        return self._face.boxes(start, end, speech) if self.fed and self._face is not None else None
