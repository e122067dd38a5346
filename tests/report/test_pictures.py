"""Pictures of labels of every shape: one to five modalities, one epoch or twenty, labels beyond the range."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from selfmm.labels import Outcome
from selfmm.labels.audit.audit import audit
from selfmm.labels.audit.history import LabelHistory
from selfmm.report.label_pictures import _chosen, _edges, _shares, against_m, outcomes, over_epochs, trust_histogram
from selfmm.report.style import PALETTE, drawing, inline_svg, modality_colours, png
from selfmm.report.training_pictures import curves


def labels(clips: int, modalities: int, epochs: int, size: float = 3.0) -> LabelHistory:
    rng = np.random.default_rng(0)
    m_labels = rng.uniform(-3, 3, clips)
    tables = []
    for epoch in range(1, epochs + 1):
        for number in range(modalities):
            columns = {"id": [f"c{clip}" for clip in range(clips)], "epoch": epoch, "modality": f"m{number}"}
            words = [Outcome(clip % len(Outcome)).word for clip in range(clips)]
            u_labels = rng.uniform(-size, size, clips)
            tables.append(pd.DataFrame({**columns, "m_label": m_labels, "u_label": u_labels, "outcome": words}))
    return LabelHistory.of(tables)


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("clips", "modalities", "epochs", "size"), [(1, 1, 1, 0.0), (40, 5, 20, 50.0)])
def test_every_picture_is_drawn(clips: int, modalities: int, epochs: int, size: float) -> None:
    told = labels(clips, modalities, epochs, size)
    found = audit(told)
    assert found.outcomes is not None
    colours = modality_colours(list(told.modalities))
    history = pd.DataFrame({"epoch": [1], "valid_mae": [1.0], "loss_m0": [0.5]})
    with drawing():
        pictures = [*over_epochs(told, 3.0, 0.0, colours), *against_m(told, 3.0, 0.0, colours)]
        pictures.append(outcomes(found.outcomes, colours))
        pictures += curves(history, found.by_epoch, 1, colours)
        assert len({picture.name for picture in pictures}) == len(pictures)
        for picture in pictures:
            text = inline_svg(picture.figure, picture.name, picture.alt)
            assert text.count("<svg") == 1
            assert "currentColor" in text
            assert "<style" not in text
            assert not re.search(r"\swidth=", text.split(">")[0])
        assert png(pictures[0].figure).startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_labels_estimated_before_training_are_drawn_next_to_m_with_their_trust() -> None:
    clips = 40
    told = labels(clips, 2, 1)
    trust = np.linspace(0, 1, clips, dtype=np.float32) * np.ones((2, 1), dtype=np.float32)
    trust[1, 3] = np.nan  # a clip that lacks the modality
    estimates = {"trust": trust, "expected_error": 1 - trust, "contradiction": 0 * trust}
    told = dataclasses.replace(told, epochs=(0,), estimates=estimates)
    found, colours = audit(told), modality_colours(["m0", "m1"])
    with drawing():
        drawn = over_epochs(told, 3.0, 0.0, colours)
        assert [tick.get_text() for tick in drawn[0].figure.axes[0].get_yticklabels()] == ["m", "u"]
        assert drawn[1].alt.startswith("Distribution of the m-labels (mean ")
        picture = trust_histogram(found.labels, ["m0", "m1"], colours)
        assert picture.alt == "Distribution of the trust in the labels. Means: m0 0.50, m1 0.51."
        assert "<svg" in inline_svg(picture.figure, picture.name, picture.alt)


def test_histograms_count_every_label_once() -> None:
    values = np.array([-99.0, -3.0, 0.0, 0.05, 3.0, 99.0, np.nan], dtype=np.float32)
    shares = _shares(values, _edges(3.0, 0.0))
    assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(shares[[0, 15, 30]], 1 / 3)
    assert _edges(2.0, 3.0)[[0, -1]] == pytest.approx([1 - 2 / 30, 5 + 2 / 30])


def test_the_first_second_and_last_epoch_are_shown() -> None:
    assert _chosen(1) == [0]
    assert _chosen(6) == [0, 1, 2, 3, 4, 5]
    for epochs in range(7, 60):
        places = _chosen(epochs)
        assert places[:2] == [0, 1]
        assert places[-1] == epochs - 1
        assert len(places) <= 6


def test_colours_tell_modalities_apart_on_both_grounds() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    for colour in PALETTE:
        for ground in ("#ffffff", "#1c2024"):
            light, dark = sorted([luminance(colour), luminance(ground)], reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 3, (colour, ground)
    assert len(set(PALETTE)) == 5
