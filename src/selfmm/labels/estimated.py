"""Labels of the rule ``posterior``, with how each was made: estimated before training, and the same in all epochs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from selfmm.labels.base import key
from selfmm.labels.estimate import ModalityEstimate
from selfmm.labels.outcomes import Outcome
from selfmm.labels.settings import FixedLabels

Floats = npt.NDArray[np.float32]

LEFT_OUT, HELD_OUT, PERSON, M_LABEL, MISSING = "left out", "held out", "person", "m-label", "missing"
MADE: Mapping[str, str] = {
    LEFT_OUT: "estimated; the evidence about the clip comes from a regression fitted to all other clips of the fit",
    HELD_OUT: "estimated; the evidence about the clip comes from a regression that was fitted without its split",
    PERSON: "a person's label of this modality, taken as the truth",
    M_LABEL: "the label of the whole clip: the modality's inputs say nothing about it",
    MISSING: "the clip lacks the modality, or nothing of it was measured; it has no label of it",
}
"""How a label was made, and what that means."""


@dataclass(frozen=True)
class ClipLabels:
    """The labels of N clips in one modality. Everything but ``outcome`` and ``made`` is NaN without an m-label.

    Attributes:
        u_label: (N,) the m-label where the clip lacks the modality or the modality says nothing about it.
        weight: (N,) loss weights W_s: 1, but 0 where the clip lacks the modality, or the modality's inputs say nothing.
            The published ``tanh |y_s - y_m|`` is for labels that the encoder itself has moved. These are estimated from
            its inputs, and each is a target of its own; docs/self_mm.md has what the two are worth.
        outcome: (N,) uint8: an :class:`Outcome`.
        expected_error, trust, contradiction: (N,) see :class:`ModalityEstimate`; NaN where the clip lacks the modality.
            A person's label is taken as the truth, with error 0 and trust 1.
        made: (N,) words of ``MADE``; empty without an m-label.
    """

    u_label: Floats
    weight: Floats
    outcome: npt.NDArray[np.uint8]
    expected_error: Floats
    trust: Floats
    contradiction: Floats
    made: npt.NDArray[np.object_]

    @classmethod
    def of(
        cls,
        estimate: ModalityEstimate,
        m_labels: npt.NDArray[np.float64],
        fit: npt.NDArray[np.bool_],
        bounds: tuple[float, float],
        fixed: FixedLabels | None = None,
    ) -> Self:
        """Return the labels of an estimate.

        Args:
            estimate: of N clips.
            m_labels: (N,), NaN where unknown.
            fit: (N,) bool, the clips that the estimate was fitted to.
            bounds: ends of the label range; a label there counts as cut.
            fixed: labels known from people; their ``index`` counts the N clips.
        """
        absent = np.isnan(estimate.labels)
        u_label = np.where(absent, m_labels, estimate.labels).astype(np.float32)
        outcome = np.full(len(m_labels), Outcome.UPDATED, dtype=np.uint8)
        outcome[(u_label <= bounds[0]) | (u_label >= bounds[1])] = Outcome.CLAMPED
        outcome[:] = Outcome.NO_EVIDENCE if estimate.correlation <= 0 else outcome
        outcome[absent] = Outcome.MISSING
        weight = np.isin(outcome, (Outcome.UPDATED, Outcome.CLAMPED)).astype(np.float32)
        expected_error, trust = estimate.expected_error.astype(np.float32), estimate.trust.astype(np.float32)
        contradiction = estimate.contradiction.astype(np.float32)
        if fixed is not None:
            known = fixed.index.numpy()
            u_label[known], weight[known] = fixed.labels.numpy(), fixed.weights.numpy()
            outcome[known] = Outcome.FIXED
            expected_error[known], trust[known] = 0.0, 1.0
        made = np.where(fit, LEFT_OUT, HELD_OUT).astype(object)
        for case, word in ((Outcome.NO_EVIDENCE, M_LABEL), (Outcome.MISSING, MISSING), (Outcome.FIXED, PERSON)):
            made[outcome == case] = word
        unlabelled = np.isnan(m_labels)
        made[unlabelled] = ""
        for values in (u_label, weight, expected_error, trust, contradiction):
            values[unlabelled] = np.nan
        return cls(u_label, weight, outcome, expected_error, trust, contradiction, made)

    def rows(self, index: npt.NDArray[np.int64]) -> ClipLabels:
        """Return the labels of the clips ``index``, (n,)."""
        return ClipLabels(*(getattr(self, field.name)[index] for field in fields(self)))


class EstimatedLabels(nn.Module):
    """u-labels, loss weights and outcomes of N training clips, with the interface of a label generator.

    Args:
        m_labels: (N,).
        labels: per modality, those of these N clips.
        unit: of the label scale.
        table: the labels of all clips of the data set, also those not trained on, for ``labels.parquet``.
    """

    def __init__(
        self, m_labels: Tensor, labels: Mapping[str, ClipLabels], unit: float, table: pd.DataFrame | None = None
    ) -> None:
        super().__init__()
        self.names, self.unit, self.table = tuple(labels), unit, table
        self.register_buffer("m_labels", m_labels)
        for name, own in labels.items():
            for kind, values in (("labels", own.u_label), ("weights", own.weight), ("outcome", own.outcome)):
                self.register_buffer(f"{kind}_{key(name)}", torch.from_numpy(values.copy()))

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
