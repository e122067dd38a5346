"""Follow faces from picture to picture, to tell people apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from selfmm.features.face.landmarks import Face, Image
from selfmm.features.streams import Floats

GAP = 1.0
"""Seconds for which a face may be missing and keep its identity."""

CUT = 0.4
"""Share of the colours that changes from one picture to the next at a cut."""

_NEAR = 0.75  # how far the middle of a face may move between two pictures, in sizes of the face
_GROWTH = 1.8  # factor by which a face may grow or shrink between two pictures

_Bins = npt.NDArray[np.int64]


def colours(image: Image) -> Floats:
    """Return the shares of 4 x 4 x 4 colours in a picture (H, W, 3) as (64,). They change little within a scene."""
    step = max(1, max(image.shape[:2]) // 64)
    bins: _Bins = image[::step, ::step].reshape(-1, 3).astype(np.int64) // 64
    counts: _Bins = np.bincount(bins @ np.array([16, 4, 1]), minlength=64)
    return np.asarray(counts / counts.sum(), dtype=np.float32)


@dataclass
class _Person:
    identity: int
    face: Face
    index: int


class FaceTracks:
    """Collects faces by picture and identity, for ``rate`` pictures per second.

    A face gets the identity of the nearest face in the previous ``GAP`` seconds, if its middle moved by less than .75
    of its size and its size changed by a factor of 1.8 at most. The nearest pairs are matched first. After a cut, all
    identities are new.
    """

    def __init__(self, rate: float) -> None:
        self._gap = max(1, round(GAP * rate))
        self._people: list[_Person] = []
        self._next = 0
        self._colours: Floats | None = None
        self._pictures: dict[int, tuple[tuple[int, Face], ...]] = {}

    def add(self, index: int, faces: Sequence[Face], palette: Floats) -> None:
        """Add the faces of picture ``index`` and its ``colours``. Pictures come in order."""
        if self._colours is not None and np.abs(palette - self._colours).sum() / 2 > CUT:
            self._people.clear()
        self._colours = palette
        self._people = [person for person in self._people if index - person.index <= self._gap]
        known = self._match(faces)
        seen = []
        for place, face in enumerate(faces):
            person = known.get(place)
            if person is None:
                person = _Person(self._next, face, index)
                self._people.append(person)
                self._next += 1
            person.face, person.index = face, index
            seen.append((person.identity, face))
        self._pictures[index] = tuple(seen)

    def pictures(self, first: int, last: int) -> dict[int, dict[int, Face]]:
        """Return the faces of the pictures ``first`` to ``last`` - 1, by picture and identity."""
        return {index: dict(self._pictures[index]) for index in range(first, last) if index in self._pictures}

    def forget(self, before: int) -> None:
        """Free the pictures before ``before``."""
        for index in [index for index in self._pictures if index < before]:
            del self._pictures[index]

    def _match(self, faces: Sequence[Face]) -> dict[int, _Person]:
        pairs = sorted(
            (distance, person.identity, place)
            for person in self._people
            for place, face in enumerate(faces)
            if (distance := _distance(person.face, face)) < _NEAR
        )
        people = {person.identity: person for person in self._people}
        known: dict[int, _Person] = {}
        for _, identity, place in pairs:
            if identity in people and place not in known:
                known[place] = people.pop(identity)
        return known


def _distance(before: Face, after: Face) -> float:
    """Return how far the middle moved, in sizes of the face; infinite if the sizes differ too much."""
    first, second = (box[2:] - box[:2] for box in (before.box, after.box))
    small, large = sorted((float(np.sqrt(first.prod())), float(np.sqrt(second.prod()))))
    if large > _GROWTH * small:
        return float("inf")
    # In widths and heights of the face: the shape of the picture does not matter.
    moved = ((before.box[:2] + before.box[2:]) - (after.box[:2] + after.box[2:])) / (first + second)
    return float(np.linalg.norm(moved))
