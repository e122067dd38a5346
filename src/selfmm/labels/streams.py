"""What the label generator keeps of one feature space, and a batch made safe for it."""

from __future__ import annotations

import math
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

    The sums always equal those over the banks by the current labels: whoever changes either goes through ``replace``
    and hands what it returns to ``shift``, or calls ``recount`` and ``reset``. Between the two, processes that hold
    other clips add theirs.

    Args:
        labels: (N,) labels that give the classes at the start; copied.
        bank: (N, d) zeros to keep features in; not copied.
        neutral: the label between the classes.
        zero_positive: whether a neutral label counts as positive.
    """

    labels: Tensor  # (N,) the labels that give the classes: u-labels, or m-labels for the fusion
    bank: Tensor  # (N, d) last stored features
    seen: Tensor  # (N,) bool, whether the bank holds anything
    outcome: Tensor  # (N,) uint8, an Outcome
    sums: Tensor  # (2, d) float64, over the positive and the negative class
    members: Tensor  # (2,) long
    scatter: Tensor  # () float64, mean squared distance of members to their own centre, as last recounted
    given: Tensor | None  # (N,) loss weights of known labels, NaN for the others; None where no label is known

    def __init__(self, labels: Tensor, bank: Tensor, neutral: float, zero_positive: bool) -> None:
        super().__init__()
        device = labels.device
        self.neutral, self.zero_positive = neutral, zero_positive
        self.register_buffer("labels", labels.clone())
        self.register_buffer("bank", bank)
        self.register_buffer("seen", torch.zeros(len(labels), dtype=torch.bool, device=device))
        self.register_buffer("outcome", torch.zeros(len(labels), dtype=torch.uint8, device=device))
        self.register_buffer("sums", torch.zeros(2, bank.shape[1], dtype=torch.float64, device=device))
        self.register_buffer("members", torch.zeros(2, dtype=torch.long, device=device))
        self.register_buffer("scatter", torch.zeros((), dtype=torch.float64, device=device))
        self.register_buffer("given", None)

    def check(self, name: str, features: Tensor, rows: int) -> None:
        check_features(name, features, (rows, self.bank.shape[1]))

    def centres(self) -> Centres:
        """Class means, each (d,) float64; zeros for a class without members."""
        positive, negative = self.sums / self.members.clamp(min=1)[:, None]
        return Centres(positive, negative)

    def both(self) -> Tensor:
        """() bool: both classes have members."""
        return (self.members > 0).all()

    def apart(self) -> Tensor:
        """() bool: the two centres are two points."""
        positive, negative = self.centres()
        length = torch.maximum(positive.norm(), negative.norm())
        distinct: Tensor = (positive - negative).norm() > COINCIDENT * length
        return distinct

    def figures(self) -> dict[str, float]:
        """``gap``: distance of the centres; ``separation``: gap over the root of ``scatter``. NaN without a centre."""
        if not self.both():
            return {"gap": math.nan, "separation": math.nan}
        positive, negative = self.centres()
        gap, spread = float((positive - negative).norm()), math.sqrt(float(self.scatter))
        return {"gap": gap, "separation": gap / spread if spread else math.nan}

    def replace(self, batch: BatchRows, rows: Rows, labels: Tensor, outcome: Tensor | None = None) -> Tensor:
        """Sets the batch's labels and outcomes, and stores its usable rows.

        Returns:
            (2, d + 1) float64: by how much the sums and members change; to be given to ``shift``.
        """
        old, seen = self.read(batch.index), self.seen[batch.index]
        stored = rows.values.to(self.bank.dtype)
        storable = rows.usable & stored.isfinite().all(-1)  # a narrow bank may overflow
        new, seen_now = stored.where(storable[:, None], old), seen | storable
        before = self._classes(self.labels[batch.index], seen & batch.last)
        after = self._classes(labels, seen_now & batch.last)
        self.labels[batch.index], self.seen[batch.index] = labels, seen_now
        self.bank[batch.index.to(self.bank.device)] = new.to(self.bank.device)
        if outcome is not None:
            self.outcome[batch.index] = outcome
        sums = after @ new.double() - before @ old.double()
        return torch.cat([sums, (after.sum(1) - before.sum(1))[:, None]], dim=1)

    def read(self, index: Tensor) -> Tensor:
        """(B, d) stored features, where the index is: the bank itself may be a file."""
        return self.bank[index.to(self.bank.device)].to(index.device)

    def shift(self, change: Tensor) -> None:
        """Moves the centres by what ``replace`` returned (of all processes)."""
        self.sums += change[:, :-1]
        self.members += change[:, -1].round().long()
        self.sums.masked_fill_((self.members == 0)[:, None], 0.0)  # rounding left by the last member to go

    def recount(self) -> Tensor:
        """(2, d + 2) float64 anew from the bank: per class the sum, the members and the sum of squares."""
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
        """Takes over what ``recount`` returned (of all processes)."""
        self.sums.copy_(totals[:, :-2])
        self.members.copy_(totals[:, -2].round())
        positive, negative = self.centres()
        own = self.members[0] * positive.square().sum() + self.members[1] * negative.square().sum()
        self.scatter.copy_(((totals[:, -1].sum() - own) / self.members.sum().clamp(min=1)).clamp(min=0))

    def pin(self, known: FixedLabels) -> None:
        """Sets labels that are known; before anything is stored."""
        index = known.index.to(self.labels.device)
        self.labels[index] = known.labels.to(self.labels)
        self.outcome[index] = int(Outcome.FIXED)
        weights = torch.full_like(self.labels, math.nan)
        weights[index] = known.weights.to(weights)
        self.given = weights

    def pinned(self, index: Tensor) -> Tensor:
        """(B,) bool: which of the labels are known."""
        return torch.zeros_like(index, dtype=torch.bool) if self.given is None else self.given[index].isfinite()

    def own_weights(self, index: Tensor, otherwise: Tensor) -> Tensor:
        """(B,) loss weights: those given with a known label, and ``otherwise`` for the rest."""
        if self.given is None:
            return otherwise
        given = self.given[index]
        return given.where(given.isfinite(), otherwise)

    def _classes(self, labels: Tensor, counted: Tensor) -> Tensor:
        """(2, B) float64: 1 where the clip counts in the positive (row 0) or negative (row 1) class."""
        positive: Tensor = labels >= self.neutral if self.zero_positive else labels > self.neutral
        return torch.stack([positive & counted, (labels < self.neutral) & counted]).double()
