"""One modality's feature space in the generator for unordered classes: stored features, centres and their fit."""

from __future__ import annotations

import torch
from torch import Tensor

from selfmm.labels.classes.posterior import UNINFORMATIVE, ClassFit, fit_distances
from selfmm.labels.feature_space import COINCIDENT, ROWS_AT_ONCE, BatchRows, Rows, StoredFeatures


class ClassFeatureSpace(StoredFeatures):
    """The feature space of one modality with K unordered classes, and the fit of its distances.

    A clip counts in the centre of the most probable class of its own current u-label; if several are equally probable
    and the m-class is one of them, in that of the m-class. The sums always equal those over the bank. To change labels
    or bank, call ``replace`` or ``recompute``.

    Args:
        labels: (N, K) u-labels at the start, on the simplex; copied.
        dim: d, width of the features.
        bank_dtype: type the features are stored in.
    """

    estimates: Tensor  # (3,) float64, a ClassFit

    def __init__(self, labels: Tensor, dim: int, bank_dtype: torch.dtype) -> None:
        super().__init__(labels, dim, bank_dtype, count=labels.shape[1])
        self.register_buffer("estimates", torch.stack(UNINFORMATIVE).to(labels.device))

    @property
    def fit(self) -> ClassFit:
        """The relation of the distances to the m-classes."""
        return ClassFit(*self.estimates)

    def centres_differ(self) -> Tensor:
        """Return () bool: whether the centres are not all one point."""
        has_centre, centres = self.members > 0, self.means()
        middle = centres.sum(0) / has_centre.sum().clamp(min=1)
        farthest = ((centres - middle).norm(dim=-1) * has_centre).max()
        distinct: Tensor = farthest > COINCIDENT * centres.norm(dim=-1).max()
        return distinct

    def distances(self, rows: Tensor, index: Tensor, m_classes: Tensor) -> Tensor:
        """Return (B, K) squared distances of rows to the centres computed without these clips.

        A clip counts in one centre only, so leaving it out moves only that one. The distance to a class is infinite if
        no other clip counts in it.

        Args:
            rows: (B, d) float64 features of the clips, stored or new.
            index: (B,) positions of the clips.
            m_classes: (N,) long.
        """
        distances = torch.cdist(rows, self.means(), compute_mode="donot_use_mm_for_euclid_dist").square()
        distances = distances.where(self.members > 0, torch.inf)
        home, counted = _home(self.labels[index], m_classes[index]), self.seen[index]
        others = self.members[home] - 1
        centre = (self.sums[home] - self.bank[index].double()) / others.clamp(min=1)[:, None]
        left_out = (rows - centre).square().sum(-1).where(others > 0, torch.inf)
        own = torch.nn.functional.one_hot(home, len(self.members)).bool() & counted[:, None]
        return torch.where(own, left_out[:, None], distances)

    def replace(self, batch: BatchRows, rows: Rows, labels: Tensor, m_classes: Tensor) -> None:
        """Set the batch's labels, store its usable rows, and correct the sums for both."""
        own = m_classes[batch.index]
        self.shift(self.store(batch, rows, labels, lambda labels, counted: _members(labels, own, counted)))

    def recompute(self, m_classes: Tensor) -> None:
        """Compute the sums from the bank, O(N)."""
        self.sums.zero_()
        self.members.zero_()
        for start in range(0, len(self.bank), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            members = _members(self.labels[part], m_classes[part], self.seen[part])
            self.sums += members @ self.bank[part].double()
            self.members += members.sum(1).long()

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
    """(B,) the class in which a clip counts."""
    highest, first = labels.max(-1)
    return torch.where(labels.gather(1, m_classes[:, None])[:, 0] == highest, m_classes, first)


def _members(labels: Tensor, m_classes: Tensor, counted: Tensor) -> Tensor:
    """(K, B) float64: 1 where the clip counts in the class."""
    members: Tensor = torch.nn.functional.one_hot(_home(labels, m_classes), labels.shape[1]).double()
    return (members * counted[:, None]).T
