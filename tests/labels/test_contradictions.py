"""The mixture of agreeing and contradicting clips against EM clip by clip, and on planted contradictions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from oracles import estimation as slow
from selfmm.labels.contradictions import EM_STEPS, Array, Contradictions


def planted(share: float, noise: float, clips: int, seed: int) -> tuple[Array, Array, float, npt.NDArray[np.bool_]]:
    """Standardised m-labels and evidence, their correlation, and which clips contradict."""
    rng = np.random.default_rng(seed)
    m, contradicts = rng.normal(size=clips), rng.uniform(size=clips) < share
    truth = np.where(contradicts, rng.normal(size=clips), m)
    z = truth + noise * rng.normal(size=clips)
    m, z = (m - m.mean()) / m.std(), (z - z.mean()) / z.std()
    return m, z, float((m * z).mean()), contradicts


@pytest.mark.parametrize(("share", "noise"), [(0.2, 0.3), (0.5, 0.1), (0.0, 0.5), (0.1, 3.0)])
def test_equals_em_clip_by_clip(share: float, noise: float) -> None:
    m, z, r, _ = planted(share, noise, 60, 1)
    mixture = Contradictions.fit(m, z, r)
    expected_share, expected_noise = slow.contradictions(m.tolist(), z.tolist(), r, EM_STEPS)
    assert mixture.share == pytest.approx(expected_share, rel=1e-8)
    assert mixture.noise == pytest.approx(expected_noise, rel=1e-8)
    expected = [slow.probability(a, b, r, expected_share, expected_noise) for a, b in zip(m, z, strict=True)]
    np.testing.assert_allclose(mixture.probability(m, z), expected, rtol=1e-7, atol=1e-12)
    spread = np.var(expected) / (expected_share * (1 - expected_share))
    assert mixture.resolution == pytest.approx(spread, rel=1e-6)
    # t given z alone, where t is N(0, 1) and z = r t + e.
    coefficients, variance = slow.conditional(np.array([[1, r], [r, r * r + expected_noise]]), 0, [1])
    own, left = mixture.own_label(z)
    np.testing.assert_allclose(own, coefficients[0] * z)
    assert left == pytest.approx(variance)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
def test_finds_a_planted_share(share: float) -> None:
    m, z, r, contradicts = planted(share, 0.1, 4000, 2)
    mixture = Contradictions.fit(m, z, r)
    # The line is flattened by the contradictions themselves, so the share is found only roughly.
    assert mixture.share == pytest.approx(share, abs=0.04)
    probability = mixture.probability(m, z)
    assert probability[contradicts].mean() > probability[~contradicts].mean() + 0.5
    assert mixture.weight > 0.5


def test_a_mixture_of_mere_noise_has_no_weight() -> None:
    m, z, r, _ = planted(0.0, 1.5, 3000, 3)
    mixture = Contradictions.fit(m, z, r)
    assert mixture.resolution < 0.2
    assert mixture.weight < 0.06


@pytest.mark.parametrize("resolution", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_weight_is_the_squared_odds(resolution: float) -> None:
    weight = Contradictions(0.5, 0.7, 0.1, resolution).weight
    if resolution == 1:
        assert weight == 1
    else:
        assert weight / (1 - weight) == pytest.approx((resolution / (1 - resolution)) ** 2)


@pytest.mark.parametrize("r", [1e-9, 0.5, 1 - 1e-9])
def test_degenerate_evidence_gives_finite_answers(r: float) -> None:
    m = np.array([-1.0, 0.0, 1.0, 2.0])
    for z in (m, np.zeros(4), -m, np.array([0.0, 0.0, 0.0, 1e6])):
        mixture = Contradictions.fit(m, z, r)
        values = mixture.probability(m, z)
        assert np.isfinite(values).all()
        assert ((values >= 0) & (values <= 1)).all()
        assert 0 <= mixture.resolution <= 1
        assert mixture.noise > 0
