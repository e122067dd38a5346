"""Features of a speaker's face over time, one row per picture."""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from selfmm.config.recipe import FaceSettings
from selfmm.core import weights
from selfmm.core.machine import cores
from selfmm.features.face.choice import choose_face
from selfmm.features.face.landmarks import COLUMNS, Face, FaceFinder, Image
from selfmm.features.face.tracks import FaceTracks, colours
from selfmm.features.streams import Chunk, Floats, Track

BOX = ("left", "top", "right", "bottom")
"""Columns of `FaceAnalyser.boxes`."""

_WAITING = 32  # most pictures that wait for the threads: a fast reader must not fill the memory
_Sight = tuple[tuple[Face, ...], Floats]


@dataclass(frozen=True)
class FaceFigures:
    """Figures about the faces in a span, for warnings about its quality.

    Attributes:
        pictures: number of pictures.
        identities: number of different people; somebody who returns after a cut or a second counts again.
        any_face: share of the pictures with a face.
        several: share of the pictures with more than one face.
        chosen: share of the pictures with the chosen face.
        size: mean ``size`` of the chosen face where it is visible (see ``landmarks.measure``); 0 if it never is.
        missing: share of the span without a picture, before the first one or after the last one of the file.
    """

    pictures: int
    identities: int
    any_face: float
    several: float
    chosen: float
    size: float
    missing: float = 0.0


class FaceAnalyser:
    """Measures the chosen face at the rate of the settings. See ``landmarks.measure`` for the columns.

    Threads find the faces of each picture independently; faces are then followed from picture to picture in order. So
    the result does not depend on the machine and the chunks. Row i describes the picture at i / rate; it is all NaN
    without a picture, or if the chosen face is not in it.

    Args:
        settings: settings of the face.
        find: returns the faces of a picture.
        threads: the threads that call ``find``.
        describe: returns the row of a face; None: the row that ``find`` measured.
        columns: names of the features.
    """

    def __init__(
        self,
        settings: FaceSettings,
        find: Callable[[Image], tuple[Face, ...]],
        threads: ThreadPoolExecutor,
        describe: Callable[[Image, Face], Floats] | None = None,
        columns: tuple[str, ...] = COLUMNS,
    ) -> None:
        self._settings, self._find, self._threads = settings, find, threads
        self._describe, self._columns = describe, columns
        self._waiting: deque[tuple[int, Image, Future[_Sight]]] = deque()
        self._newest: tuple[Image, Future[_Sight]] | None = None
        self._tracks = FaceTracks(settings.rate)
        self._ready = self._forgotten = 0.0

    @property
    def ready(self) -> float:
        """Seconds up to which the features can be requested; threads may still be working on them."""
        return self._ready

    def feed(self, chunk: Chunk) -> None:
        """Take the next chunk. Its last pictures may still be in work afterwards."""
        for frame in chunk.frames or ():
            self._waiting.append((round(frame.time * self._settings.rate), frame.image, self._look(frame.image)))
            if len(self._waiting) > _WAITING:
                self._settle()
        self._ready = chunk.end

    def finish(self) -> None:
        """Take the end of the recording."""
        while self._waiting:
            self._settle()
        self._newest = None
        self._ready = math.inf

    def track(self, start: float, end: float, speech: Track | None = None) -> Track:
        """Return the rows with ``start`` <= time < ``end`` of the face that is chosen for this span.

        Args:
            speech: track with a column ``speech``, 0 to 1, for the same times; None: the largest face is chosen.

        Raises:
            ValueError: if the span is not ready, or was forgotten.
        """
        pictures, chosen, (first, last) = self._choose(start, end, speech)
        rows = np.full((last - first, len(self._columns)), np.nan, dtype=np.float32)
        for index, faces in pictures.items():
            if chosen in faces:
                rows[index - first] = faces[chosen].row
        return Track(self._columns, rows, self._settings.rate, first / self._settings.rate)

    def boxes(self, start: float, end: float, speech: Track | None = None) -> Track:
        """Return the box of the chosen face: columns ``left``, ``top``, ``right``, ``bottom``, see `Face`.

        Arguments and errors are those of ``track``.
        """
        pictures, chosen, (first, last) = self._choose(start, end, speech)
        rows = np.full((last - first, len(BOX)), np.nan, dtype=np.float32)
        for index, faces in pictures.items():
            if chosen in faces:
                rows[index - first] = faces[chosen].box
        return Track(BOX, rows, self._settings.rate, first / self._settings.rate)

    def faces(self, start: float, end: float, speech: Track | None = None) -> FaceFigures:
        """Return the figures of a span. Arguments and errors are those of ``track``."""
        pictures, chosen, (first, last) = self._choose(start, end, speech)
        counts = np.array([len(faces) for faces in pictures.values()])
        sizes = [math.sqrt(faces[chosen].area) for faces in pictures.values() if chosen in faces]
        total = max(len(pictures), 1)
        return FaceFigures(
            pictures=len(pictures),
            identities=len({identity for faces in pictures.values() for identity in faces}),
            any_face=float((counts > 0).sum()) / total,
            several=float((counts > 1).sum()) / total,
            chosen=len(sizes) / total,
            size=float(np.mean(sizes)) if sizes else 0.0,
            missing=(last - first - len(pictures)) / max(last - first, 1),
        )

    def forget(self, before: float) -> None:
        """Free everything before this time (seconds)."""
        self._forgotten = max(self._forgotten, before)
        self._tracks.forget(self._index(before))

    def _look(self, image: Image) -> Future[_Sight]:
        # A film with fewer pictures per second repeats them: look for faces only once.
        if self._newest is None or not np.array_equal(image, self._newest[0]):
            self._newest = image, self._threads.submit(_look_at, self._find, image)
        return self._newest[1]

    def _settle(self) -> None:
        index, image, sight = self._waiting.popleft()
        faces, palette = sight.result()
        if self._describe is not None:
            faces = tuple(replace(face, row=self._describe(image, face)) for face in faces)
        self._tracks.add(index, faces, palette)

    def _choose(
        self, start: float, end: float, speech: Track | None
    ) -> tuple[dict[int, dict[int, Face]], int | None, tuple[int, int]]:
        # The pictures of a span with the faces by identity, the identity of the chosen face, and the span in pictures.
        if end > self._ready + 1e-6 or start < self._forgotten - 1e-6 or end < start:
            raise ValueError(
                f"the span {start} to {end} s was requested; {self._forgotten} to {self._ready} s are available."
            )
        first, last = self._index(start), self._index(end)
        while self._waiting and self._waiting[0][0] < last:
            self._settle()
        pictures = self._tracks.pictures(first, last)
        chosen = choose_face(pictures, (first, last), self._settings.rate, self._settings.choose, speech)
        return pictures, chosen, (first, last)

    def _index(self, time: float) -> int:
        return math.ceil(time * self._settings.rate - 1e-6)


def face_analyser(settings: FaceSettings, threads: int | None = None) -> FaceAnalyser:
    """Return an analyser for one clip or live source. The models are loaded once per process.

    Args:
        settings: settings of the face.
        threads: number of pictures at a time, which does not change the result; None: one per core, 4 at most.

    Raises:
        MissingPackageError: if MediaPipe is missing or cannot be used.
        WeightsError: if the weights of the landmarker or of the encoder are missing or cannot be read.
    """
    workers = threads or min(cores(), 4)
    find, pool = _finder(settings.faces, workers)
    if settings.features == "face":
        return FaceAnalyser(settings, find, pool)
    from selfmm.features.face.encoder import load_face_encoder

    encoder = load_face_encoder(settings.features)
    return FaceAnalyser(settings, find, pool, encoder, encoder.columns)


@functools.cache
def _finder(faces: int, threads: int) -> tuple[FaceFinder, ThreadPoolExecutor]:
    model = weights.locate("face") / "face_landmarker_v2.task"
    return FaceFinder(model, faces, threads), ThreadPoolExecutor(threads, thread_name_prefix="face")


def _look_at(find: Callable[[Image], tuple[Face, ...]], image: Image) -> _Sight:
    return find(image), colours(image)
