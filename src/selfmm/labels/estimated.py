"""Labels of the rule ``posterior`` in training: estimated before it begins, and the same in all its epochs."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from selfmm.labels.base import key
from selfmm.labels.outcomes import Outcome
from selfmm.labels.settings import FixedLabels


class EstimatedLabels(nn.Module):
    """u-labels, loss weights and outcomes of N training clips, with the interface of a label generator.

    Args:
        m_labels: (N,).
        labels: per modality (N,) u-labels; NaN where a clip lacks the modality: it keeps its m-label, with weight 0.
        unit: of the label scale; weights are ``tanh(|y_s - y_m| / unit)``.
        bounds: ends of the label range; a label there counts as cut.
        fixed: per modality, labels known from people, with weights of their own.
    """

    def __init__(
        self,
        m_labels: Tensor,
        labels: Mapping[str, Tensor],
        unit: float,
        bounds: tuple[float, float],
        fixed: Mapping[str, FixedLabels] | None = None,
    ) -> None:
        super().__init__()
        self.names, self.unit = tuple(labels), unit
        self.register_buffer("m_labels", m_labels)
        for name, own in labels.items():
            absent = own.isnan()
            own = own.to(m_labels).where(~absent, m_labels)
            weights = ((own - m_labels).abs() / unit).tanh()
            outcome = torch.full_like(m_labels, int(Outcome.UPDATED), dtype=torch.uint8)
            outcome[(own <= bounds[0]) | (own >= bounds[1])] = int(Outcome.CLAMPED)
            outcome[absent] = int(Outcome.MISSING)
            if fixed and name in fixed:
                known = fixed[name]
                own[known.index], weights[known.index] = known.labels.to(own), known.weights.to(weights)
                outcome[known.index] = int(Outcome.FIXED)
            for kind, values in (("labels", own), ("weights", weights), ("outcome", outcome)):
                self.register_buffer(f"{kind}_{key(name)}", values)

    m_labels: Tensor

    @property
    def labels(self) -> dict[str, Tensor]:
        """(N,) u-labels per modality."""
        return self._all("labels")

    @property
    def outcomes(self) -> dict[str, Tensor]:
        """(N,) uint8 per modality: an :class:`selfmm.labels.Outcome`."""
        return self._all("outcome")

    def weights(self, index: Tensor) -> dict[str, Tensor]:
        """Return the loss weights W_s in [0, 1], (B,) per modality, of the clips at ``index``, (B,) long."""
        return {name: values[index] for name, values in self._all("weights").items()}

    def _all(self, kind: str) -> dict[str, Tensor]:
        return {name: getattr(self, f"{kind}_{key(name)}") for name in self.names}
