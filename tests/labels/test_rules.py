"""The label rules against hand-worked cases and their known properties."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from selfmm.labels.rules import EPS, RULES, Centres, Evidence, name_problem, relative_distance

PUBLISHED = ("paper", "authors")
LINE = Centres(torch.tensor([1.0], dtype=torch.float64), torch.tensor([-1.0], dtype=torch.float64))


def on_a_line(y_m: float, fusion: float, feature: float, bound: float = 3.0) -> Evidence:
    """One clip whose features are points of a line with the centres at +1 and -1."""
    point = [torch.tensor([[value]], dtype=torch.float64) for value in (fusion, feature)]
    return Evidence(torch.tensor([y_m], dtype=torch.float64), point[0], point[1], LINE, LINE, bound)


def test_relative_distance_is_0_halfway_and_minus_1_at_the_negative_centre() -> None:
    alpha = relative_distance(torch.tensor([1.0, 2.0, 1.0]).double(), torch.tensor([1.0, 0.0, 3.0]).double())
    torch.testing.assert_close(alpha, torch.tensor([0.0, -1.0, 2.0]).double(), atol=1e-7, rtol=0)


def test_authors_by_hand() -> None:
    # fusion at .5: D^p = .5, D^n = 1.5, alpha_m = 2; feature at -.5: alpha_s = -2/3.
    # ratio 1 * (-2/3)/2 = -1/3; difference 1 - 2/3 - 2 = -5/3; mean -1
    assert RULES["authors"](on_a_line(1.0, 0.5, -0.5)).item() == pytest.approx(-1.0, abs=1e-6)


def test_paper_by_hand_squares_the_distances() -> None:
    # squares: alpha_m = (2.25 - .25)/.25 = 8, alpha_s = (.25 - 2.25)/2.25 = -8/9; ratio -1/9, difference 1 - 8/9 - 8
    expected = (-1 / 9 + 1 - 8 / 9 - 8) / 2
    assert RULES["paper"](on_a_line(1.0, 0.5, -0.5)).item() == pytest.approx(expected, abs=1e-6)


def test_a_modality_that_agrees_with_the_fusion_gets_the_m_label() -> None:
    for name in (*PUBLISHED, "centre-gap", "sugrm"):
        assert RULES[name](on_a_line(-1.4, 0.3, 0.3)).item() == pytest.approx(-1.4, abs=1e-6)


def test_the_root_of_the_width_cancels_but_for_eps() -> None:
    # A second, silent dimension changes sqrt(d) and nothing else.
    wide = Centres(*(torch.nn.functional.pad(centre, (0, 1)) for centre in LINE))
    narrow = on_a_line(1.0, 0.5, -0.5)
    padded = torch.nn.functional.pad(narrow.feature, (0, 1))
    broad = Evidence(narrow.m_labels, narrow.fusion, padded, LINE, wide, 3.0)
    torch.testing.assert_close(RULES["paper"](broad), RULES["paper"](narrow), rtol=1e-6, atol=1e-6)


def test_pole_flips_the_sign_of_a_positive_clip() -> None:
    # The known flaw of both rules: alpha_m passes 0 and the label jumps from far above to far below.
    for rule in map(RULES.get, PUBLISHED):
        assert rule is not None
        above, below = rule(on_a_line(1.0, 0.001, 0.2)).item(), rule(on_a_line(1.0, -0.001, 0.2)).item()
        assert above > 3
        assert below < -3


def test_exactly_on_the_pole_paper_is_not_finite_and_authors_is_huge() -> None:
    assert not math.isfinite(RULES["paper"](on_a_line(1.0, 0.0, 0.2)).item())
    assert RULES["authors"](on_a_line(1.0, 0.0, 0.2)).item() > 1e6
    assert RULES["authors"](on_a_line(0.0, 0.0, 0.2)).item() == pytest.approx(0.25)  # alpha_s / 2


@settings(deadline=None, derandomize=True)
@given(st.floats(-0.9, 0.9), st.floats(-0.9, 0.9))
def test_alpha_turns_into_its_reciprocal_under_a_sign_flip(to_one: float, to_other: float) -> None:
    """Swapping the classes maps 1 + alpha = D^n/D^p to its reciprocal, not alpha to -alpha: no rule made of alpha
    differences is antisymmetric. Its logarithm would be."""
    x, y = (torch.tensor([1 + x], dtype=torch.float64) for x in (to_one, to_other))
    product = (1 + relative_distance(x, y)) * (1 + relative_distance(y, x))
    torch.testing.assert_close(product, torch.ones_like(product), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", PUBLISHED)
def test_no_published_rule_of_self_mm_is_antisymmetric(name: str) -> None:
    flipped = RULES[name](on_a_line(-1.0, -0.5, 0.5)).item()
    assert abs(flipped + RULES[name](on_a_line(1.0, 0.5, -0.5)).item()) > 0.5


@pytest.mark.parametrize("name", PUBLISHED)
def test_flip_symmetry_holds_where_the_modality_agrees_with_the_fusion(name: str) -> None:
    def label(sign: float) -> Tensor:
        return RULES[name](on_a_line(sign * 1.2, sign * 0.4, sign * 0.4))

    torch.testing.assert_close(label(1), -label(-1), atol=1e-6, rtol=0)


def test_centre_gap_by_hand() -> None:
    # fusion at .5: a_m = (1.5 - .5)/2 = .5; feature at -.5: a_s = -.5; 1 + 3 (-.5 - .5) = -2
    assert RULES["centre-gap"](on_a_line(1.0, 0.5, -0.5)).item() == pytest.approx(-2.0)
    # behind a centre a stays at 1
    assert RULES["centre-gap"](on_a_line(1.0, 5.0, 9.0)).item() == pytest.approx(1.0)


def test_sugrm_by_hand() -> None:
    # D = 2; features .25 apart; r_s > r_m where the feature is further from the positive centre
    assert RULES["sugrm"](on_a_line(1.0, 0.5, 0.25)).item() == pytest.approx(1 - 6 * 0.125)
    assert RULES["sugrm"](on_a_line(1.0, 0.25, 0.5)).item() == pytest.approx(1 + 6 * 0.125)
    # no further than 2H, and no division by 0 on the negative centre
    assert RULES["sugrm"](on_a_line(1.0, 0.5, -1.0)).item() == pytest.approx(1 - 6 * 0.75)
    assert RULES["sugrm"](on_a_line(1.0, 9.0, -1.0)).item() == pytest.approx(1 - 6)


@settings(deadline=None, derandomize=True)
@given(st.floats(-3, 3), st.floats(-9, 9), st.floats(-9, 9), st.sampled_from(["centre-gap", "sugrm"]))
def test_centre_gap_and_sugrm_have_no_pole_and_mirror_the_labels(y: float, m: float, s: float, name: str) -> None:
    label = RULES[name](on_a_line(y, m, s)).item()
    assert abs(label - y) <= 6 + 1e-9
    if name == "centre-gap" or abs(m * s - 1) > 1e-9:  # sugrm's ratios are equal where m s = 1: a jump by design
        assert RULES[name](on_a_line(-y, -m, -s)).item() == pytest.approx(-label, abs=1e-9)


def test_eps_is_the_published_one() -> None:
    assert EPS == 1e-8


def test_an_unknown_rule_is_named_with_the_nearest_known() -> None:
    assert name_problem("authors") == []
    assert name_problem("author") == ["rule is 'author'; did you mean 'authors'?"]
    assert "choose from: authors, " in name_problem("zzz")[0]
    assert "estimate_labels" in name_problem("posterior")[0]
