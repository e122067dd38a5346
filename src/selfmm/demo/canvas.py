"""Paint soft, anti-aliased shapes in units of a head, with NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[Any]  # float32, which NumPy's types forget when a float is combined with an array
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Pose:
    """Where a head is in a picture.

    Attributes:
        x, y: the point between the eyes, in pixels.
        scale: pixels per unit; the pupils are two units apart.
    """

    x: float
    y: float
    scale: float


@dataclass(frozen=True)
class Patch:
    """A rectangle of a canvas, with the coordinates of its pixels on the head.

    The two coordinates are separate: most of a face is a product of functions of each, which is much faster.

    Attributes:
        pixels: (3, h, w), a view into the canvas.
        u: (1, w) units to the right of the point between the eyes.
        v: (h, 1) units down from this point.
        unit: units per pixel, the width of an edge.
    """

    pixels: Plane
    u: Plane
    v: Plane
    unit: float

    def paint(self, cover: Plane, colour: Colour, light: Plane | None = None) -> None:
        """Paint ``colour`` (times ``light``) over the pixels; ``cover`` is the opacity, 0 to 1."""
        for plane, tone in zip(self.pixels, colour, strict=True):
            plane += cover * ((tone if light is None else tone * light) - plane)

    def shade(self, factor: Plane) -> None:
        """Make the pixels lighter (factors above 1) or darker."""
        self.pixels[:] *= factor

    def edge(self, inside: Plane, soft: float = 0.0) -> Plane:
        """Return how much of each pixel a shape covers, given how far the pixel is inside (in units)."""
        cover: Plane = np.clip(0.5 + inside * (1 / (self.unit + soft)), 0, 1)
        return cover

    def ellipse(self, u: float, v: float, width: float, height: float, soft: float = 0.0) -> Plane:
        """Return the (h, w) cover of an ellipse around (u, v) with these half axes."""
        distance = np.sqrt(((self.u - u) / width) ** 2 + ((self.v - v) / height) ** 2)
        return self.edge((1 - distance) * min(width, height), soft)

    def glow(self, u: float, v: float, width: float, height: float) -> Plane:
        """Return (h, w) a round hill of height 1 around (u, v), for light and shadow."""
        hill: Plane = np.exp(-(((self.u - u) / width) ** 2)) * np.exp(-(((self.v - v) / height) ** 2))
        return hill

    def between(self, top: Plane, bottom: Plane, soft: float = 0.0) -> Plane:
        """Return the (h, w) cover of the area between two curves (1, w) over u; nothing where they cross."""
        return self.edge(np.minimum(self.v - top, bottom - self.v), soft)


class Canvas:
    """A picture to paint on, (3, height, width) float32 in [0, 1]."""

    def __init__(self, ground: Plane, pose: Pose) -> None:
        self.pixels = ground.copy()
        self.pose = pose

    def patch(self, left: float, top: float, right: float, bottom: float) -> Patch:
        """Return the part of a rectangle, given in units of the head, that is in the picture."""
        pose, (_, height, width) = self.pose, self.pixels.shape
        x0, x1 = (int(np.clip(pose.x + pose.scale * u, 0, width)) for u in (left, right))
        y0, y1 = (int(np.clip(pose.y + pose.scale * v, 0, height)) for v in (top, bottom))
        u = (np.arange(x0, x1, dtype=np.float32) - np.float32(pose.x)) / np.float32(pose.scale)
        v = (np.arange(y0, y1, dtype=np.float32) - np.float32(pose.y)) / np.float32(pose.scale)
        return Patch(self.pixels[:, y0:y1, x0:x1], u[None, :], v[:, None], 1 / pose.scale)

    def image(self) -> npt.NDArray[np.uint8]:
        """Return the picture as (height, width, 3) RGB."""
        levels = self.pixels * 255
        levels += 0.5
        np.clip(levels, 0, 255, out=levels)
        image = np.empty((*levels.shape[1:], 3), dtype=np.uint8)
        for number, plane in enumerate(levels):  # many times faster than a transposed copy
            image[..., number] = plane
        return image
