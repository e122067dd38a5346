"""The unimodal label generation module (ULGM) of Self-MM: u-labels from m-labels, with no parameters.

Source: Yu et al., AAAI 2021 (arXiv 2102.04830). Deviation from the published code: the class centres are running sums
corrected by the batch alone, so a step costs the same for a thousand clips as for a million.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from selfmm.errors import SettingsError
from selfmm.labels.rules import RULES, Centres, Evidence, Rule, name_problem

ZERO_LABELS = ("neither", "positive")
BANK_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
# Centres closer than this, relative to their length, are one point at the precision of float32 features.
COINCIDENT = 1e-6
_ROWS_AT_ONCE = 65536


class UnimodalLabelGenerator(nn.Module):
    """One label per clip and modality, moved each epoch towards what the modality's own features say.

    A clip's u-labels start as its m-label. From epoch 2 on, ``update`` asks the rule for a raw label y^i against the
    class centres as they were before the batch, and takes ``y^(i) = (i-1)/(i+1) y^(i-1) + 2/(i+1) y^i``. The centres of
    a modality are the exact means of the last stored features over clips whose *own* current u-label is positive or
    negative (of the fusion: by the m-label). Clips never seen are in no centre.

    A label stays what it was ("held") where no evidence exists: no positive or no negative clip stored so far; the two
    centres of the modality or of the fusion coincide (constant features); NaN or infinite features of the clip, which
    are not stored either; a raw label that is not finite (the rule's pole). So labels and centres are always finite.

    Every state is a persistent buffer: ``state_dict`` in the middle of a run continues bit for bit. ``.to(device)``
    moves all of it; ``.half()`` changes nothing, because sums and labels would be rounded. The sums are float64; beside
    a device without that type, leave the generator on the CPU: ``update`` brings its arguments to the generator.

    Args:
        labels: (N,) m-labels, finite, in [-bound, bound]. Labels are kept in float64 if these are, else in float32.
        dims: width d_s of each modality's feature F_s*, for example ``{"text": 32, "audio": 16}``.
        fusion_dim: width D of the fusion feature F_m*.
        bound: H, the largest absolute label, in the labels' unit (3 for MOSI and MOSEI, 1 for SIMS).
        rule: a name in ``RULES`` or a rule of your own (see :mod:`selfmm.labels.rules`).
        zero_labels: the class of a label of exactly 0: "neither" as in the paper, "positive" as in one published code.
        bank_dtype: type the last features are stored in: N * (D + sum of d_s) numbers. A feature too large for it
            (65504 in float16) counts as infinite for the centres.

    Raises:
        SettingsError: all that is wrong with the arguments, at once.
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
    ) -> None:
        super().__init__()
        _check_settings(labels, dims, fusion_dim, bound, rule, zero_labels, bank_dtype)
        labels = labels.detach().to(torch.float64 if labels.dtype == torch.float64 else torch.float32)
        self.names = tuple(dims)
        self.bound = float(bound)
        self.rule = RULES[rule] if isinstance(rule, str) else rule
        zero_positive = zero_labels == "positive"
        self.fusion = _Stream(labels, fusion_dim, bank_dtype, zero_positive)
        self.streams = nn.ModuleDict(
            {_key(name): _Stream(labels, dim, bank_dtype, zero_positive) for name, dim in dims.items()}
        )

    @property
    def m_labels(self) -> Tensor:
        """(N,) m-labels, which never change."""
        return self.fusion.labels

    @property
    def labels(self) -> dict[str, Tensor]:
        """(N,) current u-labels per modality: the live state, changed by the next ``update``. Clone to keep them; after
        writing into them call ``resync``, or the centres count the old classes."""
        return {name: self._stream(name).labels for name in self.names}

    @torch.no_grad()
    def weights(self, index: Tensor) -> dict[str, Tensor]:
        """Loss weights W_s = tanh|y_s - y_m| in [0, 1], (B,) per modality.

        Args:
            index: (B,) positions in the ``labels`` given at construction.
        """
        index = self._check_index(index)
        m_labels = self.m_labels[index]
        return {name: (labels[index] - m_labels).abs().tanh() for name, labels in self.labels.items()}

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
        self._check_update(fusion, features, index, epoch, present)
        if not len(index):
            return
        batch = _Batch.of(self._check_index(index))
        fusion_rows = batch.rows(fusion)
        for name in self.names:
            stream = self._stream(name)
            rows = batch.rows(features[name], present.get(name))
            labels = stream.labels[batch.index]
            if epoch > 1:
                labels = self._relabel(stream, batch, fusion_rows, rows, epoch)
            stream.replace(batch, rows, labels)
        self.fusion.replace(batch, fusion_rows, self.m_labels[batch.index])

    def _relabel(self, stream: _Stream, batch: _Batch, fusion: _Rows, rows: _Rows, epoch: int) -> Tensor:
        """The batch's labels after this epoch's momentum, (B,); counts what became of them."""
        old = stream.labels[batch.index]
        raw = self.rule(
            Evidence(
                m_labels=self.m_labels[batch.index].double(),
                fusion=fusion.values,
                feature=rows.values,
                fusion_centres=self.fusion.centres(),
                centres=stream.centres(),
                bound=self.bound,
            )
        )
        limit = self.bound if self.rule.bounded else math.inf
        new = (epoch - 1) / (epoch + 1) * old.double() + 2 / (epoch + 1) * raw.clamp(-limit, limit)
        # Rounding may carry a mean of two labels past the bound, or a huge one past float32.
        new = new.clamp(-limit, limit).to(old.dtype)
        usable = rows.usable & fusion.usable & stream.apart() & self.fusion.apart()
        updated = usable & raw.isfinite() & new.isfinite()
        outcome = torch.stack([updated, updated & (raw.abs() > limit), ~updated])
        stream.tally += (outcome & rows.present & batch.last).sum(-1)
        return new.where(updated, old)

    @torch.no_grad()
    def resync(self) -> None:
        """Recomputes the centres' sums from the stored features, O(N), and sets ``counts`` to 0; call once an epoch."""
        for stream in [self.fusion, *map(self._stream, self.names)]:
            stream.recompute()

    def counts(self) -> dict[str, dict[str, int]]:
        """Per modality, since the last ``resync``: labels updated, of these clamped to the bound, and labels held."""
        tallies = {name: self._stream(name).tally.tolist() for name in self.names}
        return {name: dict(zip(("updated", "clamped", "held"), tally, strict=True)) for name, tally in tallies.items()}

    def centres(self, name: str | None = None) -> Centres:
        """Class centres of a modality (of the fusion if None), each (d,) float64; NaN where a class has no clip yet."""
        stream = self.fusion if name is None else self._stream(name)
        positive, negative = stream.sums / stream.members[:, None]
        return Centres(positive, negative)

    def _stream(self, name: str) -> _Stream:
        return cast(_Stream, self.streams[_key(name)])

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> UnimodalLabelGenerator:
        # torch's hook behind .to(), .cuda() and .half()
        def keeping_dtype(buffer: Tensor) -> Tensor:
            moved = fn(buffer)
            return moved if moved.dtype == buffer.dtype else buffer.to(moved.device)

        super()._apply(keeping_dtype, recurse)  # type: ignore[no-untyped-call]
        return self

    def _check_index(self, index: Tensor) -> Tensor:
        """The index on the generator's device; raises ValueError."""
        if index.ndim != 1 or index.is_floating_point() or index.is_complex() or index.dtype == torch.bool:
            raise ValueError(f"index is {_shape(index)} {index.dtype}; give a 1-D tensor of integers (torch.long)")
        n = len(self.m_labels)
        if index.device.type == "cpu" and len(index):
            low, high = int(index.min()), int(index.max())
            if low < 0 or high >= n:
                raise ValueError(f"index runs from {low} to {high}; give positions from 0 to {n - 1}")
        return index.to(self.m_labels.device, torch.long)

    def _check_update(
        self, fusion: Tensor, features: Mapping[str, Tensor], index: Tensor, epoch: int, present: Mapping[str, Tensor]
    ) -> None:
        if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 1:
            raise ValueError(f"epoch is {epoch!r}; count epochs from 1, as an int")
        unknown = sorted({*features, *present} - set(self.names))
        missing = [name for name in self.names if name not in features]
        if unknown:
            raise ValueError(f"unknown modalities {unknown}; this generator has {list(self.names)}")
        if missing:
            raise ValueError(f"no features for {missing}; give zeros and say present= where a clip lacks one")
        self.fusion.check("fusion", fusion, len(index))
        for name in self.names:
            self._stream(name).check(name, features[name], len(index))
        for name, mask in present.items():
            if mask.shape != (len(index),) or mask.dtype != torch.bool:
                raise ValueError(f"present[{name!r}] is {_shape(mask)} {mask.dtype}; expected ({len(index)},) bool")


class _Rows(NamedTuple):
    """One stream's features of a batch, ready for use."""

    values: Tensor  # (B, d) float64, all finite: rows with a NaN or infinity are zeros
    usable: Tensor  # (B,) bool, the stream is present and was finite
    present: Tensor  # (B,) bool


@dataclass(frozen=True)
class _Batch:
    """Positions of a batch, made safe for repeats without waiting for the device.

    Every repeat stands in with the values of the clip's last place, so writes agree; ``last`` counts it once in sums.
    """

    index: Tensor  # (B,) long
    source: Tensor  # (B,) long, the last place in the batch of the same clip
    last: Tensor  # (B,) bool

    @classmethod
    def of(cls, index: Tensor) -> _Batch:
        ranked, order = index.sort(stable=True)
        source = order[torch.searchsorted(ranked, index, right=True) - 1]
        return cls(index, source, source == torch.arange(len(index), device=index.device))

    def rows(self, features: Tensor, present: Tensor | None = None) -> _Rows:
        values = features.to(self.index.device, torch.float64)[self.source]
        finite = values.isfinite().all(-1)
        here = torch.ones_like(finite) if present is None else present.to(finite.device)[self.source]
        return _Rows(values.where(finite[:, None], 0.0), finite & here, here)


class _Stream(nn.Module):
    """One feature space: the label and last stored features of each clip, and class means kept as running sums.

    The sums always equal those over the bank by the current labels: whoever changes either goes through ``replace``,
    which takes the batch's old share out and puts the new one in, or calls ``recompute``.
    """

    labels: Tensor  # (N,) the labels that give the classes: u-labels, or m-labels for the fusion
    bank: Tensor  # (N, d) last stored features
    seen: Tensor  # (N,) bool, whether the bank holds anything
    sums: Tensor  # (2, d) float64, over the positive and the negative class
    members: Tensor  # (2,) long
    tally: Tensor  # (3,) long: labels updated, clamped, held

    def __init__(self, labels: Tensor, dim: int, bank_dtype: torch.dtype, zero_positive: bool) -> None:
        super().__init__()
        device, size = labels.device, len(labels)
        self.zero_positive = zero_positive
        self.register_buffer("labels", labels.clone())
        self.register_buffer("bank", torch.zeros(size, dim, dtype=bank_dtype, device=device))
        self.register_buffer("seen", torch.zeros(size, dtype=torch.bool, device=device))
        self.register_buffer("sums", torch.zeros(2, dim, dtype=torch.float64, device=device))
        self.register_buffer("members", torch.zeros(2, dtype=torch.long, device=device))
        self.register_buffer("tally", torch.zeros(3, dtype=torch.long, device=device))

    def check(self, name: str, features: Tensor, rows: int) -> None:
        expected = (rows, self.bank.shape[1])
        if features.shape != expected or not features.is_floating_point():
            raise ValueError(f"{name} features are {_shape(features)} {features.dtype}; expected {expected} floats")

    def centres(self) -> Centres:
        """Class means, each (d,) float64; zeros for a class without members."""
        positive, negative = self.sums / self.members.clamp(min=1)[:, None]
        return Centres(positive, negative)

    def apart(self) -> Tensor:
        """() bool: both classes have members and their centres are two points."""
        positive, negative = self.centres()
        length = torch.maximum(positive.norm(), negative.norm())
        distinct: Tensor = (positive - negative).norm() > COINCIDENT * length
        return (self.members > 0).all() & distinct

    def replace(self, batch: _Batch, rows: _Rows, labels: Tensor) -> None:
        """Sets the batch's labels, stores its usable rows, and corrects the sums for both."""
        old, seen = self.bank[batch.index], self.seen[batch.index]
        stored = rows.values.to(self.bank.dtype)
        storable = rows.usable & stored.isfinite().all(-1)  # a narrow bank may overflow
        new, seen_now = stored.where(storable[:, None], old), seen | storable
        before = self._classes(self.labels[batch.index], seen & batch.last)
        after = self._classes(labels, seen_now & batch.last)
        self.sums += after @ new.double() - before @ old.double()
        self.members += (after.sum(1) - before.sum(1)).long()
        self.sums.masked_fill_((self.members == 0)[:, None], 0.0)  # rounding left by the last member to go
        self.labels[batch.index], self.bank[batch.index], self.seen[batch.index] = labels, new, seen_now

    def recompute(self) -> None:
        self.sums.zero_()
        self.members.zero_()
        self.tally.zero_()
        for start in range(0, len(self.bank), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            classes = self._classes(self.labels[part], self.seen[part])
            self.sums += classes @ self.bank[part].double()
            self.members += classes.sum(1).long()

    def _classes(self, labels: Tensor, counted: Tensor) -> Tensor:
        """(2, B) float64: 1 where the clip counts in the positive (row 0) or negative (row 1) class."""
        positive: Tensor = labels >= 0 if self.zero_positive else labels > 0
        return torch.stack([positive & counted, (labels < 0) & counted]).double()


def _key(name: str) -> str:
    # A module may not be called "type" or "pop"; a modality may.
    return f"of_{name}"


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _check_settings(
    labels: Tensor,
    dims: Mapping[str, int],
    fusion_dim: int,
    bound: float,
    rule: str | Rule,
    zero_labels: str,
    bank_dtype: torch.dtype,
) -> None:
    problems = _label_problems(labels, bound)
    if not dims:
        problems.append("dims is empty; give at least one modality and the width of its features, like {'text': 32}")
    widths = {**{f"dims[{name!r}]": dim for name, dim in dims.items()}, "fusion_dim": fusion_dim}
    problems += [f"{key} is {dim!r}; give a whole number >= 1" for key, dim in widths.items() if not _is_width(dim)]
    problems += [f"modality {name!r} needs a name without '.'" for name in dims if not name or "." in name]
    problems += name_problem(rule) if isinstance(rule, str) else []
    if zero_labels not in ZERO_LABELS:
        problems.append(f"zero_labels is {zero_labels!r}; choose from {[*ZERO_LABELS]}")
    if bank_dtype not in BANK_DTYPES:
        problems.append(f"bank_dtype is {bank_dtype!r}; choose from {[*BANK_DTYPES]}")
    if problems:
        raise SettingsError(problems)


def _label_problems(labels: Tensor, bound: float) -> list[str]:
    if not (0 < bound < math.inf):
        return [f"bound is {bound!r}; give the largest absolute label, 3 for a scale from -3 to 3"]
    if labels.ndim != 1 or not len(labels) or labels.is_complex() or labels.dtype == torch.bool:
        return [f"labels are {_shape(labels)} {labels.dtype}; expected (N,) numbers, one per training clip"]
    wrong = (~(labels.abs() <= bound)).nonzero()
    if len(wrong):
        at = int(wrong[0])
        return [
            f"{len(wrong)} of {len(labels)} labels are not numbers in [-{bound}, {bound}], the first at {at}: "
            f"{labels[at].item()}; mend them or raise bound"
        ]
    return []


def _is_width(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
