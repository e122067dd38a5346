"""The unimodal label generation module (ULGM) of Self-MM: u-labels from m-labels, with no parameters.

Source: Yu et al., AAAI 2021 (arXiv 2102.04830). Deviation from the published code: the class centres are running sums
corrected by the batch alone, so a step costs the same for a thousand clips as for a million.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
import torch.distributed
from torch import Tensor, nn

from selfmm.labels.banks import make_bank
from selfmm.labels.base import GeneratorBase, key
from selfmm.labels.held_out import Testimony
from selfmm.labels.outcomes import Outcome, first_true
from selfmm.labels.rules import RULES, Centres, Evidence, Rule
from selfmm.labels.settings import FixedLabels, check_settings, check_update
from selfmm.labels.streams import BatchRows, FeatureStream, Rows


class UnimodalLabelGenerator(GeneratorBase):
    """One label per clip and modality, moved each epoch towards what the modality's own features say.

    A clip's u-labels start as its m-label. From epoch 2 on, ``update`` asks the rule for a raw label y^i against the
    class centres as they were before the batch, and takes ``y^(i) = (i-1)/(i+1) y^(i-1) + 2/(i+1) y^i``. The centres of
    a modality are the exact means of the last stored features over clips whose *own* current u-label is positive or
    negative (of the fusion: by the m-label). Clips never seen are in no centre.

    A label stays what it was ("held") where no evidence exists: no positive or no negative clip stored so far; the two
    centres of the modality or of the fusion coincide (constant features); NaN or infinite features of the clip, which
    are not stored either; a raw label that is not finite (the rule's pole). So labels and centres are always finite.
    ``outcomes`` says of each label what became of it, and why it was held.

    Several processes: each makes a generator of its own clips, with the same arguments otherwise and ``group``, and
    shows it its own part of each batch. Only the changes of the class sums travel, 16 bytes a feature and step. All of
    them call ``update`` and ``resync`` equally often, with an empty batch where they have no clip left. The labels are
    those of one process that is shown the parts as one batch.

    A rule on held-out evidence (``posterior``) differs in two points: its evidence is made by ``resync`` at the end of
    an epoch and used in the next, and its momentum is in that evidence, so its raw labels are the labels.

    Every state is a persistent buffer: ``state_dict`` in the middle of a run continues bit for bit. ``.to(device)``
    moves all of it; ``.half()`` changes nothing, because sums and labels would be rounded. The sums are float64; beside
    a device without that type, leave the generator on the CPU: ``update`` brings its arguments to the generator.

    Args:
        labels: (N,) m-labels, in neutral +- bound. Labels are kept in float64 if these are, else in float32.
        dims: width d_s of each modality's feature F_s*, for example ``{"text": 32, "audio": 16}``.
        fusion_dim: width D of the fusion feature F_m*.
        bound: H, the largest distance of a label from ``neutral`` (3 for MOSI and MOSEI, 1 for SIMS).
        rule: a name in ``RULES`` or a rule of your own (see :mod:`selfmm.labels.rules`).
        zero_labels: the class of a neutral label: "neither" as in the paper, "positive" as in one published code.
        bank_dtype: type the last features are stored in: N * (D + sum of d_s) numbers. A feature too large for it
            (65504 in float16) counts as infinite for the centres.
        neutral: the label between the classes: 0, or 3 on a scale from 1 to 5.
        unit: rules and weights see (y - neutral) / unit. The published formulas add a distance without a unit to a
            label, so they want labels of a few units, as MOSI's: 15 or so on a scale from 0 to 100.
        fixed: per modality, u-labels that are known. They never move, are in the centres, and have their own weights.
        bank_folder: keeps the features in unnamed files in this folder, mapped into memory, for banks larger than that.
            They stay where they are when the generator moves to another device.
        group: processes that share the centres.

    Raises:
        SettingsError: all that is wrong with the arguments, at once.
        OutputError: ``bank_folder`` cannot be written to, or lacks the room.
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
        bank_folder: Path | None = None,
        group: torch.distributed.ProcessGroup | None = None,
    ) -> None:
        fixed = fixed or {}
        check_settings(labels, dims, fusion_dim, bound, rule, zero_labels, bank_dtype, neutral, unit, fixed)
        labels = labels.detach().to(torch.float64 if labels.dtype == torch.float64 else torch.float32)

        def stream(dim: int) -> FeatureStream:
            bank = make_bank(len(labels), dim, bank_dtype, labels.device, bank_folder)
            return FeatureStream(labels, bank, float(neutral), zero_labels == "positive")

        super().__init__({name: stream(dim) for name, dim in dims.items()})
        self.fusion = stream(fusion_dim)
        self.bound, self.neutral, self.unit = float(bound), float(neutral), float(unit)
        self.rule = RULES[rule] if isinstance(rule, str) else rule
        self._asks_held_out = bool(getattr(self.rule, "held_out", False))
        self._mapped = bank_folder is not None
        self._group = group
        for name, known in fixed.items():
            self._stream(name).pin(known)

        # Only rules that ask pay for it: one float64 and one bool per clip and modality, and a pass over the banks.
        listening = self.names if self._asks_held_out else ()
        self.testimony = nn.ModuleDict({key(name): Testimony(len(labels), labels.device) for name in listening})

    @property
    def m_labels(self) -> Tensor:
        """(N,) m-labels, which never change."""
        return self.fusion.labels

    @torch.no_grad()
    def weights(self, index: Tensor) -> dict[str, Tensor]:
        """Loss weights W_s = tanh(|y_s - y_m| / unit) in [0, 1], (B,) per modality; of a fixed label the given one.

        Args:
            index: (B,) positions in the ``labels`` given at construction.
        """
        index = self._check_index(index)
        m_labels = self.m_labels[index]
        weights = {name: ((own[index] - m_labels).abs() / self.unit).tanh() for name, own in self.labels.items()}
        return {name: self._stream(name).own_weights(index, values) for name, values in weights.items()}

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

        Costs O(B), whatever N is, and on an accelerator never waits for it. If a clip is in the batch several times,
        its last place counts and the others are ignored.

        Args:
            fusion: (B, D) fusion features.
            features: (B, d_s) features of every modality, in any floating type.
            index: (B,) positions in the ``labels`` given at construction. On the CPU the range is checked; on an
                accelerator that would wait for the device, so there a position outside is the device's own error.
            epoch: number of the epoch, the first is 1.
            present: per modality (B,) bool, False where the clip lacks that stream: its label and stored features are
                left as they are, so a clip that always lacks it keeps y_m, has weight 0 and is in none of its centres.
                A modality left out is present everywhere.

        Raises:
            ValueError: an argument does not fit the generator.
        """
        present = present or {}
        check_update([*self.names], index, features, epoch, present)
        self.fusion.check("fusion", fusion, len(index))
        for name in self.names:
            self._stream(name).check(name, features[name], len(index))
        batch = BatchRows.of(self._check_index(index))
        if not len(index) and self._group is None:
            return
        fusion_rows = batch.rows(fusion)
        changes = [self.fusion.replace(batch, fusion_rows, self.m_labels[batch.index])]
        for name in self.names:
            stream = self._stream(name)
            rows = batch.rows(features[name], present.get(name))
            labels, outcome = stream.labels[batch.index], None
            if epoch > 1:
                labels, outcome = self._relabel(name, batch, fusion_rows, rows, epoch)
            changes.append(stream.replace(batch, rows, labels, outcome))
            if self._asks_held_out:
                self._testimony(name).fresh.fill_(True)
        for stream, change in zip(self._all_streams(), self._over_processes(changes), strict=True):
            stream.shift(change)

    def _relabel(self, name: str, batch: BatchRows, fusion: Rows, rows: Rows, epoch: int) -> tuple[Tensor, Tensor]:
        """The batch's labels after this epoch's momentum, (B,), and what became of them, (B,) uint8."""
        stream = self._stream(name)
        old = stream.labels[batch.index]
        raw = self.unit * self.rule(
            Evidence(
                m_labels=self._seen_by_rules(self.m_labels[batch.index].double()),
                fusion=fusion.values,
                feature=rows.values,
                fusion_centres=self.fusion.centres(),
                centres=stream.centres(),
                bound=self.bound / self.unit,
                held_out=self._testimony(name).at(batch.index) if self._asks_held_out else None,
            )
        )
        limit = self.bound if self.rule.bounded else math.inf
        kept, taken = (0.0, 1.0) if self._asks_held_out else ((epoch - 1) / (epoch + 1), 2 / (epoch + 1))
        new = kept * old.double() + taken * (raw.clamp(-limit, limit) + self.neutral)
        # Rounding may carry a mean of two labels past the bound, or a huge one past float32.
        new = new.clamp(self.neutral - limit, self.neutral + limit).to(old.dtype)
        cases = [
            (Outcome.FIXED, stream.pinned(batch.index)),
            (Outcome.MISSING, ~rows.present),
            (Outcome.NOT_FINITE, ~(rows.usable & fusion.usable)),
            (Outcome.ONE_CLASS, ~(stream.both() & self.fusion.both())),
            (Outcome.COINCIDE, ~(stream.apart() & self.fusion.apart())),
            (Outcome.NO_EVIDENCE, ~(raw.isfinite() & new.isfinite())),
            (Outcome.CLAMPED, raw.abs() > limit),
        ]
        outcome = first_true(len(old), cases, Outcome.UPDATED, old.device)
        moved = (outcome == int(Outcome.UPDATED)) | (outcome == int(Outcome.CLAMPED))
        return new.where(moved, old), outcome

    @torch.no_grad()
    def resync(self) -> None:
        """Recomputes the centres' sums from the stored features, O(N); call once an epoch.

        A rule on held-out evidence (``posterior``) gets it here: without this call its labels stay y_m.
        """
        totals = self._over_processes([stream.recount() for stream in self._all_streams()])
        for stream, total in zip(self._all_streams(), totals, strict=True):
            stream.reset(total)
        for name in self.names if self._asks_held_out else ():
            self._testimony(name).listen(self._stream(name), self._seen_by_rules(self.m_labels), self._total)

    def figures(self) -> dict[str, dict[str, float]]:
        """Per modality, and for ``fusion``, how far the classes are apart: ``gap`` between the centres as they are,
        ``separation``, the gap over the spread of the clips about their own centre at the last ``resync``. For a rule
        on held-out evidence also what the evidence is worth: ``explained`` (R^2) and ``share`` (pi)."""
        found = {"fusion": self.fusion.figures(), **{name: self._stream(name).figures() for name in self.names}}
        for name in self.names if self._asks_held_out else ():
            found[name] |= self._testimony(name).worth()
        return found

    def centres(self, name: str | None = None) -> Centres:
        """Class centres of a modality (of the fusion if None), each (d,) float64; NaN where a class has no clip yet."""
        stream = self.fusion if name is None else self._stream(name)
        positive, negative = stream.sums / stream.members[:, None]
        return Centres(positive, negative)

    def _stream(self, name: str) -> FeatureStream:
        return cast(FeatureStream, super()._stream(name))

    def _testimony(self, name: str) -> Testimony:
        return cast(Testimony, self.testimony[key(name)])

    def _seen_by_rules(self, labels: Tensor) -> Tensor:
        return (labels - self.neutral) / self.unit

    def _all_streams(self) -> list[FeatureStream]:
        return [self.fusion, *map(self._stream, self.names)]

    def _over_processes(self, parts: list[Tensor]) -> list[Tensor]:
        """The sum of each float64 part over all processes, in one message."""
        if self._group is None:
            return parts
        everything = self._total(torch.cat([part.flatten() for part in parts]))
        split = torch.split(everything, [part.numel() for part in parts])
        return [values.view(part.shape) for values, part in zip(split, parts, strict=True)]

    def _total(self, part: Tensor) -> Tensor:
        if self._group is not None:
            torch.distributed.all_reduce(part, group=self._group)
        return part

    def _stays(self, buffer: Tensor) -> bool:
        return self._mapped and any(buffer is stream.bank for stream in self._all_streams())
