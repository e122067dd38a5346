"""The contribution of each modality to the fused score of a clip (Shapley, A Value for n-Person Games, 1953)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from math import comb

import torch
from torch import Tensor

from selfmm.models.late_fusion import LateFusion


class Sharing:
    """The fused score of one clip for every subset of its modalities; the model's stand-ins replace the others.

    The encoders do not depend on each other, so this only runs a few rows through the head of the fusion.

    Args:
        network: the network, in evaluation mode.
        encoded: the encoding (d',) of each modality that the clip has.
    """

    def __init__(self, network: LateFusion, encoded: Mapping[str, Tensor]) -> None:
        self._network = network
        self._absent = {name: network.missing[name].detach() for name in network.modalities}
        self._encoded = dict(encoded)

    def score(self, chosen: Mapping[str, Tensor]) -> Tensor:
        """Return the fused scores (K,) with these encodings, (K, d') or (d',) each, and stand-ins for the rest."""
        vectors = {name: chosen.get(name, absent) for name, absent in self._absent.items()}
        count = max(len(vector) if vector.ndim == 2 else 1 for vector in vectors.values())
        _, scores = self._network.fusion({name: vector.expand(count, -1) for name, vector in vectors.items()})
        return scores  # type: ignore[no-any-return]

    def base(self) -> float:
        """Return the score with no modality."""
        return float(self.score({}))

    def added(self, name: str) -> float:
        """Return the score with all modalities minus the score without this one."""
        others = {other: value for other, value in self._encoded.items() if other != name}
        return float(self.score(self._encoded) - self.score(others))

    def fair(self, name: str, encoded: Tensor) -> Tensor:
        """Return the mean score (K,) with (K, d') encodings of one modality, over all subsets of the others.

        The Shapley value is this mean for the modality's encoding minus that for its stand-in, since a subset of k of
        the other n - 1 modalities comes first in 1 of n comb(n - 1, k) orders.
        """
        others = [other for other in self._encoded if other != name]
        total = torch.zeros(len(encoded), device=encoded.device)
        for size in range(len(others) + 1):
            weight = 1 / ((len(others) + 1) * comb(len(others), size))
            for subset in combinations(others, size):
                chosen = {other: self._encoded[other] for other in subset}
                total = total + weight * self.score({**chosen, name: encoded})
        return total

    def value(self, name: str) -> float:
        """Return the modality's Shapley value: its fair share of the score minus ``base``."""
        present, absent = self.fair(name, torch.stack([self._encoded[name], self._absent[name]])).tolist()
        return float(present - absent)
