"""What a score should not be trusted for: each warning at its bound, and none for a good clip."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from selfmm.features.analysis import Features
from selfmm.features.face.analyser import FaceFigures
from selfmm.features.quality import warnings
from selfmm.features.streams import Transcript, Word
from selfmm.features.voice.loudness import SoundFigures

SOUND = SoundFigures(seconds=5, level=-25, clipped=0, silent=0)
FACE = FaceFigures(pictures=50, identities=1, any_face=1, several=0, chosen=1, size=0.3)
WORDS = Transcript("so good", (Word("so", 0, 1, 0.9), Word("good", 1, 2, 0.5)), "en", "recognised")
GOOD = Features(0, 5, WORDS, {}, SOUND, 0.8, FACE)


def test_nothing_of_a_good_clip() -> None:
    assert warnings(GOOD) == ()
    assert warnings(GOOD, "en") == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"end": 0.3}, "only 0.30 s long"),
        ({"sound": None, "speech": None}, "no sound"),
        ({"sound": replace(SOUND, level=-71)}, "the sound is silent"),
        ({"sound": replace(SOUND, level=-46)}, "quiet sound: -46 dBFS"),
        ({"sound": replace(SOUND, level=-8.0, offset=10 ** (-8.0 / 20))}, "the sound is silent"),
        (
            {"sound": replace(SOUND, level=-7.5, offset=-0.4)},
            "the sound has a constant offset of 40% of full scale: loudness is too high",
        ),
        ({"sound": replace(SOUND, clipped=0.021)}, "clipped sound: 2.1% of it is at full scale"),
        ({"sound": replace(SOUND, silent=0.81)}, "no sound for 81% of the time"),
        ({"speech": 0.0}, "nobody speaks"),
        ({"speech": 0.05}, "speech in only 5% of the time"),
        ({"face": None}, "no pictures"),
        ({"face": replace(FACE, pictures=0, any_face=0.0, missing=1.0)}, "no pictures"),  # of a window of a film
        ({"face": replace(FACE, pictures=10, missing=0.8)}, "no pictures for 80% of the time"),
        ({"face": replace(FACE, any_face=0.0, chosen=0.0, size=0.0)}, "no face in any picture"),
        ({"face": replace(FACE, any_face=0.4)}, "no face in 60% of the pictures"),
        (
            {"face": replace(FACE, several=0.5, chosen=0.7)},
            "several faces in 50% of the pictures; the chosen one is in 70% of them",
        ),
        ({"face": replace(FACE, size=0.05)}, "the face is small: 5% of the picture's width and height"),
        (
            {"transcript": replace(WORDS, words=(Word("so", 0, 1, 0.4),))},
            "the words are uncertain: recognised with a mean probability of 0.40",
        ),
    ],
)
def test_each_alone(change: dict[str, Any], says: str) -> None:
    assert warnings(replace(GOOD, **change)) == (says,)


def test_another_language_than_that_of_the_training() -> None:
    assert warnings(GOOD, "de") == ("the language is English, the model was trained on German",)
    measured = "the language is English, the errors of the model were measured for German"
    assert warnings(GOOD, "de", multilingual=True) == (measured,)


def test_words_that_were_dropped_have_a_reason_and_no_language_to_compare() -> None:
    dropped = Transcript("", (), "de", "recognised", "tiny.en", ("it is German",))
    assert warnings(replace(GOOD, transcript=dropped), "en") == ("it is German",)


def test_words_that_a_person_wrote_are_sure() -> None:
    given = Transcript("so", (Word("so", 0, 1, 0.1),), None, "given")
    assert warnings(replace(GOOD, transcript=given), "de") == ()


def test_all_at_once_keep_their_order() -> None:
    bad = replace(GOOD, end=0.2, sound=replace(SOUND, level=-80), face=None)
    assert warnings(bad) == ("only 0.20 s long", "the sound is silent", "no pictures")
