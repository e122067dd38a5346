"""Slow oracle of the unimodal label generator, from the equations: one clip at a time, nothing kept but the data.

Shares no code with ``selfmm``. Class centres are computed from all stored clips each time they are needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
FUSION = ""


class SlowGenerator:
    """Labels of N clips; ``label_type`` and ``bank_type`` are what labels and features are rounded to."""

    def __init__(
        self,
        labels: Sequence[float],
        modalities: Sequence[str],
        bound: float,
        rule: str,
        zero_positive: bool = False,
        label_type: type[np.floating] = np.float64,
        bank_type: type[np.floating] = np.float64,
    ) -> None:
        self.m_labels = list(labels)
        self.labels = {name: list(labels) for name in modalities}
        self.stored: dict[str, dict[int, Vector]] = {name: {} for name in [FUSION, *modalities]}
        self.outcome = {name: ["start"] * len(self.labels[name]) for name in modalities}
        self.bound, self.rule, self.zero_positive = bound, rule, zero_positive
        self.label_type, self.bank_type = label_type, bank_type

    def update(
        self,
        fusion: Vector,
        features: Mapping[str, Vector],
        index: Sequence[int],
        epoch: int,
        present: Mapping[str, Sequence[bool]] | None = None,
    ) -> None:
        last_place = {clip: place for place, clip in enumerate(index)}
        new: list[tuple[str, int, float]] = []
        if epoch > 1:
            for name in self.labels:
                for clip, place in last_place.items():
                    if present is None or name not in present or present[name][place]:
                        label = self._next_label(name, clip, fusion[place], features[name][place], epoch)
                        new.append((name, clip, label))
                    else:
                        self.outcome[name][clip] = "missing"
        for name, clip, label in new:
            self.labels[name][clip] = label
        for clip, place in last_place.items():
            self._store(FUSION, clip, fusion[place])
            for name in self.labels:
                if present is None or name not in present or present[name][place]:
                    self._store(name, clip, features[name][place])

    def centre(self, name: str, sign: int) -> Vector | None:
        """Mean of the stored features of a class (sign +1 or -1); None if it is empty."""
        labels = self.m_labels if name == FUSION else self.labels[name]
        members = [row for clip, row in self.stored[name].items() if self._sign(labels[clip]) == sign]
        if not members:
            return None
        return np.array([math.fsum(column) / len(members) for column in np.array(members).T])

    def _sign(self, label: float) -> int:
        if label == 0:
            return 1 if self.zero_positive else 0
        return 1 if label > 0 else -1

    def _store(self, name: str, clip: int, row: Vector) -> None:
        with np.errstate(over="ignore"):
            rounded = row.astype(self.bank_type).astype(np.float64)
        if np.isfinite(rounded).all():
            self.stored[name][clip] = rounded

    def _next_label(self, name: str, clip: int, fusion: Vector, feature: Vector, epoch: int) -> float:
        why = self._why_held(name, fusion, feature)
        raw = None if why else self._raw_label(name, clip, fusion, feature)
        bounded = self.rule != "paper"
        if raw is None or not math.isfinite(raw):
            self.outcome[name][clip] = why or "no_evidence"
            return self.labels[name][clip]
        self.outcome[name][clip] = "updated"
        if bounded and abs(raw) > self.bound:
            self.outcome[name][clip] = "clamped"
            raw = math.copysign(self.bound, raw)
        label = (epoch - 1) / (epoch + 1) * self.labels[name][clip] + 2 / (epoch + 1) * raw
        if bounded:
            label = min(max(label, -self.bound), self.bound)
        return float(self.label_type(label))

    def _why_held(self, name: str, fusion: Vector, feature: Vector) -> str:
        if not (np.isfinite(fusion).all() and np.isfinite(feature).all()):
            return "not_finite"
        if any(self.centre(space, sign) is None for space in (FUSION, name) for sign in (1, -1)):
            return "one_class"
        for space in (FUSION, name):
            positive, negative = self._both_centres(space)
            if math.dist(positive, negative) <= 1e-6 * max(math.hypot(*positive), math.hypot(*negative)):
                return "coincide"
        return ""

    def _raw_label(self, name: str, clip: int, fusion: Vector, feature: Vector) -> float | None:
        alpha_m, alpha_s = self._alpha(FUSION, fusion), self._alpha(name, feature)
        y_m = self.m_labels[clip]
        if self.rule == "centre-gap":
            return y_m + self.bound * (self._position(name, feature) - self._position(FUSION, fusion))
        if self.rule == "sugrm":
            return y_m + self._sugrm_move(fusion, feature)
        try:
            if self.rule == "paper":
                return y_m + (alpha_s - alpha_m) / 2 * (y_m + alpha_m) / alpha_m
            ratio, difference = y_m * alpha_s / (alpha_m + 1e-8), y_m + alpha_s - alpha_m
        except ZeroDivisionError:
            return None
        return 0.5 * ratio + 0.5 * difference

    def _alpha(self, name: str, row: Vector) -> float:
        positive, negative = self._both_centres(name)
        to_positive, to_negative = math.dist(row, positive), math.dist(row, negative)
        if self.rule == "paper":
            root = math.sqrt(len(row))
            to_positive, to_negative = to_positive**2 / root, to_negative**2 / root
        return (to_negative - to_positive) / (to_positive + 1e-8)

    def _both_centres(self, name: str) -> tuple[Vector, Vector]:
        positive, negative = self.centre(name, 1), self.centre(name, -1)
        assert positive is not None
        assert negative is not None
        return positive, negative

    def _position(self, name: str, row: Vector) -> float:
        positive, negative = self._both_centres(name)
        return (math.dist(row, negative) - math.dist(row, positive)) / math.dist(positive, negative)

    def _sugrm_move(self, fusion: Vector, feature: Vector) -> float:
        positive, negative = self._both_centres(FUSION)
        gap = math.dist(positive, negative)
        r_m, r_s = (math.dist(x, positive) / max(math.dist(x, negative), 1e-300) for x in (fusion, feature))
        move = 2 * self.bound * (min(math.dist(fusion, feature), gap) / gap)
        return 0.0 if r_s == r_m else -move if r_s > r_m else move
