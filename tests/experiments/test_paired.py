"""Paired comparison against loops, and against what was planted."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfmm.evaluation.metrics import Scale, evaluate
from selfmm.experiments.paired import Difference, compare_systems, holm

Array = npt.NDArray[np.float64]


def compare_errors(
    system: list[Array], baseline: list[Array], labels: Array, groups: npt.ArrayLike | None = None
) -> Difference:
    found = compare_systems("mae", system, baseline, labels, "mosi", groups=groups)
    assert found is not None
    return found


def systems(rng: np.random.Generator, n: int, worse: float, seeds: int = 3) -> tuple[list[Array], list[Array], Array]:
    """Labels, and two systems whose errors share what is hard about each clip."""
    labels, hard = rng.normal(size=n), rng.gamma(2.0, 0.3, size=n)
    own = [labels + (hard + worse) * rng.choice([-1, 1], n) + rng.normal(0, 0.01, n) for _ in range(seeds)]
    other = [labels + hard * rng.choice([-1, 1], n) + rng.normal(0, 0.01, n) for _ in range(seeds)]
    return own, other, labels


def beyond_zero(differences: list[float]) -> float:
    """Return the share of the resamples on the other side of 0, twice."""
    drawn = np.array(differences)
    return float(2 * min(np.mean(drawn <= 0), np.mean(drawn >= 0)))


def test_the_p_value_never_contradicts_the_interval() -> None:
    """Runs that differ by more than chance over videos explains, as in a table with [-.0590, +.0016] and p .024."""
    rng = np.random.default_rng(11)
    inside = outside = 0
    for _ in range(60):
        labels = rng.normal(size=int(rng.integers(3, 50)))
        own, other = (
            [labels + rng.normal(0, spread, len(labels)) + rng.normal(0, 0.3) for _ in range(3)] for spread in (0.8, 1)
        )
        for key in ("mae", "corr", "acc2_non0"):
            found = compare_systems(key, own, other, labels, "mosi", groups=np.arange(len(labels)) // 2)
            if found is not None and found.p < 0.05:
                outside += not found.low <= 0 <= found.high
                inside += found.low <= 0 <= found.high
    assert inside == 0
    assert outside > 5


def test_the_difference_is_that_of_the_means() -> None:
    own, other, labels = systems(np.random.default_rng(0), 50, 0.2)
    found = compare_errors(own, other[:2], labels)
    means = [np.mean([np.mean(np.abs(seed - labels)) for seed in runs]) for runs in (own, other[:2])]
    assert found.value == pytest.approx(means[0] - means[1])
    assert found.low < found.value < found.high
    assert found == compare_errors(own, other[:2], labels), "chance is seeded"


def test_it_does_what_a_loop_does() -> None:
    """The spread of the interval and p, drawn clip by clip and video by video with another generator."""
    own, other, labels = systems(np.random.default_rng(1), 40, 0.05)
    videos = np.repeat(np.arange(8), 5)
    found = compare_errors(own, other, labels, videos)
    rng = np.random.default_rng(99)
    differences, extreme = [], 0
    gap = np.mean([np.abs(s - labels) for s in own], axis=0) - np.mean([np.abs(s - labels) for s in other], axis=0)
    for _ in range(3000):
        chosen = rng.integers(8, size=8)
        clips = np.concatenate([np.flatnonzero(videos == video) for video in chosen])
        mean = [
            np.mean([np.abs(runs[seed][clips] - labels[clips]).mean() for seed in rng.integers(3, size=3)])
            for runs in (own, other)
        ]
        differences.append(mean[0] - mean[1])
        swapped = gap * rng.choice([-1, 1], size=8)[videos]
        extreme += abs(swapped.mean()) >= abs(gap.mean()) - 1e-12
    low, high = np.percentile(differences, [2.5, 97.5])
    assert found.low == pytest.approx(low, abs=0.012)
    assert found.high == pytest.approx(high, abs=0.012)
    assert found.p == pytest.approx(max(extreme / 3000, beyond_zero(differences)), abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "scale"), [("corr", "mosi"), ("acc2_non0", "mosi"), ("f1_has0", "mosi"), ("mae", "sims"), ("acc5", "sims")]
)
def test_any_metric_does_what_a_loop_of_evaluations_does(key: str, scale: Scale) -> None:
    rng = np.random.default_rng(7)
    labels = np.round(rng.normal(0, 0.6, 60), 1)
    own = [labels + rng.normal(0, 0.9, 60) for _ in range(2)]
    other = [labels + rng.normal(0, 0.7, 60) for _ in range(3)]
    videos = np.repeat(np.arange(15), 4)
    found = compare_systems(key, own, other, labels, scale, groups=videos)
    assert found is not None

    def mean(runs: list[Array], chosen: npt.NDArray[np.intp], seeds: npt.NDArray[np.int64]) -> float:
        return float(np.mean([evaluate(runs[s][chosen], labels[chosen], scale).values[key] for s in seeds]))

    everything, differences, extreme = np.arange(60), [], 0
    value = mean(own, everything, np.arange(2)) - mean(other, everything, np.arange(3))
    assert found.value == pytest.approx(value)
    for _ in range(250):
        chosen = np.concatenate([np.flatnonzero(videos == video) for video in rng.integers(15, size=15)])
        pair = mean(own, chosen, rng.integers(2, size=2)), mean(other, chosen, rng.integers(3, size=3))
        differences.append(pair[0] - pair[1])
        swap = rng.integers(2, size=15).astype(bool)[videos]
        pairs = [(own[s % 2], other[s % 3]) for s in range(6)]
        mixed = [[np.where(swap, b, a) for a, b in pairs], [np.where(swap, a, b) for a, b in pairs]]
        gap = mean(mixed[0], everything, np.arange(6)) - mean(mixed[1], everything, np.arange(6))
        extreme += abs(gap) >= abs(value) - 1e-12
    low, high = np.percentile(differences, [2.5, 97.5])
    width = high - low
    assert found.low == pytest.approx(low, abs=0.15 * width)
    assert found.high == pytest.approx(high, abs=0.15 * width)
    assert found.p == pytest.approx(max(extreme / 250, beyond_zero(differences)), abs=0.1)


def test_what_has_no_value_is_not_compared() -> None:
    rng = np.random.default_rng(8)
    labels = rng.normal(size=30)
    same, varied = np.full(30, 0.2), labels + rng.normal(size=30)
    assert compare_systems("corr", [same], [varied], labels, "mosi") is None
    assert compare_systems("corr", [varied], [varied], np.ones(30), "mosi") is None
    assert compare_systems("acc2_non0", [varied], [varied], np.zeros(30), "mosi") is None
    assert compare_systems("mae", [same], [varied], labels, "mosi") is not None
    with_one = compare_systems("corr", [same, varied], [labels], labels, "mosi")
    assert with_one == compare_systems("corr", [varied], [labels], labels, "mosi"), "as the mean of the table"


@pytest.mark.parametrize("key", ["mae", "corr", "acc2_has0", "f1_non0", "acc7"])
def test_two_clips_and_one_clip(key: str) -> None:
    labels = np.array([1.0, -2.0])
    found = compare_systems(key, [np.array([0.5, -1.0])], [np.array([-1.0, 1.0])], labels, "mosi")
    if found is not None:  # most samples of two clips have no correlation
        assert found.low - 1e-9 <= found.value <= found.high + 1e-9
        assert 0.25 < found.p <= 1
    one = compare_systems(key, [np.array([0.5])], [np.array([-1.0])], labels[:1], "mosi")
    assert (one is None) == (key == "corr")
    if one is not None:
        assert one.p == 1.0, "one swap changes the sign alone"


def test_scores_are_cut_where_the_metric_cuts_them() -> None:
    """The difference is that of the MAE in the table, which on SIMS is of scores in [-1, 1]."""
    labels = np.array([1.0, -1.0, 0.5, 0.0])
    wild, tame = labels * 3, labels + 0.1
    found = compare_systems("mae", [wild], [tame], labels, "sims")
    assert found is not None
    # Cut, they are off by 0, 0, .5, 0 and by 0, .1, .1, .1; as they are by 2, 2, 1, 0 and .1 each.
    assert found.value == pytest.approx((0.5 - 0.3) / 4)


def test_clips_of_no_known_video_stand_for_themselves() -> None:
    own, other, labels = systems(np.random.default_rng(9), 20, 0.2)
    some = [f"v{i // 2}" for i in range(10)]
    known, unknown = (np.array(some + rest, dtype=object) for rest in (list("abcdefghij"), [None] * 5 + [np.nan] * 5))
    assert compare_errors(own, other, labels, known) == compare_errors(own, other, labels, unknown)


def test_it_is_quick() -> None:
    """A table has some ten metrics and twenty systems."""
    rng = np.random.default_rng(10)
    labels = rng.normal(size=700)
    own, other = ([labels + rng.normal(size=700) for _ in range(5)] for _ in range(2))
    start = time.process_time()
    for key in ("mae", "corr", "f1_has0"):
        compare_systems(key, own, other, labels, "mosi")
    assert time.process_time() - start < 3


@pytest.mark.slow
def test_the_interval_holds_the_truth() -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(100):
        found = compare_errors(*systems(rng, 80, 0.1, seeds=2))
        held += found.low <= 0.1 <= found.high
    assert 88 <= held <= 100


def test_the_interval_is_of_95_per_cent_and_p_is_never_0() -> None:
    """Of many clips and one seed it is the textbook's, by the deviation of the clips' own differences."""
    own, other, labels = systems(np.random.default_rng(6), 400, 0.3, seeds=1)
    found = compare_errors(own, other, labels)
    gaps = np.abs(own[0] - labels) - np.abs(other[0] - labels)
    half = 1.96 * np.std(gaps) / 20
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.08)
    assert found.p == 1 / 2001


@pytest.mark.slow
def test_alike_systems_are_rarely_told_apart() -> None:
    rng = np.random.default_rng(3)
    values = []
    for _ in range(100):
        labels = rng.normal(size=60)
        own, other = ([labels + rng.normal(size=60)] for _ in range(2))
        values.append(compare_errors(own, other, labels).p)
    assert np.mean(np.array(values) < 0.05) <= 0.12
    assert 0.4 < np.mean(values) < 0.6


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(0, 1000))
def test_swapping_the_systems_turns_the_sign(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    own, other, labels = systems(rng, n, 0.3, seeds=1)
    forth, back = compare_errors(own, other, labels), compare_errors(other, own, labels)
    assert forth.value == pytest.approx(-back.value)
    assert forth.p == pytest.approx(back.p)
    assert 0 < forth.p <= 1


def test_the_same_system() -> None:
    own, _, labels = systems(np.random.default_rng(4), 30, 0.0, seeds=1)
    found = compare_errors(own, own, labels)
    assert (found.value, found.p) == (0.0, 1.0)


def test_holm() -> None:
    """The textbook's way: sorted, each times how many are left, never falling."""
    rng = np.random.default_rng(5)
    values = rng.uniform(size=7).tolist()
    corrected = holm(values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(7), key=lambda i: values[i])):
        highest = max(highest, min(1.0, values[place] * (7 - rank)))
        assert corrected[place] == pytest.approx(highest)
    assert holm([]) == []
