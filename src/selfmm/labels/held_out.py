"""What a modality says about a clip where it was not shown that clip's label: the evidence of the rule ``posterior``.

Each epoch a ridge head is fitted from the stored features of one modality to the m-labels, and every clip is predicted
by the head fitted without it. Leaving one clip out has a closed form (PRESS; Allen 1974), so this costs one pass over
the bank and no random folds: the result depends neither on the order of the clips nor on the batches.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from selfmm.labels.accounts import SILENT, Account, HeldOut, Total, alone, fit_account, fit_line
from selfmm.labels.streams import COINCIDENT, ROWS_AT_ONCE, FeatureStream

# Of the ridge, relative to the features' mean eigenvalue; the data choose among them.
STRENGTHS = tuple(10.0**power for power in range(-6, 3))


class Testimony(nn.Module):
    """Out-of-sample predictions of one modality, averaged over epochs, and the account of their error.

    The average weighs epoch e by ``w_e = e R_e^2 (1 - R_e^2)^4``, R_e^2 the squared correlation of its predictions with
    the m-labels. Leaving a clip out of the head does not leave it out of the encoder: as that memorises its clips, R^2
    rises to 1 and the predictions say no more than m. Where R^2 stays the same this is the published momentum, applied
    to the evidence and no longer to the label: a posterior of a mean knows how little noise is left in it.

    Args:
        clips: N.
        device: where the buffers are.
    """

    said: Tensor  # (N,) float64, averaged predictions; 0 where nothing was heard
    heard: Tensor  # (N,) bool
    epochs: Tensor  # () long, predictions averaged so far
    weight: Tensor  # () float64, the sum of their weights
    fresh: Tensor  # () bool, whether features were stored since the last one
    figures: Tensor  # (7,) float64, an Account

    def __init__(self, clips: int, device: torch.device) -> None:
        super().__init__()
        self.register_buffer("said", torch.zeros(clips, dtype=torch.float64, device=device))
        self.register_buffer("heard", torch.zeros(clips, dtype=torch.bool, device=device))
        self.register_buffer("epochs", torch.zeros((), dtype=torch.long, device=device))
        self.register_buffer("weight", torch.zeros((), dtype=torch.float64, device=device))
        self.register_buffer("fresh", torch.zeros((), dtype=torch.bool, device=device))
        self.register_buffer("figures", torch.stack(SILENT).to(device))

    def at(self, index: Tensor) -> HeldOut:
        """What the rule is shown of the clips at ``index``, (B,)."""
        return HeldOut(self.said[index], self.heard[index], Account(*self.figures))

    def worth(self) -> dict[str, float]:
        """``explained`` (R^2) and ``share`` (pi) of the account, for people to look at."""
        account = Account(*self.figures)
        return {"explained": float(account.explained), "share": float(account.share)}

    def listen(self, stream: FeatureStream, m_labels: Tensor, total: Total = alone) -> None:
        """Adds the predictions from the stored features; does nothing if none were stored since the last time."""
        if not total(self.fresh.double()):
            return
        self.fresh.fill_(False)
        self.epochs += 1
        seen = stream.seen
        new = leave_one_out(stream.bank, m_labels, seen, total)
        line = fit_line(m_labels[seen].double(), new[seen], total)
        weight = self.epochs * say(line.explained) if line else torch.zeros_like(self.weight)
        self.weight += weight
        part = torch.where(self.weight > 0, weight / self.weight, 1.0)
        mean = self.said + part * (new - self.said)
        self.said.copy_(new.where(~self.heard, mean).where(seen, self.said))
        self.heard |= seen
        account = fit_account(m_labels[self.heard].double(), self.said[self.heard], total)
        self.figures.copy_(torch.stack(account))


def say(explained: Tensor) -> Tensor:
    """What an epoch's evidence counts: nothing where it explains none of the m-labels, nor where it repeats them.

    ``R^2 (1 - R^2)`` is the variance of what it says beyond m, in units of the m-labels'; the other ``(1 - R^2)^3``
    discount memory, and their power is the one that was chosen by measurement; see ``docs/label_study.md``.
    """
    counted: Tensor = explained * (1 - explained) ** 4
    return counted


def leave_one_out(bank: Tensor, labels: Tensor, seen: Tensor, total: Total = alone) -> Tensor:
    """(N,) float64: for each seen clip, its label as predicted from its features by the head fitted without it.

    The head minimises ``sum_j (y_j - c - w.x_j)^2 + k |w|^2`` with a free constant c; ``k`` is that strength in
    ``STRENGTHS``, times the mean eigenvalue of the features' scatter, whose predictions err least. With the hat value
    ``h_i = 1/n + (x_i - mean)' (S + k I)^-1 (x_i - mean)`` the left-out residual is ``(y_i - y^_i) / (1 - h_i)``.
    Without anything to fit (one clip, constant features) the prediction is the mean label.

    Args:
        bank: (N, d) features of any floating type.
        labels: (N,) m-labels.
        seen: (N,) bool, which rows of the bank hold anything; the others are not used and get 0.
        total: adds what other processes hold.
    """
    said = torch.zeros(len(labels), dtype=torch.float64, device=labels.device)
    first = said.new_zeros(bank.shape[1] + 2)
    for at, rows in _chunks(bank, seen):
        first += torch.cat([rows.sum(0), labels[at].double().sum()[None], first.new_tensor([len(at)])])
    first = total(first)
    count = int(first[-1])
    if not count:
        return said
    mean, centre = first[-2] / count, first[:-2] / count
    said[seen] = mean
    second = said.new_zeros(len(centre), len(centre) + 1)
    for at, rows in _chunks(bank, seen):
        off = rows - centre
        second += off.T @ torch.cat([off, (labels[at].double() - mean)[:, None]], dim=1)
    second = total(second)
    scatter, cross = second[:, :-1], second[:, -1]
    level = scatter.trace() / len(centre)
    if count < 3 or not scatter.isfinite().all() or not level > count * (COINCIDENT * centre.norm()) ** 2:
        return said
    values, vectors = torch.linalg.eigh(scatter)
    strengths = said.new_tensor(STRENGTHS)
    shrunk = 1 / (values.clamp(min=0)[:, None] + level * strengths)  # (d, G)
    weights = shrunk * (vectors.T @ cross)[:, None]
    errors = said.new_zeros(len(STRENGTHS))
    for at, rows in _chunks(bank, seen):
        left = _left_out((rows - centre) @ vectors, labels[at].double() - mean, shrunk, weights, count)
        errors += left.square().sum(0)
    best = total(errors).argmin()
    shrunk, weights = shrunk[:, best, None], weights[:, best, None]
    for at, rows in _chunks(bank, seen):
        left = _left_out((rows - centre) @ vectors, labels[at].double() - mean, shrunk, weights, count)
        said[at] = labels[at].double() - left[:, 0]
    return said


def _left_out(rows: Tensor, labels: Tensor, shrunk: Tensor, weights: Tensor, count: int) -> Tensor:
    """(B, G) left-out residuals of centred rows in the eigenbasis, per strength."""
    hats = 1 / count + rows.square() @ shrunk
    residuals: Tensor = (labels[:, None] - rows @ weights) / (1 - hats)
    return residuals


def _chunks(bank: Tensor, seen: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Positions and float64 rows of the seen clips, some at a time."""
    for at in torch.split(seen.nonzero()[:, 0], ROWS_AT_ONCE):
        yield at, bank[at.to(bank.device)].to(at.device, torch.float64)
