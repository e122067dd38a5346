"""Pictures of explanations of every shape: 200 words, long names, one modality, nothing at all."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selfmm.core.errors import OutputError
from selfmm.data.store import Dataset
from selfmm.explain.clip import explain
from selfmm.explain.explanation import Contribution, Explanation, FrameShares, WordShare
from selfmm.explain.words import words_in
from selfmm.report.clip_pictures import explanation_picture, write_picture
from selfmm.report.style import drawing
from selfmm.runs.trained_model import TrainedModel

WORDS = ("wonderful", "I", "don't", "like,", "Donaudampfschifffahrtsgesellschaftskapitän", "$5$", "(awful)")


def large(read: int = 200, count: int = 230) -> Explanation:
    """Of ``count`` words, of which the model read some."""
    rng = np.random.default_rng(0)
    text = " ".join([*rng.choice(WORDS, count - 1), "W" * 150])
    words = [WordShare(text[a:b], a, b, float(rng.normal())) for a, b in words_in(text)][:read]
    names = [f"mouth_corner_left_action_{number}_95th_percentile" for number in range(12)]
    columns = tuple((name, 3.0 - number / 4) for number, name in enumerate(names))
    curve = tuple(rng.normal(size=400).tolist())
    contributions = (Contribution("text", 1.2, 1.1, 2.0, 1.0, 0.0), Contribution("audio", -0.4, 0.0, -1.0, -0.2, 0.0))
    frames = (FrameShares("audio", 25.0, columns, curve, 3, names[0]),)
    return Explanation("c" * 99, 0.9, 0.1, (-3, 3), contributions, ("vision",), text, tuple(words), frames, 32)


SHAPES = {
    "large": large(),
    "one stream": replace(
        large(), contributions=large().contributions[1:], lacking=("text", "vision"), text="", words=()
    ),
    "words alone": replace(large(count=30), contributions=large().contributions[:1], lacking=(), frames=()),
    "nothing": replace(large(), contributions=(), lacking=("text", "audio", "vision"), text="", words=(), frames=()),
    "all zero": replace(
        large(count=9),
        frames=(FrameShares("vision", 25.0, (("smile", -0.001),), (-0.001, 0.0), 0, "smile"),),
        words=tuple(replace(word, value=0.0) for word in large(count=9).words),
        base=0.0,
    ),
}


def boxes(figure: Any) -> list[tuple[str, Any]]:
    """What is written where, in points of the screen, once it is drawn."""
    figure.canvas.draw()
    parts = [figure]  # its axes are those of its parts, too
    texts = [text for part in parts for axes in part.axes for text in axes.texts]
    texts += [label for part in parts for axes in part.axes if axes.axison for label in axes.get_yticklabels()]
    texts += [axes.title for part in parts for axes in part.axes]
    texts += [axes._left_title for part in parts for axes in part.axes]
    renderer = figure.canvas.get_renderer()
    shown = [text for text in texts if text.get_text() and text.get_visible()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in shown]


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", list(SHAPES))
def test_nothing_is_written_over_anything_else_or_out_of_the_picture(shape: str) -> None:
    figure: Any = explanation_picture(SHAPES[shape]).figure
    with drawing():
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        FigureCanvasAgg(figure)
        found = boxes(figure)
    width, height = figure.bbox.width, figure.bbox.height
    for text, box in found:
        assert box.x0 >= -1, text
        assert box.x1 <= width + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= height + 1, text
    rows: dict[int, list[tuple[str, Any]]] = {}
    for text, box in found:
        rows.setdefault(round(box.y0 + box.y1) // 8, []).append((text, box))
    for row in rows.values():
        row.sort(key=lambda entry: entry[1].x0)
        for (one, left), (other, right) in pairwise(row):
            assert left.x1 <= right.x0 + 1.5 or left.y0 >= right.y1 or right.y0 >= left.y1, (one, other)


def test_every_word_is_there_and_the_unread_ones_are_pale() -> None:
    explanation = large(read=120)
    figure: Any = explanation_picture(explanation).figure
    (axes,) = figure.subfigs[1].axes
    written = [text.get_text() for text in axes.texts]
    expected = [explanation.text[a:b] for a, b in words_in(explanation.text)]
    # Words longer than a line are cut.
    assert [word for word in written if "…" not in word] == [word for word in expected if len(word) < 150]
    colours = [text.get_color() for text in axes.texts]
    assert len(set(colours[:120])) == len(set(colours[120:])) == 1
    assert colours[0] != colours[-1]


def test_colours_follow_the_sign() -> None:
    figure: Any = explanation_picture(large()).figure
    (axes,) = figure.subfigs[1].axes
    for text, word in zip(axes.texts, large().words, strict=False):
        red, _, blue, strength = text.get_bbox_patch().get_facecolor()
        assert (blue > red) == (word.value > 0)
        assert 0 < strength <= 0.75


def test_what_adds_nothing_is_a_sentence_and_no_chart() -> None:
    picture = explanation_picture(SHAPES["all zero"])
    figure: Any = picture.figure
    (axes,) = figure.subfigs[-1].axes
    assert axes.get_title(loc="left") or axes.get_title()
    assert "vision adds nothing: no frame and no feature changes the score by 0.01." in picture.alt
    texts = [text.get_text() for axes in figure.axes for text in (*axes.texts, axes.title, axes._left_title)]
    assert any("vision over time adds nothing" in text for text in texts)
    assert not any("-0.00" in text for text in texts)


@pytest.mark.slow
def test_a_real_one_is_described_and_written(trained: TrainedModel, planted: Dataset, tmp_path: Path) -> None:
    explanation = explain(trained, planted, 0)
    for name in ("one.svg", "two.svg", "one.png"):
        picture = explanation_picture(explanation)
        write_picture(picture, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert (tmp_path / "one.png").read_bytes()[:4] == b"\x89PNG"
    assert f"Score {explanation.score:+.2f}" in picture.alt
    assert re.search(r"vision changes it most at frame \d+, through vision\[\d\]", picture.alt)
    with pytest.raises(OutputError, match=r"ends in \.png or \.svg"):
        write_picture(picture, tmp_path / "one.pdf")
