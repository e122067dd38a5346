"""The agreement of raters, in words."""

from __future__ import annotations

import math

import pandas as pd

from selfmm.api import parts
from selfmm.api.parts import count

_SHOWN = 10  # raters


def raters_line(ratings: pd.DataFrame) -> str:
    """Return who rated, with the number of ratings, those with the most first; empty if nobody did."""
    counts = ratings["rater"].value_counts()
    shown = [f"{name} ({number})" for name, number in counts.head(_SHOWN).items()]
    more = f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
    return f"raters (ratings): {', '.join(shown)}{more}" if shown else ""


def agreement_lines(table: pd.DataFrame) -> list[str]:
    """Describe the agreement of raters, one line per modality; see `selfmm.data.agreement.agreement`."""
    lines = []
    for name, row in table.iterrows():
        who = f"{name}: {count(int(row.ratings), 'rating')} of {count(int(row.clips), 'clip')} by "
        who += count(int(row.raters), "rater")
        rated = f"{count(int(row.shared), 'clip')} with two or more ratings"
        if not row.shared:
            lines.append(f"{who}; no clip has two ratings, so agreement is unknown")
        elif math.isnan(row.alpha):
            lines.append(f"{who}; all ratings of {rated} are equal, so alpha is not defined")
        else:
            level = parts.agreement_level(row.alpha, row.shared)
            lines.append(
                f"{who}; Krippendorff's alpha {row.alpha:.2f} ({level}), mean difference {row.difference:.2f}, over "
                f"{rated}"
            )
    return lines
