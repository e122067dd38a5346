from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.portraits import canvas, portrait
from selfmm.features.face.choice import choose_face
from selfmm.features.face.landmarks import Face
from selfmm.features.face.tracks import FaceTracks, colours
from selfmm.features.streams import Track

RATE = 10.0
Array = npt.NDArray[Any]
SCENE, OTHER = colours(np.zeros((9, 9, 3), np.uint8)), colours(np.full((9, 9, 3), 200, np.uint8))


def face(x: float, y: float = 0.5, size: float = 0.2, mouth: float = 0.0) -> Face:
    half = size / 2
    return Face(np.zeros(1, np.float32), np.array([x - half, y - half, x + half, y + half]), mouth, 40.0)


def follow(*pictures: list[Face], scenes: dict[int, Array] | None = None) -> list[list[int]]:
    """The identities of each picture, in the order of its faces."""
    tracks = FaceTracks(RATE)
    for index, faces in enumerate(pictures):
        tracks.add(index, faces, (scenes or {}).get(index, SCENE))
    return [list(faces) for faces in tracks.pictures(0, len(pictures)).values()]


def test_a_face_that_moves_stays_who_it_is() -> None:
    assert follow(*([face(0.1 + 0.05 * step)] for step in range(15))) == [[0]] * 15


def test_the_order_in_which_faces_are_found_does_not_matter() -> None:
    here, there = face(0.2), face(0.8)
    assert follow([here, there], [there, here], [here, there]) == [[0, 1], [1, 0], [0, 1]]


def test_the_nearest_is_taken_first() -> None:
    # Both may have come from 0.5; the one that moved less did.
    assert follow([face(0.5)], [face(0.6), face(0.51)]) == [[0], [1, 0]]


def test_who_comes_back_within_a_second_is_the_same() -> None:
    assert follow([face(0.5)], *[[]] * 9, [face(0.5)])[-1] == [0]
    assert follow([face(0.5)], *[[]] * 10, [face(0.5)])[-1] == [1]


def test_a_jump_or_another_size_is_somebody_else() -> None:
    assert follow([face(0.2)], [face(0.7)]) == [[0], [1]]
    assert follow([face(0.5, size=0.2)], [face(0.5, size=0.4)]) == [[0], [1]]
    assert follow([face(0.5, size=0.2)], [face(0.5, size=0.3)]) == [[0], [0]]


def test_after_a_cut_everybody_is_new() -> None:
    pictures = [[face(0.3), face(0.7)]] * 4
    assert follow(*pictures, scenes={2: OTHER, 3: OTHER}) == [[0, 1], [0, 1], [2, 3], [2, 3]]


def test_motion_is_no_cut_and_another_scene_is() -> None:
    def change(one: Array, other: Array) -> float:
        return float(np.abs(colours(one) - colours(other)).sum() / 2)

    here = canvas(240, 480, (portrait(), 0, 0))
    assert change(here, canvas(240, 480, (portrait(), 0, 200))) < 0.05
    assert change(here, np.roll(here, 60, axis=0)) < 0.05
    assert change(here, canvas(240, 480) + 100) > 0.6
    assert colours(here).sum() == pytest.approx(1)
    assert colours(np.zeros((1, 1, 3), np.uint8)).sum() == 1


def test_forgotten_pictures_are_gone_and_people_stay() -> None:
    tracks = FaceTracks(RATE)
    for index in range(20):
        tracks.add(index, [face(0.5)], SCENE)
        tracks.forget(index)
    assert list(tracks.pictures(0, 20)) == [19]
    assert list(tracks.pictures(0, 20)[19]) == [0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_well_apart_faces_are_never_mixed_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = np.array([0.15, 0.5, 0.85])
    pictures, truth = [], []
    for _ in range(30):
        order = rng.permutation(3)[: rng.integers(2, 4)]
        places = np.clip(places + rng.uniform(-0.02, 0.02, 3), [0.1, 0.45, 0.8], [0.2, 0.55, 0.9])
        pictures.append([face(places[who]) for who in order])
        truth.append(order.tolist())
    pairs = {
        pair for seen, known in zip(follow(*pictures), truth, strict=True) for pair in zip(seen, known, strict=True)
    }
    # An identity is one person; a person may have more than one, having been away.
    assert len({identity for identity, _ in pairs}) == len(pairs)


# Whose face counts.


def speech_of(spoken: Array) -> Track:
    """At another rate than the pictures, as voice activity comes."""
    times = np.arange(int(len(spoken) / RATE * 31.25)) / 31.25
    active = spoken[np.minimum((times * RATE).astype(int), len(spoken) - 1)]
    return Track(("speech",), active.astype(np.float32)[:, None], 31.25)


def mouths(rng: np.random.Generator, moving: Array) -> Array:
    """Openings: of a mouth that speaks where ``moving``, and trembles as landmarks do."""
    return np.abs(moving * rng.uniform(0, 0.25, len(moving)) + rng.normal(0, 0.01, len(moving)))


def people(*openings: Array, sizes: tuple[float, ...]) -> dict[int, dict[int, Face]]:
    return {
        index: {
            who: face(0.3 * who, size=size, mouth=m[index])
            for who, (m, size) in enumerate(zip(openings, sizes, strict=True))
        }
        for index in range(len(openings[0]))
    }


def chosen(pictures: dict[int, dict[int, Face]], speech: Track | None, how: str = "speaking") -> int | None:
    return choose_face(pictures, (0, len(pictures)), RATE, how, speech)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 1.0]))
def test_the_mouth_that_moves_with_the_voice(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    spoken = np.zeros(50)
    spoken[: int(50 * share)] = 1
    pictures = people(mouths(rng, np.zeros(50)), mouths(rng, spoken), sizes=(0.3, 0.1))
    assert chosen(pictures, speech_of(spoken)) == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_one_who_chews_all_the_time_does_not_speak(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spoken = np.tile([1.0] * 20 + [0.0] * 20, 2)
    pictures = people(mouths(rng, np.ones(80)), mouths(rng, spoken), sizes=(0.3, 0.1))
    assert chosen(pictures, speech_of(spoken)) == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_without_evidence_the_largest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    still = people(mouths(rng, np.zeros(50)), mouths(rng, np.zeros(50)), sizes=(0.1, 0.2))
    assert chosen(still, speech_of(np.ones(50))) == 1
    moving = people(mouths(rng, np.ones(50)), mouths(rng, np.zeros(50)), sizes=(0.1, 0.2))
    assert chosen(moving, speech_of(np.zeros(50))) == 1
    assert chosen(moving, None) == 1
    assert chosen(moving, Track(("speech",), np.zeros((0, 1), np.float32), 31.25)) == 1
    assert chosen(moving, speech_of(np.ones(50)), "largest") == 1


def test_largest_counts_how_long_it_is_there() -> None:
    pictures = people(np.zeros(10), np.zeros(10), sizes=(0.3, 0.2))
    for index in range(2, 10):
        del pictures[index][0]
    assert chosen(pictures, None, "largest") == 1


def test_nobody_and_anybody() -> None:
    assert chosen({0: {}, 1: {}}, speech_of(np.ones(2))) is None
    assert chosen({}, None) is None
    assert chosen({0: {7: face(0.5)}, 1: {}}, speech_of(np.ones(2))) == 7
