"""The unimodal label generation module (ULGM) of Self-MM: u-labels from m-labels, with no parameters.

Source: Yu et al., AAAI 2021, https://arxiv.org/abs/2102.04830, section "Unimodal Label Generation Module" and
algorithm 1. One deviation from the published code: the class centres are running sums that only the batch changes, so a
step costs the same for a thousand clips as for a million.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import torch
import torch.distributed
from torch import Tensor

from selfmm.labels.base import GeneratorBase
from selfmm.labels.feature_space import BatchRows, FeatureSpace, Rows
from selfmm.labels.outcomes import Outcome, first_true
from selfmm.labels.rules import RULES, Centres, Evidence, Rule
from selfmm.labels.settings import FixedLabels, check_settings, check_update


class UnimodalLabelGenerator(GeneratorBase):
    """Generates one label per clip and modality, moved each epoch towards what the modality's own features suggest.

    A clip's u-labels start as its m-label. Starting with epoch 2, ``update`` computes a raw label y^i by the rule, from
    the class centres as they were before the batch, and sets ``y^(i) = (i-1)/(i+1) y^(i-1) + 2/(i+1) y^i``. The centres
    of a modality are the exact means of the last stored features of clips with a positive or negative u-label *of that
    modality*; those of the fusion go by the m-label. Clips that were never in a batch are in no centre.

    A label is held (left as it was) if there is no evidence: no positive or no negative clip is stored yet; the two
    centres of the modality or of the fusion coincide (constant features); the clip's features are NaN or infinite (they
    are not stored either); the raw label is not finite (the rule's pole). So labels and centres are always finite.
    ``outcomes`` tells what became of each label, and why it was held.

    Several processes: each makes a generator of its own clips, with otherwise the same arguments and ``group``, and
    passes its own part of each batch to ``update``. They exchange only changes of class sums, 16 bytes per feature and
    step. All processes call ``update`` and ``resync`` equally often, with an empty batch if they have no clip left. The
    labels are those that one process would generate from all parts as one batch.

    All state is in persistent buffers: from a ``state_dict`` of any moment, a run continues bit for bit. The sums are
    float64; if your device has no float64, leave the generator on the CPU: ``update`` moves its arguments there.

    Args:
        labels: (N,) m-labels. Labels are kept in float64 if these are float64, else in float32.
        dims: width d_s of each modality's feature F_s*, for example ``{"text": 32, "audio": 16}``.
        fusion_dim: width D of the fusion feature F_m*.
        bound: H > 0, the largest distance of a label from ``neutral`` (3 for MOSI and MOSEI, 1 for SIMS).
        rule: a name in ``RULES`` or a rule of your own (see :mod:`selfmm.labels.rules`).
        zero_labels: the class of a neutral label: "neither" as in the paper, "positive" as in one published code.
        bank_dtype: type the last features are stored in, N * (D + sum of d_s) numbers. A feature too large for it
            (above 65504 in float16) counts as infinite for the centres.
        neutral: the label between the classes: 0, or 3 on a scale from 1 to 5.
        unit: > 0; rules and weights use (y - neutral) / unit. The published formulas add a distance without a unit to
            a label, so they need labels of a few units, like those of MOSI: use about 15 on a scale from 0 to 100.
        fixed: per modality, known u-labels. They never move, count in the centres, and have their own weights.
        group: processes that share the centres.

    Raises:
        SettingsError: if arguments are wrong; lists all problems.
    """

    def __init__(
        self,
        labels: Tensor,
        dims: Mapping[str, int],
        fusion_dim: int,
        bound: float = 3.0,
        rule: str | Rule = "authors",
        *,
        zero_labels: str = "neither",
        bank_dtype: torch.dtype = torch.float32,
        neutral: float = 0.0,
        unit: float = 1.0,
        fixed: Mapping[str, FixedLabels] | None = None,
        group: torch.distributed.ProcessGroup | None = None,
    ) -> None:
        fixed = fixed or {}
        check_settings(labels, dims, fusion_dim, bound, rule, zero_labels, bank_dtype, neutral, unit, fixed)
        labels = labels.detach().to(torch.float64 if labels.dtype == torch.float64 else torch.float32)

        def space(dim: int) -> FeatureSpace:
            return FeatureSpace(labels, dim, bank_dtype, float(neutral), zero_labels == "positive")

        super().__init__({name: space(dim) for name, dim in dims.items()})
        self.fusion = space(fusion_dim)
        self.bound, self.neutral, self.unit = float(bound), float(neutral), float(unit)
        self.rule = RULES[rule] if isinstance(rule, str) else rule
        self._group = group
        for name, known in fixed.items():
            self._space(name).fix(known)

    @property
    def m_labels(self) -> Tensor:
        """(N,) m-labels, which never change."""
        return self.fusion.labels

    @torch.no_grad()
    def weights(self, index: Tensor) -> dict[str, Tensor]:
        """Return the loss weights W_s = tanh(|y_s - y_m| / unit), (B,) in [0, 1] per modality.

        ``index`` holds (B,) positions in the ``labels`` of the constructor. Fixed labels have their own weights.
        """
        index = self._check_index(index)
        m_labels = self.m_labels[index]
        weights = {name: ((own[index] - m_labels).abs() / self.unit).tanh() for name, own in self.labels.items()}
        return {name: self._space(name).own_weights(index, values) for name, values in weights.items()}

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

        Takes O(B), independent of N, and never waits for an accelerator. If a clip is in the batch several times, only
        its last place counts.

        Args:
            fusion: (B, D) fusion features.
            features: (B, d_s) features of every modality, in any floating type.
            index: (B,) positions in the ``labels`` of the constructor. Their range is checked on the CPU only: on an
                accelerator the check would wait for the device, so a wrong position raises the device's own error.
            epoch: number of the epoch, starting at 1.
            present: per modality (B,) bool, False where the clip lacks that modality: its label and stored features
                stay as they are. A clip that always lacks it keeps y_m, has weight 0 and counts in no centre of it.
                A modality without a mask is present in all clips.

        Raises:
            ValueError: if an argument does not fit the generator.
        """
        present = present or {}
        check_update([*self.names], index, features, epoch, present)
        self.fusion.check("fusion", fusion, len(index))
        for name in self.names:
            self._space(name).check(name, features[name], len(index))
        batch = BatchRows.of(self._check_index(index))
        if not len(index) and self._group is None:
            return
        fusion_rows = batch.rows(fusion)
        changes = [self.fusion.replace(batch, fusion_rows, self.m_labels[batch.index])]
        for name in self.names:
            space = self._space(name)
            rows = batch.rows(features[name], present.get(name))
            labels, outcome = space.labels[batch.index], None
            if epoch > 1:
                labels, outcome = self._relabel(name, batch, fusion_rows, rows, epoch)
            changes.append(space.replace(batch, rows, labels, outcome))
        for space, change in zip(self._spaces(), self._sum_over_processes(changes), strict=True):
            space.shift(change)

    def _relabel(self, name: str, batch: BatchRows, fusion: Rows, rows: Rows, epoch: int) -> tuple[Tensor, Tensor]:
        """The batch's labels after this epoch's momentum, (B,), and what became of them, (B,) uint8."""
        space = self._space(name)
        old = space.labels[batch.index]
        raw = self.unit * self.rule(
            Evidence(
                m_labels=self._in_units(self.m_labels[batch.index].double()),
                fusion=fusion.values,
                feature=rows.values,
                fusion_centres=self.fusion.centres(),
                centres=space.centres(),
                bound=self.bound / self.unit,
            )
        )
        limit = self.bound if self.rule.bounded else math.inf
        new = (epoch - 1) / (epoch + 1) * old.double() + 2 / (epoch + 1) * (raw.clamp(-limit, limit) + self.neutral)
        # Rounding may push a mean of two labels past the bound, or a huge one past float32.
        new = new.clamp(self.neutral - limit, self.neutral + limit).to(old.dtype)
        cases = [
            (Outcome.FIXED, space.is_fixed(batch.index)),
            (Outcome.MISSING, ~rows.present),
            (Outcome.NOT_FINITE, ~(rows.usable & fusion.usable)),
            (Outcome.ONE_CLASS, ~(space.has_two_classes() & self.fusion.has_two_classes())),
            (Outcome.COINCIDE, ~(space.centres_differ() & self.fusion.centres_differ())),
            (Outcome.NO_EVIDENCE, ~(raw.isfinite() & new.isfinite())),
            (Outcome.CLAMPED, raw.abs() > limit),
        ]
        outcome = first_true(len(old), cases, Outcome.UPDATED, old.device)
        moved = (outcome == int(Outcome.UPDATED)) | (outcome == int(Outcome.CLAMPED))
        return new.where(moved, old), outcome

    @torch.no_grad()
    def resync(self) -> None:
        """Recompute the centres' sums from the stored features, O(N); call it once per epoch."""
        totals = self._sum_over_processes([space.recount() for space in self._spaces()])
        for space, total in zip(self._spaces(), totals, strict=True):
            space.reset(total)

    def figures(self) -> dict[str, dict[str, float]]:
        """Return, per modality and for ``fusion``, how far the classes are apart.

        ``gap`` is the current distance of the centres, ``separation`` the gap over the spread of the clips around their
        own centre at the last ``resync``.
        """
        return {"fusion": self.fusion.figures(), **{name: self._space(name).figures() for name in self.names}}

    def centres(self, name: str | None = None) -> Centres:
        """Return the class centres of a modality (None: of the fusion), (d,) float64; NaN if a class has no clip."""
        space = self.fusion if name is None else self._space(name)
        return Centres(*space.sums / space.members[:, None])

    def _space(self, name: str) -> FeatureSpace:
        return cast(FeatureSpace, super()._space(name))

    def _in_units(self, labels: Tensor) -> Tensor:
        """Labels as rules see them: around 0, in units of the scale."""
        return (labels - self.neutral) / self.unit

    def _spaces(self) -> list[FeatureSpace]:
        return [self.fusion, *map(self._space, self.names)]

    def _sum_over_processes(self, parts: list[Tensor]) -> list[Tensor]:
        """The sum of each float64 part over all processes, in one message."""
        if self._group is None:
            return parts
        sums = torch.cat([part.flatten() for part in parts])
        torch.distributed.all_reduce(sums, group=self._group)
        split = torch.split(sums, [part.numel() for part in parts])
        return [values.view(part.shape) for values, part in zip(split, parts, strict=True)]
