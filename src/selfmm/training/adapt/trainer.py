"""The closed-form counterpart of :class:`selfmm.training.trainer.Trainer`: it fits the model ``adapt`` at once."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import cast

import numpy as np
import torch

from selfmm.config.settings import Settings
from selfmm.core.messages import clips as clip_count
from selfmm.core.tensors import Positions, Ragged
from selfmm.data.manifest import TEXT
from selfmm.data.scales import LabelScale
from selfmm.data.splits import training_rows
from selfmm.data.store import Dataset
from selfmm.evaluation.metrics import Scale, evaluate
from selfmm.evaluation.verdicts import title
from selfmm.evaluation.worth import FUSION, LEAST_CLIPS, STARTED_FROM, RunWorth
from selfmm.models.adapt import Adapt, FrameSummary, LinearHead, Stack
from selfmm.models.assembly import Assembly
from selfmm.models.hardware import choose_device
from selfmm.models.scoring import Scores, encodings
from selfmm.training.adapt.fit import Adapted, Clips, adapt
from selfmm.training.adapt.ridge import LEAST, Array
from selfmm.training.adapt.start import REACH, start_of
from selfmm.training.trainer import EpochRecord

_VARIES = 1e-6  # a smaller deviation is rounding

_ENOUGH = 30
"""Clips that show that a score says nothing; with fewer, what is known from before stands."""


def rated_rows(dataset: Dataset, settings: Settings) -> Positions:
    """Return the clips that the model is fitted to: the rated ones of train and valid, or ``training.share`` of train.

    Their scores are left out, so no split is needed to choose anything.
    """
    rows = training_rows(dataset, settings)
    if settings.training.share == 1:
        rows = np.sort(np.concatenate([rows, dataset.rows("valid")]))
    return rows[np.isfinite(dataset.labels()[rows])]


class AdaptTrainer:
    """Fits the model to the rated clips of a data set, starting from the run that the setting ``start`` names.

    Attributes:
        model, device, history, best_epoch: as those of a ``Trainer``; the fit is one epoch.
        notes: what the fit did, a sentence each.
    """

    def __init__(
        self,
        assembly: Assembly,
        dataset: Dataset,
        rows: Positions,
        encoded: Ragged | None,
        settings: Settings,
        scale: Scale,
    ) -> None:
        self.model = cast(Adapt, assembly.model)
        self.device = choose_device(settings.training.device)
        self.model.to(self.device).eval()
        self._dataset, self._rows, self._scale = dataset, rows, scale
        self._maker = assembly.maker(dataset, np.arange(len(dataset)), encoded)
        self._labels, self._settings = LabelScale.of(dataset.manifest.label_range), settings
        self._start, self._reads_words = start_of(assembly), assembly.pretrained is not None
        self.history: list[EpochRecord] = []
        self.best_epoch = 1
        self._unmeasured: list[str] = []

    def fit(self) -> list[EpochRecord]:
        """Fit the model; return the history of one epoch."""
        begun = time.perf_counter()
        used = self._used()
        self._standardise(used)
        inputs = encodings(self.model, self._maker, self.device)
        present = {name: (values != 0).any(axis=1) for name, values in inputs.items()}
        labels = np.full(len(self._dataset), np.nan)
        labels[self._rows] = (self._dataset.labels()[self._rows] - self._labels.neutral) * (REACH / self._labels.reach)
        recordings = self._dataset.samples["video"].to_numpy(dtype=object)
        clips = Clips(
            {name: values[used] for name, values in inputs.items()},
            {name: has[used] for name, has in present.items()},
            labels[used],
            recordings[used],
        )
        start = {name: self._start.score(name, self.model) for name in inputs if self._start.has(name)}
        unrated = self.model.options.unrated == "use"
        self._adapted = adapt(clips, start, unrated=unrated)
        self._set(self._adapted)
        self._left_out = {name: np.full(len(labels), np.nan) for name in self._adapted.left_out}
        for name, values in self._adapted.left_out.items():
            self._left_out[name][used] = self._in_label_units(values)
        self.history = [self._record(time.perf_counter() - begun)]
        return self.history

    @property
    def notes(self) -> list[str]:
        """What the fit did, a sentence each."""
        notes = fit_notes(self._adapted)
        if self._reads_words and not self._start.has(TEXT):
            named = self._settings.start
            reason = f"{named} has no linear score of words" if named else "no starter reads words in this way"
            notes.insert(0, f"text has no score to start from, because {reason}.")
        if self._unmeasured:
            names = " and ".join(map(title, self._unmeasured))
            number = clip_count(len(self._rows), ("is", "are"))
            notes.append(
                f"{number} rated, too few to measure the scores: the figures of {names} are those of "
                f"{self._settings.start}."
            )
        return notes

    def left_out(self, scores: Scores) -> Scores:
        """Return the scores with those of the fitted clips replaced by scores of fits without their recording."""

        def replaced(name: str, values: Array) -> Array:
            left = self._left_out[name]
            return np.where(np.isfinite(left), left, values)

        unimodal = {name: replaced(name, values) for name, values in scores.unimodal.items()}
        return Scores(replaced(FUSION, scores.fusion), unimodal)

    def worth(self, measured: RunWorth) -> RunWorth:
        """Return what the scores are worth; where few ratings do not show that, what they were worth before.

        A fit to few ratings stays close to the score that it started from, so it does not know less.
        """
        before = self._start.worth
        if before is None:
            return measured
        factor = self._labels.reach / LabelScale.of(before.label_range).reach
        scores, own, self._unmeasured = dict(measured.scores), {}, []
        for name, score in measured.scores.items():
            known = before.scores.get(name)
            if known is None:
                continue
            size = {key: factor * getattr(known, key) for key in ("mae", "constant", "band")}
            if not score.informs and score.clips < _ENOUGH:
                scores[name], own[name] = replace(known, split=STARTED_FROM, band_split=STARTED_FROM, **size), score
                self._unmeasured.append(name)
            elif score.band_clips < LEAST_CLIPS:
                known_band = replace(score, band=size["band"], band_clips=known.band_clips, coverage=math.nan)
                scores[name] = replace(known_band, band_split=STARTED_FROM)
        clips = measured.training_clips + before.training_clips
        return replace(measured, scores=scores, own=own, training_clips=clips)

    def _used(self) -> Positions:
        """The rated clips, and those without a label."""
        mask = ~np.isfinite(self._dataset.labels())
        mask[self._rows] = True
        return np.flatnonzero(mask)

    def _standardise(self, used: Positions) -> None:
        """Standardise the summaries of frames over the clips of the fit.

        With too few to prove anything, nothing is added to the score that the fit starts from. So that one keeps its
        own standardisation: it would be cut to the little that so few clips differ by.
        """
        encoders = {name: part for name, part in self.model.encoders.items() if isinstance(part, FrameSummary)}
        for encoder in encoders.values():
            encoder.centre.zero_()
            encoder.spread.fill_(1)
        summaries = encodings(self.model, self._maker, self.device)
        for name, encoder in encoders.items():
            values = summaries[name][used]
            values = values[values[:, -1] > 0, :-1]
            if len(values) < LEAST and self._start.has(name):
                self._start.standardise(name, encoder)
            elif len(values):
                deviation = values.std(axis=0)
                encoder.centre.copy_(torch.from_numpy(values.mean(axis=0)))
                encoder.spread.copy_(torch.from_numpy(np.where(deviation > _VARIES, deviation, np.inf)))

    def _set(self, adapted: Adapted) -> None:
        size = self._labels.reach / REACH / self._labels.unit
        stack, stacked = cast(Stack, self.model.fusion), adapted.stacked
        with torch.no_grad():
            for name, fitted in adapted.heads.items():
                score = cast(LinearHead, self.model.heads[name]).score
                score.weight.copy_(torch.from_numpy(size * fitted.weights)[None])
                score.bias.fill_(size * fitted.bias)
            stack.weights.copy_(torch.from_numpy(stacked.weights))
            stack.bias.copy_(torch.from_numpy(size * stacked.bias))
            stack.errors.copy_(torch.tensor([head.error for head in adapted.heads.values()]))
            stack.spread.fill_(adapted.spread)

    def _in_label_units(self, values: Array) -> Array:
        return self._labels.neutral + self._labels.reach / REACH * values

    def _record(self, seconds: float) -> EpochRecord:
        labels = self._dataset.labels()
        loss = {}
        for name, values in self._left_out.items():
            known = np.isfinite(values)
            loss[name] = float(np.abs(values - labels)[known].mean()) if known.any() else float("nan")
        fused = self._left_out[FUSION][self._rows]
        valid = evaluate(fused, labels[self._rows], self._scale, self._labels.neutral).values
        return EpochRecord(1, loss, valid, True, seconds, len(labels) / max(seconds, 1e-9))


def fit_notes(adapted: Adapted) -> list[str]:
    """Return what the fit did with clips without a rating, a sentence each."""
    notes = []
    for name, explained in adapted.explained.items():
        count = adapted.learned_from[name]
        if count:
            share = f"; left out, its score explains {max(explained, 0):.0%} of the ratings"
            share = "" if np.isnan(explained) else share
            notes.append(f"{name} also learned from the words' score of {clip_count(count)} without a rating{share}.")
    return notes
