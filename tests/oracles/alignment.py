"""Streams on one axis, written slowly: one clip, step and frame at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

Frames = list[list[float]]


def pooled(frames: Frames, steps: int) -> Frames:
    """Frame k lasts from k/T to (k+1)/T of the time, part s from s/S to (s+1)/S; a part has all that overlap it."""
    parts = []
    for s in range(steps):
        begin, end = Fraction(s, steps), Fraction(s + 1, steps)
        touched = [
            frame
            for k, frame in enumerate(frames)
            if Fraction(k, len(frames)) < end and Fraction(k + 1, len(frames)) > begin
        ]
        measured = [frame for frame in touched if not all(math.isnan(v) for v in frame)]
        if measured:
            parts.append([sum(column) / len(measured) for column in zip(*measured, strict=True)])
        else:
            parts.append([math.nan] * len(frames[0]))
    return parts


def words_of_tokens(text: str, spans: Sequence[tuple[int, int]]) -> list[int]:
    """Of each token the number of the word that its last letter is in; of one without letters that of the nearest."""
    owner = []
    for place in range(len(text)):
        before = text[: place + 1]
        # A blank belongs to the word before it.
        owner.append(max(0, len(before.split()) - 1))
    known = [(k, owner[end - 1]) for k, (start, end) in enumerate(spans) if end > start]
    if not known:
        return [0] * len(spans)
    return [min(known, key=lambda pair: abs(pair[0] - k))[1] for k in range(len(spans))]
