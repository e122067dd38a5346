"""Paired comparison against loops, and against what was planted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfmm.experiments.paired import compare_errors, holm

Array = npt.NDArray[np.float64]


def systems(rng: np.random.Generator, n: int, worse: float, seeds: int = 3) -> tuple[list[Array], list[Array], Array]:
    """Labels, and two systems whose errors share what is hard about each clip."""
    labels, hard = rng.normal(size=n), rng.gamma(2.0, 0.3, size=n)
    own = [labels + (hard + worse) * rng.choice([-1, 1], n) + rng.normal(0, 0.01, n) for _ in range(seeds)]
    other = [labels + hard * rng.choice([-1, 1], n) + rng.normal(0, 0.01, n) for _ in range(seeds)]
    return own, other, labels


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
    assert found.p == pytest.approx(extreme / 3000, abs=0.05)


def test_the_interval_holds_the_truth() -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(100):
        found = compare_errors(*systems(rng, 80, 0.1, seeds=2))
        held += found.low <= 0.1 <= found.high
    assert 88 <= held <= 100


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
