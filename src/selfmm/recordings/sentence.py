"""A prediction in one plain sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from selfmm.data.scales import LabelScale
from selfmm.evaluation.verdicts import CHANCE, NO_INFORMATION, UNTOLD, band_problem, band_text, verdict
from selfmm.evaluation.worth import FUSION, RunWorth
from selfmm.explain.explanation import Explanation
from selfmm.explain.words import printable

# Ends of the steps of MOSI's scale (0 neutral, 1 weakly, 2, 3 strongly positive), as shares of the largest distance.
_STEPS = ((1 / 6, "neutral"), (1 / 2, "slightly {}"), (5 / 6, "{}"), (math.inf, "strongly {}"))
_NOTHING = {
    NO_INFORMATION: "the scores of this model are no better than always saying the same number",
    CHANCE: "the scores of this model are not clearly better than always saying the same number",
    UNTOLD: "there are too few labelled clips to know what the scores of this model are worth",
}
_NAMES = {"audio": "the voice", "vision": "the face", "text": "the words"}
_LEAST = 0.05  # share of the largest distance: a smaller contribution is not named


def sentence(
    score: float | None,
    label_range: tuple[float, float],
    worth: RunWorth | None,
    lacking: Sequence[str] = (),
    explanation: Explanation | None = None,
    deviation: float | None = None,
) -> str:
    """Return what came out: side and strength, the main reason if the score was explained, and how far off it may be.

    For example: slightly negative, mostly because of “failure”; four of five such scores are within ±0.92 of the label.
    ``lacking`` are modalities that the clip lacks, but not the clips by which the score was measured. ``deviation`` is
    that of the runs whose mean the score is.
    """
    if score is None:
        return "no score: the clip has nothing that the model reads"
    if worth is not None and (words := verdict(worth.scores[FUSION])):
        return f"{words}: {_NOTHING[words]}"
    scale = LabelScale.of(label_range)
    share = (score - scale.neutral) / scale.reach
    strength = next(words for end, words in _STEPS if abs(share) < end).format("positive" if share > 0 else "negative")
    reason = ""
    if explanation is not None and strength != "neutral":
        reason = _reason(explanation, 1 if share > 0 else -1, _LEAST * scale.reach)
    return f"{strength}{reason}; {_how_far(worth, lacking, deviation)}"


def _how_far(worth: RunWorth | None, lacking: Sequence[str], deviation: float | None) -> str:
    if lacking:
        return f"how far off such scores are is not known for clips without {' and '.join(map(printable, lacking))}"
    fused = None if worth is None else worth.scores[FUSION]
    if worth is None or fused is None or math.isnan(fused.band):
        return "how far off such scores are is not known"
    problem = band_problem(fused, worth.label_range)
    if fused.band >= worth.label_range[1] - worth.label_range[0]:
        return f"how far off such scores are is not known ({problem.partition(': ')[2]})"
    shown = f"four of five such scores are within {band_text(float(fused.half_width(deviation)))} of the label"
    return f"{shown} ({problem})" if problem else shown


def _reason(explanation: Explanation, side: int, least: float) -> str:
    """Return the modality that moves the score most to its side, or the word if it is most of the words' part."""
    parts = {part.modality: side * part.value for part in explanation.contributions if side * part.value > 0}
    name = max(parts, key=lambda modality: parts[modality], default="")
    if not name or parts[name] < least:
        return ""
    how_much = "mostly" if parts[name] >= sum(parts.values()) / 2 else "partly"
    words = _words(explanation, side) if name == "text" else {}
    cause = _NAMES.get(name, printable(name))
    if words:
        strongest = max(words, key=lambda word: words[word])
        alone = words[strongest] >= sum(words.values()) / 2
        cause = f"“{strongest}”" if alone else f"{cause}, above all “{strongest}”"
    return f", {how_much} because of {cause}"


def _words(explanation: Explanation, side: int) -> dict[str, float]:
    """Return how far each word moves the score to this side, all its occurrences together."""
    sums: dict[str, float] = {}
    for word in explanation.words:
        name = printable(word.word)
        sums[name] = sums.get(name, 0.0) + side * word.value
    return {name: value for name, value in sums.items() if value > 0}
