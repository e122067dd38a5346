"""What a modality says about a clip where it was not shown that clip's label: the evidence of the rule ``posterior``.

Each epoch a ridge head is fitted from the stored features of one modality to the m-labels, and every clip is predicted
by the head fitted without it. Leaving one clip out has a closed form (PRESS; Allen 1974), so this costs one pass over
the bank and no random folds: the result depends neither on the order of the clips nor on the batches.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from selfmm.labels.accounts import SILENT, Account, HeldOut, fit_account
from selfmm.labels.streams import COINCIDENT, ROWS_AT_ONCE, FeatureStream

# Of the ridge, relative to the features' mean eigenvalue; the data choose among them.
STRENGTHS = tuple(10.0**power for power in range(-6, 3))


class Testimony(nn.Module):
    """Out-of-sample predictions of one modality, averaged over epochs, and the account of their error.

    The average over epochs is the published momentum, applied to the evidence and no longer to the label:
    ``z^(i) = (i-1)/(i+1) z^(i-1) + 2/(i+1) z_i``. A posterior of a mean knows how little noise is left in it, the mean
    of posteriors does not.

    Args:
        clips: N.
        device: where the buffers are.
    """

    said: Tensor  # (N,) float64, averaged predictions; 0 where nothing was heard
    heard: Tensor  # (N,) bool
    epochs: Tensor  # () long, predictions averaged so far
    fresh: Tensor  # () bool, whether features were stored since the last one
    figures: Tensor  # (7,) float64, an Account

    def __init__(self, clips: int, device: torch.device) -> None:
        super().__init__()
        self.register_buffer("said", torch.zeros(clips, dtype=torch.float64, device=device))
        self.register_buffer("heard", torch.zeros(clips, dtype=torch.bool, device=device))
        self.register_buffer("epochs", torch.zeros((), dtype=torch.long, device=device))
        self.register_buffer("fresh", torch.zeros((), dtype=torch.bool, device=device))
        self.register_buffer("figures", torch.stack(SILENT).to(device))

    def at(self, index: Tensor) -> HeldOut:
        """What the rule is shown of the clips at ``index``, (B,)."""
        return HeldOut(self.said[index], self.heard[index], Account(*self.figures))

    def listen(self, stream: FeatureStream, m_labels: Tensor) -> None:
        """Adds the predictions from the stored features; does nothing if none were stored since the last time."""
        if not self.fresh:
            return
        self.fresh.fill_(False)
        self.epochs += 1
        seen, epoch = stream.seen, int(self.epochs)
        new = leave_one_out(stream.bank, m_labels, seen)
        mean = (epoch - 1) / (epoch + 1) * self.said + 2 / (epoch + 1) * new
        self.said.copy_(new.where(~self.heard, mean).where(seen, self.said))
        self.heard |= seen
        account = fit_account(m_labels[self.heard].double(), self.said[self.heard])
        self.figures.copy_(torch.stack(account))


def leave_one_out(bank: Tensor, labels: Tensor, seen: Tensor) -> Tensor:
    """(N,) float64: for each seen clip, its label as predicted from its features by the head fitted without it.

    The head minimises ``sum_j (y_j - c - w.x_j)^2 + k |w|^2`` with a free constant c; ``k`` is that strength in
    ``STRENGTHS``, times the mean eigenvalue of the features' scatter, whose predictions err least. With the hat value
    ``h_i = 1/n + (x_i - mean)' (S + k I)^-1 (x_i - mean)`` the left-out residual is ``(y_i - y^_i) / (1 - h_i)``.
    Without anything to fit (one clip, constant features) the prediction is the mean label.

    Args:
        bank: (N, d) features of any floating type.
        labels: (N,) m-labels.
        seen: (N,) bool, which rows of the bank hold anything; the others are not used and get 0.
    """
    count = int(seen.sum())
    said = torch.zeros(len(labels), dtype=torch.float64, device=bank.device)
    if not count:
        return said
    mean = labels[seen].double().mean()
    said[seen] = mean
    centre = sum((rows.sum(0) for _, rows in _chunks(bank, seen)), torch.zeros_like(bank[0]).double()) / count
    scatter, cross = torch.zeros(len(centre), len(centre)).to(centre), torch.zeros_like(centre)
    for at, rows in _chunks(bank, seen):
        scatter += (rows - centre).T @ (rows - centre)
        cross += (rows - centre).T @ (labels[at].double() - mean)
    level = scatter.trace() / len(centre)
    if count < 3 or not scatter.isfinite().all() or not level > count * (COINCIDENT * centre.norm()) ** 2:
        return said
    values, vectors = torch.linalg.eigh(scatter)
    strengths = torch.tensor(STRENGTHS, dtype=torch.float64, device=bank.device)
    shrunk = 1 / (values.clamp(min=0)[:, None] + level * strengths)  # (d, G)
    weights = shrunk * (vectors.T @ cross)[:, None]
    errors = torch.zeros(len(STRENGTHS)).to(values)
    for at, rows in _chunks(bank, seen):
        left = _left_out((rows - centre) @ vectors, labels[at].double() - mean, shrunk, weights, count)
        errors += left.square().sum(0)
    best = errors.argmin()
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
        yield at, bank[at].double()
