"""Clips in which a modality contradicts the m-label: a mixture of two models of the evidence, fitted by EM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Numerical constants, not settings: the start of EM, enough steps for it to settle, the smallest noise.
FIRST_SHARE = 0.1
EM_STEPS = 100
SMALLEST_NOISE = 1e-12


@dataclass(frozen=True)
class Contradictions:
    """The mixture of one modality; m and z are its standardised m-labels and evidence.

    In a share ``1 - share`` of the clips the modality agrees with the m-label, ``z = r m + e`` with ``e ~ N(0,
    noise)``. In the others its label is drawn like the m-labels, but independently of this clip's, so ``z ~ N(0, r^2 +
    noise)``. EM fits ``share`` and ``noise`` only; r is the correlation of m and z. With a free slope, EM would fit a
    steeper line and false contradictions to bent or heavy-tailed evidence.

    Attributes:
        correlation: r in (0, 1].
        noise: > 0.
        share: pi in [0, 1].
        resolution: ``Var(p) / (pi (1 - pi))`` in [0, 1] over the clips: 1 if p, the probability that a clip
            contradicts, is 0 or 1 for every clip, and 0 if it is the same for all. A mixture that is not resolved
            describes noise in the evidence rather than contradictions.
    """

    correlation: float
    noise: float
    share: float
    resolution: float

    @classmethod
    def fit(cls, labels: Array, evidence: Array, correlation: float) -> Contradictions:
        """Fit the mixture to standardised m-labels and evidence, (n,) each, with a positive correlation."""
        smallest = SMALLEST_NOISE * correlation**2
        mixture = cls(correlation, max(1 - correlation**2, smallest), FIRST_SHARE, 0.0)
        to_line, to_mean = np.square(evidence - correlation * labels), np.square(evidence)
        for _ in range(EM_STEPS):
            contradicts = mixture._from_squares(to_line, to_mean)
            agrees = 1 - contradicts
            noise = (agrees @ to_line) / max(float(agrees.sum()), float(np.finfo(np.float64).tiny))
            mixture = cls(correlation, max(float(noise), smallest), float(contradicts.mean()), 0.0)
        share, spread = mixture.share, float(mixture._from_squares(to_line, to_mean).var())
        most = share * (1 - share)
        return cls(correlation, mixture.noise, share, min(spread / most, 1.0) if most > 0 else 0.0)

    @property
    def weight(self) -> float:
        """How far to follow the mixture, in [0, 1]: the odds of the resolution, squared.

        A mixture that is resolved less than half counts little: with human labels per modality, resolutions of .1 to .2
        came from evidence that is merely wrong.
        """
        resolved, mixed = self.resolution**2, (1 - self.resolution) ** 2
        return resolved / (resolved + mixed)

    def probability(self, labels: Array, evidence: Array) -> Array:
        """Return P(the modality contradicts | m, z), (n,) in [0, 1]."""
        return self._from_squares(np.square(evidence - self.correlation * labels), np.square(evidence))

    def own_label(self, evidence: Array) -> tuple[Array, float]:
        """Return mean (n,) and variance of the modality's label, given its evidence alone, where it contradicts."""
        total = self.correlation**2 + self.noise
        return self.correlation / total * evidence, self.noise / total

    def _from_squares(self, to_line: Array, to_mean: Array) -> Array:
        """The same probability, from the squared distances of the evidence to the line and to its mean."""
        total = self.correlation**2 + self.noise
        with np.errstate(divide="ignore", over="ignore"):
            odds = np.log(self.share) - np.log1p(-self.share) + (to_line / self.noise - to_mean / total) / 2
            probability: Array = 1 / (1 + np.exp(-(odds + (np.log(self.noise) - np.log(total)) / 2)))
        return probability
