"""How the fused score is shared out among the streams of one clip (Shapley, A Value for n-Person Games, 1953)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from math import comb

import torch
from torch import Tensor

from selfmm.models.late_fusion import LateFusion


class Sharing:
    """The fused score of one clip under every choice of its streams; what is not chosen has the model's stand-in.

    The encoders know nothing of each other, so all of it is a few rows through the fusion's head.

    Args:
        network: in evaluation mode.
        encoded: per modality that the clip has (d',), what its encoder says.
    """

    def __init__(self, network: LateFusion, encoded: Mapping[str, Tensor]) -> None:
        self._network = network
        self._absent = {name: network.missing[name].detach() for name in network.modalities}
        self._encoded = dict(encoded)

    def score(self, chosen: Mapping[str, Tensor]) -> Tensor:
        """Fused scores (K,) with these encodings, (K, d') or (d',) each, and stand-ins for all else."""
        vectors = {name: chosen.get(name, absent) for name, absent in self._absent.items()}
        count = max(len(vector) if vector.ndim == 2 else 1 for vector in vectors.values())
        _, scores = self._network.fusion({name: vector.expand(count, -1) for name, vector in vectors.items()})
        return scores  # type: ignore[no-any-return]

    def base(self) -> float:
        """Score with no stream."""
        return float(self.score({}))

    def added(self, name: str) -> float:
        """Score with all streams less that when this one is dropped."""
        others = {other: value for other, value in self._encoded.items() if other != name}
        return float(self.score(self._encoded) - self.score(others))

    def fair(self, name: str, encoded: Tensor) -> Tensor:
        """Mean score (K,) with (K, d') encodings of one stream, over the company it can find itself in.

        The Shapley value is this for the stream's encoding less this for its stand-in, since a company of k of the
        other n - 1 streams comes first in 1 of n comb(n - 1, k) orders.
        """
        others = [other for other in self._encoded if other != name]
        total = torch.zeros(len(encoded), device=encoded.device)
        for size in range(len(others) + 1):
            weight = 1 / ((len(others) + 1) * comb(len(others), size))
            for company in combinations(others, size):
                chosen = {other: self._encoded[other] for other in company}
                total = total + weight * self.score({**chosen, name: encoded})
        return total

    def value(self, name: str) -> float:
        """The stream's Shapley value: its fair share of the score less ``base``."""
        there, away = self.fair(name, torch.stack([self._encoded[name], self._absent[name]])).tolist()
        return float(there - away)
