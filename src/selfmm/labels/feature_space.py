"""The feature spaces of the label generators: stored features, class centres, and batches prepared for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from selfmm.labels.outcomes import Outcome
from selfmm.labels.rules import Centres
from selfmm.labels.settings import FixedLabels, check_features

# Centres closer than this, relative to their length, are one point at the precision of float32 features.
COINCIDENT = 1e-6
ROWS_AT_ONCE = 8192


class Rows(NamedTuple):
    """Features of a batch in one feature space, safe to compute with."""

    values: Tensor  # (B, d) float64, all finite: rows with a NaN or infinity are zeros
    usable: Tensor  # (B,) bool, the clip has the modality and its features are finite
    present: Tensor  # (B,) bool, the clip has the modality


@dataclass(frozen=True)
class BatchRows:
    """Positions of a batch, in which clips may repeat; nothing here waits for the device.

    Every repeat gets the values of the clip's last place, so all writes agree; ``last`` counts the clip once in sums.
    """

    index: Tensor  # (B,) long
    source: Tensor  # (B,) long, the last place in the batch of the same clip
    last: Tensor  # (B,) bool

    @classmethod
    def of(cls, index: Tensor) -> BatchRows:
        """Return the batch of the clips at ``index``, (B,) long."""
        ranked, order = index.sort(stable=True)
        source = order[torch.searchsorted(ranked, index, right=True) - 1]
        return cls(index, source, source == torch.arange(len(index), device=index.device))

    def rows(self, features: Tensor, present: Tensor | None = None) -> Rows:
        """Return features (B, d) of any floating type as float64; ``present`` is (B,) bool, None if all are present."""
        values = features.to(self.index.device, torch.float64)[self.source]
        finite = values.isfinite().all(-1)
        has_modality = torch.ones_like(finite) if present is None else present.to(finite.device)[self.source]
        return Rows(values.where(finite[:, None], 0.0), finite & has_modality, has_modality)


class StoredFeatures(nn.Module):
    """The label and the last stored features of each clip in one feature space, and sums of the features per class.

    Args:
        labels: (N, ...) labels that give the classes at the start; copied.
        dim: d, width of the features.
        bank_dtype: type the features are stored in.
        count: K, number of classes.
    """

    labels: Tensor  # (N, ...) the labels that give the classes
    bank: Tensor  # (N, d) last stored features
    seen: Tensor  # (N,) bool, whether the clip's row of the bank is filled
    outcome: Tensor  # (N,) uint8, an Outcome
    sums: Tensor  # (K, d) float64
    members: Tensor  # (K,) long

    def __init__(self, labels: Tensor, dim: int, bank_dtype: torch.dtype, count: int) -> None:
        super().__init__()
        clips, device = len(labels), labels.device
        self.register_buffer("labels", labels.clone())
        self.register_buffer("bank", torch.zeros(clips, dim, dtype=bank_dtype, device=device))
        self.register_buffer("seen", torch.zeros(clips, dtype=torch.bool, device=device))
        self.register_buffer("outcome", torch.zeros(clips, dtype=torch.uint8, device=device))
        self.register_buffer("sums", torch.zeros(count, dim, dtype=torch.float64, device=device))
        self.register_buffer("members", torch.zeros(count, dtype=torch.long, device=device))

    def check(self, name: str, features: Tensor, rows: int) -> None:
        """Raise ``ValueError`` unless ``features`` are (rows, d) floats."""
        check_features(name, features, (rows, self.bank.shape[1]))

    def means(self) -> Tensor:
        """Return the (K, d) float64 class means; zeros for a class without members."""
        return self.sums / self.members.clamp(min=1)[:, None]

    def has_two_classes(self) -> Tensor:
        """Return () bool: whether at least two classes have members."""
        return (self.members > 0).sum() > 1

    def store(
        self, batch: BatchRows, rows: Rows, labels: Tensor, classes: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Set the batch's labels and store its usable rows.

        Args:
            batch: positions of the clips.
            rows: their features.
            labels: (B, ...) their new labels.
            classes: returns (K, B) float64 class members, from labels (B, ...) and a mask of counted clips (B,).

        Returns:
            (K, d + 1) float64, the changes of sums and members; pass it to ``shift``.
        """
        old, seen = self.bank[batch.index], self.seen[batch.index]
        stored = rows.values.to(self.bank.dtype)
        storable = rows.usable & stored.isfinite().all(-1)  # a narrow type may overflow
        new, seen_now = stored.where(storable[:, None], old), seen | storable
        before = classes(self.labels[batch.index], seen & batch.last)
        after = classes(labels, seen_now & batch.last)
        self.labels[batch.index], self.seen[batch.index], self.bank[batch.index] = labels, seen_now, new
        sums = after @ new.double() - before @ old.double()
        return torch.cat([sums, (after.sum(1) - before.sum(1))[:, None]], dim=1)

    def shift(self, change: Tensor) -> None:
        """Move the class means by what ``store`` returned, summed over all processes."""
        self.sums += change[:, :-1]
        self.members += change[:, -1].round().long()
        self.sums.masked_fill_((self.members == 0)[:, None], 0.0)  # remove the rounding error of an empty class


class FeatureSpace(StoredFeatures):
    """A feature space with a positive and a negative class: by u-labels for a modality, by m-labels for the fusion.

    The sums always equal those over the bank by the current labels. To change either, call ``replace`` and pass its
    result to ``shift``, or call ``recount`` and pass its result to ``reset``. Between the two calls, processes that
    hold other clips add their part.

    Args:
        labels, dim, bank_dtype: as for ``StoredFeatures``; labels are (N,).
        neutral: the label between the classes.
        zero_positive: whether a neutral label counts as positive.
    """

    scatter: Tensor  # () float64, mean squared distance of members to their own centre, at the last recount
    fixed_weights: Tensor | None  # (N,) loss weights of known labels, NaN for the others; None where no label is known

    def __init__(self, labels: Tensor, dim: int, bank_dtype: torch.dtype, neutral: float, zero_positive: bool) -> None:
        super().__init__(labels, dim, bank_dtype, count=2)
        self.neutral, self.zero_positive = neutral, zero_positive
        self.register_buffer("scatter", torch.zeros((), dtype=torch.float64, device=labels.device))
        self.register_buffer("fixed_weights", None)

    def centres(self) -> Centres:
        """Return the class means, each (d,) float64; zeros for a class without members."""
        return Centres(*self.means())

    def centres_differ(self) -> Tensor:
        """Return () bool: whether the two centres are different points."""
        positive, negative = self.centres()
        length = torch.maximum(positive.norm(), negative.norm())
        distinct: Tensor = (positive - negative).norm() > COINCIDENT * length
        return distinct

    def figures(self) -> dict[str, float]:
        """Return ``gap``, the distance of the centres, and ``separation``, gap over the root of ``scatter``.

        Both are NaN if a class has no members.
        """
        if not self.has_two_classes():
            return {"gap": math.nan, "separation": math.nan}
        positive, negative = self.centres()
        gap, spread = float((positive - negative).norm()), math.sqrt(float(self.scatter))
        return {"gap": gap, "separation": gap / spread if spread else math.nan}

    def replace(self, batch: BatchRows, rows: Rows, labels: Tensor, outcome: Tensor | None = None) -> Tensor:
        """Set the batch's labels and outcomes, and store its usable rows; return the change for ``shift``."""
        if outcome is not None:
            self.outcome[batch.index] = outcome
        return self.store(batch, rows, labels, self._classes)

    def recount(self) -> Tensor:
        """Return (2, d + 2) float64 from the bank: per class the sum, the members and the sum of squares."""
        totals = torch.zeros(2, self.bank.shape[1] + 2, dtype=torch.float64, device=self.labels.device)
        for start in range(0, len(self.bank), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            classes = self._classes(self.labels[part], self.seen[part])
            rows = self.bank[part].to(totals)
            totals[:, :-2] += classes @ rows
            totals[:, -2] += classes.sum(1)
            totals[:, -1] += classes @ rows.square().sum(1)
        return totals

    def reset(self, totals: Tensor) -> None:
        """Set the sums to what ``recount`` returned, summed over all processes."""
        self.sums.copy_(totals[:, :-2])
        self.members.copy_(totals[:, -2].round())
        positive, negative = self.centres()
        own = self.members[0] * positive.square().sum() + self.members[1] * negative.square().sum()
        self.scatter.copy_(((totals[:, -1].sum() - own) / self.members.sum().clamp(min=1)).clamp(min=0))

    def fix(self, known: FixedLabels) -> None:
        """Set labels that are known; call it before any features are stored."""
        index = known.index.to(self.labels.device)
        self.labels[index] = known.labels.to(self.labels)
        self.outcome[index] = int(Outcome.FIXED)
        weights = torch.full_like(self.labels, math.nan)
        weights[index] = known.weights.to(weights)
        self.fixed_weights = weights

    def is_fixed(self, index: Tensor) -> Tensor:
        """Return (B,) bool: which of the labels at ``index`` are known."""
        if self.fixed_weights is None:
            return torch.zeros_like(index, dtype=torch.bool)
        return self.fixed_weights[index].isfinite()

    def own_weights(self, index: Tensor, otherwise: Tensor) -> Tensor:
        """Return (B,) loss weights: those of known labels, and ``otherwise`` for the rest."""
        if self.fixed_weights is None:
            return otherwise
        weights = self.fixed_weights[index]
        return weights.where(weights.isfinite(), otherwise)

    def _classes(self, labels: Tensor, counted: Tensor) -> Tensor:
        """(2, B) float64: 1 where the clip counts in the positive (row 0) or negative (row 1) class."""
        positive: Tensor = labels >= self.neutral if self.zero_positive else labels > self.neutral
        return torch.stack([positive & counted, (labels < self.neutral) & counted]).double()
