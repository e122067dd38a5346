"""A recording on one clock: each word once, with what it adds, and the times of the file."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from selfmm.evaluation.worth import FUSION
from selfmm.explain.explanation import Explanation, WordShare
from selfmm.features.streams import Transcript, Word
from selfmm.recordings.lanes import NAMES, STEP, Lanes
from selfmm.recordings.prediction import Prediction
from selfmm.recordings.timeline import Timeline, word_values

WORDS = (Word("So", 0.0, 0.4), Word("good,", 0.5, 1.0), Word("so", 4.0, 4.4), Word("bad.", 6.0, 6.5))


def prediction(start: float, end: float, *values: float) -> Prediction:
    """A span with those words that are in it; each has two tokens, except for the first."""
    transcript = Transcript("", WORDS, "en").part(start, end)
    shares, place = [], 0
    for word, value in zip(transcript.words, values, strict=True):
        bare = word.text.rstrip(",.")
        shares.append(WordShare(bare, place, place + len(bare), value))
        if bare != word.text:
            shares.append(WordShare(word.text[-1], place + len(bare), place + len(word.text), 0.01))
        place += len(word.text) + 1
    explanation = Explanation("a", 0.5, 0.1, (-3.0, 3.0), (), (), transcript.text, tuple(shares), (), 8)
    energy = np.arange(round(start / STEP), round(end / STEP), dtype=np.float32)
    return Prediction(
        id="a",
        start=start,
        end=end,
        score=0.5,
        scores={"text": 0.5},
        ranks={FUSION: None, "text": None},
        spreads={},
        label_range=(-3.0, 3.0),
        transcript=transcript,
        warnings=("quiet",),
        explanation=explanation,
        lanes=Lanes(start, STEP, {**dict.fromkeys(NAMES), "energy": energy}, {}),
    )


def test_windows_on_one_clock() -> None:
    timeline = Timeline(shift=100.0)
    timeline.add(prediction(0, 5, 0.1, 0.2, 0.4))
    timeline.add(replace(prediction(3, 8, 0.6, -0.5), warnings=()))
    content = json.loads(json.dumps(timeline.to_json(points=20), allow_nan=False))
    assert [(word[0], word[1]) for word in content["words"]] == [
        ("So", 100.0),
        ("good,", 100.5),
        ("so", 104.0),
        ("bad.", 106.0),
    ]
    values = [word[4] for word in content["words"]]
    assert values == pytest.approx([0.1, 0.21, 0.5, -0.49])
    assert [(span["start"], span["end"]) for span in content["curve"]] == [(100, 105), (103, 108)]
    assert content["curve"][0]["scores"] == {FUSION: 0.5, "text": 0.5}
    assert content["curve"][0]["band"] is None
    assert content["warnings"] == [["quiet", 1]]
    assert content["lanes"]["start"] == 100.0
    energy = content["lanes"]["lanes"]["energy"]
    assert len(energy) <= 20
    assert (energy[0], energy[-1]) == (0.0, 159.0)


def test_words_of_another_text_have_no_value() -> None:
    bare = replace(prediction(0, 5, 0.1, 0.2, 0.4), explanation=None)
    assert word_values(bare) == [None, None, None]
    other = prediction(0, 5, 0.1, 0.2, 0.4)
    assert other.explanation is not None
    assert word_values(replace(other, explanation=replace(other.explanation, text="else"))) == [None, None, None]
    timeline = Timeline()
    timeline.add(replace(bare, lanes=None))
    assert timeline.to_json()["lanes"] is None
    assert timeline.words()[0][4] is None
