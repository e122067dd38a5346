"""One modality's feature space in the generator for unordered classes: stored features, centres and their fit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selfmm.labels.classes.posterior import UNINFORMATIVE, ClassFit, fit_distances
from selfmm.labels.feature_space import COINCIDENT, ROWS_AT_ONCE, BatchRows, Rows
from selfmm.labels.settings import check_features


class ClassFeatureSpace(nn.Module):
    """Each clip's u-label and last stored features in one modality, class centres as running sums, and their fit.

    A clip counts in the centre of the most probable class of its own current u-label; where several are equally
    probable and the m-class is one of them, in that one. The sums always equal those over the bank. To change labels or
    bank, call ``replace``, which subtracts what the batch counted before and adds what it counts now, or ``recompute``.

    Args:
        labels: (N, K) u-labels at the start; copied.
        dim: d, width of the features.
        bank_dtype: type the features are stored in.
    """

    labels: Tensor  # (N, K) u-labels, on the simplex
    bank: Tensor  # (N, d) last stored features
    seen: Tensor  # (N,) bool, whether the clip's row of the bank is filled
    sums: Tensor  # (K, d) float64
    members: Tensor  # (K,) long
    outcome: Tensor  # (N,) uint8, an Outcome
    estimates: Tensor  # (3,) float64, a ClassFit

    def __init__(self, labels: Tensor, dim: int, bank_dtype: torch.dtype) -> None:
        super().__init__()
        (size, count), device = labels.shape, labels.device
        self.register_buffer("labels", labels.clone())
        self.register_buffer("bank", torch.zeros(size, dim, dtype=bank_dtype, device=device))
        self.register_buffer("seen", torch.zeros(size, dtype=torch.bool, device=device))
        self.register_buffer("sums", torch.zeros(count, dim, dtype=torch.float64, device=device))
        self.register_buffer("members", torch.zeros(count, dtype=torch.long, device=device))
        self.register_buffer("outcome", torch.zeros(size, dtype=torch.uint8, device=device))
        self.register_buffer("estimates", torch.stack(UNINFORMATIVE).to(device))

    @property
    def fit(self) -> ClassFit:
        """How the distances relate to the m-classes."""
        return ClassFit(*self.estimates)

    def check(self, name: str, features: Tensor, rows: int) -> None:
        """Raise ``ValueError`` unless ``features`` are (rows, d) floats."""
        check_features(name, features, (rows, self.bank.shape[1]))

    def centres(self) -> Tensor:
        """Return (K, d) float64 class means; zeros for a class without members."""
        return self.sums / self.members.clamp(min=1)[:, None]

    def has_two_classes(self) -> Tensor:
        """() bool: at least two classes have members."""
        return (self.members > 0).sum() > 1

    def centres_differ(self) -> Tensor:
        """() bool: the centres are not all one point."""
        has_centre, centres = self.members > 0, self.centres()
        middle = centres.sum(0) / has_centre.sum().clamp(min=1)
        farthest = ((centres - middle).norm(dim=-1) * has_centre).max()
        distinct: Tensor = farthest > COINCIDENT * centres.norm(dim=-1).max()
        return distinct

    def distances(self, rows: Tensor, index: Tensor, m_classes: Tensor) -> Tensor:
        """Return (B, K) squared distances of rows to the centres computed without these clips.

        A clip counts in one centre only, so leaving it out moves that one alone. The distance to a class is infinite
        where no other clip counts in it.

        Args:
            rows: (B, d) float64 features of the clips, stored or new.
            index: (B,) positions of the clips.
            m_classes: (N,) long.
        """
        distances = torch.cdist(rows, self.centres(), compute_mode="donot_use_mm_for_euclid_dist").square()
        distances = distances.where(self.members > 0, torch.inf)
        home, counted = _home(self.labels[index], m_classes[index]), self.seen[index]
        others = self.members[home] - 1
        centre = (self.sums[home] - self.bank[index].double()) / others.clamp(min=1)[:, None]
        left_out = (rows - centre).square().sum(-1).where(others > 0, torch.inf)
        own = torch.nn.functional.one_hot(home, len(self.members)).bool() & counted[:, None]
        return torch.where(own, left_out[:, None], distances)

    def replace(self, batch: BatchRows, rows: Rows, labels: Tensor, m_classes: Tensor) -> None:
        """Set the batch's labels, store its usable rows, and correct the sums for both."""
        old, seen, m_classes = self.bank[batch.index], self.seen[batch.index], m_classes[batch.index]
        stored = rows.values.to(self.bank.dtype)
        storable = rows.usable & stored.isfinite().all(-1)  # a narrow type may overflow
        new, seen_now = stored.where(storable[:, None], old), seen | storable
        before = _counted(self.labels[batch.index], m_classes, seen & batch.last)
        after = _counted(labels, m_classes, seen_now & batch.last)
        self.sums += after.T @ new.double() - before.T @ old.double()
        self.members += (after.sum(0) - before.sum(0)).long()
        self.sums.masked_fill_((self.members == 0)[:, None], 0.0)  # rounding left by the last member to leave
        self.labels[batch.index], self.bank[batch.index], self.seen[batch.index] = labels, new, seen_now

    def recompute(self, m_classes: Tensor) -> None:
        """Compute the sums from the bank, O(N)."""
        self.sums.zero_()
        self.members.zero_()
        for start in range(0, len(self.bank), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            counted = _counted(self.labels[part], m_classes[part], self.seen[part])
            self.sums += counted.T @ self.bank[part].double()
            self.members += counted.sum(0).long()

    def update_fit(self, m_classes: Tensor, prior: Tensor) -> None:
        """Fit the distances of all stored features, O(N) in time and (N, K) float64 in memory."""
        parts = torch.split(self.seen.nonzero()[:, 0], ROWS_AT_ONCE)
        distances = torch.cat([self.distances(self.bank[at].double(), at, m_classes) for at in parts])
        classes, homes = m_classes[self.seen], _home(self.labels[self.seen], m_classes[self.seen])
        within = distances.gather(1, homes[:, None])
        variance = within[within.isfinite()].mean() / self.bank.shape[1]
        usable = distances.gather(1, classes[:, None])[:, 0].isfinite()
        differ = bool(self.centres_differ())
        fit = fit_distances(classes[usable], distances[usable], prior, variance) if differ else UNINFORMATIVE
        self.estimates.copy_(torch.stack(fit))


def _home(labels: Tensor, m_classes: Tensor) -> Tensor:
    """(B,) the class a clip counts in."""
    highest, first = labels.max(-1)
    return torch.where(labels.gather(1, m_classes[:, None])[:, 0] == highest, m_classes, first)


def _counted(labels: Tensor, m_classes: Tensor, counted: Tensor) -> Tensor:
    """(B, K) float64: 1 where the clip counts in the class."""
    return torch.nn.functional.one_hot(_home(labels, m_classes), labels.shape[1]).double() * counted[:, None]
