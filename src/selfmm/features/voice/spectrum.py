"""Measure the short-time spectrum of a voice, frame by frame."""

from __future__ import annotations

import functools

import numpy as np

from selfmm.features.streams import SOUND_RATE, Floats

WINDOW = 400
"""Samples of a frame: .025 s."""

MELS, CEPSTRA = 24, 13

COLUMNS = (
    *(f"mel_{band + 1}" for band in range(MELS)),
    *(f"mfcc_{number + 1}" for number in range(CEPSTRA)),
    *("energy", "energy_change", "centroid", "bandwidth", "rolloff", "flatness", "flux"),
    *("alpha_ratio", "hammarberg", "zero_crossings"),
)

FLOOR = 1e-10
"""Power of the faint white noise (-100 dBFS) that is added to each frame, so silence has a spectrum too."""

_FFT = 512
_FREQUENCIES = np.arange(_FFT // 2 + 1, dtype=np.float32) * SOUND_RATE / _FFT
_HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
_ROLLOFF = 0.85


def spectral_features(frames: Floats) -> Floats:
    """Return the features of frames of sound.

    Args:
        frames: (1 + n, ``WINDOW``) in [-1, 1], in the order of time; the first is only compared with the second.

    Returns:
        (n, d) of ``COLUMNS``, finite. mel_*: dB of triangular bands of equal width in mel, 60 to 7600 Hz. mfcc_*: their
        cosine transform, without the constant one. energy: dBFS; energy_change: dB since the previous frame.
        centroid, bandwidth, rolloff (85 % of the power lies below): Hz. flatness: dB, 0 for white noise, less for
        tones. flux: distance between the unit spectra of this frame and the previous one, 0 to sqrt(2). alpha_ratio:
        dB, 50 to 1000 Hz relative to 1000 to 5000; hammarberg: dB, highest peak below 2000 Hz relative to 2000 to 5000
        (as in eGeMAPS). zero_crossings: share of the samples at which the sign changes.
    """
    sound = frames - frames.mean(axis=1, keepdims=True)
    power = _power(sound)
    # Not a matrix product: the sums of einsum do not depend on the number of cores.
    mels = _decibels(np.einsum("tf,mf->tm", power[1:], _mel_bands()))
    cepstra = np.einsum("tm,cm->tc", mels, _cosines())
    energy = _decibels(power.sum(axis=1))
    signs = np.signbit(sound[1:])
    rest = [
        energy[1:],
        np.diff(energy),
        *_shape(power[1:]),
        _flux(power),
        *_balance(power[1:]),
        (signs[:, 1:] != signs[:, :-1]).mean(axis=1),
    ]
    return np.concatenate([mels, cepstra, np.stack(rest, axis=1)], axis=1).astype(np.float32)


def _power(sound: Floats) -> Floats:
    # (n, WINDOW) -> (n, bins); a row adds up to the mean square of the windowed sound, plus the floor.
    spectrum = np.fft.rfft(sound * _HANN, _FFT).astype(np.complex64)
    power: Floats = np.square(spectrum.real) + np.square(spectrum.imag)
    power[:, 1:-1] *= 2  # the bins of negative frequencies
    power /= np.float32(_FFT * np.square(_HANN).sum())
    power += np.float32(FLOOR / len(_FREQUENCIES))
    return power


def _shape(power: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    # (n,) each: centroid, bandwidth, rolloff, flatness.
    total = power.sum(axis=1)
    centroid = (power * _FREQUENCIES).sum(axis=1) / total
    bandwidth = np.sqrt((power * np.square(_FREQUENCIES - centroid[:, None])).sum(axis=1) / total)
    rolloff = _FREQUENCIES[(np.cumsum(power, axis=1) >= _ROLLOFF * total[:, None]).argmax(axis=1)]
    flatness = _decibels(power).mean(axis=1) - _decibels(power.mean(axis=1))
    return centroid, bandwidth, rolloff, flatness


def _flux(power: Floats) -> Floats:
    unit = np.sqrt(power / power.sum(axis=1, keepdims=True))
    distance: Floats = np.sqrt(np.square(np.diff(unit, axis=0)).sum(axis=1))
    return distance


def _balance(power: Floats) -> tuple[Floats, Floats]:
    # (n,) each: alpha ratio, Hammarberg index.
    def band(low: float, high: float) -> Floats:
        first, last = np.searchsorted(_FREQUENCIES, [low, high])
        return power[:, first:last]

    alpha = _decibels(band(50, 1000).sum(axis=1)) - _decibels(band(1000, 5000).sum(axis=1))
    hammarberg = _decibels(band(0, 2000).max(axis=1)) - _decibels(band(2000, 5000).max(axis=1))
    return alpha, hammarberg


def _decibels(power: Floats) -> Floats:
    decibels: Floats = 10 * np.log10(power)
    return decibels


@functools.lru_cache(maxsize=1)
def _mel_bands() -> Floats:
    # (MELS, bins) weights of triangles: from 0 at the middle of the band before, over 1, to 0 at that of the next.
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (60.0, 7600.0))
    edges = 700 * (np.power(10, np.linspace(low, high, MELS + 2) / 2595) - 1)
    distances = edges[:, None] - _FREQUENCIES.astype(np.float64)
    widths = np.diff(edges)[:, None]
    triangles = np.maximum(0, np.minimum(-distances[:-2] / widths[:-1], distances[2:] / widths[1:]))
    bands: Floats = triangles.astype(np.float32)
    return bands


@functools.lru_cache(maxsize=1)
def _cosines() -> Floats:
    # (CEPSTRA, MELS) orthonormal cosine transform of type 2, without the constant one.
    band, number = np.arange(MELS) + 0.5, np.arange(1, CEPSTRA + 1)
    rows: Floats = (np.sqrt(2 / MELS) * np.cos(np.pi / MELS * np.outer(number, band))).astype(np.float32)
    return rows
