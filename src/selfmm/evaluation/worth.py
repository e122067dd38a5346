"""What a score is worth on clips that a model was not trained on, and how far off it is.

Two questions, for the score of all modalities together and for that of each modality:

- **Does it say anything?** Its mean absolute error is compared with that of the best constant, a model that always says
  the same number. ``skill = 1 - mae / constant`` is 1 for a perfect score and 0 or less for one that says nothing. The
  constant is the median of the compared labels themselves, the best one in hindsight: against the median of the
  training labels, a model would look informed that only says a luckier number. The interval of the skill is a
  bootstrap percentile interval over recordings, because clips of one recording share speaker and topic, with the
  quantiles of `Hesterberg (2015), section 4.3 <https://doi.org/10.1080/00031305.2015.1089789>`_ ("expanded"
  percentiles): plain ones are too narrow for few recordings. One to four recordings are too few to resample. Their
  clips are resampled instead, and the constant may be another one for each recording: a score that only tells the
  recordings apart then says nothing. Whether the score does as well on other recordings stays open.
- **How far off is it?** The band ``score ± band`` is a split conformal interval: ``band`` is the ``ceil((n + 1) *
  LEVEL)``-th smallest absolute error of n labelled validation clips (`Vovk et al. 2005
  <https://doi.org/10.1007/b106715>`_; `Lei et al. 2018, section 2.2 <https://arxiv.org/abs/1604.04173>`_). It holds the
  label of at least ``LEVEL`` of new clips **if** new and validation clips are exchangeable: of the same kind, from
  recordings that were not trained on. It is the same for each clip, so it is too wide for easy clips and too narrow for
  hard ones. Validation clips also choose the kept epoch, so their errors are slightly too small; docs/runs.md has
  the measured coverage.

Where a score is the mean of several networks, they disagree more on some clips than on others, and the band of a single
clip is wider where they do: ``factor * sqrt(floor**2 + deviation**2)``. This is a normalised conformal interval
(Papadopoulos, Gammerman, Vovk: Normalized nonconformity measures for regression conformal prediction, AIA 2008; `Lei et
al. 2018, section 5.2 <https://arxiv.org/abs/1604.04173>`_): ``factor`` is the same order statistic as above, of the
errors divided by the root. ``floor`` is half the mean absolute error, because networks that agree can all be wrong.
With the root mean square of the deviations in its place, the bands of those MOSI clips on which three seeds agree most
(a third of them) held 72 to 77 % instead of 76 to 82 %, and bands were 2 to 5 % wider on average. ``floor`` comes from
the same labels as ``factor``; in resamples of 5 to 229 of these clips, the coverage was that of the plain band within
.003.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from statistics import NormalDist
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.evaluation.metrics import Metrics, Scale, evaluate, pearson

FUSION = "fusion"
LEFT_OUT = "left-out"
"""Stands for a split: clips whose scores come from fits without their recording."""
STARTED_FROM = "start"
"""Likewise, the clips on which the run was measured that a fit started from."""
LEVEL = 0.8
"""Share of unseen clips whose label a band is to hold."""
FEW = 100
"""Fewer training clips than this are said to be too few."""
MANY_GROUPS = 5
"""Fewest recordings that are resampled: a score beats a constant in all of 4 recordings by luck once in 16 times."""
LEAST_CLIPS = 10
"""Fewest clips that tell something if they come from fewer than ``MANY_GROUPS`` recordings."""

LEAST_SKILL = 0.01
"""A smaller skill is none: a head that is next to constant may gain a thousandth, and certainly so."""

LEAST_GAP = 0.1
"""A smaller difference of two skills is not worth a warning."""

_NEARLY_ALL = 0.95
_CONFIDENCE = 0.9
_CERTAIN = 0.98  # of a gap: it is looked for in every run and score
_RESAMPLES = 2000
_CHUNK = 1_000_000  # numbers that are drawn at a time
_ROUNDING = 1e-9
_ZERO = float(np.finfo(np.float64).tiny)  # to divide by a smaller number overflows

Array = npt.NDArray[np.float64]
Clips = tuple[Array, Array, npt.NDArray[np.object_]]


@dataclass(frozen=True)
class Worth:
    """What one score is worth. Numbers are NaN where they have no value.

    Attributes:
        split: the clips that it was measured on: ``test``, or ``valid`` if no test clip has a label, or ``LEFT_OUT``
            or ``STARTED_FROM``.
        against: the column that the score was compared with: ``label``, or ``label_<modality>``.
        clips, groups: number of these clips that have score and label, and of their recordings.
        mae: mean absolute error of the score, in units of the label.
        constant: mean absolute error of the best constant in hindsight, the median of these labels; with fewer than
            ``MANY_GROUPS`` recordings, that of each recording.
        skill: 1 - mae / constant.
        skill_low, skill_high: 90 % interval of ``skill``; NaN if there are too few clips, see ``can_tell``.
        corr: Pearson correlation of score and label.
        band: half-width of the interval that holds the label of ``LEVEL`` of unseen clips, in units of the label.
        band_clips: number of clips that it comes from. With fewer than 4 there is no such interval, and ``band`` is the
            length of the whole label range.
        band_split: the split of these clips: ``valid``, ``LEFT_OUT`` or ``STARTED_FROM``.
        coverage: share of the ``clips`` whose label is inside; NaN if the band comes from the same clips.
        gap, gap_low: the skill on the clips of the band minus ``skill``, and the lower end of its 98 % interval, see
            :func:`skill_gap`; NaN if both come from the same clips, or either from too few recordings.
        factor, floor: of the bands of single clips by the disagreement of several networks, see the module; ``floor``
            is in units of the label. NaN for the score of one network, whose band is ``band``.
    """

    split: str
    against: str
    clips: int
    groups: int
    mae: float
    constant: float
    skill: float
    skill_low: float
    skill_high: float
    corr: float
    band: float = math.nan
    band_clips: int = 0
    coverage: float = math.nan
    band_split: str = "valid"
    factor: float = math.nan
    floor: float = math.nan
    gap: float = math.nan
    gap_low: float = math.nan

    def half_width(self, deviation: Array | float | None = None) -> Array:
        """Return the half-width of the band of clips on which the networks deviate by ``deviation``, like ``band``.

        It is ``band`` where that is not known or the score is of one network.
        """
        if deviation is None or math.isnan(self.factor):
            return np.asarray(self.band)
        width = self.factor * np.hypot(self.floor, deviation)
        return np.where(np.isnan(width), self.band, width)

    @property
    def informs(self) -> bool:
        """Whether the score is better than every constant: by ``LEAST_SKILL`` or more, and beyond chance."""
        return self.skill_low > 0 and self.skill >= LEAST_SKILL

    @property
    def can_tell(self) -> bool:
        """Whether there are enough recordings or clips to tell."""
        return self.groups >= MANY_GROUPS or self.clips >= LEAST_CLIPS

    @property
    def band_is_easier(self) -> bool:
        """Whether the skill is higher on the clips of the band: by ``LEAST_GAP`` or more, and beyond chance."""
        return self.gap_low > 0 and self.gap >= LEAST_GAP


@dataclass(frozen=True)
class RunWorth:
    """What the scores of a run are worth; in ``metrics.json`` as ``worth``.

    Attributes:
        label_range: lowest and highest label.
        training_clips: number of clips that the run was trained on.
        labelled_clips: number of clips with a label, of all splits.
        scores: by score, ``fusion`` and each modality.
        always: modalities with a score that (nearly) all clips of the bands have. For clips without one of them,
            nothing is known of the fused score.
        own: where ``scores`` has the figures of the run that a fit started from, those on the run's own clips, by
            score. They come from too few clips to replace the others.
    """

    label_range: tuple[float, float]
    training_clips: int
    labelled_clips: int
    scores: Mapping[str, Worth]
    always: tuple[str, ...] = ()
    own: Mapping[str, Worth] = field(default_factory=dict)

    def measured(self, name: str) -> Worth | None:
        """Return the figures of a score on the run's own clips; None if only its start was measured."""
        score = self.scores[name]
        return self.own.get(name) if score.split == STARTED_FROM else score

    def interval(self, name: str, score: float, deviation: float | None = None) -> tuple[float, float] | None:
        """Return the interval for a score, within the label range; None if it has no band.

        ``deviation`` is that of the networks, see :meth:`Worth.half_width`.
        """
        worth = self.scores.get(name)
        if worth is None or math.isnan(worth.band):
            return None
        band = float(worth.half_width(deviation))
        low, high = np.clip([score - band, score + band], *self.label_range).tolist()
        return low, high

    def informs(self, name: str) -> bool | None:
        """Return whether the score is better than every constant; None if that was not measured."""
        return self.scores[name].informs if name in self.scores else None


@dataclass(frozen=True)
class Evaluation(Metrics):
    """The metrics of a run's fused score, and what each of its scores is worth on the same clips."""

    worth: RunWorth | None = None


@dataclass(frozen=True)
class Scored:
    """Scores of N clips and what they are compared with.

    Attributes:
        scores: (N,) per score, ``fusion`` and each modality; NaN where a clip has none.
        labels: (N,) per column, ``label`` and, if people rated single modalities, ``label_<modality>``; NaN: unknown.
        groups: (N,) the recording of each clip.
        splits: (N,) the split of each clip.
        deviation: (N,) deviation of the fused score over several networks; None for one network.
    """

    scores: Mapping[str, Array]
    labels: Mapping[str, Array]
    groups: npt.NDArray[np.object_]
    splits: npt.NDArray[np.object_]
    deviation: Array | None = None

    @classmethod
    def of(cls, predictions: pd.DataFrame, samples: pd.DataFrame) -> Self:
        """Return the clips of two tables with the same rows.

        Args:
            predictions: split, label, score, and score_<modality> of each modality with a score of its own; and
                deviation if the scores are means of several networks.
            samples: video, and label_<modality> where people rated single modalities.
        """
        alone = [str(name).removeprefix("score_") for name in predictions if str(name).startswith("score_")]
        known = [f"label_{name}" for name in alone if f"label_{name}" in samples]
        columns = {FUSION: "score", **{name: f"score_{name}" for name in alone}}
        return cls(
            {name: predictions[column].to_numpy(dtype=np.float64) for name, column in columns.items()},
            {
                "label": predictions["label"].to_numpy(dtype=np.float64),
                **{name: samples[name].to_numpy(dtype=np.float64) for name in known},
            },
            samples["video"].to_numpy(dtype=object),
            predictions["split"].to_numpy(dtype=object),
            predictions["deviation"].to_numpy(dtype=np.float64) if "deviation" in predictions else None,
        )

    def with_split(self, rows: npt.NDArray[np.intp], split: str) -> Self:
        """Return the same clips with another split for some ``rows``."""
        splits = self.splits.copy()
        splits[rows] = split
        return replace(self, splits=splits)

    def pair(self, name: str, against: str, split: str) -> tuple[Array, Array, npt.NDArray[np.object_]]:
        """Return score, label and recording of the clips of a split that have both."""
        rows = self.rows(name, against, split)
        return self.scores[name][rows], self.labels[against][rows] if rows.any() else np.empty(0), self.groups[rows]

    def rows(self, name: str, against: str, split: str) -> npt.NDArray[np.bool_]:
        """Return which of the N clips are in a split and have both a score and a label."""
        labels = self.labels.get(against, np.full(len(self.splits), math.nan))
        rows: npt.NDArray[np.bool_] = (self.splits == split) & np.isfinite(self.scores[name]) & np.isfinite(labels)
        return rows

    def metrics(
        self, rows: Mapping[str, npt.NDArray[np.intp]], scale: Scale, neutral: float
    ) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the metrics of each split and task, as ``metrics.json`` has them.

        The score of a modality is compared with the labels of whole clips, and as ``<modality>_human`` with those that
        people gave this modality, if any.

        Args:
            rows: row numbers of the clips, per split.
            scale, neutral: of the labels.
        """
        result: dict[str, dict[str, dict[str, Any]]] = {}
        for split, chosen in rows.items():
            tasks = result[split] = {}
            for name, values in self.scores.items():
                scored = chosen if name == FUSION else chosen[np.isfinite(values[chosen])]
                for task, column in ((name, "label"), (f"{name}_human", f"label_{name}")):
                    if column in self.labels:
                        measured = evaluate(values[scored], self.labels[column][scored], scale, neutral)
                        tasks[task] = asdict(measured)
        return result

    def reference(self, name: str, splits: tuple[str, ...]) -> str:
        """Return the column for a score: people's labels of the modality if they cover half of the labelled clips."""
        own = f"label_{name}"
        if own in self.labels and all(
            len(self.pair(name, own, split)[0]) >= max(1, len(self.pair(name, "label", split)[0]) / 2)
            for split in splits
        ):
            return own
        return "label"


def run_worth(
    scored: Scored, label_range: tuple[float, float], training_clips: int, calibration: str = "valid"
) -> RunWorth:
    """Return what the scores of a run are worth: bands from the validation clips, the rest from the test clips.

    If no test clip has a label, or no more of them than left-out clips, the clips of the bands stand in, and
    ``coverage`` is NaN.

    Args:
        calibration: the split with the clips for the bands.
    """
    tested, left_out = (len(scored.pair(FUSION, "label", split)[0]) for split in ("test", LEFT_OUT))
    split = "test" if tested > left_out else calibration
    width = label_range[1] - label_range[0]
    scores = {}
    for name in scored.scores:
        against = scored.reference(name, tuple(dict.fromkeys((calibration, split))))
        known, clips = scored.pair(name, against, calibration), scored.pair(name, against, split)
        errors = np.abs(known[0] - known[1])
        worth = replace(measure(*clips, split, against), band=conformal_band(errors, width))
        worth = replace(worth, band_clips=len(errors), band_split=calibration)
        if name == FUSION and scored.deviation is not None and worth.band < width:
            worth = _by_disagreement(worth, errors, scored.deviation[scored.rows(name, against, calibration)])
        if split != calibration:
            gap, low = skill_gap(clips, known)
            worth = replace(worth, coverage=_coverage(scored, name, worth), gap=gap, gap_low=low)
        scores[name] = worth
    labelled = int(np.isfinite(scored.labels["label"]).sum())
    rows = scored.splits == calibration
    present = {name: np.isfinite(values[rows]) for name, values in scored.scores.items() if name != FUSION}
    always = tuple(name for name, has in present.items() if has.size and has.mean() >= _NEARLY_ALL)
    return RunWorth(label_range, training_clips, labelled, scores, always)


def worth_on(scored: Scored, split: str, trained: RunWorth) -> RunWorth:
    """Return what the scores are worth on other clips, and how often the bands of the run hold there.

    Args:
        scored: the clips.
        split: measure on the clips of this split.
        trained: of the run; its ``scores`` are empty for a run that does not know.
    """
    scores = {}
    for name in scored.scores:
        before = trained.scores.get(name)
        against = scored.reference(name, (split,))
        if before is not None and len(scored.pair(name, before.against, split)[0]):
            against = before.against
        worth = measure(*scored.pair(name, against, split), split, against)
        if before is not None and before.against == against:
            band = {key: getattr(before, key) for key in ("band", "band_clips", "band_split", "factor", "floor")}
            worth = replace(worth, **band)
            worth = replace(worth, coverage=_coverage(scored, name, worth))
        scores[name] = worth
    return replace(trained, scores=scores, own={})


def measure(score: Array, label: Array, groups: npt.NDArray[np.object_], split: str, against: str) -> Worth:
    """Compare a score with the best constant; ``score``, ``label`` and ``groups`` are (n,), without NaN."""
    nothing = Worth(split, against, len(label), len(set(groups)), *(math.nan,) * 6)
    if not len(label):
        return nothing
    _, group = np.unique(groups.astype(str), return_inverse=True)
    units, constants = group, np.full(len(label), np.median(label))
    if nothing.groups < MANY_GROUPS and len(label) >= 2 * nothing.groups:  # the median of one label is that label
        units = np.arange(len(label))
        constants = np.array([np.median(label[group == number]) for number in range(nothing.groups)])[group]
    errors, constant_errors = np.abs(score - label), np.abs(label - constants)
    mae, constant = float(errors.mean()), float(constant_errors.mean())
    measured = replace(nothing, mae=mae, constant=constant, corr=pearson(score, label))
    if constant < _ZERO:  # all labels are equal, so nothing can be better than a constant
        return measured
    low, high = skill_interval(errors, constant_errors, units) if nothing.can_tell else (math.nan, math.nan)
    return replace(measured, skill=1 - mae / constant, skill_low=low, skill_high=high)


def conformal_band(errors: Array, width: float) -> float:
    """Return the half-width of a band that holds ``LEVEL`` of new clips, if they are exchangeable with these.

    Args:
        errors: (n,) absolute errors of clips that the model was not trained on.
        width: length of the label range, returned if n is too small for such a band (n < 4).
    """
    place = math.ceil((len(errors) + 1) * LEVEL - _ROUNDING)
    return float(np.partition(errors, place - 1)[place - 1]) if place <= len(errors) else width


def _by_disagreement(worth: Worth, errors: Array, deviation: Array) -> Worth:
    """Return the worth with the bands of single clips, from absolute errors and deviations (n,) of the same clips."""
    floor = float(errors.mean()) / 2
    width = np.hypot(floor, deviation)
    if not (np.isfinite(width) & (width > 0)).all():  # one network, or every score is exactly right
        return worth
    return replace(worth, floor=floor, factor=conformal_band(errors / width, math.nan))


def skill_interval(errors: Array, constant_errors: Array, groups: npt.NDArray[np.intp]) -> tuple[float, float]:
    """Return the 90 % interval of ``1 - errors.mean() / constant_errors.mean()``.

    A paired bootstrap over groups with a fixed seed: each of 2,000 resamples draws as many groups as there are, with
    replacement, and all clips of each. The constant is not chosen again in a resample.

    Args:
        errors, constant_errors: (n,) absolute errors of the score and of the constant.
        groups: (n,) from 0, at least 5 different ones; clips with the same number are drawn together.
    """
    sums = np.stack([np.bincount(groups, weights=values) for values in (errors, constant_errors)], axis=1)
    count, generator = len(sums), np.random.default_rng(0)
    rows = max(1, _CHUNK // count)
    totals = np.concatenate(
        [
            sums[generator.integers(0, count, (min(rows, _RESAMPLES - start), count))].sum(axis=1)
            for start in range(0, _RESAMPLES, rows)
        ]
    )
    totals = totals[totals[:, 1] > _ROUNDING * constant_errors.sum()]
    if not len(totals):
        return math.nan, math.nan
    tail = expanded_tail(count)
    low, high = np.quantile(1 - totals[:, 0] / totals[:, 1], [tail, 1 - tail]).tolist()
    return low, high


def expanded_tail(count: int) -> float:
    """Return the share of resamples of ``count`` groups beyond each end of a 90 % interval: .05 for many groups, less
    for few. The ends are those of Student's t distribution, as in an interval for a mean (Hesterberg 2015)."""
    ends = math.sqrt(count / (count - 1)) * _student(1 - (1 - _CONFIDENCE) / 2, count - 1)
    return NormalDist().cdf(-ends)


def _student(share: float, freedom: int) -> float:
    """Return a quantile of Student's t distribution to three digits (Abramowitz and Stegun 26.7.5); freedom >= 4."""
    z = NormalDist().inv_cdf(share)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return math.fsum(term / float(freedom) ** power for power, term in enumerate(terms))


def skill_gap(measured: Clips, others: Clips) -> tuple[float, float]:
    """Return the skill on other clips minus that on the measured ones, and the lower end of its 98 % interval.

    The interval is Student's: a skill is a ratio of sums, whose clips hang together by recording (linearised, as in
    `Cameron and Miller 2015, section II <https://doi.org/10.3368/jhr.50.2.317>`_), and the degrees of freedom are one
    less than the recordings of the side with fewer. NaN if a side has fewer than ``MANY_GROUPS``, or equal labels.

    Args:
        measured, others: score, label and recording of n and m clips.
    """
    fewest = min(len(set(groups)) for _, _, groups in (measured, others))
    if fewest < MANY_GROUPS:
        return math.nan, math.nan
    (error, variance), (other, other_variance) = (_share_of_constant(*clips) for clips in (measured, others))
    reach = _student(1 - (1 - _CERTAIN) / 2, fewest - 1) * math.sqrt(variance + other_variance)
    return error - other, error - other - reach


def _share_of_constant(score: Array, label: Array, groups: npt.NDArray[np.object_]) -> tuple[float, float]:
    """Return the mean error as a share of that of the best constant, and the variance of this share."""
    errors, constant_errors = np.abs(score - label), np.abs(label - np.median(label))
    total = constant_errors.sum()
    if total < _ZERO:
        return math.nan, math.nan
    share = float(errors.sum() / total)
    _, group = np.unique(groups.astype(str), return_inverse=True)
    sums = np.bincount(group, weights=errors - share * constant_errors) / total
    return share, float((sums**2).sum()) * len(sums) / (len(sums) - 1)


def _coverage(scored: Scored, name: str, worth: Worth) -> float:
    score, label, _ = scored.pair(name, worth.against, worth.split)
    deviation = None
    if name == FUSION and scored.deviation is not None:
        deviation = scored.deviation[scored.rows(name, worth.against, worth.split)]
    return float(np.mean(np.abs(score - label) <= worth.half_width(deviation))) if len(label) else math.nan
