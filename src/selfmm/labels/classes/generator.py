"""Labels per modality for K unordered classes: the idea of Self-MM's ULGM for distributions instead of numbers.

Self-MM (Yu et al., AAAI 2021, https://arxiv.org/abs/2102.04830) moves a signed label by how much nearer a modality is
to the positive centre than to the negative one. Classes without an order have no sign and no such distance. The
question remains: given the m-class, which class does this modality express? The u-label answers it with a distribution
over the K classes, the posterior in :mod:`selfmm.labels.classes.posterior`.

With K = 2 the evidence is that of Self-MM: the difference of the distances, D^n - D^p, moves the log odds. It is
divided by the spread of the features (1/beta) instead of D^p, so there is no pole. The label is relative to the m-class
itself instead of the fusion's distance, as in the rule ``posterior``. It has the form of the label of PLGM (Zhong et
al., https://arxiv.org/abs/2510.20256), ``(1 - alpha) y + alpha r`` with y the m-class and r the modality's class, which
is bounded. In PLGM, alpha compares a classifier's own output with both; here it is the probability of a contradiction,
from centres computed without the clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from selfmm.core.errors import SettingsError
from selfmm.labels.base import GeneratorBase
from selfmm.labels.classes.feature_space import ClassFeatureSpace
from selfmm.labels.classes.ordered import check_classes, check_count
from selfmm.labels.classes.posterior import posterior
from selfmm.labels.feature_space import BatchRows, Rows
from selfmm.labels.outcomes import Outcome, first_true
from selfmm.labels.settings import BANK_DTYPES, check_update, dims_problems, shape

DTYPES = (torch.float32, torch.float64)


class UnimodalClassLabelGenerator(GeneratorBase):
    """Generates a distribution over K unordered classes per clip and modality, moved by the modality's own features.

    A clip's u-labels start as its m-class with probability 1. At the end of each epoch ``resync`` estimates, from the
    last stored features, how well the distances to the class centres explain the m-classes, and how often the modality
    contradicts. In the next epoch ``update`` computes the posterior q^i from the centres as they were before the batch,
    and the label ``u^(i) = (i-1)/(i+1) u^(i-1) + 2/(i+1) q^i``, as published. Centres are exact means of the last
    stored features of clips, by the most probable class of their own current u-label; a clip is removed from its centre
    before its distances are measured. Clips that were never in a batch are in no centre.

    A label is held (left as it was) if there is no evidence: before the first ``resync``; the m-class has no other clip
    stored, so no centre; all centres are one point; the features are NaN or infinite; the distances do not explain the
    m-classes. ``outcomes`` gives the reason (``ONE_CLASS``: fewer than two classes have a centre, or the m-class has no
    other clip). Labels are always finite and on the simplex.

    All state is in persistent buffers: from a ``state_dict`` of any moment, a run continues bit for bit. Train with the
    labels as soft targets: ``weights(index)[s] * cross_entropy(score_s, labels[s][index])``.

    Args:
        classes: (N,) integers from 0 to ``count`` - 1, the m-classes.
        count: K >= 2.
        dims: width d_s of each modality's feature.
        label_dtype: type the labels are stored in: N * K numbers per modality.
        bank_dtype: type the last features are stored in: N * d_s numbers per modality.

    Raises:
        SettingsError: if arguments are wrong; lists all problems.
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
        super().__init__(
            {name: ClassFeatureSpace(certain.to(label_dtype), dim, bank_dtype) for name, dim in dims.items()}
        )
        self.register_buffer("m_classes", classes.detach().clone().long())
        self.register_buffer("prior", certain.double().mean(0))

    @torch.no_grad()
    def weights(self, index: Tensor) -> dict[str, Tensor]:
        """Return the loss weights W_s in [0, 1], (B,) per modality: total variation distance of u-label and m-class.

        That is 1 - u_m, the probability that the modality's class is not m. It is bounded, so it needs no tanh. With
        K = 2 and the signed label y = u_1 - u_0 it is |y_s - y_m| / 2.
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
        """Give the batch new labels (epoch > 1), store its features and move the centres, in this order.

        Takes O(B K), independent of N. The arguments are those of :meth:`selfmm.labels.UnimodalLabelGenerator.update`.
        The ``fusion`` features, (B, any), only decide whether a clip keeps its label because they are not finite.

        Raises:
            ValueError: if an argument does not fit the generator.
        """
        present = present or {}
        check_update([*self.names], index, features, epoch, present)
        if fusion.ndim != 2 or len(fusion) != len(index) or not fusion.is_floating_point():
            raise ValueError(f"fusion features are {shape(fusion)} {fusion.dtype}; expected ({len(index)}, any) floats")
        for name in self.names:
            self._space(name).check(name, features[name], len(index))
        if not len(index):
            return
        batch = BatchRows.of(self._check_index(index))
        fusion_usable = batch.rows(fusion).usable
        for name in self.names:
            space, rows = self._space(name), batch.rows(features[name], present.get(name))
            labels = space.labels[batch.index]
            if epoch > 1:
                labels, space.outcome[batch.index] = self._relabel(space, batch, rows, fusion_usable, epoch)
            space.replace(batch, rows, labels, self.m_classes)

    def _relabel(
        self, space: ClassFeatureSpace, batch: BatchRows, rows: Rows, fusion_usable: Tensor, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """The batch's labels after this epoch's momentum, (B, K), and what became of them, (B,) uint8."""
        old, m_classes = space.labels[batch.index], self.m_classes[batch.index]
        distances = space.distances(rows.values, batch.index, self.m_classes)
        raw = posterior(m_classes, distances, self.prior, space.fit)
        new = ((epoch - 1) * old.double() + 2 * raw) / (epoch + 1)
        new = (new / new.sum(-1, keepdim=True)).to(old.dtype)
        cases = [
            (Outcome.MISSING, ~rows.present),
            (Outcome.NOT_FINITE, ~(rows.usable & fusion_usable)),
            (Outcome.ONE_CLASS, ~(space.has_two_classes() & self._of_m(distances, batch.index).isfinite())),
            (Outcome.COINCIDE, ~space.centres_differ()),
            (Outcome.NO_EVIDENCE, ~((space.fit.sharpness > 0) & new.isfinite().all(-1))),
        ]
        outcome = first_true(len(old), cases, Outcome.UPDATED, old.device)
        return new.where((outcome == int(Outcome.UPDATED))[:, None], old), outcome

    @torch.no_grad()
    def resync(self) -> None:
        """Recompute the centres and fit each modality's distances to the m-classes, O(N K); call it once per epoch.

        Without it, labels stay the m-classes.
        """
        for name in self.names:
            self._space(name).recompute(self.m_classes)
            self._space(name).update_fit(self.m_classes, self.prior)

    def centres(self, name: str) -> Tensor:
        """Return the class centres of a modality, (K, d) float64; NaN where a class has no clip yet."""
        space = self._space(name)
        return space.sums / space.members[:, None]

    def figures(self, name: str) -> dict[str, float]:
        """Return the fit of a modality: ``sharpness`` beta, ``share`` pi of contradictions, and ``credit`` w."""
        return {key: float(value) for key, value in self._space(name).fit._asdict().items()}

    def _space(self, name: str) -> ClassFeatureSpace:
        return cast(ClassFeatureSpace, super()._space(name))

    def _of_m(self, rows: Tensor, index: Tensor) -> Tensor:
        return rows.gather(1, self.m_classes[index][:, None])[:, 0]


def _check_settings(
    classes: Tensor, count: int, dims: Mapping[str, int], label_dtype: torch.dtype, bank_dtype: torch.dtype
) -> None:
    problems = dims_problems(dims)
    try:
        check_count(count)
        if not classes.numel():
            raise ValueError("classes is empty; give one per training clip")
        check_classes(classes, count)
    except ValueError as error:
        problems.insert(0, str(error))
    if bank_dtype not in BANK_DTYPES:  # whole numbers would cut off the features
        problems.append(f"bank_dtype is {bank_dtype!r}; choose from {[*BANK_DTYPES]}")
    if label_dtype not in DTYPES:
        problems.append(f"label_dtype is {label_dtype!r}; choose from {[*DTYPES]}")
    if problems:
        raise SettingsError(problems)
