"""Estimated labels: planted truth, laws, and data that would break a careless estimate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfmm.core.errors import SettingsError
from selfmm.labels import ModalityEstimate, estimate_labels
from selfmm.labels.worlds import Array, _draw

NAMES = ("text", "audio", "vision", "pulse", "type")
FIELDS = ("labels", "expected_error", "trust", "contradiction")


@dataclass(frozen=True)
class Sample:
    """A random data set; ``truth`` of each modality, whose mean is the m-label."""

    seed: int = 0
    clips: int = 60
    modalities: int = 3
    width: int = 4
    noise: float = 1.0
    lacking: float = 0.0  # share of the clips without a modality, of m-labels unknown, and left out of the fit
    spread: float = 0.6

    @property
    def truth(self) -> dict[str, Array]:
        rng = np.random.default_rng([self.seed, 1])
        factor = rng.normal(size=self.clips)
        return {name: factor + self.spread * rng.normal(size=self.clips) for name in NAMES[: self.modalities]}

    @property
    def m_labels(self) -> Array:
        labels: Array = np.mean([*self.truth.values()], axis=0)
        return labels

    @property
    def inputs(self) -> dict[str, Array]:
        rng = np.random.default_rng([self.seed, 2])
        inputs = {}
        for name, truth in self.truth.items():
            signal = truth + self.noise * rng.normal(size=self.clips)
            inputs[name] = signal[:, None] * rng.normal(size=self.width) + 0.3 * rng.normal(
                size=(self.clips, self.width)
            )
        return inputs

    def mask(self, purpose: int) -> npt.NDArray[np.bool_]:
        chosen: npt.NDArray[np.bool_] = np.random.default_rng([self.seed, purpose]).uniform(size=self.clips) >= (
            self.lacking
        )
        chosen[:3] = True
        return chosen

    @property
    def present(self) -> dict[str, npt.NDArray[np.bool_]]:
        return {name: self.mask(3 + at) for at, name in enumerate(NAMES[: self.modalities])}

    @property
    def known(self) -> Array:
        return np.where(self.mask(10), self.m_labels, np.nan)

    @property
    def fit(self) -> npt.NDArray[np.bool_]:
        return self.mask(11)

    def estimate(self) -> dict[str, ModalityEstimate]:
        return estimate_labels(self.known, self.inputs, fit=self.fit, present=self.present)


samples = st.builds(
    Sample,
    seed=st.integers(0, 999),
    clips=st.integers(3, 80),
    modalities=st.integers(1, 5),
    width=st.sampled_from([1, 4, 90]),
    noise=st.sampled_from([0.0, 1.0, 30.0]),
    lacking=st.sampled_from([0.0, 0.3]),
)
lawful = settings(deadline=None, derandomize=True, max_examples=15)


def assert_same(one: ModalityEstimate, other: ModalityEstimate, tolerance: float = 1e-6) -> None:
    for name in FIELDS:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("modalities", [2, 3, 5])
def test_planted_truth_is_recovered_better_than_by_the_m_label(modalities: int) -> None:
    sample = Sample(clips=600, modalities=modalities, noise=0.5, width=6)
    for name, estimate in sample.estimate().items():
        truth, m = sample.truth[name], sample.m_labels
        assert np.corrcoef(estimate.labels, truth)[0, 1] > np.corrcoef(m, truth)[0, 1] + 0.01
        assert np.abs(estimate.labels - truth).mean() < np.abs(m - truth).mean()
        assert estimate.trust.mean() > 0.05


@pytest.mark.parametrize("noise", [0.5, 2.0, 4.0])
def test_labels_keep_the_scale_of_the_m_labels(noise: float) -> None:
    sample = Sample(clips=2000, noise=noise, spread=0.3)
    m = sample.m_labels
    for name, estimate in sample.estimate().items():
        assert np.polyfit(m, estimate.labels, 1)[0] == pytest.approx(1, abs=0.05)
        assert np.abs(estimate.labels - sample.truth[name]).mean() < np.abs(m - sample.truth[name]).mean() + 0.03


def test_clear_contradictions_are_found() -> None:
    rng = np.random.default_rng(0)
    m, contradicts = rng.normal(size=1500), rng.uniform(size=1500) < 0.15
    truth = np.where(contradicts, -m, m)
    inputs = {
        "audio": truth[:, None] + 0.1 * rng.normal(size=(1500, 3)),
        "text": m[:, None] + rng.normal(size=(1500, 3)),
    }
    audio = estimate_labels(m, inputs)["audio"]
    far = contradicts & (np.abs(m) > 0.7)
    assert (np.sign(audio.labels[far]) == np.sign(truth[far])).mean() > 0.9
    assert (np.sign(audio.labels[~contradicts]) == np.sign(m[~contradicts])).mean() > 0.95
    assert audio.contradiction[far].mean() > audio.contradiction[~contradicts].mean() + 0.5
    assert audio.share == pytest.approx(0.15, abs=0.1)
    assert audio.resolution > 0.5


@lawful
@given(samples)
def test_outputs_are_finite_and_in_range(sample: Sample) -> None:
    estimates = estimate_labels(sample.known, sample.inputs, present=sample.present, low=-1.0, high=1.5)
    for name, estimate in estimates.items():
        has_label = sample.present[name] & np.isfinite(sample.known)
        for field in FIELDS:
            values = getattr(estimate, field)
            if field == "expected_error" and has_label.any() and np.ptp(sample.known[has_label]) == 0:
                continue  # all m-labels are equal
            assert np.isfinite(values[has_label]).all(), field
            assert np.isnan(values[~has_label]).all(), field
        assert np.isfinite(estimate.evidence[sample.present[name]]).all()
        assert np.isnan(estimate.evidence[~sample.present[name]]).all()
        labels, trust = estimate.labels[has_label], estimate.trust[has_label]
        assert ((labels >= -1.0) & (labels <= 1.5)).all()
        assert ((trust >= 0) & (trust <= 1)).all()
        assert not (estimate.expected_error[has_label] < 0).any()
        assert 0 <= estimate.correlation < 1
        assert 0 < estimate.rho <= 1


magnitudes = st.floats(-1e60, 1e60, allow_nan=False)


@lawful
@given(st.lists(st.tuples(magnitudes, magnitudes, magnitudes), min_size=1, max_size=12))
def test_any_finite_input_gives_finite_labels(rows: list[tuple[float, float, float]]) -> None:
    values = np.array(rows)
    with np.errstate(all="raise", under="ignore"):
        for estimate in estimate_labels(values[:, 0], {"a": values[:, 1:], "b": values[:, [1]]}).values():
            fields = [field for field in FIELDS if field != "expected_error"]
            assert all(np.isfinite(getattr(estimate, field)).all() for field in fields)
            errors = np.isfinite(estimate.expected_error)
            assert errors.all() or (not errors.any() and values[:, 0].std() <= 1e-9 * np.abs(values[:, 0]).max())


@pytest.mark.parametrize("m_labels", [[3.0] * 20, [0.1] * 20, [2.0]])
def test_equal_labels_tell_nothing_about_errors(m_labels: list[float]) -> None:
    (estimate,) = estimate_labels(m_labels, {"a": np.random.default_rng(0).normal(size=(len(m_labels), 3))}).values()
    np.testing.assert_array_equal(estimate.labels, m_labels)
    assert np.isnan(estimate.expected_error).all()
    assert (estimate.trust == 0).all()


@lawful
@given(samples)
def test_a_flip_of_all_labels_flips_the_estimates(sample: Sample) -> None:
    flipped = estimate_labels(-sample.known, sample.inputs, fit=sample.fit, present=sample.present)
    for name, estimate in sample.estimate().items():
        assert_same(replace(flipped[name], labels=-flipped[name].labels), estimate)


@lawful
@given(samples, st.sampled_from([0.01, 15.0]), st.sampled_from([-100.0, 50.0]))
def test_another_unit_and_zero_of_the_labels_are_the_same_scale(sample: Sample, unit: float, zero: float) -> None:
    moved = estimate_labels(unit * sample.known + zero, sample.inputs, fit=sample.fit, present=sample.present)
    for name, estimate in sample.estimate().items():
        back: dict[str, Any] = {
            "labels": (moved[name].labels - zero) / unit,
            "expected_error": moved[name].expected_error / unit,
        }
        assert_same(replace(moved[name], **back), estimate)


@lawful
@given(samples, st.sampled_from([0.01, 1000.0]))
def test_units_of_the_inputs_do_not_matter(sample: Sample, unit: float) -> None:
    inputs = {name: unit * rows + 7 for name, rows in sample.inputs.items()}
    moved = estimate_labels(sample.known, inputs, fit=sample.fit, present=sample.present)
    for name, estimate in sample.estimate().items():
        assert_same(moved[name], estimate)


@lawful
@given(samples)
def test_order_of_clips_does_not_matter(sample: Sample) -> None:
    order = np.random.default_rng(sample.seed).permutation(sample.clips)
    inputs = {name: rows[order] for name, rows in sample.inputs.items()}
    present = {name: mask[order] for name, mask in sample.present.items()}
    moved = estimate_labels(sample.known[order], inputs, fit=sample.fit[order], present=present)
    for name, estimate in sample.estimate().items():
        ordered: dict[str, Any] = {field: getattr(estimate, field)[order] for field in FIELDS}
        assert_same(moved[name], replace(estimate, **ordered))


@lawful
@given(samples)
def test_order_of_modalities_matters_only_for_the_draws_of_worlds(sample: Sample) -> None:
    sample = replace(sample, clips=80)
    backwards = estimate_labels(
        sample.known, dict(reversed(sample.inputs.items())), fit=sample.fit, present=sample.present
    )
    unit = float(np.nanstd(sample.known))
    for name, estimate in sample.estimate().items():
        np.testing.assert_allclose(backwards[name].labels / unit, estimate.labels / unit, atol=0.05)


@lawful
@given(samples)
def test_clips_outside_the_fit_change_nothing_for_the_others(sample: Sample) -> None:
    sample = replace(sample, lacking=0.3)
    labels, out = sample.known, ~sample.fit
    labels[out] = 99.0
    inputs = {name: np.where(out[:, None], 1e6 * rows, rows) for name, rows in sample.inputs.items()}
    changed = estimate_labels(labels, inputs, fit=sample.fit, present=sample.present)
    for name, estimate in sample.estimate().items():
        for field in FIELDS:
            before, after = getattr(estimate, field)[~out], getattr(changed[name], field)[~out]
            np.testing.assert_allclose(after, before, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("dead", ["constant", "noise"])
def test_a_dead_modality_keeps_the_m_labels_with_no_trust(dead: str) -> None:
    sample, rng = Sample(clips=300), np.random.default_rng(5)
    inputs = sample.inputs | {"vision": np.full((300, 2), 3.7) if dead == "constant" else rng.normal(size=(300, 40))}
    estimates = estimate_labels(sample.m_labels, inputs)
    vision = estimates["vision"]
    assert vision.correlation == 0
    np.testing.assert_array_equal(vision.labels, sample.m_labels)
    assert (vision.trust == 0).all()
    assert (vision.expected_error > 0).all()
    assert vision.share == vision.resolution == 0
    assert (vision.contradiction == 0).all()
    alone = estimate_labels(sample.m_labels, {name: inputs[name] for name in ("text", "audio")})
    for name in alone:  # m is still the mean of three
        np.testing.assert_allclose(alone[name].labels, estimates[name].labels, atol=0.3)


def test_weak_evidence_has_little_trust() -> None:
    trusts = [Sample(clips=500, noise=noise).estimate()["text"].trust.mean() for noise in (0.3, 2.0, 5.0, 100.0)]
    assert trusts == sorted(trusts, reverse=True)
    assert trusts[-1] < 0.01


def test_constant_labels_and_perfect_evidence() -> None:
    sample = Sample()
    for estimate in estimate_labels(np.full(60, 2.5), sample.inputs).values():
        np.testing.assert_array_equal(estimate.labels, 2.5)
        assert np.isnan(estimate.expected_error).all()
        assert (estimate.trust == 0).all()
    m = sample.m_labels
    for estimate in estimate_labels(m, {"a": m[:, None], "b": np.column_stack([m, -m])}).values():
        np.testing.assert_allclose(estimate.labels, m, atol=0.05)


def test_a_modality_that_no_clip_of_the_fit_has_keeps_the_m_labels() -> None:
    sample = Sample(clips=100)
    fit = np.arange(100) < 60
    audio = estimate_labels(sample.m_labels, sample.inputs, fit=fit, present={"audio": ~fit})["audio"]
    np.testing.assert_array_equal(audio.labels[~fit], sample.m_labels[~fit])
    assert (audio.trust[~fit] == 0).all()
    assert (audio.expected_error[~fit] > 0).all()
    assert np.isnan(audio.labels[fit]).all()


def test_several_blocks_and_rows_that_are_not_finite() -> None:
    sample = Sample(clips=50)
    inputs, broken = sample.inputs, sample.inputs["text"].copy()
    broken[3, 1], broken[7, 0] = np.nan, np.inf
    several = estimate_labels(sample.m_labels, inputs | {"text": [broken, inputs["audio"].astype(np.float32)]})["text"]
    assert np.flatnonzero(np.isnan(several.labels)).tolist() == [3, 7]
    absent = {"text": ~np.isin(np.arange(50), [3, 7])}
    clean = estimate_labels(
        sample.m_labels, inputs | {"text": [inputs["text"], inputs["audio"].astype(np.float32)]}, present=absent
    )
    assert_same(several, clean["text"], 1e-12)


@pytest.mark.slow
def test_expected_errors_are_right_on_average_over_the_prior() -> None:
    """Worlds as the estimator assumes them: over many of them, expected and true errors are equal."""
    rng, worlds = np.random.default_rng(7), _draw(3)
    expected: list[list[float]] = []
    true, from_m = [], []
    while len(expected) < 60:
        at = int(rng.integers(worlds.rho.shape[1]))
        rho, leak, truths = worlds.rho[:, at], worlds.leak[:, at], worlds.truths[:, :, at]
        r = rng.uniform(0.2, 0.8, 3)
        own, through_m = r * (1 - leak) / rho, r * leak
        noise = 1 - own**2 - through_m**2 - 2 * own * through_m * rho
        if (noise < 0).any() or (rho < r).any():
            continue
        moments = np.block([[truths, rho[:, None]], [rho[None], np.ones((1, 1))]]) + 1e-9 * np.eye(4)
        drawn = rng.normal(size=(1500, 4)) @ np.linalg.cholesky(moments).T
        t, m = drawn[:, :3], drawn[:, 3]
        z = own * t + through_m * m[:, None] + np.sqrt(noise) * rng.normal(size=(1500, 3))
        estimates = estimate_labels(m, {str(s): z[:, [s]] for s in range(3)})
        expected.append([estimates[str(s)].expected_error.mean() for s in range(3)])
        true.append([np.abs(estimates[str(s)].labels - t[:, s]).mean() for s in range(3)])
        from_m.append(np.abs(m[:, None] - t).mean(axis=0))
    assert np.mean(true) < np.mean(from_m)
    assert np.mean(expected) == pytest.approx(np.mean(true), rel=0.08)
    low, high = np.array(expected) < np.median(expected), np.array(expected) >= np.median(expected)
    assert np.array(true)[low].mean() < np.array(true)[high].mean()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"m_labels": [[1.0, 2.0, 3.0]]}, r"m_labels are \(1, 3\)"),
        ({"m_labels": [np.nan] * 3}, "some are finite"),
        ({"inputs": {}}, "inputs is empty"),
        ({"inputs": {"a": np.zeros((2, 1))}}, r"inputs\['a'\] is \(2, 1\); give \(3, d\)"),
        ({"inputs": {"a": np.zeros(3)}}, r"inputs\['a'\] is \(3,\)"),
        ({"low": 1.0, "high": 1.0}, "give low < high"),
        ({"fit": [True]}, r"fit is \(1,\); give \(3,\) bool"),
        ({"fit": [False] * 3}, "fit names no clip with an m-label"),
        ({"present": {"b": [True] * 3}}, "present names 'b'; the modalities are"),
        ({"present": {"a": [True]}}, r"present\['a'\] is \(1,\)"),
    ],
)
def test_misuse_says_what_to_do(change: dict[str, object], words: str) -> None:
    right: dict[str, object] = {"m_labels": [1.0, 2.0, 3.0], "inputs": {"a": np.zeros((3, 1))}}
    with pytest.raises(SettingsError, match=words):
        estimate_labels(**(right | change))  # type: ignore[arg-type]
