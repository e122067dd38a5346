from __future__ import annotations

import math

import numpy as np
import pytest

from selfmm.labels.audit.trust import DESCRIPTIONS, FEWEST, against_truth, verdict, williams

NAN = float("nan")


def draw(seed: int, clips: int = 200, own: float = 0.8, other: float = 0.8) -> tuple[np.ndarray, ...]:
    """u, m and truth: both answers are the truth with noise that they share in part."""
    rng = np.random.default_rng(seed)
    truth, shared = rng.normal(size=(2, clips))
    noise = rng.normal(size=(2, clips)) + shared
    return (*(rho * truth + math.sqrt((1 - rho**2) / 2) * e for rho, e in zip((own, other), noise, strict=True)), truth)


def test_t_is_normal_where_both_correlations_are_equal() -> None:
    """2,000 draws: a variance of 1, and 5 % beyond 1.96."""
    values = np.array([williams(*draw(seed)) for seed in range(2000)])
    assert abs(values.mean()) < 0.1
    assert values.std() == pytest.approx(1, abs=0.06)
    assert (np.abs(values) > 1.96).mean() == pytest.approx(0.05, abs=0.015)


def test_t_by_hand_and_its_limits() -> None:
    u, m, truth = draw(0, own=0.9, other=0.6)
    r = np.corrcoef([u, m, truth])
    determinant, mean = np.linalg.det(r), (r[0, 2] + r[1, 2]) / 2
    spread = 2 * 199 / 197 * determinant + mean**2 * (1 - r[0, 1]) ** 3
    expected = (r[0, 2] - r[1, 2]) * math.sqrt(199 * (1 + r[0, 1]) / spread)
    assert williams(u, m, truth) == pytest.approx(expected)
    assert williams(m, u, truth) == pytest.approx(-expected)
    assert williams(u, u, truth) == 0
    assert math.isnan(williams(u[:3], m[:3], truth[:3]))
    assert math.isnan(williams(np.ones(9), m[:9], truth[:9]))


def test_the_expected_error_is_compared_with_the_actual_one() -> None:
    truth = np.array([0.0, 0.0, 0.0, 0.0, NAN, 0.0, 1.0, 2.0])
    u = np.array([0.1, -0.2, 0.5, 0.6, 1.0, NAN, 2.0, 4.0])
    expected = np.array([0.2, 0.3, 0.4, NAN, 0.1, 0.1, 0.5, 0.6])
    figures = against_truth(u, truth, truth, expected)
    assert list(figures) == list(DESCRIPTIONS)
    assert figures["expected"] == pytest.approx(0.4)
    assert figures["rank_corr"] == pytest.approx(1)
    assert (figures["mae_best"], figures["mae_worst"]) == pytest.approx((0.1, 2.0))
    assert math.isnan(against_truth(u, truth, truth, None)["expected"])
    assert math.isnan(against_truth(u[:3], truth[:3], truth[:3], expected[:3])["expected"])


FIGURES = {"distance_m": 0.2, "coverage": 1.0, "trust": 0.23}
KNOWN = {"clips": 100.0, "corr": 0.84, "corr_trivial": 0.77, "t_corr": 3.0}


@pytest.mark.parametrize(
    ("figures", "known", "estimated", "words"),
    [
        ({"distance_m": NAN}, KNOWN, True, "no clip has this modality"),
        ({"coverage": 0.0}, KNOWN, True, "says nothing beyond the m-label here: its labels are the m-labels"),
        ({}, KNOWN, True, "follows the known labels better than the m-label does (correlation 0.840 against 0.770)"),
        ({}, KNOWN | {"corr": 0.7, "t_corr": -3.0}, True, "worse than the m-label on the known labels (correlation "),
        ({}, KNOWN | {"t_corr": 1.0}, True, "follows the known labels as well as the m-label does"),
        (
            {},
            KNOWN | {"corr": -0.05, "corr_trivial": -0.07, "t_corr": 1.0},
            True,
            "follows the known labels no more than by chance, and neither does the m-label (correlation -0.050",
        ),
        ({}, KNOWN | {"corr": 0.772}, False, "follows the known labels as well as the m-label does"),
        ({}, KNOWN | {"clips": FEWEST - 1}, True, "expected to err 23 % less than the m-label; only 29 clips have a"),
        ({}, KNOWN | {"clips": 1}, True, "only 1 clip has a known label, too few to check this"),
        ({"trust": 0.004}, None, True, "says next to nothing beyond the m-label here; there are no known labels"),
        ({"trust": NAN, "coverage": 0.0}, None, False, "how far to trust these labels is unknown: the rule"),
        ({}, KNOWN | {"t_corr": NAN}, True, "expected to err 23 % less"),
    ],
)
def test_verdicts(figures: dict[str, float], known: dict[str, float] | None, estimated: bool, words: str) -> None:
    assert words in verdict(FIGURES | figures, known, estimated=estimated)
