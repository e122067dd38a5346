"""The rule for faces."""

from __future__ import annotations

import numpy as np
import pytest

from selfmm.features.face.landmarks import COLUMNS
from selfmm.models.adapt import STATISTICS
from selfmm.starter import face


def score(smile: float = 0.0, brow: float = 0.0, **others: float) -> float:
    shapes = {"mouthSmileLeft": smile, "mouthSmileRight": smile, "browDownLeft": brow, "browDownRight": brow, **others}
    means = [shapes.get(name, 0.0) for name in COLUMNS]
    others_than_means = [9.0] * (STATISTICS - 1) * len(COLUMNS)
    return float(np.array([*means, *others_than_means, 1.0]) @ face.weights())


def test_a_neutral_face_that_talks_is_neutral() -> None:
    assert score(smile=0.097, brow=0.002, jawOpen=0.4, mouthFunnel=0.2) == pytest.approx(0, abs=0.01)


def test_a_smile_raises_and_lowered_brows_lower_by_the_same() -> None:
    assert score(smile=0.9) == pytest.approx(1.0, abs=0.05)
    assert score(smile=0.5) - score() == pytest.approx(score() - score(brow=0.5))
    assert score(mouthSmileLeft=0.4) - score() == pytest.approx((score(smile=0.4) - score()) / 2)


def test_the_error_is_that_of_a_correlation_of_the_stated_size() -> None:
    """Labels and expressions as the rule assumes them: its error and its gain are those of the best linear guess."""
    random = np.random.default_rng(0)
    labels = random.normal(0, face.LABELS, 400_000)
    noise = random.normal(0, np.sqrt(1 - face.RELIABILITY**2), len(labels))
    expressions = face.REST + face.EXPRESSIONS * (face.RELIABILITY * labels / face.LABELS + noise)
    scores = (face.weights()[COLUMNS.index("mouthSmileLeft")] * 2) * expressions + face.weights()[-1]
    assert np.square(scores - labels).mean() == pytest.approx(face.ERROR, rel=0.01)
    assert np.polyfit(scores, labels, 1) == pytest.approx([1, 0], abs=0.02)
