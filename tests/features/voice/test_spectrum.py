"""Each spectral feature against a plain loop over its definition."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from features.sounds import voiced_sound
from selfmm.features.streams import SOUND_RATE
from selfmm.features.voice.spectrum import CEPSTRA, COLUMNS, FLOOR, MELS, WINDOW, spectral_features

BINS = 257
Doubles = npt.NDArray[np.float64]


def sounds() -> Doubles:
    """(12, WINDOW): vowels, noise, a click, silence, an offset, clipping."""
    rng = np.random.default_rng(0)
    vowel = voiced_sound(np.full(4 * WINDOW, 140.0)).reshape(4, WINDOW)
    click = np.zeros(WINDOW)
    click[150] = 0.9
    square = np.sign(np.sin(2 * np.pi * 200.5 * np.arange(WINDOW) / SOUND_RATE + 0.1))
    rows = [*vowel, 0.1 * rng.standard_normal(WINDOW), 1e-4 * rng.standard_normal(WINDOW), click]
    rows += [np.zeros(WINDOW), np.full(WINDOW, 0.5), square, vowel[1], np.zeros(WINDOW)]
    return np.stack(rows).astype(np.float32).astype(np.float64)


def power(frame: Doubles) -> list[float]:
    """One sum per bin, in double precision."""
    time = np.arange(WINDOW)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * time / WINDOW)
    sound = (frame - frame.mean()) * window
    bins = []
    for k in range(BINS):
        angle = 2 * np.pi * k * time / 512
        square = (sound * np.cos(angle)).sum() ** 2 + (sound * np.sin(angle)).sum() ** 2
        twice = 1 if k in (0, BINS - 1) else 2
        bins.append(twice * square / 512 / (window**2).sum() + FLOOR / BINS)
    return bins


def hertz(k: int) -> float:
    return k * SOUND_RATE / 512


def mel(frequency: float) -> float:
    return 2595 * math.log10(1 + frequency / 700)


def db(value: float) -> float:
    return 10 * math.log10(value)


def mel_bands(bins: list[float]) -> list[float]:
    edges = [mel(60) + (mel(7600) - mel(60)) * i / (MELS + 1) for i in range(MELS + 2)]
    corners = [700 * (10 ** (edge / 2595) - 1) for edge in edges]
    bands = []
    for low, middle, high in zip(corners, corners[1:], corners[2:], strict=False):
        total = 0.0
        for k, value in enumerate(bins):
            rise, fall = (hertz(k) - low) / (middle - low), (high - hertz(k)) / (high - middle)
            total += max(0.0, min(rise, fall)) * value
        bands.append(db(total))
    return bands


def by_hand(frame: Doubles, before: Doubles) -> dict[str, float]:
    bins, last = power(frame), power(before)
    total = sum(bins)
    bands = mel_bands(bins)
    row = {f"mel_{i + 1}": band for i, band in enumerate(bands)}
    for n in range(1, CEPSTRA + 1):
        wave = [math.cos(math.pi * n * (i + 0.5) / MELS) for i in range(MELS)]
        row[f"mfcc_{n}"] = math.sqrt(2 / MELS) * sum(a * b for a, b in zip(wave, bands, strict=True))
    row["energy"] = db(total)
    row["energy_change"] = db(total) - db(sum(last))
    centroid = sum(hertz(k) * value for k, value in enumerate(bins)) / total
    row["centroid"] = centroid
    row["bandwidth"] = math.sqrt(sum((hertz(k) - centroid) ** 2 * value for k, value in enumerate(bins)) / total)
    row["rolloff"] = next(hertz(k) for k in range(BINS) if sum(bins[: k + 1]) >= 0.85 * total)
    row["flatness"] = sum(map(db, bins)) / BINS - db(total / BINS)
    units = zip(bins, last, strict=True)
    row["flux"] = math.sqrt(sum((math.sqrt(a / total) - math.sqrt(b / sum(last))) ** 2 for a, b in units))

    def inside(low: float, high: float) -> list[float]:
        return [value for k, value in enumerate(bins) if low <= hertz(k) < high]

    row["alpha_ratio"] = db(sum(inside(50, 1000))) - db(sum(inside(1000, 5000)))
    row["hammarberg"] = db(max(inside(0, 2000))) - db(max(inside(2000, 5000)))
    sound = frame - frame.mean()
    signs = [value < 0 for value in sound]
    row["zero_crossings"] = sum(a != b for a, b in pairwise(signs)) / (WINDOW - 1)
    return row


@pytest.fixture(scope="module")
def measured() -> npt.NDArray[np.float32]:
    return spectral_features(sounds().astype(np.float32))


@pytest.fixture(scope="module")
def truth() -> list[dict[str, float]]:
    frames = sounds()
    return [by_hand(frame, before) for before, frame in pairwise(frames)]


def test_every_column_has_its_definition(truth: list[dict[str, float]]) -> None:
    assert set(truth[0]) == set(COLUMNS)
    assert len(COLUMNS) == len(set(COLUMNS))


@pytest.mark.parametrize("column", COLUMNS)
def test_columns_are_those_computed_by_hand(
    column: str, measured: npt.NDArray[np.float32], truth: list[dict[str, float]]
) -> None:
    expected = np.array([row[column] for row in truth])
    assert np.ptp(expected) > 1e-3, "a column that says nothing"
    found = measured[:, COLUMNS.index(column)]
    # Single precision: far below the loudest bin of a frame, its rounding is what is left.
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-2 if column != "flux" else 1e-4)


def test_a_tone_lies_in_its_band() -> None:
    time = np.arange(2 * WINDOW) / SOUND_RATE
    for band, frequency in ((3, 349.0), (12, 1613.0), (20, 4805.0)):
        frames = (0.5 * np.sin(2 * np.pi * frequency * time)).astype(np.float32).reshape(2, WINDOW)
        row = spectral_features(frames)[0]
        assert row[:MELS].argmax() in (band - 1, band, band + 1)
        assert row[COLUMNS.index("centroid")] == pytest.approx(frequency, rel=0.02)
        assert row[COLUMNS.index("energy")] == pytest.approx(-9.03, abs=0.3)
        assert row[COLUMNS.index("zero_crossings")] == pytest.approx(2 * frequency / SOUND_RATE, abs=0.01)
