"""Notice speech in another language than English, for a recogniser that knows English only.

Such a recogniser writes down English words that nobody said. It is less certain of them: with tiny.en, their mean
probability was below ``_CLEAR`` in all of 91 clips in other languages. So only unclear phrases are examined: the
multilingual recogniser ``base``, if it is on this machine, says which language it is. That is one pass of its encoder,
at most ``_MOST`` times per recording. Without it, unclear words are a reason for a warning, but not evidence of another
language. Measured rates are in docs/own_videos.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from selfmm.config.recipe import SpeechSettings
from selfmm.core import weights
from selfmm.core.languages import ENGLISH_ONLY, language_name
from selfmm.features.streams import SOUND_RATE, Floats
from selfmm.features.words.recogniser import Recognised, load_recogniser

DETECTOR = "base"
"""The multilingual recogniser among the offline weights that detects the language."""

_CLEAR = 0.7  # mean probability of words that are certainly English
_UNCLEAR, _UNSURE = 0.6, 0.5  # below these there is a warning: if English is improbable too, or without a detector
_SURE = 0.8  # probability of another language with which the words are dropped
_HARDLY = 0.2  # probability of English below which the speech is doubtful
_LEAST = 1.5  # seconds of a phrase whose language can be detected
_MOST = 2  # phrases per recording whose language is detected


@dataclass(frozen=True)
class Judgement:
    """What is known about the language of a phrase.

    Attributes:
        language: two or three letters; None: not known.
        warning: why the words should not be trusted; empty if there is no reason.
        drop: whether the words are certainly not what was said.
    """

    language: str | None
    warning: str = ""
    drop: bool = False


class ForeignSpeech:
    """Judges the phrases of one recording, in their order.

    Args:
        recogniser: its name, for warnings. It knows English only.
        threads: of the CPU.
    """

    def __init__(self, recogniser: str, threads: int = 1) -> None:
        self._only = f"{recogniser} {ENGLISH_ONLY}"
        self._threads = threads
        self._detected: list[dict[str, float]] = []

    def judge(self, sound: Floats, recognised: Recognised) -> Judgement:
        """Judge a phrase.

        Args:
            sound: (n,) mono at ``SOUND_RATE``, at most 30 s.
            recognised: its words.

        Raises:
            WeightsError: if the weights of ``DETECTOR`` were altered.
        """
        probabilities = [word[3] for word in recognised.words]
        mean = sum(probabilities) / max(len(probabilities), 1)
        if mean >= _CLEAR:
            return Judgement("en")
        if weights.find(DETECTOR) is None:
            return self._unexamined(mean)
        if len(sound) >= _LEAST * SOUND_RATE and len(self._detected) < _MOST:
            self._detected.append(load_recogniser(DETECTOR, self._threads).detect(sound))
        return self._examined(mean) if self._detected else Judgement("en")

    def _unexamined(self, mean: float) -> Judgement:
        if mean >= _UNSURE:
            return Judgement("en")
        how = f"to have its language checked: selfmm weights get {DETECTOR}"
        return Judgement(None, f"the speech may not be in English, and {self._only}; {how}")

    def _examined(self, mean: float) -> Judgement:
        count = len(self._detected)
        means = {name: sum(each.get(name, 0.0) for each in self._detected) / count for name in self._detected[0]}
        language = max(means, key=lambda name: means[name])
        use = f"use `recogniser='{DETECTOR}'`"
        if language != "en" and means[language] >= _SURE:
            seems = f"the speech seems to be in {language_name(language)}, and {self._only}, so it has no words"
            return Judgement(language, f"{seems}; {use}", drop=True)
        if mean < _UNCLEAR and means.get("en", 0.0) < _HARDLY:
            return Judgement(None, f"the speech does not seem to be in English, and {self._only}; {use}")
        return Judgement("en")


def checks_language(speech: SpeechSettings) -> bool:
    """Return whether extraction may use the weights of ``DETECTOR`` though its settings do not name them."""
    if speech.language or speech.recogniser in ("none", DETECTOR):
        return False
    return weights.find(DETECTOR) is not None
