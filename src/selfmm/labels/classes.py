"""Labels per modality for K unordered classes: the idea of Self-MM's ULGM, carried over to distributions.

Self-MM (Yu et al., AAAI 2021, arXiv 2102.04830) moves a signed label by how much nearer a modality stands to the
positive centre than to the negative. Without an order there is no sign and no distance to move by; what remains sound
is the question behind it: given the m-class, which class does this modality speak for? The u-label is the answer as a
distribution over the K classes, the posterior in :mod:`selfmm.labels.class_accounts`.

With K = 2 the evidence is Self-MM's own: by how much a clip is nearer to one centre, D^n - D^p, is what moves the log
odds; it is divided by the spread of the features (1/beta) instead of by D^p, so there is no pole. What the label is
relative to is no longer the fusion's distance but the m-class itself, as in the rule ``posterior``. It has the form of
the label of PLGM (Zhong et al., arXiv 2510.20256), ``(1 - alpha) y + alpha r`` with y the given and r the
modality's class, bounded by construction. There alpha compares a classifier's own output with both; here it is the
probability of a contradiction, from centres that were made without the clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from selfmm.core.errors import SettingsError
from selfmm.labels.base import GeneratorBase
from selfmm.labels.class_accounts import posterior
from selfmm.labels.class_streams import ClassStream
from selfmm.labels.ordered import check_classes
from selfmm.labels.outcomes import Outcome, first_true
from selfmm.labels.settings import BANK_DTYPES, check_update, dims_problems, shape
from selfmm.labels.streams import BatchRows, Rows

DTYPES = (torch.float32, torch.float64)


class UnimodalClassLabelGenerator(GeneratorBase):
    """A distribution over K unordered classes per clip and modality, moved each epoch by the modality's own features.

    A clip's u-labels start as its m-class for certain. ``resync``, at the end of each epoch, estimates from the last
    stored features how much the distances to the class centres say and how often the modality contradicts. From the
    next epoch on ``update`` takes the posterior q^i from the centres as they were before the batch, and the label
    ``u^(i) = (i-1)/(i+1) u^(i-1) + 2/(i+1) q^i``, as published. Centres are exact means of the last stored features
    over clips whose *own* current u-label finds the class most probable; a clip is taken out of its own centre
    before its distances are measured. Clips never seen are in no centre.

    A label is held where no evidence exists: before the first ``resync``; the m-class has no other clip stored, so no
    centre; all centres are one point; the features are NaN or infinite; the distances do not speak for the m-classes.
    ``outcomes`` says which (``ONE_CLASS``: fewer than two classes have a centre, or the m-class has no other clip).
    Labels are always finite and on the simplex.

    Every state is a persistent buffer: ``state_dict`` in the middle of a run continues bit for bit. ``.half()`` changes
    no type. Train with it as with soft targets: ``weights(index)[s] * cross_entropy(score_s, labels[s][index])``.

    Args:
        classes: (N,) integers from 0 to ``count`` - 1, the m-classes.
        count: K >= 2.
        dims: width d_s of each modality's feature.
        label_dtype: type the labels are kept in: N * K numbers per modality.
        bank_dtype: type the last features are stored in: N * d_s numbers per modality.

    Raises:
        SettingsError: all that is wrong with the arguments, at once.
    """

    m_classes: Tensor  # (N,) long
    prior: Tensor  # (K,) float64, shares of the m-classes

    def __init__(
        self,
        classes: Tensor,
        count: int,
        dims: Mapping[str, int],
        *,
        label_dtype: torch.dtype = torch.float32,
        bank_dtype: torch.dtype = torch.float32,
    ) -> None:
        _check_settings(classes, count, dims, label_dtype, bank_dtype)
        certain = nn.functional.one_hot(classes.long(), count)
        super().__init__({name: ClassStream(certain.to(label_dtype), dim, bank_dtype) for name, dim in dims.items()})
        self.register_buffer("m_classes", classes.detach().clone().long())
        self.register_buffer("prior", certain.double().mean(0))

    @torch.no_grad()
    def weights(self, index: Tensor) -> dict[str, Tensor]:
        """Loss weights W_s in [0, 1], (B,) per modality: the total variation distance of u-label and m-class.

        That is 1 - u_m, the probability that the modality says another class than m. It needs no tanh: it is bounded
        as it is. With K = 2 and the signed label y = u_1 - u_0 it is |y_s - y_m| / 2.
        """
        index = self._check_index(index)
        return {name: 1 - self._of_m(labels[index], index) for name, labels in self.labels.items()}

    @torch.no_grad()
    def update(
        self,
        fusion: Tensor,
        features: Mapping[str, Tensor],
        index: Tensor,
        epoch: int,
        *,
        present: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Gives the batch new labels (epoch > 1), stores its features and moves the centres, in this order.

        Costs O(B K), whatever N is. If a clip is in the batch several times, its last place counts. The arguments are
        those of :meth:`selfmm.labels.UnimodalLabelGenerator.update`. The relation does not use the ``fusion`` features,
        (B, any); only a clip whose fusion is not finite is left as it is, as there.

        Raises:
            ValueError: an argument does not fit the generator.
        """
        present = present or {}
        check_update([*self.names], index, features, epoch, present)
        if fusion.ndim != 2 or len(fusion) != len(index) or not fusion.is_floating_point():
            raise ValueError(f"fusion features are {shape(fusion)} {fusion.dtype}; expected ({len(index)}, any) floats")
        for name in self.names:
            self._stream(name).check(name, features[name], len(index))
        if not len(index):
            return
        batch = BatchRows.of(self._check_index(index))
        trusted = batch.rows(fusion).usable
        for name in self.names:
            stream, rows = self._stream(name), batch.rows(features[name], present.get(name))
            labels = stream.labels[batch.index]
            if epoch > 1:
                labels, stream.outcome[batch.index] = self._relabel(stream, batch, rows, trusted, epoch)
            stream.replace(batch, rows, labels, self.m_classes)

    def _relabel(
        self, stream: ClassStream, batch: BatchRows, rows: Rows, trusted: Tensor, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """The batch's labels after this epoch's momentum, (B, K), and what became of them, (B,) uint8."""
        old, m_classes = stream.labels[batch.index], self.m_classes[batch.index]
        distances = stream.distances(rows.values, batch.index, self.m_classes)
        raw = posterior(m_classes, distances, self.prior, stream.account)
        new = ((epoch - 1) * old.double() + 2 * raw) / (epoch + 1)
        new = (new / new.sum(-1, keepdim=True)).to(old.dtype)
        cases = [
            (Outcome.MISSING, ~rows.present),
            (Outcome.NOT_FINITE, ~(rows.usable & trusted)),
            (Outcome.ONE_CLASS, ~(stream.several() & self._of_m(distances, batch.index).isfinite())),
            (Outcome.COINCIDE, ~stream.apart()),
            (Outcome.NO_EVIDENCE, ~((stream.account.sharpness > 0) & new.isfinite().all(-1))),
        ]
        outcome = first_true(len(old), cases, Outcome.UPDATED, old.device)
        return new.where((outcome == int(Outcome.UPDATED))[:, None], old), outcome

    @torch.no_grad()
    def resync(self) -> None:
        """Recomputes the centres and estimates what each modality's distances say, O(N K); call once an epoch.

        Without this call the labels stay the m-classes.
        """
        for name in self.names:
            self._stream(name).recompute(self.m_classes)
            self._stream(name).listen(self.m_classes, self.prior)

    def centres(self, name: str) -> Tensor:
        """Class centres of a modality, (K, d) float64; NaN where a class has no clip yet."""
        stream = self._stream(name)
        return stream.sums / stream.members[:, None]

    def figures(self, name: str) -> dict[str, float]:
        """What was estimated of a modality: ``sharpness`` beta, ``share`` pi of contradictions, its ``credit`` w."""
        return {key: float(value) for key, value in self._stream(name).account._asdict().items()}

    def _stream(self, name: str) -> ClassStream:
        return cast(ClassStream, super()._stream(name))

    def _of_m(self, rows: Tensor, index: Tensor) -> Tensor:
        return rows.gather(1, self.m_classes[index][:, None])[:, 0]


def _check_settings(
    classes: Tensor, count: int, dims: Mapping[str, int], label_dtype: torch.dtype, bank_dtype: torch.dtype
) -> None:
    problems = []
    whole = isinstance(count, int) and not isinstance(count, bool)
    if not whole or count < 2:
        problems.append(f"the number of classes is {count!r}; give a whole number >= 2")
    elif not classes.numel():
        problems.append("classes is empty; give one per training clip")
    else:
        try:
            check_classes(classes, count)
        except ValueError as error:
            problems.append(str(error))
    problems += dims_problems(dims)
    if bank_dtype not in BANK_DTYPES:  # a bank of whole numbers would cut the features off
        problems.append(f"bank_dtype is {bank_dtype!r}; choose from {[*BANK_DTYPES]}")
    if label_dtype not in DTYPES:
        problems.append(f"label_dtype is {label_dtype!r}; choose from {[*DTYPES]}")
    if problems:
        raise SettingsError(problems)
