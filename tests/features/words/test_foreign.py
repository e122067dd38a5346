"""Speech in another language: noticed by the detector, suspected without it, and clear English is left alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from selfmm.config.recipe import SpeechSettings
from selfmm.core import weights
from selfmm.features.streams import SOUND_RATE
from selfmm.features.words import foreign
from selfmm.features.words.foreign import ForeignSpeech, Judgement, checks_language
from selfmm.features.words.recogniser import Recognised

PHRASE = np.zeros(3 * SOUND_RATE, dtype=np.float32)


class Detector:
    """Gives these probabilities, phrase by phrase."""

    def __init__(self, *answers: dict[str, float]) -> None:
        self.answers, self.calls = list(answers), 0

    def detect(self, sound: object) -> dict[str, float]:
        self.calls += 1
        return self.answers[self.calls - 1]


def use(monkeypatch: pytest.MonkeyPatch, detector: Detector | None) -> None:
    monkeypatch.setattr(weights, "find", lambda name: Path() if detector else None)
    monkeypatch.setattr(foreign, "load_recogniser", lambda name, threads: detector)


def words(*probabilities: float) -> Recognised:
    return Recognised(tuple((" so", 0.0, 0.5, probability) for probability in probabilities), "en", 1.0)


def test_clear_words_are_english_and_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = Detector({"de": 1.0, "en": 0.0})
    use(monkeypatch, detector)
    assert ForeignSpeech("tiny.en").judge(PHRASE, words(0.9, 0.6)) == Judgement("en")
    assert detector.calls == 0


def test_words_of_another_language_are_dropped_when_it_is_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = Detector({"de": 0.9, "en": 0.1}, {"de": 0.8, "en": 0.1})
    use(monkeypatch, detector)
    speech = ForeignSpeech("tiny.en")
    judgement = speech.judge(PHRASE, words(0.4))
    assert (judgement.language, judgement.drop) == ("de", True)
    assert "seems to be in German, and tiny.en recognises English only" in judgement.warning
    assert "use `recogniser='base'`" in judgement.warning
    assert [speech.judge(PHRASE, words(probability)).drop for probability in (0.5, 0.3, 0.9)] == [True, True, False]
    assert detector.calls == 2  # not for every phrase


@pytest.mark.parametrize(
    ("probabilities", "mean", "doubtful"),
    [
        ({"de": 0.5, "la": 0.4, "en": 0.1}, 0.5, True),
        ({"de": 0.5, "la": 0.4, "en": 0.1}, 0.65, False),
        ({"de": 0.7, "en": 0.3}, 0.3, False),  # an accent, or noise
        ({"en": 0.9, "de": 0.1}, 0.0, False),
    ],
)
def test_weaker_evidence_leaves_the_words_alone(
    monkeypatch: pytest.MonkeyPatch, probabilities: dict[str, float], mean: float, doubtful: bool
) -> None:
    use(monkeypatch, Detector(probabilities))
    judgement = ForeignSpeech("tiny.en").judge(PHRASE, words(mean))
    assert not judgement.drop
    assert judgement.language == (None if doubtful else "en")
    assert ("does not seem to be in English" in judgement.warning) == doubtful


def test_a_click_is_too_short_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Detector({"de": 1.0}))
    assert ForeignSpeech("tiny.en").judge(PHRASE[:SOUND_RATE], words()) == Judgement("en")


def test_without_the_detector_unclear_words_are_only_suspect(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, None)
    speech = ForeignSpeech("tiny.en")
    assert speech.judge(PHRASE, words(0.6)) == Judgement("en")
    for unclear in (words(0.3), words()):
        judgement = speech.judge(PHRASE, unclear)
        assert not judgement.drop
        assert judgement.language is None
        assert "may not be in English" in judgement.warning
        assert "selfmm weights get base" in judgement.warning


def test_extraction_depends_on_the_detector_only_where_it_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Detector())
    assert checks_language(SpeechSettings())
    assert not any(map(checks_language, [SpeechSettings(recogniser="base"), SpeechSettings(recogniser="none")]))
    assert not checks_language(SpeechSettings(language="en"))
    use(monkeypatch, None)
    assert not checks_language(SpeechSettings())


def test_probabilities_are_those_of_the_model() -> None:
    from selfmm.features.words.recogniser import Recogniser

    def detect_language(audio: object) -> tuple[str, float, list[tuple[str, np.float32]]]:
        return "de", 0.75, [("de", np.float32(0.75)), ("en", np.float32(0.25))]

    model = SimpleNamespace(supported_languages=["en", "de"], encode=None, detect_language=detect_language)
    assert Recogniser(model).detect(PHRASE) == {"de": 0.75, "en": 0.25}
