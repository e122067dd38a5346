"""What scores are worth, in words and as cells of a table; the numbers are those of :mod:`selfmm.evaluation.worth`."""

from __future__ import annotations

import math

from selfmm.core.messages import clips, count
from selfmm.evaluation.worth import (
    FEW,
    FUSION,
    LEAST_CLIPS,
    LEAST_SKILL,
    LEFT_OUT,
    MANY_GROUPS,
    STARTED_FROM,
    RunWorth,
    Worth,
)

NO_INFORMATION, CHANCE, UNTOLD = "no information", "may be chance", "cannot tell"
UNKNOWN = (
    "what these scores are worth is not known: the run was trained before selfmm measured it, or these are seeds whose "
    "data set was moved or changed. Train again, or see: selfmm evaluate RUN"
)
_ROUGH = 25  # clips: with fewer, the band itself varies by a quarter or more
_SHARE = 0.5  # of the labelled clips that are for training, at least; of few recordings it may be far less by chance
SPLIT_NAMES = {"valid": "validation", "test": "test", "train": "training"}
"""The splits in words."""

_NEEDED = f"It takes {LEAST_CLIPS} labelled clips, or clips of {MANY_GROUPS} recordings"
_MORE = "Rate more clips, look at the data with `selfmm inspect`, or try other settings with `selfmm tune`."


def cautions(worth: RunWorth | None) -> list[str]:
    """Return reasons not to trust a run's scores at all, each with what to do; the most important first."""
    if worth is None:
        return [UNKNOWN]
    fused = worth.scores.get(FUSION)
    lines = [_on_own_clips(worth)] if fused is not None and fused.split == STARTED_FROM else []
    if 0 < worth.training_clips < FEW and not (fused is not None and fused.informs and fused.band_split != "valid"):
        share = worth.training_clips / max(worth.labelled_clips, worth.training_clips)
        more = math.ceil((FEW - worth.training_clips) / max(share, _SHARE))
        lines.append(
            f"trained on {clips(worth.training_clips)}, fewer than {FEW}, which is too few to learn from. Rate about "
            f"{more} more and train again."
        )
    if fused is not None and not fused.informs:
        lines.append(_uninformative(fused))
    return [*lines, *_too_easy(worth)]


def _too_easy(worth: RunWorth) -> list[str]:
    """Return that the validation clips, which chose the epoch and make the bands, are easier than the test clips.

    Nothing is said of left-out clips and of the figures of a start: they chose no epoch of this run.
    """
    skills = "; ".join(
        f"{title(name)} {score.skill + score.gap:.0%} and {score.skill:.0%}"
        for name, score in worth.scores.items()
        if score.band_is_easier and (score.band_split, score.split) == ("valid", "test")
    )
    if not skills:
        return []
    return [
        "the scores are far better on the validation clips than on the test clips, and not by chance (better than "
        f"always saying the same number by: {skills}). The validation clips may share recordings or speakers with the "
        "training clips, or features that were made with their labels. The kept epoch and the bands come from them, so "
        "trust only the figures of the test clips. Keep each recording in one split, or leave out the modality."
    ]


def _on_own_clips(worth: RunWorth) -> str:
    """Return what the fused score is worth on the run's own clips if the table shows the figures of its start."""
    own = worth.own.get(FUSION)
    if own is None or not own.clips:
        return (
            "what the score is worth on the rated clips of this run is not known. The figures are those of the run "
            "that it started from. Train again to measure it."
        )
    where = f"on {_place(own)} of this run,"
    if own.split == LEFT_OUT:
        place = f"{count(own.clips, 'rated clip')} of {count(own.groups, 'recording')}"
        where = f"on the {place} of this run, each scored by a fit without its recording,"
    if verdict(own) == UNTOLD:
        few = "they are too few" if not own.can_tell else "all their labels are equal"
        return f"{where} nothing can be told about what the score is worth: {few}. Rate more clips and train again."
    better = "not clearly better" if own.skill >= LEAST_SKILL else "not better"
    return (
        f"{where} the score is {better} than always saying the same number: its mean error is {own.mae:.2f}, and that "
        f"of the number is {own.constant:.2f}. {clips(own.clips, ('is', 'are'))} too few to be sure. Rate more and "
        "train again."
    )


def headline(worth: RunWorth | None) -> str:
    """Return, in two or three sentences, what the fused score is worth; empty if the cautions say it.

    Figures of the run that a fit started from are named as such.
    """
    if worth is None or not (fused := worth.scores[FUSION]).clips or not fused.informs:
        return ""
    low, high = max(round(100 * fused.skill_low), 0), round(100 * fused.skill_high)
    better = (
        f"{fused.skill:.0%} closer to the label than always saying the same number (between {low} and {high} % with a "
        "probability of 90 %)."
    )
    started = fused.split == STARTED_FROM
    text = f"On {_place(fused)}, the score {'of that run ' if started else ''}is {better}"
    text = f"The run that it started from was measured on other clips. {text}" if started else text
    if not math.isnan(fused.band):
        start = "There, the" if started else "On the clips of the run that it started from, the"
        the = start if fused.band_split == STARTED_FROM else "The"
        text += f" {the} label of 4 of 5 new clips of the same kind is within {band_text(fused.band)} of the score."
    return text if not started else f"{text} Whether this also holds for the clips of this run is not known."


def _uninformative(fused: Worth) -> str:
    where = _where(fused)
    if not fused.can_tell:
        return (
            f"whether the score says anything cannot be told from {_place(fused)}. {_NEEDED}. Rate more clips and "
            "train again."
        )
    if math.isnan(fused.skill):
        return f"whether the score says anything cannot be told: all labels of the {where} are equal. {_MORE}"
    errors = f"on {where} its mean error is {fused.mae:.2f}, and that of always saying the same number is"
    if verdict(fused) == CHANCE:
        return f"what the score says may be chance: {errors} {fused.constant:.2f}, which is too close to tell. {_MORE}"
    return f"the score carries no information: {errors} {fused.constant:.2f}. {_MORE}"


def _where(worth: Worth) -> str:
    """Return the clips that a score was measured on: ``57 test clips``."""
    start = " of the run that it started from" if worth.split == STARTED_FROM else ""
    return f"{_clips_of(worth.clips, worth.split)}{start}"


def _place(worth: Worth) -> str:
    """Return these clips with their recordings: ``57 test clips of 7 recordings``."""
    return f"{_clips_of(worth.clips, worth.split)} of {count(worth.groups, 'recording')}"


def _clips_of(number: int, split: str) -> str:
    return clips(number) if split == STARTED_FROM else count(number, f"{SPLIT_NAMES.get(split, split)} clip")


def verdict(worth: Worth) -> str:
    """Return in two words why a score is not to be used; empty if it informs."""
    if worth.informs:
        return ""
    if not worth.can_tell or math.isnan(worth.skill):
        return UNTOLD
    return CHANCE if worth.skill >= LEAST_SKILL else NO_INFORMATION


def band_text(band: float) -> str:
    """Return a half-width with about two digits.

    >>> band_text(0.5), band_text(2.0), band_text(12.34), band_text(0.0523)
    ('±0.50', '±2.0', '±12', '±0.052')
    """
    places = 0 if band >= 9.95 else 1 if band >= 0.995 else 2 if band >= 0.0995 else 3
    return f"±{band:.{places}f}"


def band_problem(worth: Worth, label_range: tuple[float, float]) -> str:
    """Return why the band of a score is the whole scale or only rough; empty if it is neither."""
    where = "" if worth.band_split == LEFT_OUT else " in the validation split"
    few = f"only {clips(worth.band_clips, ('has', 'have'))} a label{where}"
    if math.isnan(worth.band):
        return "unknown: the run has no band for this score"
    if worth.band >= label_range[1] - label_range[0]:
        return f"the whole scale: {few}"
    return f"rough: {few}" if worth.band_clips < _ROUGH else ""


def skill_text(worth: Worth | None) -> str:
    """Return by how much a score is better than a constant: ``54% (44 to 58)``, or why not; None: not measured."""
    if worth is None:
        return "not measured"
    if not worth.clips:
        return "no label"
    if (words := verdict(worth)) != CHANCE and words:
        return words
    return f"{worth.skill:.0%} ({100 * worth.skill_low:.0f} to {100 * worth.skill_high:.0f})"


def title(name: str) -> str:
    """Return the name of a score for tables."""
    return "all together" if name == FUSION else name


def worth_rows(worth: RunWorth) -> list[tuple[str, ...]]:
    """Return cells per score: its name, MAE, the constant's MAE, the improvement, Corr, the band and its coverage."""
    return [
        (
            title(name),
            _number(score.mae),
            _number(score.constant),
            skill_text(score),
            # Left out, a constant is another one for each recording, in the opposite direction of its labels.
            "-" if score.split == LEFT_OUT and verdict(score) == NO_INFORMATION else _number(score.corr),
            "-" if math.isnan(score.band) else band_text(score.band),
            "-" if math.isnan(score.coverage) else f"{score.coverage:.0%}",
        )
        for name, score in worth.scores.items()
    ]


HEADS = ("score", "MAE", "constant", "better by", "Corr", "4 of 5 within", "held")


def worth_title(worth: RunWorth) -> str:
    """Return the heading of the table, with the clips that it was measured on."""
    fused = worth.scores[FUSION]
    whose = " of the run that it started from" if fused.split == STARTED_FROM else ""
    return f"what each score{whose} is worth, on {_place(fused)}"


def worth_notes(worth: RunWorth) -> list[str]:
    """Return the meaning of the columns, and what each score was compared with, one sentence each."""
    own = [name for name, score in worth.scores.items() if name != FUSION and score.against != "label"]
    whole = [name for name, score in worth.scores.items() if name != FUSION and score.against == "label"]
    lines = ["constant: MAE of always saying the same number; better by: with its 90 % interval"]
    if any(verdict(score) == CHANCE for score in worth.scores.values()):
        lines.append("grey: no better than always saying the same number, or by a difference that may be chance")
    if all(score.can_tell and math.isnan(score.skill) for score in worth.scores.values()):
        lines.append("cannot tell: all labels of these clips are equal")
    if not all(score.can_tell for score in worth.scores.values()):
        lines.append(f"cannot tell: too few clips. {_NEEDED}")
    if worth.scores[FUSION].groups < MANY_GROUPS:
        lines.append("few recordings: other speakers may differ, and the constant is the best one of each recording")
    if not all(math.isnan(score.band) for score in worth.scores.values()):
        fused = worth.scores[FUSION]
        lines.append(
            "4 of 5 within: band that holds the label of 4 of 5 new clips, from "
            + _clips_of(fused.band_clips, fused.band_split)
            + (" of the run that it started from" if fused.band_split == STARTED_FROM else "")
            + ("; held: share of these clips" if not math.isnan(fused.coverage) else "")
        )
        if not math.isnan(fused.factor):
            lines.append(
                "the band of a single clip is wider where the runs disagree, and narrower where they agree"
                + ("; held: with these bands" if not math.isnan(fused.coverage) else "")
            )
        if problem := band_problem(fused, worth.label_range):
            lines.append(f"the band is {problem}")
    start = [title(name) for name, score in worth.scores.items() if score.split == STARTED_FROM]
    lines += [f"measured on other clips, those of the run that it started from: {', '.join(start)}"] if start else []
    lines += [f"compared with their own labels: {', '.join(own)}"] if own else []
    lines += [f"compared with the label of the whole clip: {', '.join(whole)}"] if whole else []
    if worth.scores[FUSION].split == "valid":
        lines.append("these clips also chose the epoch, so the figures are slightly too good")
    if worth.scores[FUSION].split == "train":
        lines.append("if the run was trained on these clips, the figures are far too good")
    return lines


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
