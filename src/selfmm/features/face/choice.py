"""Choose one of several faces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from selfmm.features.face.landmarks import Face
from selfmm.features.streams import Track

Array = npt.NDArray[np.float64]

# Measured movement of a still mouth between two pictures: relative to its width, and in pixels.
_NOISE, _NOISE_PIXELS = 0.02, 0.3
_MOST = 3.0  # upper limit of a movement, in units of the noise: a landmark may jump
_LEAD = 0.25  # by how much a mouth must fit the voice better than all others
_CALM = 1.0  # seconds of silence that are added, so that a little silence counts little


def choose_face(
    pictures: Mapping[int, Mapping[int, Face]],
    span: tuple[int, int],
    rate: float,
    how: Literal["speaking", "largest"],
    speech: Track | None,
) -> int | None:
    """Return the identity of the face to use in a span; None if there is no face.

    ``largest``: the largest mean area; pictures without the face count as 0. ``speaking``: the largest difference
    between the movement of the mouth during speech and during silence, in units of the measured movement of a still
    mouth. If no face leads clearly, or nobody speaks, it is the largest.

    Args:
        pictures: the faces of each picture, by identity.
        span: the first picture, and the one after the last.
        rate: pictures per second.
        how: see `selfmm.config.recipe.FaceSettings`.
        speech: track with a column ``speech``, 0 to 1.
    """
    first, last = span
    seen: dict[int, dict[int, Face]] = {}
    for index, faces in pictures.items():
        for identity, face in faces.items():
            seen.setdefault(identity, {})[index] = face
    if not seen:
        return None
    if how == "speaking" and speech is not None and len(seen) > 1:
        spoken = _spoken(speech, first, last, rate)
        scores = sorted(((_fit(faces, first, spoken, rate), -who) for who, faces in seen.items()), reverse=True)
        if scores[0][0] - max(scores[1][0], 0.0) >= _LEAD:
            return -scores[0][1]
    return max(seen, key=lambda who: (sum(face.area for face in seen[who].values()), -who))


def _spoken(speech: Track, first: int, last: int, rate: float) -> Array:
    """Return (last - first,) the speech halfway between each picture and the previous one, as a movement spans both."""
    if not len(speech.values):
        return np.zeros(last - first)
    middles = (np.arange(first, last) - 0.5) / rate
    active = np.nan_to_num(speech.column("speech").astype(np.float64))
    spoken: Array = np.interp(middles, speech.times + 0.5 / speech.rate, active, left=0.0, right=0.0)
    return spoken


def _fit(faces: Mapping[int, Face], first: int, spoken: Array, rate: float) -> float:
    """Return how much more the mouth moves during speech than during silence."""
    moved = np.zeros(len(spoken))
    for index, face in faces.items():
        before = faces.get(index - 1)
        if before is not None:
            noise = _NOISE + _NOISE_PIXELS / max(face.mouth_width, 1.0)
            moved[index - first] = min(abs(face.mouth - before.mouth) / noise, _MOST)
    loud, silent = spoken.sum(), (1 - spoken).sum()
    if loud <= 0:
        return 0.0
    return float((moved * spoken).sum() / loud - (moved * (1 - spoken)).sum() / (silent + _CALM * rate))
