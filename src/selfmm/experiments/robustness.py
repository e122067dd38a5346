"""How a trained model's score falls as the clips it is measured on are damaged.

As for TFR-Net (Yuan, Li, Xu, Yu: Transformer-based Feature Reconstruction Network for Robust Multimodal Sentiment
Analysis, ACM MM 2021), the unknown word stands for a lost one, and a curve is summed up by the area under it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from selfmm.core.errors import DatasetError, SettingsError
from selfmm.core.messages import did_you_mean
from selfmm.core.tensors import Ragged
from selfmm.data.batches import BatchMaker
from selfmm.data.scales import LabelScale
from selfmm.data.store import TEXT, Dataset
from selfmm.evaluation.metrics import evaluate, scale_for
from selfmm.experiments.curves import Curves
from selfmm.experiments.damage import Bench, Damage, Kind, deviations
from selfmm.models.frozen import encode
from selfmm.models.scoring import score
from selfmm.runs.folder import RunFolder, RunInfo
from selfmm.runs.trained_model import TrainedModel, split_rows

_SHARES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
LEVELS: Mapping[Kind, Sequence[float]] = {
    "clips": _SHARES,
    "frames": _SHARES,
    "noise": (0.0, 0.25, 0.5, 1.0, 2.0, 4.0),
}
"""The kinds of damage with their usual levels, see :class:`selfmm.experiments.damage.Damage`."""
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
    """Measures runs on damaged clips: each modality that they read, and all of them together.

    Args:
        runs: a finished run, or several seeds of one; they are loaded one after the other.
        dataset: where the clips lie; noise is measured by the deviations of its training split.
        split: whose clips.
        kinds: of damage.
        levels: of some or all kinds, instead of the usual ones. Undamaged clips, level 0, are always measured.
        draws: number of the first run's draws; each run after it has the next ones, so that a mean over seeds is one
            over draws too: where clips are few, a single draw can by luck look like a gain.
        model, trust: allow runs to use your own code, see :func:`selfmm.api.load`.
        progress: is told how many measurements are done, and of how many.

    Raises:
        SettingsError: there is no run, they are no seeds of one training, or a kind or level makes no sense.
        DatasetError: the split lacks clips, labels, or a modality that the runs read.
        RunError: a run cannot be read or is not finished.
    """
    given = [runs] if isinstance(runs, TrainedModel | RunFolder | str | Path) else list(runs)
    wanted = _levels(kinds, levels)
    modalities = tuple(_one_training([_info(run) for run in given]).modalities)
    clips = _clips(dataset, split, modalities)
    plan, notes = _plan(wanted, clips, modalities)
    noisy = sorted({name for damage in plan if damage.kind == "noise" for name in damage.modalities})
    spread = deviations(dataset, noisy)
    rows: list[tuple[str, str, float, str, int, float]] = []
    for number, run in enumerate(given):
        trained = run if isinstance(run, TrainedModel) else TrainedModel.load(_path(run), model, trust)
        trial = _Trial(trained, Bench(clips, draws + number, spread))
        for place, damage in enumerate(plan, start=1):
            figures = trial.figures(damage)
            rows += [(damage.kind, damage.where, damage.level, key, number, value) for key, value in figures.items()]
            progress(number * len(plan) + place, len(given) * len(plan))
    return Curves(pd.DataFrame(rows, columns=["kind", "modality", "level", "metric", "run", "value"]), tuple(notes))


def _path(run: RunFolder | str | Path) -> Path:
    return run.path if isinstance(run, RunFolder) else Path(run)


def _info(run: Run) -> RunInfo:
    return run.info if isinstance(run, TrainedModel) else RunFolder(_path(run)).finished()


def _one_training(infos: Sequence[RunInfo]) -> RunInfo:
    """The first of them; raises ``SettingsError`` where a mean over them would mean nothing."""
    if not infos:
        raise SettingsError(["runs: there is none to measure"])
    first = infos[0]
    for number, other in enumerate(infos[1:], start=2):
        pairs = {
            "model": (first.model, other.model),
            "modalities": (", ".join(first.modalities), ", ".join(other.modalities)),
            "label range": (first.label_range, other.label_range),
        }
        for what, (here, there) in pairs.items():
            if here != there:
                raise SettingsError(
                    [f"runs: they must be seeds of one training, but the {what} of the first is {here}, and of run "
                     f"{number} {there}; measure them one by one"]
                )  # fmt: skip
    return first


def _levels(kinds: Sequence[Kind], levels: Mapping[Kind, Sequence[float]]) -> dict[Kind, list[float]]:
    """Each kind's levels, rising from 0."""
    problems = [
        f"kinds: {kind!r} is no damage{did_you_mean(kind, KINDS)}" for kind in [*kinds, *levels] if kind not in KINDS
    ]
    found: dict[Kind, list[float]] = {}
    for kind in [kind for kind in KINDS if kind in kinds]:
        given = {float(level) for level in {**LEVELS, **levels}[kind]}
        most, allowed = (np.inf, "0 or more") if kind == "noise" else (1.0, "from 0 to 1")
        wrong = [level for level in given if not (0 <= level <= most and np.isfinite(level))]
        problems += [f"levels: {kind} of {level:g}; it must be {allowed}" for level in wrong]
        found[kind] = sorted(given | {0.0})
        if len(found[kind]) == 1:
            problems.append(f"levels: {kind} has none above 0")
    if not found and not problems:
        problems.append(f"kinds: there is none; choose of {', '.join(KINDS)}")
    if problems:
        raise SettingsError(problems)
    return found


def _clips(dataset: Dataset, split: str, modalities: Sequence[str]) -> Dataset:
    """The clips of a split alone; raises ``DatasetError`` where nothing can be measured on them."""
    matrices = {name: dataset.matrix(name) for name, one in dataset.modalities.items() if one.kind != "text"}
    samples = dataset.samples.iloc[split_rows(dataset, split)].reset_index(drop=True)
    clips = replace(dataset, samples=samples, matrices=matrices)
    lacking = [name for name in modalities if name not in clips.modalities or not clips.lengths(name).any()]
    if lacking:
        raise DatasetError(
            f"the runs read {', '.join(modalities)}, but no clip in the split {split!r} of {dataset.name!r} has "
            f"{' or '.join(lacking)}: what it costs to lose that cannot be measured. Give data that have all of them, "
            "or runs that were trained without."
        )
    if not np.isfinite(clips.labels()).any():
        raise DatasetError(
            f"no clip in the split {split!r} of {dataset.name!r} has a label, so scores cannot be measured. Choose "
            "another split, or data with labels."
        )
    return clips


def _plan(
    levels: Mapping[Kind, Sequence[float]], clips: Dataset, modalities: tuple[str, ...]
) -> tuple[list[Damage], list[str]]:
    """All that is to be done to the clips, and what cannot be."""
    plan: list[Damage] = []
    notes: list[str] = []
    for kind, each in levels.items():
        words = [name for name in modalities if kind == "noise" and clips.modalities[name].kind != "frames"]
        notes += [f"{name} gets no noise: it is words, and nothing can be added to a word" for name in words]
        singles = [(name,) for name in modalities if name not in words]
        together = [tuple(name for name in modalities if name not in words)] if len(singles) > 1 else []
        plan += [Damage(kind, where, level) for where in [*singles, *together] for level in each]
    if not plan:
        raise SettingsError([f"kinds: {note}; choose of clips and frames" for note in notes])
    return plan, notes


class _Trial:
    """One run on one bench."""

    def __init__(self, run: TrainedModel, bench: Bench) -> None:
        self._run, self._bench = run, bench
        self._rows = np.arange(len(bench.clips))
        self._undamaged = run.assembly.maker(bench.clips, self._rows)
        self._before = self._figures(self._undamaged)
        self._encoded = None
        if run.assembly.pretrained is not None and not run.assembly.model.needs.inside:
            # Most damage leaves the words alone, and what the text encoder says of them is most of the work.
            self._encoded = encode(run.assembly.model.encoder(TEXT), self._undamaged, TEXT)

    def figures(self, damage: Damage) -> dict[str, float]:
        """Every metric of the fused score."""
        if damage.level == 0:
            return self._before
        return self._figures(self._run.assembly.maker(self._bench.damaged(damage), self._rows, self._text(damage)))

    def _figures(self, maker: BatchMaker) -> dict[str, float]:
        scores = score(self._run.assembly.model, maker, self._run.device).fusion
        labels, label_range = self._bench.clips.labels(), self._run.info.label_range
        return evaluate(scores, labels, scale_for(label_range), LabelScale.of(label_range).neutral).values

    def _text(self, damage: Damage) -> Ragged | None:
        """What stands in for the clips' words; None where the model reads them from the data set."""
        pretrained = self._run.assembly.pretrained
        if TEXT in damage.modalities and damage.kind == "frames" and pretrained is not None:
            return self._bench.without_words(self._undamaged.ragged(TEXT), pretrained.tokenizer, damage.level)
        if TEXT in damage.modalities and damage.kind == "clips" and self._encoded is not None:
            return self._bench.without_texts(self._encoded, damage.level)
        return self._encoded
