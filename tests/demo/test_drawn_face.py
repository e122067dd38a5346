from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from selfmm.demo.canvas import Pose
from selfmm.demo.drawn_face import Expression, Look, backdrop, draw
from selfmm.demo.speakers import SPEAKERS

WIDTH, HEIGHT, SCALE = 320, 240, 23.0
POSE = Pose(160, 112, SCALE)
Image = npt.NDArray[np.uint8]
each_look = pytest.mark.parametrize("look", [s.look for s in SPEAKERS], ids=[s.name for s in SPEAKERS])


def _draw(look: Look, expression: Expression, pose: Pose = POSE) -> Image:
    return draw(backdrop(look, pose, WIDTH, HEIGHT), pose, look, expression)


def _blue(image: Image, left: float, top: float, right: float, bottom: float) -> npt.NDArray[np.float64]:
    """(n, 2) places (u, v) of the blue pixels of a rectangle; all in units of the head."""
    part = _part(image, left, top, right, bottom)
    rows, columns = np.nonzero(part[..., 2] - part[..., 0] > 50)
    return np.stack([columns / SCALE + left, rows / SCALE + top], axis=1)


def _part(image: Image, left: float, top: float, right: float, bottom: float) -> npt.NDArray[np.int64]:
    (x0, x1), (y0, y1) = ([round(p + SCALE * q) for q in ends] for p, ends in _ends(left, top, right, bottom))
    return image[y0:y1, x0:x1].astype(np.int64)


def _ends(left: float, top: float, right: float, bottom: float) -> list[tuple[float, tuple[float, float]]]:
    return [(POSE.x, (left, right)), (POSE.y, (top, bottom))]


@each_look
def test_a_smile_lifts_and_spreads_the_corners_of_the_mouth(look: Look) -> None:
    blue = replace(look, lips=(0, 0, 1))
    lips = [_blue(_draw(blue, Expression(smile=smile)), -1.5, 1.2, 1.5, 3.4) for smile in (-1, -0.5, 0, 0.5, 1)]
    for side in (-1, 1):
        places = np.array([place[np.argmax(side * place[:, 0])] for place in lips])
        middles = [np.mean(place[np.abs(place[:, 0]) < 0.1, 1]) for place in lips]
        assert np.all(np.diff(places[:, 1] - middles) < -0.05), "corners rise against the middle; up is a smaller v"
        assert np.all(np.diff(side * places[2:, 0]) > 0.05)
    assert np.mean(lips[2], axis=0)[0] == pytest.approx(0, abs=0.05)


@each_look
def test_the_mouth_opens_with_the_jaw(look: Look) -> None:
    blue, heights = replace(look, lips=(0, 0, 1)), []
    for jaw in (0, 0.2, 0.4, 0.7):
        lips = _blue(_draw(blue, Expression(jaw=jaw)), -0.2, 1.2, 0.2, 3.6)
        heights.append(np.ptp(lips[:, 1]))
    assert np.all(np.diff(heights) > 0.1)
    assert heights[-1] > heights[0] + 0.5


@each_look
def test_lids_hide_the_iris(look: Look) -> None:
    blue = replace(look, iris=(0, 0, 1))
    for left, right in [(-1.6, -0.4), (0.4, 1.6)]:
        seen = [len(_blue(_draw(blue, Expression(eyes=eyes)), left, -0.6, right, 0.6)) for eyes in (0, 0.3, 0.5, 0.7)]
        assert seen[0] < 12, "a line of lashes may show a little of it"
        assert np.all(np.diff(seen) > 3)


@each_look
def test_brows_move(look: Look) -> None:
    heights = []
    for brows in (-1, 0, 1):
        part = _part(_draw(look, Expression(brows=brows)), 0.5, -1.4, 1.5, -0.3).sum(axis=-1)
        darkest = np.argmin(part, axis=0)
        heights.append(np.median(darkest) / SCALE)
    assert heights[0] > heights[1] > heights[2] + 0.1


def test_the_face_moves_with_its_pose() -> None:
    look = SPEAKERS[0].look
    here, there = (_draw(look, Expression(smile=0.5), replace(POSE, x=x)) for x in (150, 170))
    np.testing.assert_array_equal(here[80:165, 115:185], there[80:165, 135:205])


@pytest.mark.parametrize(("x", "y"), [(-200, 112), (520, 112), (160, 600), (160, -300)])
def test_a_face_out_of_the_picture_leaves_it_as_it_is(x: float, y: float) -> None:
    look, away = SPEAKERS[2].look, Pose(x, y, SCALE)
    behind = backdrop(look, POSE, WIDTH, HEIGHT)
    empty = (np.clip(behind, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8).transpose(1, 2, 0)
    np.testing.assert_array_equal(draw(behind, away, look, Expression()), empty)


def test_half_a_face_is_drawn_at_the_rim() -> None:
    look = SPEAKERS[1].look
    image = _draw(look, Expression(smile=1, jaw=0.5), replace(POSE, x=0))
    whole = _draw(look, Expression(smile=1, jaw=0.5))
    assert np.abs(image[100:120, :30].astype(int) - whole[100:120, 160:190]).mean() < 4  # the wall's light differs


def test_drawing_changes_nothing_it_was_given() -> None:
    look = SPEAKERS[3].look
    behind = backdrop(look, POSE, WIDTH, HEIGHT)
    before = behind.copy()
    first = draw(behind, POSE, look, Expression(smile=1))
    draw(behind, POSE, look, Expression(smile=-1))
    np.testing.assert_array_equal(behind, before)
    np.testing.assert_array_equal(draw(behind, POSE, look, Expression(smile=1)), first)


def test_edges_are_soft() -> None:
    """Moving by a tenth of a pixel changes the picture a little, by a whole pixel much more."""
    look = SPEAKERS[0].look
    images = [_draw(look, Expression(), replace(POSE, x=160 + shift)).astype(int) for shift in (0, 0.1, 1)]
    small, large = (np.abs(image - images[0]).mean() for image in images[1:])
    assert 0.05 < small / large < 0.2


@each_look
def test_extremes_stay_pictures(look: Look) -> None:
    for sign in (-1, 1):
        wild = Expression(smile=sign, brows=sign, eyes=(sign + 1) / 2, jaw=(1 - sign) / 2, turn=sign, nod=sign)
        image = _draw(look, wild)
        assert image.shape == (HEIGHT, WIDTH, 3)
        assert image.std() > 20
