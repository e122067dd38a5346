"""What a prediction says, and how it is written down."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.worths import EMPTY, GOOD, worth
from selfmm.evaluation.verdicts import UNKNOWN
from selfmm.evaluation.worth import FUSION
from selfmm.explain.explanation import Explanation, WordShare
from selfmm.features.streams import Transcript, Word
from selfmm.recordings.prediction import Prediction, Spread, figure, overlay, table_of, with_trust

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
        *("id", "start", "end", "score", "score_text", "score_audio", "rank"),
        *(f"{column}{end}" for end in ("", "_text", "_audio") for column in ("low", "high", "informs")),
        *("text", "warnings"),
    ]
    assert table["warnings"].tolist() == ["one; two", "one; two"]
    for made in ([MADE, NOTHING], [NOTHING]):
        scores = table_of(made)[["score", "score_text", "score_audio", "rank"]]
        assert (scores.dtypes == np.float64).all()
        assert scores.iloc[-1].isna().all()


def test_every_form_says_how_far_to_trust_a_score() -> None:
    made = replace(MADE, worth=worth(text=EMPTY, audio=GOOD))
    assert made.interval(FUSION) == pytest.approx((-0.418, 1.418))
    assert made.interval_text(FUSION) == "-0.42 to +1.42"
    assert made.interval("audio") is None
    content = json.loads(json.dumps(made.to_json(), allow_nan=False))
    assert content["scores"]["text"] == 1.25  # the number stays, with a flag
    assert content["informs"] == {"fusion": True, "text": False, "audio": True}
    assert content["intervals"]["audio"] is None
    assert content["sentence"].endswith("four of five such scores are within ±0.92 of the label")
    assert content["cautions"] == []
    row = table_of([made]).iloc[0]
    assert (row["low"], row["high"]) == pytest.approx((-0.418, 1.418))
    assert (row["informs"], row["informs_text"], row["score_text"]) == (True, False, 1.25)
    assert np.isnan(row["low_audio"])
    assert "text no information" in repr(made)
    assert '<span style="color:gray">no information</span>' in made._repr_html_()
    assert "+1.25" not in made._repr_html_()
    assert overlay([made])[0][2] == "+0.50 ±0.92"
    assert overlay([replace(made, worth=worth(EMPTY, text=GOOD))])[0][2] == "no information  (text +1.25)"


def test_without_a_modality_that_the_measured_clips_had_there_is_no_interval() -> None:
    made = replace(MADE, worth=replace(worth(text=GOOD, audio=GOOD), always=("text", "audio")))
    assert made.lacking == ("audio",)
    assert made.interval(FUSION) is None
    assert made.interval("text") is not None
    assert np.isnan(made.row()["low"])
    assert made.sentence.endswith("not known for clips without audio")
    assert made.informs(FUSION) is None
    assert made.row()["informs"] is None
    nothing = replace(made, worth=replace(worth(EMPTY, text=GOOD), always=("text", "audio")))
    assert nothing.informs(FUSION) is False
    assert overlay([made])[0][2] == "+0.50  (text +1.25)"
    both = replace(made, scores={"text": 1.25, "audio": 0.0})
    assert both.interval(FUSION) is not None
    table = pd.DataFrame({"score": [0.5, 0.5], "score_text": [1.0, 1.0], "score_audio": [np.nan, 0.0]})
    assert with_trust(table, made.worth)["low"].isna().tolist() == [True, False]
    assert with_trust(table, made.worth)["informs"].tolist() == [None, True]


def test_what_is_not_known_is_not_made_up() -> None:
    assert MADE.interval(FUSION) is None
    assert MADE.informs("text") is None
    assert MADE.to_json()["cautions"] == [UNKNOWN]
    assert table_of([MADE])[["low", "high", "informs"]].isna().all(axis=None)
    assert UNKNOWN in MADE._repr_html_()


def test_a_table_of_scores_gets_the_same_columns() -> None:
    table = pd.DataFrame({"id": ["a", "b"], "score": [0.5, 2.9], "score_text": [1.0, np.nan]})
    trusted = with_trust(table, worth(text=EMPTY, audio=GOOD))
    assert trusted["high"].tolist() == pytest.approx([1.418, 3.0])
    assert trusted["informs_text"].tolist() == [False, False]
    assert np.isnan(trusted["low_text"].iloc[1])
    assert "low_audio" not in trusted
    assert with_trust(table, None).equals(table)


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
