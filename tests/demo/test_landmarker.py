"""The drawn faces are found by a face tracker made for people, and their expressions read as they were meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from selfmm.core.errors import WeightsError
from selfmm.core.weights import locate
from selfmm.demo.canvas import Pose
from selfmm.demo.drawn_face import Expression, backdrop, draw
from selfmm.demo.scripts import Script
from selfmm.demo.speakers import SPEAKERS, Speaker


@pytest.fixture(scope="module")
def landmarker() -> Iterator[Any]:
    pytest.importorskip("mediapipe", reason="the face tracker comes with selfmm[video]")
    try:
        weights = locate("face") / "face_landmarker_v2.task"
    except WeightsError as error:
        pytest.skip(str(error))
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(BaseOptions(str(weights)), output_face_blendshapes=True)
    with vision.FaceLandmarker.create_from_options(options) as tracker:
        yield tracker


def _blendshapes(landmarker: Any, image: npt.NDArray[np.uint8]) -> dict[str, float] | None:
    """Scores by name, or None where no face is found."""
    import mediapipe

    found = landmarker.detect(mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(image)))
    return {shape.category_name: shape.score for shape in found.face_blendshapes[0]} if found.face_blendshapes else None


def _smile(shapes: dict[str, float]) -> float:
    mouth = [shapes[f"mouth{name}{side}"] for name in ("Smile", "Frown") for side in ("Left", "Right")]
    return (mouth[0] + mouth[1] - mouth[2] - mouth[3]) / 2


@pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda speaker: speaker.name)
def test_every_speaker_is_found_and_read(speaker: Speaker, landmarker: Any) -> None:
    pose = Pose(160, 112, 23)
    meant = [
        *(Expression(), Expression(smile=1, brows=1), Expression(smile=-1, brows=-1, nod=0.5)),
        *(Expression(jaw=0.7), Expression(eyes=0)),
    ]
    ground = backdrop(speaker.look, pose, 320, 240)
    shapes = [_blendshapes(landmarker, draw(ground, pose, speaker.look, expression)) for expression in meant]
    assert None not in shapes
    plain, happy, sad, open_, shut = (found for found in shapes if found is not None)
    assert _smile(happy) > 0.6 > 0.3 > _smile(plain) > _smile(sad)
    assert sad["browInnerUp"] < plain["browInnerUp"] < happy["browInnerUp"]
    assert open_["jawOpen"] > plain["jawOpen"] + 0.1
    assert shut["eyeBlinkLeft"] > plain["eyeBlinkLeft"] + 0.3


@pytest.mark.slow
def test_the_clips_faces_carry_their_planted_sentiment(table: Path, scripts: list[Script], landmarker: Any) -> None:
    av = pytest.importorskip("av")
    truth, smiles, found, looked_at = [], [], 0, 0
    for script in scripts:
        with av.open(str(table.parent / f"{script.id}.mp4")) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        here = [number for number in range(2, len(frames), 7) if not _leaving(script, number / len(frames))]
        shapes = [shape for number in here if (shape := _blendshapes(landmarker, frames[number])) is not None]
        looked_at, found = looked_at + len(here), found + len(shapes)
        truth.append(script.truth[2])
        smiles.append(np.mean([_smile(shape) for shape in shapes]))
        if script.away is not None:
            gone = frames[round(np.mean(script.away) * len(frames))]
            assert _blendshapes(landmarker, gone) is None
    assert any(script.away for script in scripts)
    assert found >= 0.95 * looked_at
    assert np.corrcoef(truth, smiles)[0, 1] > 0.85


def _leaving(script: Script, share: float) -> bool:
    """Whether the face is out of the picture or on its way (.3 s of at least 1.6)."""
    return script.away is not None and script.away[0] - 0.2 < share < script.away[1] + 0.2
