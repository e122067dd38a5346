"""The generator for unordered classes, written slowly from its equations: one clip, class and number at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from selfmm.labels.classes.posterior import EM_STEPS, FIRST_SHARE, LARGEST_FACTOR, LARGEST_SHARPNESS, NEWTON_STEPS

Vector = npt.NDArray[np.float64]


class SlowClasses:
    """U-labels of N clips over K classes, every centre a mean over all stored clips each time it is asked for."""

    def __init__(self, classes: Sequence[int], count: int, modalities: Sequence[str]) -> None:
        self.m, self.count = list(classes), count
        self.labels = {name: [[float(k == m) for k in range(count)] for m in self.m] for name in modalities}
        self.stored: dict[str, dict[int, Vector]] = {name: {} for name in modalities}
        self.fits = dict.fromkeys(modalities, (0.0, 0.0, 0.0))
        self.outcomes = {name: ["start"] * len(self.m) for name in modalities}
        self.prior = [self.m.count(k) / len(self.m) for k in range(count)]

    def update(
        self,
        fusion: Vector,
        features: Mapping[str, Vector],
        index: Sequence[int],
        epoch: int,
        present: Mapping[str, Sequence[bool]],
    ) -> None:
        last_place = {clip: place for place, clip in enumerate(index)}
        for name in self.labels:
            new: dict[int, list[float]] = {}
            for clip, place in last_place.items():
                if epoch > 1:
                    fusion_row = fusion[place] if present[name][place] else None
                    raw = self._raw(name, clip, fusion_row, features[name][place])
                    self.outcomes[name][clip] = raw if isinstance(raw, str) else "updated"
                    if not isinstance(raw, str):
                        old = self.labels[name][clip]
                        new[clip] = [
                            (epoch - 1) / (epoch + 1) * o + 2 / (epoch + 1) * r for o, r in zip(old, raw, strict=True)
                        ]
            for clip, label in new.items():
                self.labels[name][clip] = label
            for clip, place in last_place.items():
                row = features[name][place]
                if present[name][place] and np.isfinite(row).all():
                    self.stored[name][clip] = row

    def resync(self) -> None:
        for name, rows in self.stored.items():
            distances = [(self.m[clip], self._distances(name, clip, row)) for clip, row in rows.items()]
            known = [(m, d) for m, d in distances if d[m] < math.inf]
            within = [d[self._home(name, clip)] for clip, (_, d) in zip(rows, distances, strict=True)]
            alone = [d / len(rows[clip]) for clip, d in zip(rows, within, strict=True) if d < math.inf]
            variance = math.fsum(alone) / max(len(alone), 1)
            self.fits[name] = self._fit(known, variance) if self._apart(name) else (0.0, 0.0, 0.0)

    def centre(self, name: str, k: int, without: int = -1) -> Vector | None:
        members = [row for clip, row in self.stored[name].items() if clip != without and self._home(name, clip) == k]
        return np.array([math.fsum(column) / len(members) for column in np.array(members).T]) if members else None

    def _home(self, name: str, clip: int) -> int:
        label = self.labels[name][clip]
        return self.m[clip] if label[self.m[clip]] == max(label) else label.index(max(label))

    def _apart(self, name: str) -> bool:
        centres = [c for k in range(self.count) if (c := self.centre(name, k)) is not None]
        if len(centres) < 2:
            return False
        middle = np.mean(centres, axis=0)
        return max(math.dist(c, middle) for c in centres) > 1e-6 * max(math.hypot(*c) for c in centres)

    def _distances(self, name: str, clip: int, row: Vector) -> list[float]:
        centres = [self.centre(name, k, without=clip) for k in range(self.count)]
        return [math.inf if c is None else math.dist(row, c) ** 2 for c in centres]

    def _raw(self, name: str, clip: int, fusion: Vector | None, row: Vector) -> list[float] | str:
        """The posterior, or why the label is held."""
        beta, share, credit = self.fits[name]
        if fusion is None:
            return "missing"
        if not (np.isfinite(row).all() and np.isfinite(fusion).all()):
            return "not_finite"
        m, distances = self.m[clip], self._distances(name, clip, row)
        centres = [k for k in range(self.count) if self.centre(name, k) is not None]
        if len(centres) < 2 or distances[m] == math.inf:
            return "one_class"
        if not self._apart(name):
            return "coincide"
        if not beta > 0:
            return "no_evidence"
        likely = self._class_probabilities(distances, beta)
        apart = credit * self._contradicts(m, likely, share)
        return [(1 - apart) * (k == m) + apart * likely[k] for k in range(self.count)]

    def _class_probabilities(self, distances: Sequence[float], beta: float) -> list[float]:
        with_centre = [k for k in range(self.count) if distances[k] < math.inf]
        logits = {k: math.log(self.prior[k]) - beta * distances[k] for k in with_centre}
        top = max(logits.values())
        total = math.fsum(math.exp(value - top) for value in logits.values())
        return [math.exp(logits[k] - top) / total if k in logits else 0.0 for k in range(self.count)]

    def _contradicts(self, m: int, likely: Sequence[float], share: float) -> float:
        own = share * self.prior[m]
        both = own + (1 - share) * likely[m]
        return own / both if both > 0 else 0.0

    def _fit(self, known: Sequence[tuple[int, list[float]]], variance: float) -> tuple[float, float, float]:
        finite = [d for _, distances in known for d in distances if d < math.inf]
        if not finite or not 0 < (unit := math.fsum(finite) / len(finite)) < math.inf:
            return (0.0, 0.0, 0.0)
        steepest = min(unit / (2 * variance), LARGEST_SHARPNESS) if variance else LARGEST_SHARPNESS
        scaled = [(m, [d / unit for d in distances]) for m, distances in known]
        plain = 0.0
        for _ in range(NEWTON_STEPS):
            plain = min(self._newton_step(plain, [1.0] * len(scaled), scaled), steepest)
        if plain <= 0:
            return (0.0, 0.0, 0.0)
        beta, share = plain, FIRST_SHARE
        for _ in range(EM_STEPS):
            apart = [self._contradicts(m, self._class_probabilities(d, beta), share) for m, d in scaled]
            share = math.fsum(apart) / len(apart)
            beta = min(self._newton_step(beta, [1 - c for c in apart], scaled), steepest)
        gain = self._likelihood(scaled, beta, share) - self._likelihood(scaled, plain, 0.0)
        odds = math.exp(min(gain, 700.0)) / math.sqrt(len(scaled))
        return (beta / unit, share, odds / (1 + odds))

    def _newton_step(self, beta: float, agrees: Sequence[float], scaled: Sequence[tuple[int, list[float]]]) -> float:
        slope = bend = 0.0
        for weight, (m, distances) in zip(agrees, scaled, strict=True):
            pairs = [
                (f, d)
                for f, d in zip(self._class_probabilities(distances, beta), distances, strict=True)
                if d < math.inf
            ]
            mean = sum(f * d for f, d in pairs)
            slope += weight * (mean - distances[m])
            bend += weight * sum(f * (d - mean) ** 2 for f, d in pairs)
        if slope <= 0 and beta == 0:
            return 0.0
        step = slope / max(bend, math.ulp(0.0))
        return min(max(beta + step, beta / LARGEST_FACTOR), max(1.0, LARGEST_FACTOR * beta))

    def _likelihood(self, scaled: Sequence[tuple[int, list[float]]], beta: float, share: float) -> float:
        chances = [(1 - share) * self._class_probabilities(d, beta)[m] + share * self.prior[m] for m, d in scaled]
        return math.fsum(math.log(max(chance, math.ulp(0.0))) for chance in chances)
