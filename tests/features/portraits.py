"""Pictures of a real face to test with: a photo of an astronaut (NASA, public domain), moved and made to speak."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from selfmm.core import weights
from selfmm.core.errors import WeightsError
from selfmm.features.streams import Chunk, Frame

Image = npt.NDArray[np.uint8]

SIDE = 240
_LIPS, _HALF_MOUTH = (108, 116), 21  # where the lips meet (row, column), and half their width


@functools.cache
def portrait() -> Image:
    """(240, 240, 3): head and shoulders, the face about 90 pixels wide."""
    from skimage import data

    photo: Image = data.astronaut()[35 : 35 + SIDE, 107 : 107 + SIDE]  # type: ignore[no-untyped-call]
    return photo


@functools.cache
def speaking(opening: int) -> Image:
    """Return the portrait with its mouth opened by some pixels: everything below the lips moves down."""
    from scipy.ndimage import map_coordinates  # type: ignore[import-untyped]

    photo = portrait().astype(np.float64)
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    below = rows - _LIPS[0]
    drop = opening * np.clip(1 - ((columns - _LIPS[1]) / (1.1 * _HALF_MOUTH)) ** 2, 0, 1)
    # The chin follows, and what is far below stays.
    source = rows - drop * np.where(below > 0, np.exp(-((below / 60) ** 4)), 0)
    opened = np.stack(
        [map_coordinates(photo[..., c], [source, columns], order=1, mode="nearest") for c in range(3)], -1
    )
    opened[(below > 0) & (below < drop)] = (60, 15, 15)
    return opened.astype(np.uint8)


def canvas(height: int, width: int, *placed: tuple[Image, int, int]) -> Image:
    """A grey picture with images pasted at (row, column)."""
    picture = np.full((height, width, 3), 90, dtype=np.uint8)
    for image, row, column in placed:
        picture[row : row + image.shape[0], column : column + image.shape[1]] = image
    return picture


def shuffled(image: Image) -> Image:
    """The same pixels in no order: no face, and yet no cut to another scene."""
    pixels = image.reshape(-1, 3)
    return pixels[np.random.default_rng(0).permutation(len(pixels))].reshape(image.shape)


def small(image: Image, side: int) -> Image:
    from skimage.transform import resize

    resized = resize(image, (side, side), anti_aliasing=True)  # type: ignore[no-untyped-call]
    return np.asarray(255 * resized, dtype=np.uint8)


def turned(image: Image, degrees: float) -> Image:
    """Clockwise."""
    from skimage.transform import rotate

    return np.asarray(255 * rotate(image, -degrees), dtype=np.uint8)  # type: ignore[no-untyped-call]


def chunks(images: list[Image], rate: float, pieces: list[int]) -> list[Chunk]:
    """Return pictures as chunks of a number of pictures; the last chunk takes the rest."""
    frames = [Frame(index / rate, image) for index, image in enumerate(images)]
    cuts = [0, *np.clip(np.cumsum(pieces), 0, len(images)).tolist(), len(images)]
    spans = itertools.pairwise(cuts)
    return [Chunk(first / rate, last / rate, None, tuple(frames[first:last])) for first, last in spans]


def needs_weights() -> None:
    """Skips a test where the landmarker's weights are not on this machine."""
    try:
        weights.locate("face")
    except WeightsError as error:
        pytest.skip(str(error))


def clip(name: str) -> Path:
    """A real recording, if it is next to the checkout."""
    path = Path(__file__).parents[3] / "shared" / "data" / "clips" / name
    if not path.is_file():
        pytest.skip("the real clips are not beside this checkout (they are not ours to ship)")
    return path
