"""What scores are worth, for tests of screens and sentences."""

from __future__ import annotations

from dataclasses import replace

from selfmm.evaluation.worth import RunWorth, Worth

GOOD = Worth("test", "label", 70, 7, 0.66, 1.42, 0.54, 0.44, 0.58, 0.84, band=0.918, band_clips=29, coverage=0.81)
EMPTY = replace(GOOD, mae=1.5, skill=-0.05, skill_low=-0.2, skill_high=0.1, corr=0.02)
UNTOLD = replace(GOOD, clips=6, groups=2, skill_low=float("nan"), skill_high=float("nan"))


def worth(
    fusion: Worth = GOOD, training_clips: int = 280, label_range: tuple[float, float] = (-3.0, 3.0), **alone: Worth
) -> RunWorth:
    return RunWorth(label_range, training_clips, training_clips + 120, {"fusion": fusion, **alone})
