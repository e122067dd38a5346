"""Draw a face with a mood, lifelike enough for face trackers to find it and read its expression.

The unit is half the distance between the pupils; u goes right and v down from the point between the eyes. Parts nearer
to the viewer move more when the head turns; this alone makes the head look round.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from selfmm.demo.canvas import Canvas, Colour, Plane, Pose

_SIDES = (-1.0, 1.0)
_DARK = (0.10, 0.07, 0.06)
_TEETH = (0.92, 0.90, 0.86)
_TONGUE = (0.62, 0.25, 0.26)


@dataclass(frozen=True)
class Look:
    """How a speaker looks. Colours are RGB in [0, 1].

    Attributes:
        width: width of the face, about 1.
        long_hair: whether the hair is shoulder-length instead of short.
    """

    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    shirt: Colour
    wall: Colour
    width: float = 1.0
    long_hair: bool = False


@dataclass(frozen=True)
class Expression:
    """The expression of a face at one moment.

    Attributes:
        smile: -1 (corners of the mouth down) to 1 (a broad smile).
        brows: -1 (drawn down and together) to 1 (raised).
        eyes: 0 (shut) to 1 (wide open); .7 is normal.
        jaw: 0 (mouth shut) to 1 (wide open).
        turn, nod: how far the head is turned to the right and bent down, about -1 to 1.
    """

    smile: float = 0.0
    brows: float = 0.0
    eyes: float = 0.7
    jaw: float = 0.0
    turn: float = 0.0
    nod: float = 0.0


@lru_cache(maxsize=4)  # the body does not move for most of a clip
def backdrop(look: Look, body: Pose, width: int, height: int) -> Plane:
    """Return the speaker's body in front of the wall, (3, height, width) float32 in [0, 1]. Do not change the array."""
    light = np.linspace(1.05, 0.85, height)[:, None] * np.linspace(1.02, 0.94, width)
    canvas = Canvas(np.stack([tone * light for tone in look.wall]).astype(np.float32), body)
    _body(canvas, look)
    return canvas.pixels


def draw(behind: Plane, head: Pose, look: Look, expression: Expression) -> npt.NDArray[np.uint8]:
    """Return a picture of the speaker's head in front of a `backdrop`, (H, W, 3) uint8 RGB."""
    canvas = Canvas(behind, head)
    _head(canvas, look, expression)
    _flesh(canvas, expression)
    _nose(canvas, look, expression)
    for side in _SIDES:
        _eye(canvas, look, expression, side)
        _brow(canvas, look, expression, side)
    _mouth(canvas, look, expression)
    _hair(canvas, look, expression)
    return canvas.image()


def _toned(colour: Colour, factor: float) -> Colour:
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def _moved(expression: Expression, depth: float) -> tuple[float, float]:
    """Return how far a part moves right and down with the head. The tip of the nose has the greatest depth, .35."""
    return depth * expression.turn, depth * expression.nod


def _body(canvas: Canvas, look: Look) -> None:
    if look.long_hair:
        patch = canvas.patch(-3.4, -4.5, 3.4, 5.2)
        patch.paint(patch.ellipse(0, 0.6, 2.9 * look.width, 4.5, 0.15), _toned(look.hair, 0.75))
    patch = canvas.patch(-6, 2, 6, 9)
    neck = patch.edge(1.3 + 0.05 * (patch.v - 3.5) ** 2 - np.abs(patch.u), 0.1)
    patch.paint(neck, _toned(look.skin, 0.72))
    collar = 4.6 + 0.09 * patch.u**2 - 0.5 * np.exp(-((patch.u / 1.5) ** 2))
    patch.paint(patch.edge(patch.v - collar, 0.05), look.shirt, 1 - 0.05 * np.abs(patch.u))
    patch.paint(patch.ellipse(0, 4.35, 1.2, 0.7, 0.1), _toned(look.skin, 0.76))


def _head(canvas: Canvas, look: Look, expression: Expression) -> None:
    patch, wide = canvas.patch(-3, -4.5, 3, 4.4), look.width
    patch.paint(patch.ellipse(0, -1.1, 2.5 * wide, 3.05, 0.1), look.hair)
    for side in _SIDES:
        ear = patch.ellipse(side * 2.2 * wide - 0.1 * expression.turn, 0.35, 0.32, 0.65)
        patch.paint(ear, _toned(look.skin, 0.8))
    # Half the width over v: the skull above the eyes, and below them the jaw, which drops when the mouth opens.
    skull = np.clip(1 - (np.minimum(patch.v + 0.2, 0) / 3.3) ** 2, 0, 1) ** 0.5
    jaw = np.clip(1 - (np.maximum(patch.v + 0.2, 0) / (3.75 + 0.45 * expression.jaw)) ** 3, 0, 1) ** 0.55
    half = np.where(patch.v < -0.2, skull, jaw)
    cover = patch.edge(2.15 * wide * half - np.abs(patch.u), 0.04) * (half > 0)
    across = np.clip((patch.u + 0.25 * expression.turn) / 2.3, -1, 1)
    patch.paint(cover, look.skin, 1.02 - 0.28 * across**2 + 0.05 * across - 0.02 * patch.v)


def _flesh(canvas: Canvas, expression: Expression) -> None:
    """Paint the light and shadow of the brow, the eye sockets, the cheeks and the chin."""
    patch, (shift, fall) = canvas.patch(-2.1, -2.6, 2.1, 3.6), _moved(expression, 0.22)
    happy, drop = max(expression.smile, 0), 0.5 * expression.jaw
    light = 1 + 0.07 * patch.glow(shift, -1.7 + fall, 1.0, 0.5)
    light -= 0.12 * patch.glow(shift, 2.74 + drop + fall, 0.55, 0.12)
    light += 0.05 * patch.glow(shift, 3.0 + drop + fall, 0.5, 0.25)
    for side in _SIDES:
        light -= 0.16 * patch.glow(side * 0.95 + shift, -0.2 + fall, 0.65, 0.45)
        light += (0.05 + 0.06 * happy) * patch.glow(side * 1.3 + shift, 1.1 - 0.15 * happy + fall, 0.4, 0.4)
        fold = side * (0.72 + 0.22 * (patch.v - 1.3 - fall)) + shift
        along = np.exp(-(((patch.v - 1.6 - fall) / 0.45) ** 2))
        light -= (0.04 + 0.12 * happy) * np.exp(-(((patch.u - fold) / 0.09) ** 2)) * along
    patch.shade(light)


def _nose(canvas: Canvas, look: Look, expression: Expression) -> None:
    patch, (u, fall) = canvas.patch(-1.2, -1.0, 1.2, 2.2), _moved(expression, 0.35)
    v = 1.18 + fall
    along = np.clip((patch.v + 0.4) / 1.6, 0, 1)
    ridge = patch.u - u * along
    light = 1 + 0.10 * np.exp(-((ridge / 0.14) ** 2)) * along * np.clip((v + 0.2 - patch.v) / 0.3, 0, 1)
    light += 0.14 * patch.glow(u, v - 0.05, 0.22, 0.18)
    light -= 0.20 * patch.glow(u, v + 0.36, 0.45, 0.1)
    flank = 0.13 * np.exp(-(((patch.v - 0.55 - fall / 2) / 0.7) ** 2))
    for side in _SIDES:
        light -= flank * np.exp(-(((ridge - side * (0.26 + 0.12 * along)) / 0.13) ** 2))
        light -= 0.20 * patch.glow(u + side * 0.56, v + 0.03, 0.07, 0.17)
    patch.shade(light)
    for side in _SIDES:
        patch.paint(0.7 * patch.ellipse(u + side * 0.26, v + 0.25, 0.16, 0.075, 0.06), _toned(look.skin, 0.32))


def _eye(canvas: Canvas, look: Look, expression: Expression, side: float) -> None:
    shift, fall = _moved(expression, 0.2)
    patch = canvas.patch(side - 0.95, -0.8, side + 0.95, 0.8)
    u = patch.u - side - shift
    x = np.clip(np.abs(u) / 0.53, 0, 1)
    arch = np.sqrt(1 - x**2) * (1 - 0.25 * x)
    level = 0.02 + fall - 0.06 * side * u
    upper = level + (0.14 - 0.54 * expression.eyes) * arch
    lower = np.maximum(level + (0.19 - 0.12 * max(expression.smile, 0)) * arch, upper)
    inside = np.abs(u) < 0.53
    white = patch.between(upper, lower) * inside
    patch.paint(white, (0.93, 0.92, 0.90), 1 - 0.3 * np.clip(1 - (patch.v - upper) / 0.16, 0, 1))
    middle = (side + 1.1 * shift, fall - 0.02)
    patch.paint(white * patch.ellipse(*middle, 0.25, 0.25), _toned(look.iris, 0.55))
    patch.paint(white * patch.ellipse(*middle, 0.19, 0.19, 0.08), look.iris)
    patch.paint(white * patch.ellipse(*middle, 0.1, 0.1), _toned(_DARK, 0.4))
    patch.paint(0.9 * white * patch.ellipse(middle[0] + 0.07, middle[1] - 0.08, 0.05, 0.05), (1.0, 1.0, 1.0))
    patch.paint(0.85 * patch.between(upper - 0.065, upper + 0.015, 0.01) * inside, _DARK)
    patch.paint(0.3 * patch.between(lower - 0.01, lower + 0.035, 0.02) * inside, _toned(look.skin, 0.4))
    crease = patch.between(upper - 0.19, upper - 0.14, 0.05) * inside * (1 - x**2)
    patch.paint(0.35 * crease, _toned(look.skin, 0.45))


def _brow(canvas: Canvas, look: Look, expression: Expression, side: float) -> None:
    shift, fall = _moved(expression, 0.2)
    patch = canvas.patch(side - 1, -1.7, side + 1, 0.2)
    outwards = (patch.u - side - shift) * side
    x = np.clip((outwards + 0.62) / 1.3, 0, 1)
    angry, raised = max(-expression.brows, 0), max(expression.brows, 0)
    height = -0.60 + fall - 0.26 * raised + angry * (0.18 - 0.16 * x)
    line = height - 0.2 * np.sin(np.pi * (0.85 * x + 0.05)) * (1 - 0.5 * angry) + 0.14 * x**2
    thick = 0.11 * (1 - 0.65 * x)
    ends = np.clip((outwards + 0.66 + 0.1 * angry) / 0.12, 0, 1) * np.clip((0.74 - outwards) / 0.1, 0, 1)
    patch.paint(0.85 * patch.between(line - thick, line + thick, 0.05) * ends, _toned(look.hair, 0.7))


def _mouth(canvas: Canvas, look: Look, expression: Expression) -> None:
    patch, (shift, fall) = canvas.patch(-1.6, 1.2, 1.6, 3.7), _moved(expression, 0.24)
    happy, sad, jaw = max(expression.smile, 0), max(-expression.smile, 0), expression.jaw
    half = 0.80 + 0.26 * happy - 0.04 * sad - 0.14 * jaw
    u = patch.u - shift
    x = np.clip(np.abs(u) / half, 0, 1)
    inside = patch.edge(half - np.abs(u))
    rise = 0.42 * happy - 0.34 * sad  # of the corners
    middle = 2.12 + fall + 0.10 * happy - 0.10 * sad
    corner = middle - rise
    line = middle - rise * x**2
    round_ = np.sqrt(1 - x**2)
    upper = line - (0.10 * jaw + 0.02 * happy) * round_
    lower = line + (0.85 * jaw + 0.04 * happy) * round_
    top = upper - (0.17 - 0.05 * happy - 0.03 * np.cos(np.minimum(6 * x, np.pi))) * (1 - x**1.8)
    bottom = lower + (0.26 - 0.06 * happy) * (1 - x**2.2)
    patch.paint(patch.between(top, bottom, 0.03) * inside, look.lips)
    patch.shade(1 - 0.15 * patch.between(top, upper, 0.04) * inside)
    patch.shade(1 + 0.16 * patch.glow(shift, middle + 0.16 + 0.85 * jaw, 0.35, 0.07))
    hole = patch.between(upper - 0.012, lower + 0.012) * inside
    patch.paint(hole, (0.16, 0.05, 0.06))
    patch.paint(hole * patch.glow(shift, middle + 0.1 + 0.85 * jaw, 0.4, 0.2), _TONGUE)
    shown = min(1.0, 3 * jaw + happy) * np.clip((0.9 - x) / 0.1, 0, 1)
    patch.paint(hole * patch.between(upper, np.minimum(upper + 0.2, lower)) * shown, _TEETH)
    for side in _SIDES:
        patch.shade(1 - 0.25 * patch.glow(shift + side * (half + 0.03), corner, 0.09, 0.09))


def _hair(canvas: Canvas, look: Look, expression: Expression) -> None:
    patch, wide = canvas.patch(-3, -4.5, 3, 4.4), look.width
    line = -1.95 + 0.16 * expression.nod + 0.55 * (patch.u / 2) ** 2 + 0.12 * np.sin(1.7 * patch.u + 0.6)
    fringe = patch.ellipse(0, -1.1, 2.5 * wide, 3.05, 0.08) * patch.edge(line - patch.v, 0.1)
    gloss = 1 + 0.25 * patch.glow(-0.6, -3.0, 1.3, 0.5) + 0.05 * np.sin(9 * patch.u)
    patch.paint(fringe, look.hair, gloss)
    if look.long_hair:
        strands = patch.edge(np.abs(patch.u) - (1.9 * wide + 0.1 * np.cos(patch.v)), 0.1)
        strands *= patch.ellipse(0, 0.6, 2.8 * wide, 4.45, 0.1) * np.clip((4.2 - patch.v) / 2.5, 0, 1)
        patch.paint(strands, look.hair, gloss)
