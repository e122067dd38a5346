"""What scores are worth, in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cli.command_line import shown
from evaluation.worths import EMPTY, GOOD, UNTOLD, worth
from selfmm.evaluation.metrics import DESCRIPTIONS, describe, evaluate
from selfmm.evaluation.tables import metrics_table, worth_table
from selfmm.evaluation.verdicts import (
    UNKNOWN,
    band_problem,
    cautions,
    headline,
    skill_text,
    verdict,
    worth_notes,
    worth_title,
)
from selfmm.evaluation.worth import FUSION, LEFT_OUT, STARTED_FROM


def test_a_good_run_needs_no_caution() -> None:
    assert cautions(worth()) == []
    assert cautions(worth(audio=EMPTY)) == []
    assert cautions(None) == [UNKNOWN]


def test_few_clips_are_said_first_with_how_many_more() -> None:
    first, second = cautions(worth(EMPTY, training_clips=22))
    assert first.startswith("trained on 22 clips, fewer than 100")
    assert "about 156 more" in first  # half of them for training
    assert "no information: on 70 test clips its mean error is 1.50" in second
    assert "always saying the same number is 1.42" in second
    assert cautions(worth(GOOD, training_clips=100)) == []


def test_what_cannot_be_told_is_not_called_information() -> None:
    (line,) = cautions(worth(UNTOLD))
    assert "cannot be told from 6 test clips of 2 recordings" in line
    assert "1 test clip of 1 recording." in cautions(worth(replace(UNTOLD, clips=1, groups=1)))[0]
    (line,) = cautions(worth(replace(EMPTY, skill=0.1)))
    assert line.startswith("what the score says may be chance: on 70 test clips")
    (line,) = cautions(worth(replace(EMPTY, skill=float("nan"), constant=0.0)))
    assert "all labels of the 70 test clips are equal" in line


def test_validation_clips_that_are_far_easier_are_a_warning() -> None:
    leaked = replace(GOOD, skill=0.3, gap=0.3, gap_low=0.05)
    (line,) = cautions(worth(leaked, vision=leaked, audio=GOOD))
    assert line.startswith(
        "the scores are far better on the validation clips than on the test clips, and not by chance"
    )
    assert "(better than always saying the same number by: all together 60% and 30%; vision 60% and 30%)" in line
    assert cautions(worth(replace(leaked, gap_low=-0.05))) == []
    assert cautions(worth(replace(leaked, gap=0.05))) == []
    assert cautions(worth(replace(leaked, band_split=LEFT_OUT))) == [], "they chose no epoch"
    assert not any("far better" in line for line in cautions(worth(replace(leaked, split=STARTED_FROM))))


def test_the_table_says_it_per_score() -> None:
    text = shown(worth_table(worth(text=replace(GOOD, against="label_text"), audio=EMPTY, vision=UNTOLD)), 80)
    lines = {line.split("  ")[0].strip(): line for line in text.splitlines()}
    assert "54% (44 to 58)" in lines["all together"]
    assert "±0.92" in lines["all together"]
    assert "81%" in lines["all together"]
    assert "no information" in lines["audio"]
    assert "cannot tell" in lines["vision"]
    assert [verdict(score) for score in (GOOD, EMPTY, UNTOLD, replace(EMPTY, skill=0.1))] == [
        *("", "no information", "cannot tell", "may be chance")
    ]
    assert verdict(replace(UNTOLD, groups=25, skill=float("nan"))) == "cannot tell", "all labels are equal"
    assert verdict(replace(GOOD, skill=0.001, skill_low=0.0005)) == "no information"
    assert "own labels: text" in text
    assert "label of the whole clip: audio, vision" in text
    assert max(map(len, text.splitlines())) <= 80


def test_wide_figures_are_not_cut() -> None:
    wide = replace(EMPTY, mae=127.36, constant=124.63, corr=-0.07, band=100.0, coverage=1.0)
    text = shown(worth_table(worth(wide, audio=wide, label_range=(0.0, 300.0))), 80)
    assert text.count("100%") == text.count("no information") == 2
    assert "…" not in text


def test_scores_without_information_are_grey() -> None:
    text = shown(worth_table(worth(audio=EMPTY)), 80, colour=True)
    assert any("\x1b[2m" in line for line in text.splitlines() if "audio" in line)
    assert not any("\x1b[2m" in line for line in text.splitlines() if "all together" in line)


def test_a_wide_band_says_why() -> None:
    assert band_problem(GOOD, (-3.0, 3.0)) == ""
    few = replace(GOOD, band_clips=9)
    assert band_problem(few, (-3.0, 3.0)) == "rough: only 9 clips have a label in the validation split"
    assert band_problem(replace(few, band=6.0, band_clips=1), (-3.0, 3.0)).startswith(
        "the whole scale: only 1 clip has"
    )
    assert skill_text(replace(UNTOLD, clips=0)) == "no label"


def test_metrics_name_the_neutral_label_of_their_scale() -> None:
    assert "negative (< 3)" in describe("acc2_has0", 3.0)
    assert "labels of 45 are left out" in describe("f1_non0", 45.0)
    assert all(describe(key) == text for key, text in DESCRIPTIONS.items())
    assert describe("own") == "own"
    metrics = evaluate(np.array([1.0, 4.0]), np.array([2.0, 5.0]), "general", 3.0)
    text = shown(metrics_table({"test": metrics}, 3.0), 160)
    assert "negative (< 3)" in text
    assert "< 0" not in text


def test_clips_that_were_left_out_are_called_so() -> None:
    own = replace(GOOD, split=LEFT_OUT, band_split=LEFT_OUT, clips=40, band_clips=20, coverage=float("nan"))
    left_out = worth(own)
    assert worth_title(left_out) == "what each score is worth, on 40 left-out clips of 7 recordings"
    notes = worth_notes(left_out)
    assert "4 of 5 within: band that holds the label of 4 of 5 new clips, from 20 left-out clips" in notes
    assert "the band is rough: only 20 clips have a label" in notes
    assert not any("validation" in note or "epoch" in note for note in notes)
    (line,) = cautions(worth(replace(EMPTY, split=LEFT_OUT)))
    assert "on 70 left-out clips its mean error is" in line
    tested = worth_notes(worth(replace(GOOD, band_split=LEFT_OUT)))
    assert any(note.endswith("from 29 left-out clips; held: share of these clips") for note in tested)
    assert any(note.endswith("from 29 validation clips; held: share of these clips") for note in worth_notes(worth()))


STARTED = replace(GOOD, split=STARTED_FROM, band_split=STARTED_FROM, clips=23703, groups=15603, band_clips=23703)
OWN = replace(EMPTY, split=LEFT_OUT, band_split=LEFT_OUT, clips=24, groups=12, mae=2.18, constant=1.9, skill=-0.15)


def test_figures_of_the_start_are_told_apart_from_those_on_the_rated_clips() -> None:
    run = replace(worth(STARTED), own={FUSION: OWN})
    (own,) = cautions(run)
    assert own == (
        "on the 24 rated clips of 12 recordings of this run, each scored by a fit without its recording, the score is "
        "not better than always saying the same number: its mean error is 2.18, and that of the number is 1.90. 24 "
        "clips are too few to be sure. Rate more and train again."
    )
    assert headline(run) == (
        "The run that it started from was measured on other clips. On 23,703 clips of 15,603 recordings, the score of "
        "that run is 54% closer to the label than always saying the same number (between 44 and 58 % with a "
        "probability of 90 %). There, the label of 4 of 5 new clips of the same kind is within ±0.92 of the score. "
        "Whether this also holds for the clips of this run is not known."
    )
    assert worth_title(run).endswith("of the run that it started from is worth, on 23,703 clips of 15,603 recordings")
    assert "measured on other clips, those of the run that it started from: all together" in worth_notes(run)
    assert run.measured(FUSION) == OWN
    assert skill_text(run.measured(FUSION)) == "no information"


def test_too_few_rated_clips_are_said_to_be_too_few() -> None:
    few = replace(UNTOLD, split=LEFT_OUT)
    (line,) = cautions(replace(worth(STARTED), own={FUSION: few}))
    assert "on the 6 rated clips of 2 recordings of this run" in line
    assert "nothing can be told about what the score is worth: they are too few." in line
    (line,) = cautions(replace(worth(STARTED), own={FUSION: replace(OWN, skill=0.1, skill_low=-0.3)}))
    assert "not clearly better than always" in line
    (line,) = cautions(worth(STARTED))
    assert line.startswith("what the score is worth on the rated clips of this run is not known.")
    assert worth(STARTED).measured(FUSION) is None
    assert skill_text(None) == "not measured"


def test_only_the_band_can_come_from_the_start() -> None:
    text = headline(worth(replace(GOOD, split=LEFT_OUT, band_split=STARTED_FROM)))
    assert text.startswith("On 70 left-out clips of 7 recordings, the score is 54% closer")
    assert "On the clips of the run that it started from, the label of 4 of 5" in text
    assert headline(worth(EMPTY)) == headline(None) == ""
