"""Clips of one recording that share a piece of it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from selfmm.features.clips.clip import Clip

_SHOWN = 3
_TOUCH = 1e-3  # seconds; clips that share no more only touch


def overlap_notes(clips: Sequence[Clip]) -> list[str]:
    """Sentences on clips that overlap in time, and on those of them that lie in different splits."""
    pairs = list(_overlapping(clips))
    across = [(one, other) for one, other in pairs if one.split != other.split]
    notes = []
    if pairs:
        notes.append(
            f"clips of one recording overlap in time: {_named(pairs)}. Check their times if this is not meant."
        )
    if across:
        notes.append(
            f"clips that overlap lie in different splits: {_named(across)}. What was trained on is then tested on, and "
            "the results look better than they are. Put all clips of one recording into one split."
        )
    return notes


def _overlapping(clips: Sequence[Clip]) -> Iterator[tuple[Clip, Clip]]:
    """Each clip with the one of each split that reaches farthest into it from before."""
    by_file: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        by_file[str(clip.path.resolve())].append(clip)
    for of_file in by_file.values():
        farthest: dict[str | None, Clip] = {}
        for clip in sorted(of_file, key=_start):
            yield from ((other, clip) for other in farthest.values() if _end(other) > _start(clip) + _TOUCH)
            if clip.split not in farthest or _end(clip) > _end(farthest[clip.split]):
                farthest[clip.split] = clip


def _start(clip: Clip) -> float:
    return clip.start or 0.0


def _end(clip: Clip) -> float:
    return math.inf if clip.end is None else clip.end


def _named(pairs: Sequence[tuple[Clip, Clip]]) -> str:
    shown = ", ".join(f"{_name(one)} and {_name(other)}" for one, other in pairs[:_SHOWN])
    return shown if len(pairs) <= _SHOWN else f"{shown}, and {len(pairs) - _SHOWN} more pairs"


def _name(clip: Clip) -> str:
    return f"{clip.id!r} ({clip.split})" if clip.split else repr(clip.id)
