"""Words, voice and face of one recording, in one pass, whether it is a clip, a long file, or still arriving."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from selfmm.config.recipe import Recipe
from selfmm.features.streams import Chunk, Track, Transcript
from selfmm.features.words.times import time_words

if TYPE_CHECKING:
    from selfmm.features.face.analyser import FaceFigures
    from selfmm.features.voice.loudness import SoundFigures

SILENCE = -70.0
"""dBFS; a span of which nothing is louder has no voice."""


@dataclass(frozen=True)
class Features:
    """What was found in a span of a recording.

    Attributes:
        start, end: seconds.
        transcript: what is said; its text is empty where nothing is.
        tracks: ``audio`` and ``vision``, where the span has any; times from ``start`` of the recording on.
        sound: None where the recording has no sound, or none was asked for.
        speech: share of the span in which somebody speaks, 0 to 1; None without sound.
        face: None where the recording has no pictures, or none were asked for.
    """

    start: float
    end: float
    transcript: Transcript
    tracks: Mapping[str, Track]
    sound: SoundFigures | None
    speech: float | None
    face: FaceFigures | None


class Analysis:
    """Takes in a recording piece by piece and answers for any span that it has heard.

    What it answers depends neither on how the recording is cut into chunks nor on ``threads``.

    Args:
        recipe: what to extract, and how.
        given: the words, where somebody wrote them down.
        threads: 1 works the sound off while it is fed, and pictures one by one beside it; more let face and sound be
            worked off side by side, and while the next chunk is being read.

    Raises:
        MissingPackageError: an optional package is not installed.
        WeightsError: weights that the recipe names are not here.
    """

    def __init__(self, recipe: Recipe, *, given: Transcript | None = None, threads: int = 1) -> None:
        self.recipe = recipe
        self._given = given
        self._sound = _Sound(recipe, recognise=_wants_recognition(recipe, given), threads=threads)
        self._pictures = _Pictures(recipe, threads)
        self._sides = [_Side(self._sound.feed, threads > 1), _Side(self._pictures.feed, threads > 1)]
        self._heard = 0.0
        self._finished = False

    @property
    def ready(self) -> float:
        """Seconds up to which :meth:`features` can answer; all there is, once it is finished."""
        if self._finished:
            return self._heard
        self._wait()
        return min(self._heard, self._sound.ready, self._pictures.ready)

    def feed(self, chunk: Chunk) -> None:
        """The next piece, which begins where the one before ended."""
        self._heard = chunk.end
        for side in self._sides:
            side.feed(chunk)

    def finish(self) -> None:
        """No more will come."""
        self._wait()
        self._sound.finish()
        self._pictures.finish()
        self._finished = True
        for side in self._sides:
            side.close()

    def features(self, start: float = 0.0, end: float | None = None) -> Features:
        """Of the span [``start``, ``end``); by default, of everything.

        Raises:
            ValueError: the span is not ready yet, or was forgotten.
        """
        self._wait()
        end = self._heard if end is None else min(end, self._heard)
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
        )

    def words(self, start: float, end: float) -> Transcript:
        """What is said in a span that is ready."""
        self._wait()
        return self._transcript(start, min(end, self._heard))

    def forget(self, before: float) -> None:
        """Nothing before this time will be asked for again."""
        self._wait()
        self._sound.forget(before)
        self._pictures.forget(before)

    def _wait(self) -> None:
        for side in self._sides:
            side.wait()

    def _transcript(self, start: float, end: float) -> Transcript:
        recognised = self._sound.transcript(start, end)
        whole = self._finished and start == 0 and end == self._heard
        if self._given is None:
            return recognised or Transcript("")
        if self._given.words or not self._given.text:
            return self._given if whole else self._given.part(start, end)
        if not whole:
            raise ValueError("the words have no times, so nobody knows which of them belong to a part")
        return replace(self._given, words=time_words(self._given.text, recognised, (start, end)))


def _wants_recognition(recipe: Recipe, given: Transcript | None) -> bool:
    """Words that are given are not asked for again, but for their times where frames are to be averaged over them."""
    if recipe.speech.recogniser == "none" or "text" not in recipe.parts:
        return False
    return given is None or (recipe.align == "words" and not given.words)


class _Side:
    """Feeds analysers that need nothing of the other side; in a thread of its own, one chunk behind."""

    def __init__(self, feed: Callable[[Chunk], None], threaded: bool) -> None:
        self._feed = feed
        self._pool = ThreadPoolExecutor(1) if threaded else None
        self._pending: Future[None] | None = None

    def feed(self, chunk: Chunk) -> None:
        if self._pool is None:
            self._feed(chunk)
            return
        self.wait()
        self._pending = self._pool.submit(self._feed, chunk)

    def wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()


class _Sound:
    """Everything that listens."""

    def __init__(self, recipe: Recipe, *, recognise: bool, threads: int) -> None:
        from selfmm.features.voice.activity import SpeechActivity
        from selfmm.features.voice.analyser import voice_analyser
        from selfmm.features.voice.loudness import SoundLevel
        from selfmm.features.words.speech import SpeechAnalyser

        self._activity = SpeechActivity()
        self._level = SoundLevel()
        self._voice = voice_analyser(recipe.voice) if "audio" in recipe.parts else None
        self._words = SpeechAnalyser(recipe.speech, self._activity, threads=threads) if recognise else None
        self._all = [one for one in (self._activity, self._level, self._voice, self._words) if one is not None]
        self._fed = False

    @property
    def ready(self) -> float:
        return min(one.ready for one in self._all) if self._fed else math.inf

    def feed(self, chunk: Chunk) -> None:
        if chunk.sound is None:
            return
        self._fed = True
        for one in self._all:
            one.feed(chunk)

    def finish(self) -> None:
        for one in self._all:
            one.finish()

    def forget(self, before: float) -> None:
        for one in self._all:
            one.forget(before)

    def speech(self, start: float, end: float) -> Track | None:
        return self._activity.track(start, end) if self._fed else None

    def voice(self, start: float, end: float) -> tuple[Track | None, SoundFigures | None]:
        if not self._fed:
            return None, None
        level = self._level.figures(start, end)
        if self._voice is None or level.level < SILENCE:
            return None, level
        return self._voice.track(start, end), level

    def transcript(self, start: float, end: float) -> Transcript | None:
        return self._words.transcript(start, end) if self._fed and self._words is not None else None


class _Pictures:
    """Everything that looks."""

    def __init__(self, recipe: Recipe, threads: int) -> None:
        self._face = None
        self._fed = False
        if "vision" in recipe.parts:
            from selfmm.features.face.analyser import face_analyser

            self._face = face_analyser(recipe.face, threads=threads)

    @property
    def ready(self) -> float:
        return self._face.ready if self._fed and self._face is not None else math.inf

    def feed(self, chunk: Chunk) -> None:
        if chunk.frames is not None and self._face is not None:
            self._fed = True
            self._face.feed(chunk)

    def finish(self) -> None:
        if self._fed and self._face is not None:
            self._face.finish()

    def forget(self, before: float) -> None:
        if self._fed and self._face is not None:
            self._face.forget(before)

    def face(self, start: float, end: float, speech: Track | None) -> tuple[Track | None, FaceFigures | None]:
        if not self._fed or self._face is None:
            return None, None
        return self._face.track(start, end, speech), self._face.faces(start, end, speech)
