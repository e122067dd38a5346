"""Recognise speech: it is cut into phrases at its pauses, and each phrase is recognised separately."""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

import numpy as np

from selfmm.config.recipe import SpeechSettings
from selfmm.features.streams import SOUND_RATE, Chunk, Floats, Track, Transcript, Word
from selfmm.features.voice.blocks import SoundBlocks
from selfmm.features.words.foreign import ForeignSpeech, Judgement
from selfmm.features.words.phrases import RATE, Phrases
from selfmm.features.words.recogniser import Recognised, load_recogniser

_STEP = round(SOUND_RATE / RATE)
_SURE = 0.5  # a language detected with this probability is kept for the rest of the recording


class Activity(Protocol):
    """The probability of speech over time; see `selfmm.features.voice.activity.SpeechActivity`."""

    @property
    def ready(self) -> float: ...

    def track(self, start: float, end: float) -> Track: ...


class SpeechAnalyser:
    """Words with their times, for one clip or live source.

    The recogniser reads speech only, so silence costs no time and gives no words.

    Args:
        settings: the recogniser and the language.
        activity: the probability of speech. Feed it each chunk, and finish it, before this analyser.
        threads: of the CPU.
        check_language: if the recogniser knows English only and no language is given, notice speech in other languages.
        words: whether to recognise words; without, phrases are only encoded.
        states: whether to keep the states of the recogniser's encoder for `take_states`.

    Raises:
        MissingPackageError: if faster-whisper is not installed.
        SettingsError: if the recogniser does not know the language.
        WeightsError: if the weights are missing, altered, or cannot be loaded.
    """

    def __init__(
        self,
        settings: SpeechSettings,
        activity: Activity,
        *,
        threads: int = 1,
        check_language: bool = True,
        words: bool = True,
        states: bool = False,
    ) -> None:
        self._name = settings.recogniser
        self._recogniser = load_recogniser(settings.recogniser, threads)
        self._wants_words, self._wants_states = words, states
        self._states: list[tuple[float, Floats]] = []
        if settings.language and words:
            self._recogniser.check(settings.language)
        only = self._recogniser.languages[0] if len(self._recogniser.languages) == 1 else None
        self._language = settings.language or only  # None: not settled yet
        self._guess, self.language_probability = self._language, 1.0 if self._language else 0.0
        english_only = only == "en" and not settings.language
        self._foreign = ForeignSpeech(self._name, threads) if english_only and check_language else None
        self._judged: deque[tuple[float, float, Judgement]] = deque()  # with the begin and end of the phrase
        self._activity = activity
        self._phrases = Phrases()
        self._blocks = SoundBlocks(_STEP)
        self._sound: deque[Floats] = deque()  # one step for each row since ``_first``
        self._first = self._row = 0
        self._words: deque[tuple[str, Word]] = deque()  # each with its separator from the previous word
        self._forgotten, self._finished = 0.0, False

    @property
    def ready(self) -> float:
        """Seconds before which all words are final; infinite once finished."""
        return math.inf if self._finished else self._phrases.settled / RATE

    @property
    def width(self) -> int:
        """Number of features of a state."""
        return self._recogniser.width

    def take_states(self) -> list[tuple[float, Floats]]:
        """Return the phrases encoded since the last call: the beginning (seconds) and `Recogniser.encode` of each."""
        states, self._states = self._states, []
        return states

    def feed(self, chunk: Chunk) -> None:
        """Take the next chunk.

        Raises:
            MediaError: if it has no sound.
        """
        self._sound.extend(block.sound for block in self._blocks.feed(chunk))
        self._advance(min(self._activity.ready, (self._first + len(self._sound)) / RATE))

    def finish(self) -> None:
        """Take the end of the sound."""
        if self._finished:
            return
        self._sound.extend(block.sound for block in self._blocks.finish())
        self._advance(self._blocks.samples / SOUND_RATE)
        for phrase in self._phrases.finish():
            self._recognise(*phrase)
        self._sound.clear()
        self._finished = True

    def transcript(self, start: float, end: float) -> Transcript:
        """Return the words with their middle in [``start``, ``end``).

        Raises:
            ValueError: if ``end`` is not ready yet, or ``start`` was forgotten.
        """
        if end > self.ready:
            raise ValueError(f"words are known up to {self.ready:.3f} s, but {end:.3f} s was requested")
        if start < self._forgotten:
            raise ValueError(f"words before {self._forgotten:.3f} s were forgotten, but {start:.3f} s was requested")
        chosen = [(blank, word) for blank, word in self._words if start <= word.middle < end]
        text = "".join(blank + word.text for blank, word in chosen).strip()
        judgements = [judged for begin, after, judged in self._judged if begin < end and start < after]
        language = judgements[-1].language if judgements else self._guess
        warnings = tuple(dict.fromkeys(judged.warning for judged in judgements if judged.warning))
        return Transcript(text, tuple(word for _, word in chosen), language, "recognised", self._name, warnings)

    def forget(self, before: float) -> None:
        """Free the words before this time (seconds). They can no longer be requested."""
        self._forgotten = max(before, self._forgotten)
        while self._words and self._words[0][1].middle < before:
            self._words.popleft()
        while self._judged and self._judged[0][1] <= before:
            self._judged.popleft()

    def _advance(self, until: float) -> None:
        for probability in self._activity.track(self._row / RATE, until).column("speech").tolist():
            self._row += 1
            for phrase in self._phrases.add(probability):
                self._recognise(*phrase)
        while self._sound and self._first < self._phrases.settled:
            self._sound.popleft()
            self._first += 1

    def _recognise(self, first: int, last: int) -> None:
        sound = np.concatenate([self._sound[row - self._first] for row in range(first, last)])
        offset, latest = first / RATE, min(last / RATE, self._blocks.samples / SOUND_RATE)
        recognised = self._recogniser.recognise(sound, self._language) if self._wants_words else None
        if self._wants_states:
            states = None if recognised is None else recognised.states
            self._states.append((offset, self._recogniser.encode(sound) if states is None else states))
        if recognised is None:
            return
        self._settle_language(recognised)
        if self._foreign is not None:
            judgement = self._foreign.judge(sound, recognised)
            self._judged.append((offset, latest, judgement))
            if judgement.drop:
                return
        time = offset
        for text, start, end, probability in recognised.words:
            if not text.strip():
                continue
            # The model's times can overlap, or end a step after the sound.
            start = min(max(offset + start, time), latest)
            end = min(max(offset + end, start), latest)
            time = end
            word = Word(text.strip(), round(start, 3), round(end, 3), round(min(max(probability, 0.0), 1.0), 4))
            # In scripts without blanks, nothing separates the words of a phrase.
            self._words.append((" " if text[0].isspace() else "", word))

    def _settle_language(self, phrase: Recognised) -> None:
        if self._language is None and phrase.language_probability > self.language_probability:
            self._guess, self.language_probability = phrase.language, phrase.language_probability
            if phrase.language_probability >= _SURE:
                self._language = phrase.language
