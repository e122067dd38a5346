"""How the metrics of a trained model change as the test clips are damaged.

As in TFR-Net (Yuan, Li, Xu, Yu: Transformer-based Feature Reconstruction Network for Robust Multimodal Sentiment
Analysis, ACM MM 2021), the unknown word replaces lost words, and each curve is summarised by the area under it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from selfmm.core.errors import DatasetError, SettingsError
from selfmm.core.messages import did_you_mean
from selfmm.core.tensors import Ragged
from selfmm.data.batches import BatchMaker
from selfmm.data.manifest import TEXT
from selfmm.data.scales import LabelScale
from selfmm.data.store import Dataset
from selfmm.evaluation.metrics import evaluate, scale_for
from selfmm.experiments.curves import Curves
from selfmm.experiments.damage import ClipDamager, Damage, Kind, deviations
from selfmm.models.frozen import encode
from selfmm.models.scoring import score
from selfmm.models.text import TransformerEncoder
from selfmm.runs.folder import RunFolder, RunInfo
from selfmm.runs.trained_model import TrainedModel, split_rows

_SHARES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
LEVELS: Mapping[Kind, Sequence[float]] = {"clips": _SHARES, "frames": _SHARES, "noise": (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)}
"""The kinds of damage with their default levels, see :class:`selfmm.experiments.damage.Damage`."""
KINDS = tuple(LEVELS)

Run = TrainedModel | RunFolder | str | Path


def robustness(
    runs: Run | Sequence[Run],
    dataset: Dataset,
    *,
    split: str = "test",
    kinds: Sequence[Kind] = KINDS,
    levels: Mapping[Kind, Sequence[float]] = LEVELS,
    draws: int = 0,
    model: str | None = None,
    trust: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Curves:
    """Evaluate runs on clips with damage to each modality that they read, and to all of them together.

    Args:
        runs: a finished run, or several seeds of one; they are loaded one after the other.
        dataset: the data set with the clips; noise is in units of the deviations of its training split.
        split: the split to evaluate.
        kinds: kinds of damage.
        levels: levels of some or all kinds, instead of the defaults. Undamaged clips, level 0, are always included.
        draws: number of the random draw for the first run; each further run uses the next one. A mean over seeds is
            then also a mean over draws: with few clips, a single draw can look like a gain by chance.
        model, trust: allow runs to use your own code, see :func:`selfmm.api.load`.
        progress: called with the number of finished evaluations and their total.

    Raises:
        SettingsError: if no run is given, the runs are not seeds of one training, or a kind or level is not valid.
        DatasetError: if the split lacks clips, labels, or a modality that the runs read.
        RunError: if a run cannot be read or is not finished.
    """
    sequence = [runs] if isinstance(runs, TrainedModel | RunFolder | str | Path) else runs
    chosen = [RunFolder(Path(run)) if isinstance(run, str | Path) else run for run in sequence]
    wanted = _levels(kinds, levels)
    infos = [run.info if isinstance(run, TrainedModel) else run.require_finished() for run in chosen]
    modalities = tuple(_one_training(infos).modalities)
    clips = _clips(dataset, split, modalities)
    plan, notes = _plan(wanted, clips, modalities)
    noisy = sorted({name for damage in plan if damage.kind == "noise" for name in damage.modalities})
    spread = deviations(dataset, noisy)
    rows: list[tuple[str, str, float, str, int, float]] = []
    for number, run in enumerate(chosen):
        trained = run if isinstance(run, TrainedModel) else TrainedModel.load(run, model, trust)
        evaluation = _Evaluation(trained, ClipDamager(clips, draws + number, spread))
        for done, damage in enumerate(plan, start=1):
            figures = evaluation.figures(damage)
            rows += [(damage.kind, damage.where, damage.level, key, number, value) for key, value in figures.items()]
            progress(number * len(plan) + done, len(chosen) * len(plan))
    return Curves(pd.DataFrame(rows, columns=["kind", "modality", "level", "metric", "run", "value"]), tuple(notes))


def _one_training(infos: Sequence[RunInfo]) -> RunInfo:
    """Return the first of the runs; raise ``SettingsError`` if they are not seeds of one training."""
    if not infos:
        raise SettingsError(["runs: no run was given"])
    first = infos[0]
    for number, other in enumerate(infos[1:], start=2):
        pairs = {
            "model": (first.model, other.model),
            "modalities": (", ".join(first.modalities), ", ".join(other.modalities)),
            "label range": (first.label_range, other.label_range),
        }
        for what, (expected, actual) in pairs.items():
            if expected != actual:
                raise SettingsError(
                    [f"runs: they must be seeds of one training, but the {what} of the first is {expected} and that of "
                     f"run {number} is {actual}; evaluate them one by one"]
                )  # fmt: skip
    return first


def _levels(kinds: Sequence[Kind], levels: Mapping[Kind, Sequence[float]]) -> dict[Kind, list[float]]:
    """Return the levels of each kind in rising order, 0 included."""
    unknown = [kind for kind in [*kinds, *levels] if kind not in KINDS]
    problems = [f"kinds: {kind!r} is not a kind of damage{did_you_mean(kind, KINDS)}" for kind in unknown]
    chosen: dict[Kind, list[float]] = {}
    for kind in [kind for kind in KINDS if kind in kinds]:
        values = {float(level) for level in {**LEVELS, **levels}[kind]}
        most, allowed = (np.inf, "0 or more") if kind == "noise" else (1.0, "from 0 to 1")
        wrong = [level for level in values if not (0 <= level <= most and np.isfinite(level))]
        problems += [f"levels: {kind} of {level:g}; it must be {allowed}" for level in wrong]
        chosen[kind] = sorted(values | {0.0})
        if len(chosen[kind]) == 1:
            problems.append(f"levels: {kind} has none above 0")
    if not chosen and not problems:
        problems.append(f"kinds: none was given; choose from {', '.join(KINDS)}")
    if problems:
        raise SettingsError(problems)
    return chosen


def _clips(dataset: Dataset, split: str, modalities: Sequence[str]) -> Dataset:
    """Return the clips of a split; raise ``DatasetError`` if they cannot be evaluated."""
    matrices = {name: dataset.matrix(name) for name, modality in dataset.modalities.items() if modality.kind != "text"}
    samples = dataset.samples.iloc[split_rows(dataset, split)].reset_index(drop=True)
    clips = replace(dataset, samples=samples, matrices=matrices)
    lacking = [name for name in modalities if name not in clips.modalities or not clips.lengths(name).any()]
    if lacking:
        raise DatasetError(
            f"the runs read {', '.join(modalities)}, but no clip in the split {split!r} of {dataset.title} has "
            f"{' or '.join(lacking)}, so the cost of losing it cannot be measured. Give data that have all of them, or "
            "runs that were trained without it."
        )
    if not np.isfinite(clips.labels()).any():
        raise DatasetError(
            f"no clip in the split {split!r} of {dataset.title} has a label, so scores cannot be evaluated. Choose "
            "another split, or data with labels."
        )
    return clips


def _plan(
    levels: Mapping[Kind, Sequence[float]], clips: Dataset, modalities: tuple[str, ...]
) -> tuple[list[Damage], list[str]]:
    """Return the damage to evaluate, and notes on what is left out."""
    plan: list[Damage] = []
    notes: list[str] = []
    for kind, levels_of_kind in levels.items():
        words = [name for name in modalities if kind == "noise" and clips.modalities[name].kind != "frames"]
        notes += [f"{name} gets no noise: it consists of words, which noise cannot be added to" for name in words]
        damaged = tuple(name for name in modalities if name not in words)
        places = [*((name,) for name in damaged), *([damaged] if len(damaged) > 1 else [])]
        plan += [Damage(kind, where, level) for where in places for level in levels_of_kind]
    if not plan:
        raise SettingsError([f"kinds: {note}; choose from clips and frames" for note in notes])
    return plan, notes


class _Evaluation:
    """One run on one set of damaged clips."""

    def __init__(self, run: TrainedModel, damager: ClipDamager) -> None:
        self._run, self._damager = run, damager
        self._rows = np.arange(len(damager.clips))
        self._undamaged = run.assembly.maker(damager.clips, self._rows)
        self._before = self._figures(self._undamaged)
        self._encoded = None
        if run.assembly.pretrained is not None and not run.assembly.model.needs.inside:
            # Encoding the words is most of the work, and most damage does not change them.
            encoder = cast(TransformerEncoder, run.assembly.model.encoder(TEXT))
            self._encoded = encode(encoder, self._undamaged, TEXT)

    def figures(self, damage: Damage) -> dict[str, float]:
        """Return all metrics of the fused score."""
        if damage.level == 0:
            return self._before
        return self._figures(self._run.assembly.maker(self._damager.damaged(damage), self._rows, self._text(damage)))

    def _figures(self, maker: BatchMaker) -> dict[str, float]:
        scores = score(self._run.assembly.model, maker, self._run.device).fusion
        labels, label_range = self._damager.clips.labels(), self._run.info.label_range
        return evaluate(scores, labels, scale_for(label_range), LabelScale.of(label_range).neutral).values

    def _text(self, damage: Damage) -> Ragged | None:
        """Return what replaces the words of the clips; None if the model reads them from the data set."""
        pretrained = self._run.assembly.pretrained
        if TEXT in damage.modalities and damage.kind == "frames" and pretrained is not None:
            return self._damager.without_words(self._undamaged.ragged(TEXT), pretrained.tokenizer, damage.level)
        if TEXT in damage.modalities and damage.kind == "clips" and self._encoded is not None:
            return self._damager.without_texts(self._encoded, damage.level)
        return self._encoded
