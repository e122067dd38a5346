"""What the correlations of m-labels and evidence leave open about a modality's true label, averaged over.

Let t_s be what modality s says (unknown), m the m-label, and z_s evidence about t_s that was fitted to m alone and left
out; all standardised. Only r_s = corr(z_s, m) and corr(z_s, z_j) can be measured. The posterior mean ``E[t_s | m,
z_s]`` also needs rho_s = corr(t_s, m) and lambda_s = corr(z_s, t_s), which no second moment determines. A *world* is
one possible answer. Many worlds are drawn from a prior, each is weighted by how well it explains the measured
corr(z_s, z_j), and every result is the mean over the worlds.

The prior of a world:

- The true labels share one factor f: ``t_s = sqrt(h_s) f + sqrt(1 - h_s) e_s``, with ``h_s ~ U(0, 1)``.
- m is the mean of what the modalities say, and to a share q the factor itself: ``m ~ (1 - q) mean_s t_s + q f``, with
  ``q ~ Beta(1, 3)``. This gives rho_s and T_sj = corr(t_s, t_j).
- The evidence ``z_s = a_s t_s + c_s m + noise`` leaks to a share ``k_s ~ U(0, 1)``: at 0 it knows of m only through t_s
  (lambda_s = r_s / rho_s), at 1 it knows of t_s only through m (lambda_s = r_s rho_s).
- A modality's inputs do not know the m-label better than its own true label does: ``r_s <= rho_s``.

Source: made for selfmm; derivation, assumptions and tests in docs/label_study.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[np.float64]

DRAWS = 2**16
LEAST_EFFECTIVE = 500
"""Fewer effective draws than this are too few for a mean; the weights are then flattened."""

MODEL_ERROR = 0.04
"""How exactly correlations follow the model of a world, in addition to their sampling error."""


@dataclass(frozen=True)
class Posterior:
    """The label of one modality given m and z, averaged over worlds; standardised.

    Attributes:
        weights: (2,) of m and z in the posterior mean of t.
        spread: (2, 2) covariance of these weights over the worlds.
        variance: mean variance of t given m and z.
        rho: mean of corr(t, m); ``rho_variance`` its variance.
        unexplained: mean variance of t given m alone.
    """

    weights: Array
    spread: Array
    variance: float
    rho: float
    rho_variance: float
    unexplained: float

    def label(self, labels: Array, evidence: Array) -> Array:
        """Return ``E[t | m, z] / rho``, (n,).

        The posterior mean is shrunk towards 0, by rho for the average z. But rho is what the data say least about, and
        labels shrunk too much are further from the truth than the m-labels. Divided by it, labels have the
        scale of the m-labels, and are the m-labels where z adds nothing.
        """
        return self._mean(labels, evidence) / self.rho

    def squared_error(self, labels: Array, evidence: Array) -> Array:
        """Return the expected squared error of ``label``, (n,)."""
        pairs, mean = np.stack([labels, evidence]), self._mean(labels, evidence)
        error: Array = self.variance + np.einsum("in,ij,jn->n", pairs, self.spread, pairs)
        return error + np.square(mean - mean / self.rho)

    def squared_error_of_m(self, labels: Array) -> Array:
        """Return the expected squared error of the m-label as the modality's label, (n,)."""
        error: Array = self.unexplained + ((1 - self.rho) ** 2 + self.rho_variance) * np.square(labels)
        return error

    def _mean(self, labels: Array, evidence: Array) -> Array:
        mean: Array = self.weights[0] * labels + self.weights[1] * evidence
        return mean


def posteriors(correlations: Array, between: Array, counts: Array) -> list[Posterior]:
    """Return the posterior of each of S modalities.

    Args:
        correlations: (S,) r_s in [0, 1), of each modality's evidence with the m-label.
        between: (S, S) correlations of the modalities' evidence.
        counts: (S, S) number of clips behind each of ``between``.
    """
    worlds = _draw(len(correlations))
    r, rho, leak = correlations[:, None], worlds.rho, worlds.leak
    own, through_m = r * (1 - leak) / rho, r * leak  # a_s and c_s
    trust = r * ((1 - leak) / rho + leak * rho)  # lambda_s
    signal = own**2 + through_m**2 + 2 * own * through_m * rho
    possible = np.asarray(np.logical_and(signal <= 1, rho >= r).all(axis=0))  # the noise has no negative variance
    weights = _weights(worlds, own, through_m, between, counts, possible)
    of_m, of_z = (rho - r * trust) / (1 - r**2), (trust - rho * r) / (1 - r**2)
    explained = (rho**2 + trust**2 - 2 * r * rho * trust) / (1 - r**2)
    results = []
    for pair, left, known in zip(np.stack([of_m, of_z], axis=1), 1 - explained, rho, strict=True):
        mean, rho_mean = pair @ weights, float(known @ weights)
        offset = pair - mean[:, None]
        results.append(
            Posterior(
                weights=mean,
                spread=(offset * weights) @ offset.T,
                variance=float(left @ weights),
                rho=rho_mean,
                rho_variance=float(np.square(known - rho_mean) @ weights),
                unexplained=float((1 - np.square(known)) @ weights),
            )
        )
    return results


@dataclass(frozen=True)
class _Worlds:
    """Draws of the prior: rho and leak (S, K), and the correlations between the true labels (S, S, K)."""

    rho: Array
    leak: Array
    truths: Array


@lru_cache(maxsize=8)
def _draw(modalities: int) -> _Worlds:
    """Draw from the prior with a Sobol sequence, so the worlds are the same in every run.

    In the first world all modalities say the same: it is possible whatever the correlations with m are.
    """
    sobol = torch.quasirandom.SobolEngine(2 * modalities + 1, scramble=True, seed=0)  # type: ignore[no-untyped-call]
    uniform = sobol.draw(DRAWS, dtype=torch.float64).numpy().T
    factor, leak = np.sqrt(uniform[:modalities]), uniform[modalities:-1]
    factor[:, 0] = 1.0
    share = 1 - np.cbrt(1 - uniform[-1])  # of Beta(1, 3)
    truths = factor[:, None] * factor
    truths[range(modalities), range(modalities)] = 1.0
    with_mean, mean_factor = truths.mean(axis=1), factor.mean(axis=0)
    variance = (1 - share) ** 2 * truths.mean(axis=(0, 1)) + 2 * share * (1 - share) * mean_factor + share**2
    rho = ((1 - share) * with_mean + share * factor) / np.sqrt(variance)
    return _Worlds(rho.clip(1e-6, 1.0), leak, truths)


def _weights(
    worlds: _Worlds, own: Array, through_m: Array, between: Array, counts: Array, possible: npt.NDArray[np.bool_]
) -> Array:
    """(K,) weights of the worlds, which sum to 1: normal likelihood of the correlations between the evidences."""
    logs = np.zeros(DRAWS)
    for s, j in zip(*np.triu_indices(len(own), k=1), strict=True):
        if counts[s, j] < 3:
            continue
        expected = own[s] * own[j] * worlds.truths[s, j] + through_m[s] * through_m[j]
        expected += own[s] * through_m[j] * worlds.rho[s] + through_m[s] * own[j] * worlds.rho[j]
        variance = (1 - between[s, j] ** 2) ** 2 / counts[s, j] + MODEL_ERROR**2
        logs -= np.square(between[s, j] - expected) / (2 * variance)
    logs[~possible] = -np.inf
    while True:
        logs -= logs.max()
        weights = np.exp(logs)
        weights /= weights.sum()
        if 1 / np.square(weights).sum() >= min(LEAST_EFFECTIVE, np.isfinite(logs).sum() / 2):
            return weights
        logs /= 2
