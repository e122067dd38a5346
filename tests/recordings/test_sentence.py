"""What came out, in one plain sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evaluation.worths import EMPTY, GOOD, worth
from selfmm.explain.explanation import Contribution, Explanation, WordShare
from selfmm.recordings.sentence import sentence

RANGE = (-3.0, 3.0)
HELD = "; four of five such scores are within ±0.92 of the label"


def why(text: float, audio: float, *words: tuple[str, float]) -> Explanation:
    shares = tuple(WordShare(word, 0, len(word), value) for word, value in words)
    parts = tuple(
        Contribution(name, value, value, None, value, 0.0) for name, value in (("text", text), ("audio", audio))
    )
    return Explanation("a", -0.8, 0.0, RANGE, parts, (), "", shares, (), 8)


@pytest.mark.parametrize(
    ("score", "label_range", "expected"),
    [
        (-0.8, RANGE, "slightly negative"),
        (0.4, RANGE, "neutral"),
        (2.0, RANGE, "positive"),
        (-2.6, RANGE, "strongly negative"),
        (7.0, RANGE, "strongly positive"),
        (2.2, (1.0, 5.0), "slightly negative"),  # 3 is neutral there
        (3.0, (1.0, 5.0), "neutral"),
    ],
)
def test_side_and_strength_follow_the_scale(score: float, label_range: tuple[float, float], expected: str) -> None:
    assert sentence(score, label_range, worth(label_range=label_range)) == expected + HELD


@pytest.mark.parametrize(
    ("explanation", "reason"),
    [
        (why(-0.8, 0.1, ("failure", -0.7), ("and", -0.1)), ", mostly because of “failure”"),
        (
            why(-0.9, -0.1, ("sad", -0.4), ("bad", -0.3), ("mad", -0.2)),
            ", mostly because of the words, above all “sad”",
        ),
        (why(-0.5, -0.4, ("sad", -0.3), ("sad", -0.1), ("fine", 0.9)), ", mostly because of “sad”"),
        (why(-0.02, -0.6, ("sad", -0.4), ("bad", -0.4), ("fine", 0.78)), ", mostly because of the voice"),
        (why(0.2, -0.9, ("fine", 0.2)), ", mostly because of the voice"),
        (why(-0.9, 0.0), ", mostly because of the words"),
        (why(0.9, 0.0, ("good", 0.9)), ""),  # nothing pushes to its side
        (why(-0.01, -0.01, ("a", -0.01)), ""),
        (why(-0.8, 0.0, ("fail\x1bure", -0.8)), ", mostly because of “fail\ufffdure”"),
    ],
)
def test_the_reason_is_what_pushes_most_to_the_side_of_the_score(explanation: Explanation, reason: str) -> None:
    assert sentence(-0.8, RANGE, worth(), (), explanation) == f"slightly negative{reason}{HELD}"


def test_a_neutral_score_has_no_reason() -> None:
    assert sentence(-0.1, RANGE, worth(), (), why(-0.8, 0.7, ("failure", -0.8))) == f"neutral{HELD}"


def test_what_is_not_known_is_said() -> None:
    few = replace(GOOD, band_clips=9)
    assert sentence(None, RANGE, worth()).startswith("no score")
    assert sentence(1.0, RANGE, worth(EMPTY)).startswith("no information")
    assert sentence(1.0, RANGE, None) == "slightly positive; how far off such scores are is not known"
    assert sentence(1.0, RANGE, worth(few)).endswith(
        "of the label (rough: only 9 clips have a label in the validation split)"
    )
    whole = sentence(1.0, RANGE, worth(replace(GOOD, band=6.0, band_clips=2)))
    assert whole.endswith("is not known (only 2 clips have a label in the validation split)")


def test_what_was_measured_with_more_modalities_is_not_known_for_this_clip() -> None:
    expected = "slightly positive; how far off such scores are is not known for clips without audio and vision"
    assert sentence(1.0, RANGE, worth(), ("audio", "vision")) == expected
