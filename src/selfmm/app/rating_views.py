"""The results of rating: who did what, how far the raters agree, and where they disagree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from selfmm import api
from selfmm.api import parts
from selfmm.app.rating import Source


def counts_of(ratings: api.RatingJournal, rater: str = "") -> dict[str, Any]:
    """Return how much all raters have done, and how much of each target one rater has done, with skipped clips."""
    acts = ratings.acts()
    rated = [act for act in acts if act.act == "rate"]
    mine = Counter(act.target for act in acts if act.rater == rater)
    return {"ratings": len(rated), "raters": sorted({act.rater for act in rated}), "done": dict(mine)}


def acts_of(source: Source, rater: str) -> list[list[Any]]:
    """Return id, target and label (None if skipped) of the acts of a rater that count, in their order."""
    return [[act.id, act.target, act.label] for act in source.ratings.acts() if act.rater == rater]


def standing(source: Source, acts: Sequence[api.Act]) -> list[dict[str, Any]]:
    """Return what counts now for each clip and target of these acts."""
    counting = {act.place: act for act in source.ratings.acts()}
    return [
        {
            "rater": act.rater,
            "id": act.id,
            "target": act.target,
            "done": act.place in counting,
            "label": counting[act.place].label if act.place in counting else None,
        }
        for act in {act.place: act for act in acts}.values()
    ]


def agreement_rows(ratings: api.RatingJournal) -> list[dict[str, Any]]:
    """Return the agreement of the raters on each target, with a sentence that says what it means.

    Only people who saw and heard the same are compared: each mode of a target has a row.
    """
    table = api.rater_agreement(ratings, by_mode=True)
    places: list[Any] = table.index.tolist()
    targets = Counter(target for target, _ in places)
    rows = zip(places, table.to_dict("records"), strict=True)
    return [
        {
            "target": str(target),
            "mode": str(mode),
            "split": targets[target] > 1,
            "raters": int(row["raters"]),
            "clips": int(row["clips"]),
            "ratings": int(row["ratings"]),
            "shared": int(row["shared"]),
            "alpha": float(row["alpha"]),
            "difference": float(row["difference"]),
            "sentence": _agreement_sentence(
                float(row["alpha"]), int(row["shared"]), int(row["raters"]), targets[target] > 1
            ),
        }
        for (target, mode), row in sorted(rows, key=lambda entry: [*targets].index(entry[0][0]))
    ]


_MEANING = {
    "reliable": "The raters agree well. Labels like these can be relied on.",
    "tentative": "The raters agree in part. Draw only tentative conclusions from these labels.",
    "unreliable": "The raters often disagree. Look at the disagreements together, and agree on what each number means.",
    "worse than chance": "The raters contradict each other. Perhaps someone uses the scale the other way round.",
}


def _agreement_sentence(alpha: float, shared: int, raters: int, several_modes: bool) -> str:
    if not shared and several_modes:
        return (
            "No clip has been rated by two people who saw and heard the same, so agreement is unknown. Let two people "
            "rate the same clips in the same way."
        )
    if not shared:
        second = "Let a second person rate" if raters < 2 else "Let two people rate"
        return f"No clip has been rated by two people, so agreement is unknown. {second} the same clips."
    if math.isnan(alpha):
        return "All ratings of the shared clips are equal, so alpha is not defined. Rate clips that differ."
    level = parts.agreement_level(alpha, shared)
    return _MEANING.get(
        level,
        f"{parts.clips(shared)} rated by several people {'is' if shared == 1 else 'are'} too few to tell. Let two "
        "people rate the same 10 clips or more.",
    )


def disagreement_rows(source: Source, target: str, most: int) -> list[dict[str, Any]]:
    """Return the clips on which raters disagree most, with the mode of each rater where these differ."""
    table = api.rater_disagreements(source.ratings)
    table = table[table["modality"] == target] if target else table
    modes = {act.place: act.mode for act in source.ratings.acts()}
    return [
        {
            "id": row["id"],
            "target": row["modality"],
            "mean": row["label"],
            "range": row["range"],
            "labels": row["labels"],
            "text": source.clips["text"].get(row["id"]),
            "modes": _modes(modes, row),
        }
        for row in table.head(most).to_dict("records")
    ]


def _modes(modes: Mapping[tuple[str, str, str], str], row: Mapping[Any, Any]) -> dict[str, str]:
    """Return what each rater of a clip saw and heard; empty if it was the same for all."""
    of_raters = {rater: modes.get((rater, row["id"], row["modality"]), "all") for rater in row["labels"]}
    return of_raters if len(set(of_raters.values())) > 1 else {}
