"""The invented speakers, with their looks and voices."""

from __future__ import annotations

from dataclasses import dataclass

from selfmm.demo.drawn_face import Look


@dataclass(frozen=True)
class Voice:
    """The voice of a speaker.

    Attributes:
        pitch: pitch of the neutral voice, in Hz.
        tract: factor of the formants; above 1 for short (women's) vocal tracts.
        variant: name of the English voice in espeak-ng.
    """

    pitch: float
    tract: float
    variant: str


@dataclass(frozen=True)
class Speaker:
    """An invented speaker."""

    name: str
    look: Look
    voice: Voice


_BLACK, _BROWN, _BLOND = (0.08, 0.06, 0.05), (0.30, 0.20, 0.13), (0.75, 0.55, 0.30)
_RED, _GREY = (0.52, 0.24, 0.12), (0.55, 0.54, 0.53)
_FAIR, _ROSY, _OLIVE, _DARK = (0.93, 0.75, 0.64), (0.96, 0.82, 0.74), (0.80, 0.60, 0.45), (0.55, 0.36, 0.25)
_RED_LIPS, _PALE_LIPS, _DARK_LIPS = (0.78, 0.42, 0.42), (0.68, 0.40, 0.37), (0.48, 0.24, 0.22)
_BLUE_EYES, _GREEN_EYES, _BROWN_EYES = (0.35, 0.50, 0.60), (0.30, 0.50, 0.40), (0.28, 0.17, 0.09)

SPEAKERS = (
    Speaker(
        "ada",
        Look(_DARK, _BLACK, _BROWN_EYES, _DARK_LIPS, (0.80, 0.75, 0.50), (0.60, 0.70, 0.65), 0.96, long_hair=True),
        Voice(205, 1.16, "f3"),
    ),
    Speaker(
        "ben",
        Look(_FAIR, _BROWN, _BLUE_EYES, _RED_LIPS, (0.25, 0.40, 0.60), (0.75, 0.80, 0.80)),
        Voice(118, 1.0, "m3"),
    ),
    Speaker(
        "cleo",
        Look(_ROSY, _BLOND, _GREEN_EYES, _RED_LIPS, (0.35, 0.50, 0.40), (0.65, 0.70, 0.80), 0.97, long_hair=True),
        Voice(222, 1.18, "f2"),
    ),
    Speaker(
        "dan",
        Look(_OLIVE, _BLACK, _BROWN_EYES, _PALE_LIPS, (0.50, 0.25, 0.30), (0.85, 0.80, 0.70), 1.03),
        Voice(104, 0.97, "m1"),
    ),
    Speaker(
        "eve",
        Look(_FAIR, _RED, _GREEN_EYES, _RED_LIPS, (0.30, 0.30, 0.45), (0.78, 0.74, 0.70), 0.98, long_hair=True),
        Voice(190, 1.13, "f4"),
    ),
    Speaker(
        "finn",
        Look(_DARK, _BLACK, _BROWN_EYES, _DARK_LIPS, (0.75, 0.45, 0.30), (0.70, 0.76, 0.82), 1.02),
        Voice(126, 1.02, "m7"),
    ),
    Speaker(
        "gina",
        Look(_OLIVE, _BROWN, _BROWN_EYES, _PALE_LIPS, (0.85, 0.85, 0.85), (0.55, 0.62, 0.70), 0.95, long_hair=True),
        Voice(212, 1.15, "f5"),
    ),
    Speaker(
        "hugo",
        Look(_ROSY, _GREY, _BLUE_EYES, _PALE_LIPS, (0.30, 0.36, 0.34), (0.80, 0.78, 0.76), 1.01),
        Voice(112, 0.98, "m4"),
    ),
)
