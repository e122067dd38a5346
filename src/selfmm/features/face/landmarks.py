"""Find and measure the faces of one picture with MediaPipe's face landmarker: blendshapes, pose and openings."""

from __future__ import annotations

import ctypes
import os
import queue
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from selfmm.core.errors import MissingPackageError
from selfmm.features.streams import Floats

Image = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

# fmt: off
BLENDSHAPES = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen",
    "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight",
    "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft",
    "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)
# fmt: on
"""Names of ARKit's coefficients, without MediaPipe's ``_neutral``, which is always 0."""

COLUMNS = (
    *BLENDSHAPES,
    *("pitch", "yaw", "roll", "shift_x", "shift_y", "distance"),
    *("mouth_opening", "eye_opening_left", "eye_opening_right", "centre_x", "centre_y", "size"),
)
"""Features of a face: see :func:`measure`."""

_SAFE = ((0, 10, 30), (0, 10, 34))  # from, below: later versions report usage to the vendor, whatever the settings
_INSTALL = "Install it with: pip install 'selfmm[video]'"

# Numbers of landmarks: upper and lower edge, left and right corner of an opening.
_MOUTH = (13, 14, 78, 308)
_EYE_LEFT, _EYE_RIGHT = (386, 374, 362, 263), (159, 145, 33, 133)  # the person's own left and right

# What MediaPipe, absl and TFLite write to file descriptor 2 when a model is opened; other lines are passed on.
_CHATTER = re.compile(rb"WARNING: All log messages before absl|[IW]\d{4} |INFO: Created TensorFlow Lite")
_redirecting = threading.Lock()


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture.

    Attributes:
        row: (d,) its features.
        box: left, top, right and bottom of its landmarks, in widths and heights of the picture: 0 to 1 inside it.
        mouth: distance of the lips divided by the width of the mouth.
        mouth_width: width of the mouth in pixels.
    """

    row: Floats
    box: Array
    mouth: float
    mouth_width: float

    @property
    def area(self) -> float:
        """Area of the box, as a share of the picture."""
        return float((self.box[2] - self.box[0]) * (self.box[3] - self.box[1]))


class FaceFinder:
    """Finds and measures the faces of each picture independently.

    MediaPipe's mode for videos is not used: it smooths its results over time. That blurs a speaking mouth at 10
    pictures per second, makes the results depend on where the video begins, and works for a single face only. The
    detector is made for faces near the camera: it misses faces smaller than a tenth of the picture's longer side.

    Args:
        model: ``face_landmarker_v2.task``.
        faces: most faces to find in a picture.
        threads: number of calls that can run at the same time.

    Raises:
        MissingPackageError: if MediaPipe is not installed, reports usage to its vendor, or lacks a system library.
    """

    def __init__(self, model: Path, faces: int, threads: int) -> None:
        self._package = _mediapipe()
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(threads):
            self._idle.put(_landmarker(model, faces))

    def __call__(self, image: Image) -> tuple[Face, ...]:
        """Return the faces of a picture (H, W, 3) uint8 RGB, in the landmarker's order."""
        picture = self._package.Image(
            image_format=self._package.ImageFormat.SRGB, data=np.ascontiguousarray(image, dtype=np.uint8)
        )
        landmarker = self._idle.get()
        try:
            detected = landmarker.detect(picture)
        finally:
            self._idle.put(landmarker)
        height, width = image.shape[:2]
        poses = detected.facial_transformation_matrixes
        faces = []
        for points, shapes, pose in zip(detected.face_landmarks, detected.face_blendshapes, poses, strict=True):
            places = np.array([(point.x, point.y, point.z) for point in points])
            scores = {shape.category_name: shape.score for shape in shapes}
            faces.append(measure(places, scores, np.asarray(pose, dtype=np.float64), width, height))
        return tuple(face for face in faces if np.isfinite(face.row).all())


def measure(places: Array, scores: dict[str, float], pose: Array, width: int, height: int) -> Face:
    """Return a face with its features, in the order of ``COLUMNS``:

    - 51 blendshapes, 0 to 1, with MediaPipe's names.
    - ``pitch`` (positive: down), ``yaw`` (positive: towards the person's own left), ``roll`` (positive: the top of the
      head towards the person's own left): degrees.
    - ``shift_x`` (right in the picture), ``shift_y`` (up), ``distance``: centimetres from the camera, for a head of
      average size and a camera with MediaPipe's angle of view (63 degrees).
    - ``mouth_opening``, ``eye_opening_left``, ``eye_opening_right``: height divided by width, in three dimensions, so
      turning the head changes them little.
    - ``centre_x`` (from the left), ``centre_y`` (from the top): middle of the landmarks, in widths and heights of the
      picture. ``size``: square root of the share of the picture that their box fills.

    There is no confidence: a face is found if it passes the landmarker's own thresholds (.5).

    Args:
        places: (478, 3) landmarks; x and z in widths, y in heights of the picture.
        scores: blendshapes by name.
        pose: (4, 4) from the canonical face to camera space: x right, y up, z towards the camera, centimetres.
        width, height: pixels of the picture.
    """
    pixels = places * (width, height, width)
    mouth, eye_left, eye_right = (_opening(pixels, at) for at in (_MOUTH, _EYE_LEFT, _EYE_RIGHT))
    box = np.concatenate([places[:, :2].min(axis=0), places[:, :2].max(axis=0)])
    centre, (wide, high) = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    row = [scores[name] for name in BLENDSHAPES]
    row += [*_angles(pose[:3, :3]), pose[0, 3], pose[1, 3], -pose[2, 3]]
    row += [mouth, eye_left, eye_right, *centre, np.sqrt(wide * high)]
    mouth_width = float(np.linalg.norm(pixels[_MOUTH[2]] - pixels[_MOUTH[3]]))
    return Face(np.array(row, dtype=np.float32), box, mouth, mouth_width)


def _opening(pixels: Array, at: tuple[int, int, int, int]) -> float:
    upper, lower, left, right = pixels[list(at)]
    return float(np.linalg.norm(upper - lower) / max(float(np.linalg.norm(left - right)), 1e-6))


def _angles(turn: Array) -> tuple[float, float, float]:
    """Return the pitch, yaw and roll in degrees of a rotation by roll, then pitch, then yaw."""
    turn = turn / np.linalg.norm(turn, axis=0)
    pitch = np.arcsin(np.clip(-turn[1, 2], -1, 1))
    yaw, roll = np.arctan2(turn[0, 2], turn[2, 2]), np.arctan2(turn[1, 0], turn[1, 1])
    return float(np.degrees(pitch)), float(np.degrees(yaw)), -float(np.degrees(roll))


def _mediapipe() -> Any:
    try:
        import mediapipe
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"Features of the face need MediaPipe ({error}). {_INSTALL}") from error
    except ImportError as error:
        raise _library_missing(error) from error
    if not _SAFE[0] <= tuple(map(int, re.findall(r"\d+", mediapipe.__version__)[:3])) < _SAFE[1]:
        raise MissingPackageError(
            f"MediaPipe {mediapipe.__version__} is not used: since 0.10.35 it reports usage to its vendor, and selfmm "
            "sends nothing from this machine. Install one that does not: pip install 'mediapipe>=0.10.30,<0.10.32'"
        )
    return mediapipe


def _landmarker(model: Path, faces: int) -> Any:
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        # Not the path: on some systems MediaPipe opens only paths in ASCII.
        base_options=BaseOptions(model_asset_buffer=model.read_bytes()),
        num_faces=faces,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    try:
        with _quiet():
            landmarker = vision.FaceLandmarker.create_from_options(options)
    except OSError as error:  # ctypes opens the library only now
        raise _library_missing(error) from error
    # Never release it: at the end of Python, its __del__ would find its modules gone and print a traceback.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(landmarker))
    return landmarker


def _library_missing(error: Exception) -> MissingPackageError:
    return MissingPackageError(
        f"MediaPipe cannot be loaded: {error}. Some of its versions need system libraries; on Debian: "
        "apt-get install libgl1 libegl1 libgles2 libglib2.0-0"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop MediaPipe's log lines, which come from C++ and have no setting; other lines are written afterwards."""
    with _redirecting, tempfile.TemporaryFile() as lines:
        try:
            real = os.dup(2)
        except OSError:  # standard error is closed, as in services
            yield
            return
        os.dup2(lines.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(real, 2)
            os.close(real)
            lines.seek(0)
            for line in lines:
                if not _CHATTER.match(line):
                    os.write(2, line)
