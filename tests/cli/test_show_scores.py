"""The explanation in the terminal: complete without colours, safe with hostile texts, within 80 columns."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from cli.command_line import shown
from selfmm.cli.show_scores import render
from selfmm.data.store import Dataset
from selfmm.explain.clip import explain
from selfmm.explain.explanation import Contribution, Explanation, FrameShares, WordShare
from selfmm.recordings.prediction import figure
from selfmm.runs.trained_model import TrainedModel

TEXT = "This [red]film[/red] was awful\x1b[2J really"
WORDS = (WordShare("film", 10, 14, 0.04), WordShare("was", 21, 24, 0.001), WordShare("awful", 25, 30, -1.5))
EXPLANATION = Explanation(
    id="clip\x1b",
    score=-1.0,
    base=0.25,
    label_range=(-3.0, 3.0),
    contributions=(Contribution("text", -1.5, -1.4, -2.0, -1.46, 0.0), Contribution("audio", 0.25, 0.3, 1.0, 0.2, 0.0)),
    lacking=("vision",),
    text=TEXT,
    words=WORDS,
    frames=(FrameShares("audio", 10.0, (("pitch[red]", 0.3), ("loud", -0.1)), (0.0,) * 32 + (0.2,), 32, "pitch[red]"),),
    steps=32,
)


def explained(
    explanation: Explanation, width: int = 80, *, colour: bool = False, spoken: tuple[float | None, ...] = ()
) -> str:
    return shown(render(explanation, spoken), width, colour=colour)


def test_everything_is_said_without_colours() -> None:
    text = explained(EXPLANATION)
    assert "score -1.00" in text
    assert re.search(r"text +-1\.50 +█+│ +-1\.46 +-1\.40 +-2\.00", text)
    assert re.search(r"audio +\+0\.25 +│█*▌? +\+0\.20 +\+0\.30 +\+1\.00", text)
    assert re.search(r"vision +- +the clip has none", text)
    assert "-1.50 awful,  +0.04 film" in text
    assert "+0.00" not in text
    assert "3.2 s, most by pitch[red]" in text
    assert "+0.30 pitch[red],  -0.10 loud" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_score_without_information_is_not_shown_as_one() -> None:
    text = shown(render(EXPLANATION, (), {"fusion": "may be chance", "text": "", "audio": "no information"}), 80)
    assert "score: may be chance" in text
    assert "what follows is how the model makes the score, not a fact about the clip" in text
    assert "score -1.00" not in text
    assert re.search(r"text .* -2\.00", text)
    assert re.search(r"audio .* no information", text)
    assert "+1.00" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_what_adds_nothing_is_said_in_a_sentence() -> None:
    silent = FrameShares("audio", 10.0, (("mel_1", -0.001), ("mel_2", 0.0)), (0.0, -0.001), 0, "mel_1")
    text = " ".join(explained(replace(EXPLANATION, frames=(silent,)), 120).split())
    assert "audio 0.00 adds nothing: no frame and no feature changes the score by 0.01" in text
    assert "mel_1" not in text
    many = FrameShares("audio", 10.0, (("mel_1", 0.004), ("mel_2", 0.004)), (0.004, 0.004), 0, "mel_1")
    assert not many.adds_nothing, "together they add 0.01"


def test_words_whose_time_is_known_say_it() -> None:
    assert "-1.50 awful (2.3 s),  +0.04 film" in explained(EXPLANATION, spoken=(None, 1.9, 2.34))


def test_text_is_neither_markup_nor_control() -> None:
    for colour in (False, True):
        text = explained(EXPLANATION, colour=colour)
        assert "[red]" in text
        assert "\x1b[2J" not in text


def test_words_that_matter_stand_out() -> None:
    text = explained(EXPLANATION, colour=True)
    (awful,) = re.findall(r"\x1b\[([0-9;]*)mawful\x1b", text.split("Words")[1].split("\n", 2)[1] + "\x1b")
    assert awful.split(";")[:2] == ["1", "7"]  # bold, reverse
    assert "mwas\x1b" not in text  # what is next to nothing has no colour


def test_what_the_model_did_not_read_is_dim() -> None:
    text = explained(replace(EXPLANATION, words=WORDS[:1]), colour=True)
    assert re.search(r"\x1b\[2m\[/red\] was awful", text)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_empty_clips_have_a_table_too(width: int) -> None:
    nothing = replace(EXPLANATION, contributions=(), text="", words=(), frames=(), lacking=("text", "audio"))
    text = explained(nothing, width)
    assert re.search(r"text +-", text)
    assert "Words" not in text


def test_a_real_one(trained: TrainedModel, planted: Dataset) -> None:
    explanation = explain(trained, planted, 0)
    text = explained(explanation)
    for part in explanation.contributions:
        assert re.search(rf"{part.modality} +{re.escape(figure(part.value, (-1, 1)))}", text)
    assert " ".join(explanation.text.split()[:5]) in text
