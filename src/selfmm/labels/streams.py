"""What the label generator keeps of one feature space, and a batch made safe for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from selfmm.labels.rules import Centres

# Centres closer than this, relative to their length, are one point at the precision of float32 features.
COINCIDENT = 1e-6
ROWS_AT_ONCE = 65536


class Rows(NamedTuple):
    """One stream's features of a batch, ready for use."""

    values: Tensor  # (B, d) float64, all finite: rows with a NaN or infinity are zeros
    usable: Tensor  # (B,) bool, the stream is present and was finite
    present: Tensor  # (B,) bool


@dataclass(frozen=True)
class BatchRows:
    """Positions of a batch, made safe for repeats without waiting for the device.

    Every repeat stands in with the values of the clip's last place, so writes agree; ``last`` counts it once in sums.
    """

    index: Tensor  # (B,) long
    source: Tensor  # (B,) long, the last place in the batch of the same clip
    last: Tensor  # (B,) bool

    @classmethod
    def of(cls, index: Tensor) -> BatchRows:
        ranked, order = index.sort(stable=True)
        source = order[torch.searchsorted(ranked, index, right=True) - 1]
        return cls(index, source, source == torch.arange(len(index), device=index.device))

    def rows(self, features: Tensor, present: Tensor | None = None) -> Rows:
        values = features.to(self.index.device, torch.float64)[self.source]
        finite = values.isfinite().all(-1)
        here = torch.ones_like(finite) if present is None else present.to(finite.device)[self.source]
        return Rows(values.where(finite[:, None], 0.0), finite & here, here)


class FeatureStream(nn.Module):
    """One feature space: the label and last stored features of each clip, and class means kept as running sums.

    The sums always equal those over the bank by the current labels: whoever changes either goes through ``replace``,
    which takes the batch's old share out and puts the new one in, or calls ``recompute``.
    """

    labels: Tensor  # (N,) the labels that give the classes: u-labels, or m-labels for the fusion
    bank: Tensor  # (N, d) last stored features
    seen: Tensor  # (N,) bool, whether the bank holds anything
    sums: Tensor  # (2, d) float64, over the positive and the negative class
    members: Tensor  # (2,) long
    tally: Tensor  # (3,) long: labels updated, clamped, held

    def __init__(self, labels: Tensor, dim: int, bank_dtype: torch.dtype, zero_positive: bool) -> None:
        super().__init__()
        device, size = labels.device, len(labels)
        self.zero_positive = zero_positive
        self.register_buffer("labels", labels.clone())
        self.register_buffer("bank", torch.zeros(size, dim, dtype=bank_dtype, device=device))
        self.register_buffer("seen", torch.zeros(size, dtype=torch.bool, device=device))
        self.register_buffer("sums", torch.zeros(2, dim, dtype=torch.float64, device=device))
        self.register_buffer("members", torch.zeros(2, dtype=torch.long, device=device))
        self.register_buffer("tally", torch.zeros(3, dtype=torch.long, device=device))

    def check(self, name: str, features: Tensor, rows: int) -> None:
        expected = (rows, self.bank.shape[1])
        if features.shape != expected or not features.is_floating_point():
            raise ValueError(f"{name} features are {shape(features)} {features.dtype}; expected {expected} floats")

    def centres(self) -> Centres:
        """Class means, each (d,) float64; zeros for a class without members."""
        positive, negative = self.sums / self.members.clamp(min=1)[:, None]
        return Centres(positive, negative)

    def apart(self) -> Tensor:
        """() bool: both classes have members and their centres are two points."""
        positive, negative = self.centres()
        length = torch.maximum(positive.norm(), negative.norm())
        distinct: Tensor = (positive - negative).norm() > COINCIDENT * length
        return (self.members > 0).all() & distinct

    def replace(self, batch: BatchRows, rows: Rows, labels: Tensor) -> None:
        """Sets the batch's labels, stores its usable rows, and corrects the sums for both."""
        old, seen = self.bank[batch.index], self.seen[batch.index]
        stored = rows.values.to(self.bank.dtype)
        storable = rows.usable & stored.isfinite().all(-1)  # a narrow bank may overflow
        new, seen_now = stored.where(storable[:, None], old), seen | storable
        before = self._classes(self.labels[batch.index], seen & batch.last)
        after = self._classes(labels, seen_now & batch.last)
        self.sums += after @ new.double() - before @ old.double()
        self.members += (after.sum(1) - before.sum(1)).long()
        self.sums.masked_fill_((self.members == 0)[:, None], 0.0)  # rounding left by the last member to go
        self.labels[batch.index], self.bank[batch.index], self.seen[batch.index] = labels, new, seen_now

    def recompute(self) -> None:
        self.sums.zero_()
        self.members.zero_()
        self.tally.zero_()
        for start in range(0, len(self.bank), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            classes = self._classes(self.labels[part], self.seen[part])
            self.sums += classes @ self.bank[part].double()
            self.members += classes.sum(1).long()

    def _classes(self, labels: Tensor, counted: Tensor) -> Tensor:
        """(2, B) float64: 1 where the clip counts in the positive (row 0) or negative (row 1) class."""
        positive: Tensor = labels >= 0 if self.zero_positive else labels > 0
        return torch.stack([positive & counted, (labels < 0) & counted]).double()


def shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
