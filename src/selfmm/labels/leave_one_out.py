"""Evidence of the rule ``posterior``: each clip's m-label, predicted from its features without using that label.

Each epoch a ridge regression is fitted from the stored features of one modality to the m-labels, and every clip is
predicted by the regression fitted without it. Leaving one clip out has a closed form (PRESS; Allen 1974), so this costs
one pass over the bank and needs no random folds: the result depends neither on the order of the clips nor on batches.

Source of the closed form: Allen, "The Relationship Between Variable Selection and Data Augmentation and a Method for
Prediction", Technometrics 16 (1974), https://doi.org/10.1080/00401706.1974.10489157.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from selfmm.labels.feature_space import COINCIDENT, ROWS_AT_ONCE, FeatureSpace
from selfmm.labels.posterior import (
    UNINFORMATIVE,
    AllReduce,
    EvidenceFit,
    HeldOutEvidence,
    fit_evidence,
    fit_line,
    one_process,
)

# Candidate strengths of the ridge penalty, relative to the mean eigenvalue of the features.
STRENGTHS = tuple(10.0**power for power in range(-6, 3))


class LeaveOneOutEvidence(nn.Module):
    """Leave-one-out predictions of one modality, averaged over epochs, and the fit of their error.

    Epoch e has the weight ``w_e = e R_e^2 (1 - R_e^2)^4``, with R_e^2 the squared correlation of its predictions with
    the m-labels. Leaving a clip out of the regression does not leave it out of the encoder's training: as the encoder
    memorises its clips, R^2 rises to 1 and the predictions add nothing to m. While R^2 stays the same this is the
    published momentum (Yu et al., AAAI 2021, https://arxiv.org/abs/2102.04830), applied to the evidence instead of the
    label, so the fit takes into account how little noise is left in the average.
    """

    evidence: Tensor  # (N,) float64, averaged predictions; 0 where there are none
    observed: Tensor  # (N,) bool, whether the clip has been predicted
    epochs: Tensor  # () long, epochs averaged so far
    weight: Tensor  # () float64, the sum of their weights
    fresh: Tensor  # () bool, whether features were stored since the last call of add_epoch
    estimates: Tensor  # (7,) float64, an EvidenceFit

    def __init__(self, clips: int, device: torch.device) -> None:
        super().__init__()
        self.register_buffer("evidence", torch.zeros(clips, dtype=torch.float64, device=device))
        self.register_buffer("observed", torch.zeros(clips, dtype=torch.bool, device=device))
        self.register_buffer("epochs", torch.zeros((), dtype=torch.long, device=device))
        self.register_buffer("weight", torch.zeros((), dtype=torch.float64, device=device))
        self.register_buffer("fresh", torch.zeros((), dtype=torch.bool, device=device))
        self.register_buffer("estimates", torch.stack(UNINFORMATIVE).to(device))

    @property
    def fit(self) -> EvidenceFit:
        """The relation of the evidence to the m-labels."""
        return EvidenceFit(*self.estimates)

    def at(self, index: Tensor) -> HeldOutEvidence:
        """Return the evidence about the clips at ``index``, (B,) long."""
        return HeldOutEvidence(self.evidence[index], self.observed[index], self.fit)

    def figures(self) -> dict[str, float]:
        """Return ``explained`` (R^2) and ``share`` (pi) of the fit, both in [0, 1]."""
        return {"explained": float(self.fit.explained), "share": float(self.fit.share)}

    def add_epoch(self, space: FeatureSpace, m_labels: Tensor, all_reduce: AllReduce = one_process) -> None:
        """Add the predictions from the stored features to the average, if any were stored since the last call.

        Args:
            space: the modality's stored features.
            m_labels: (N,).
            all_reduce: adds the sums of other processes.
        """
        if not all_reduce(self.fresh.double()):
            return
        self.fresh.fill_(False)
        self.epochs += 1
        seen = space.seen
        new = leave_one_out(space.bank, m_labels, seen, all_reduce)
        line = fit_line(m_labels[seen].double(), new[seen], all_reduce)
        weight = self.epochs * epoch_weight(line.explained) if line else torch.zeros_like(self.weight)
        self.weight += weight
        part = torch.where(self.weight > 0, weight / self.weight, 1.0)
        mean = self.evidence + part * (new - self.evidence)
        self.evidence.copy_(new.where(~self.observed, mean).where(seen, self.evidence))
        self.observed |= seen
        fit = fit_evidence(m_labels[self.observed].double(), self.evidence[self.observed], all_reduce)
        self.estimates.copy_(torch.stack(fit))


def epoch_weight(explained: Tensor) -> Tensor:
    """Return the weight of an epoch's evidence: 0 if it explains nothing of the m-labels, and if it repeats them.

    ``R^2 (1 - R^2)`` is the variance that the evidence adds to m, in units of the variance of the m-labels. The factor
    ``(1 - R^2)^3`` discounts memorised labels; its power was chosen by measurement, see ``docs/label_study.md``.
    """
    weight: Tensor = explained * (1 - explained) ** 4
    return weight


def leave_one_out(bank: Tensor, labels: Tensor, seen: Tensor, all_reduce: AllReduce = one_process) -> Tensor:
    """Return each seen clip's label as predicted from its features by the ridge regression fitted without it.

    The regression minimises ``sum_j (y_j - c - w.x_j)^2 + k |w|^2`` with a free constant c. ``k`` is the strength from
    ``STRENGTHS`` whose predictions have the least squared error, times the mean eigenvalue of the features' scatter.
    With the hat value ``h_i = 1/n + (x_i - mean)' (S + k I)^-1 (x_i - mean)`` the left-out residual is
    ``(y_i - y^_i) / (1 - h_i)``. If nothing can be fitted (one clip, constant features), the prediction is the mean
    label.

    Args:
        bank: (N, d) features of any floating type.
        labels: (N,) m-labels.
        seen: (N,) bool, which rows of the bank are filled; other clips get 0.
        all_reduce: adds the sums of other processes.

    Returns:
        (N,) float64, in the unit of the labels.
    """
    predicted = torch.zeros(len(labels), dtype=torch.float64, device=labels.device)
    sums = predicted.new_zeros(bank.shape[1] + 2)
    for at, rows in _chunks(bank, seen):
        sums += torch.cat([rows.sum(0), labels[at].double().sum()[None], sums.new_tensor([len(at)])])
    sums = all_reduce(sums)
    count = int(sums[-1])
    if not count:
        return predicted
    label_mean, centre = sums[-2] / count, sums[:-2] / count
    predicted[seen] = label_mean
    products = predicted.new_zeros(len(centre), len(centre) + 1)
    for at, rows in _chunks(bank, seen):
        centred = rows - centre
        products += centred.T @ torch.cat([centred, (labels[at].double() - label_mean)[:, None]], dim=1)
    products = all_reduce(products)
    scatter, cross = products[:, :-1], products[:, -1]
    level = scatter.trace() / len(centre)
    if count < 3 or not scatter.isfinite().all() or not level > count * (COINCIDENT * centre.norm()) ** 2:
        return predicted
    values, vectors = torch.linalg.eigh(scatter)
    strengths = predicted.new_tensor(STRENGTHS)
    shrunk = 1 / (values.clamp(min=0)[:, None] + level * strengths)  # (d, G)
    weights = shrunk * (vectors.T @ cross)[:, None]
    errors = predicted.new_zeros(len(STRENGTHS))
    for at, rows in _chunks(bank, seen):
        residuals = _residuals((rows - centre) @ vectors, labels[at].double() - label_mean, shrunk, weights, count)
        errors += residuals.square().sum(0)
    best = all_reduce(errors).argmin()
    shrunk, weights = shrunk[:, best, None], weights[:, best, None]
    for at, rows in _chunks(bank, seen):
        residuals = _residuals((rows - centre) @ vectors, labels[at].double() - label_mean, shrunk, weights, count)
        predicted[at] = labels[at].double() - residuals[:, 0]
    return predicted


def _residuals(rows: Tensor, labels: Tensor, shrunk: Tensor, weights: Tensor, count: int) -> Tensor:
    """(B, G) left-out residuals of centred rows in the eigenbasis, per strength."""
    hats = 1 / count + rows.square() @ shrunk
    residuals: Tensor = (labels[:, None] - rows @ weights) / (1 - hats)
    return residuals


def _chunks(bank: Tensor, seen: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Positions and float64 rows of the seen clips, in pieces."""
    for at in torch.split(seen.nonzero()[:, 0], ROWS_AT_ONCE):
        yield at, bank[at].double()
