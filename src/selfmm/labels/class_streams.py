"""What the generator for unordered classes keeps of one modality."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selfmm.labels.class_accounts import SILENT, ClassAccount, fit_account
from selfmm.labels.settings import check_features
from selfmm.labels.streams import COINCIDENT, ROWS_AT_ONCE, BatchRows, Rows


class ClassStream(nn.Module):
    """One modality: each clip's u-label and last stored features, class centres as running sums, and their account.

    A clip counts in the centre of the class that its own current u-label finds most probable; where several are, and
    the m-class is one of them, in that one. The sums always equal those over the bank: whoever changes labels or bank
    goes through ``replace``, which takes the batch's old share out and puts the new one in, or calls ``recompute``.
    """

    labels: Tensor  # (N, K) u-labels, on the simplex
    bank: Tensor  # (N, d) last stored features
    seen: Tensor  # (N,) bool, whether the bank holds anything
    sums: Tensor  # (K, d) float64
    members: Tensor  # (K,) long
    outcome: Tensor  # (N,) uint8, an Outcome
    figures: Tensor  # (3,) float64, a ClassAccount

    def __init__(self, labels: Tensor, dim: int, bank_dtype: torch.dtype) -> None:
        super().__init__()
        (size, count), device = labels.shape, labels.device
        self.register_buffer("labels", labels.clone())
        self.register_buffer("bank", torch.zeros(size, dim, dtype=bank_dtype, device=device))
        self.register_buffer("seen", torch.zeros(size, dtype=torch.bool, device=device))
        self.register_buffer("sums", torch.zeros(count, dim, dtype=torch.float64, device=device))
        self.register_buffer("members", torch.zeros(count, dtype=torch.long, device=device))
        self.register_buffer("outcome", torch.zeros(size, dtype=torch.uint8, device=device))
        self.register_buffer("figures", torch.stack(SILENT).to(device))

    @property
    def account(self) -> ClassAccount:
        return ClassAccount(*self.figures)

    def check(self, name: str, features: Tensor, rows: int) -> None:
        check_features(name, features, (rows, self.bank.shape[1]))

    def centres(self) -> Tensor:
        """(K, d) float64 class means; zeros for a class without members."""
        return self.sums / self.members.clamp(min=1)[:, None]

    def several(self) -> Tensor:
        """() bool: at least two classes have members."""
        return (self.members > 0).sum() > 1

    def apart(self) -> Tensor:
        """() bool: the centres are not all one point."""
        there, centres = self.members > 0, self.centres()
        middle = centres.sum(0) / there.sum().clamp(min=1)
        off = ((centres - middle).norm(dim=-1) * there).max()
        distinct: Tensor = off > COINCIDENT * centres.norm(dim=-1).max()
        return distinct

    def distances(self, rows: Tensor, index: Tensor, m_classes: Tensor) -> Tensor:
        """(B, K) squared distances of rows to the centres made without these clips; infinite where none is left.

        A clip stands in one centre only, so leaving it out moves that one alone: with n members its distance to the
        features the clip has there is (n / (n - 1)) times that to the mean with the clip.

        Args:
            rows: (B, d) float64 features of the clips, stored or new.
            index: (B,) positions of the clips.
            m_classes: (N,) long.
        """
        found = torch.cdist(rows, self.centres(), compute_mode="donot_use_mm_for_euclid_dist").square()
        found = found.where(self.members > 0, torch.inf)
        home, counted = _home(self.labels[index], m_classes[index]), self.seen[index]
        others = self.members[home] - 1
        centre = (self.sums[home] - self.bank[index].double()) / others.clamp(min=1)[:, None]
        alone = (rows - centre).square().sum(-1).where(others > 0, torch.inf)
        own = torch.nn.functional.one_hot(home, len(self.members)).bool() & counted[:, None]
        return torch.where(own, alone[:, None], found)

    def replace(self, batch: BatchRows, rows: Rows, labels: Tensor, m_classes: Tensor) -> None:
        """Sets the batch's labels, stores its usable rows, and corrects the sums for both."""
        old, seen, m_classes = self.bank[batch.index], self.seen[batch.index], m_classes[batch.index]
        stored = rows.values.to(self.bank.dtype)
        storable = rows.usable & stored.isfinite().all(-1)  # a narrow bank may overflow
        new, seen_now = stored.where(storable[:, None], old), seen | storable
        before = _counted(self.labels[batch.index], m_classes, seen & batch.last)
        after = _counted(labels, m_classes, seen_now & batch.last)
        self.sums += after.T @ new.double() - before.T @ old.double()
        self.members += (after.sum(0) - before.sum(0)).long()
        self.sums.masked_fill_((self.members == 0)[:, None], 0.0)  # rounding left by the last member to go
        self.labels[batch.index], self.bank[batch.index], self.seen[batch.index] = labels, new, seen_now

    def recompute(self, m_classes: Tensor) -> None:
        """The sums anew from the bank, O(N)."""
        self.sums.zero_()
        self.members.zero_()
        for start in range(0, len(self.bank), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            counted = _counted(self.labels[part], m_classes[part], self.seen[part])
            self.sums += counted.T @ self.bank[part].double()
            self.members += counted.sum(0).long()

    def listen(self, m_classes: Tensor, prior: Tensor) -> None:
        """Fits the account from the stored features of all clips, O(N) in time and (N, K) float64 in memory."""
        parts = torch.split(self.seen.nonzero()[:, 0], ROWS_AT_ONCE)
        found = torch.cat([self.distances(self.bank[at].double(), at, m_classes) for at in parts])
        classes, homes = m_classes[self.seen], _home(self.labels[self.seen], m_classes[self.seen])
        within = found.gather(1, homes[:, None])
        variance = within[within.isfinite()].mean() / self.bank.shape[1]
        fit = found.gather(1, classes[:, None])[:, 0].isfinite()
        account = fit_account(classes[fit], found[fit], prior, variance) if bool(self.apart()) else SILENT
        self.figures.copy_(torch.stack(account))


def _home(labels: Tensor, m_classes: Tensor) -> Tensor:
    """(B,) the class a clip counts in."""
    best, first = labels.max(-1)
    return torch.where(labels.gather(1, m_classes[:, None])[:, 0] == best, m_classes, first)


def _counted(labels: Tensor, m_classes: Tensor, counted: Tensor) -> Tensor:
    """(B, K) float64: 1 where the clip counts in the class."""
    return torch.nn.functional.one_hot(_home(labels, m_classes), labels.shape[1]).double() * counted[:, None]
