"""What a prediction says, and how it is written down."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.explain.explanation import Explanation, WordShare
from selfmm.features.streams import Transcript, Word
from selfmm.recordings.prediction import FUSION, Prediction, Spread, figure, overlay, table_of

SPREAD = Spread(0.0, 1.0, np.array([-1.0, 0.0, 0.0, 1.0]))
SAID = Transcript("so good, so", (Word("so", 0.1, 0.3), Word("good,", 0.4, 0.8), Word("so", 0.9, 1.2)), "en")
MADE = Prediction(
    id="a",
    start=0.0,
    end=2.0,
    score=0.5,
    scores={"text": 1.25, "audio": None},
    ranks={FUSION: 0.75, "text": 1.0, "audio": None},
    spreads={FUSION: SPREAD, "text": SPREAD},
    label_range=(-3.0, 3.0),
    transcript=SAID,
    warnings=("one", "two"),
)
NOTHING = replace(MADE, score=None, scores={"text": None, "audio": None}, ranks=dict.fromkeys(MADE.ranks))


def explained(text: str, *words: tuple[int, int]) -> Prediction:
    shares = tuple(WordShare(text[a:b], a, b, 0.1) for a, b in words)
    explanation = Explanation("a", 0.5, 0.1, (-3.0, 3.0), (), ("audio",), text, shares, (), 8)
    return replace(MADE, explanation=explanation)


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=20), st.floats(-3, 3))
def test_rank_is_the_share_of_lower_scores(values: list[float], score: float) -> None:
    rank = Spread(0.0, 1.0, np.sort(np.array(values))).rank(score)
    assert rank == np.mean([value < score for value in values])


@given(st.floats(-200, 200, allow_nan=False), st.sampled_from([(-3.0, 3.0), (-1.0, 1.0), (0.0, 100.0), (1.0, 5.0)]))
def test_a_figure_is_the_score_to_the_cent(score: float, label_range: tuple[float, float]) -> None:
    shown = figure(score, label_range)
    assert abs(float(shown) - score) <= 0.005 + 1e-9
    assert (shown[0] in "+-") == (float(shown) != 0 and (label_range[0] < 0 or score < 0))
    assert shown not in ("-0.00", "+0.00")


def test_which_streams_are_there() -> None:
    assert MADE.present == {"text": True, "audio": False}


def test_json_has_everything_and_no_nan() -> None:
    content = json.loads(json.dumps(explained(SAID.text, (3, 7)).to_json(), allow_nan=False))
    assert content["scores"] == {"text": 1.25, "audio": None}
    assert content["ranks"] == {"fusion": 0.75, "text": 1.0, "audio": None}
    assert content["spreads"]["fusion"] == [0.0, 1.0]
    assert content["transcript"]["words"][1] == ["good,", 0.4, 0.8, 1.0]
    assert content["explanation"]["words"] == [{"word": "good", "start": 3, "end": 7, "value": 0.1, "time": 0.4}]
    assert json.loads(json.dumps(NOTHING.to_json(), allow_nan=False))["score"] is None


def test_words_of_an_explanation_have_their_times() -> None:
    assert explained(SAID.text, (0, 2), (3, 7), (7, 8), (9, 11)).spoken == (0.1, 0.4, 0.4, 0.9)
    assert explained("another text", (0, 7)).spoken == (None,)
    untimed = replace(explained(SAID.text, (0, 2)), transcript=Transcript(SAID.text))
    assert untimed.spoken == (None,)
    assert MADE.spoken == ()


def test_rows_are_numbers_where_all_scores_are_missing_too() -> None:
    table = table_of([MADE, NOTHING])
    assert table.columns.tolist() == [
        *("id", "start", "end", "score", "score_text", "score_audio", "rank", "text", "warnings")
    ]
    assert table["warnings"].tolist() == ["one; two", "one; two"]
    for made in ([MADE, NOTHING], [NOTHING]):
        scores = table_of(made)[["score", "score_text", "score_audio", "rank"]]
        assert (scores.dtypes == np.float64).all()
        assert scores.iloc[-1].isna().all()


def test_cues_never_overlap_and_skip_nothing() -> None:
    windows = [replace(MADE, start=s, end=s + 5.0, score=s - 1.0) for s in (0.0, 1.0, 2.0)]
    assert [cue[:2] for cue in overlay(windows)] == [(0.0, 1.0), (1.0, 2.0), (2.0, 7.0)]
    assert [cue[2] for cue in overlay(windows)] == ["-1.00  (text +1.25)", "0.00  (text +1.25)", "+1.00  (text +1.25)"]
    apart = [replace(NOTHING, start=0.0, end=1.0), replace(MADE, start=4.0, end=5.0)]
    assert [cue[:2] for cue in overlay(apart)] == [(0.0, 1.0), (4.0, 5.0)]
    assert overlay(apart)[0][2] == "no score"
    assert overlay([]) == []


@pytest.mark.parametrize("name", ["Clip", "Prediction", "extract"])
def test_the_package_names_it(name: str) -> None:
    import selfmm

    assert name in selfmm.__all__
    assert callable(getattr(selfmm, name))
