"""The face over time: one row per picture, of the one whose face counts."""

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

_WAITING = 32  # pictures that wait for the threads at most, so that a fast reader does not fill the memory
_Sight = tuple[tuple[Face, ...], Floats]


@dataclass(frozen=True)
class FaceFigures:
    """What a span shows, for warnings about its quality.

    Attributes:
        pictures: that were looked at.
        identities: people that were told apart; one who comes back after a cut or a second counts anew.
        any_face: share of the pictures with a face.
        several: share with more than one.
        chosen: share with the face that counts.
        size: mean of its ``size`` in the pictures where it is: square root of the share of the picture that it takes;
            0 without any.
    """

    pictures: int
    identities: int
    any_face: float
    several: float
    chosen: float
    size: float


class FaceAnalyser:
    """Features of the face that counts, at the settings' rate: see ``landmarks.measure`` for the columns.

    Each picture is looked at by itself, in threads; who is who is found out in order. So the result is the same on any
    machine and however the pictures came. Row i is of the picture at i / rate; without a picture, or without the
    chosen face in it, it is all NaN.

    Args:
        settings: of the face.
        find: the faces of a picture.
        threads: to find them in.
        describe: the row of a face; None: what was measured by ``find``.
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
        """Seconds. What lies before is settled, though threads may still work on it."""
        return self._ready

    def feed(self, chunk: Chunk) -> None:
        """The next piece. Returns while its last pictures are still being looked at."""
        for frame in chunk.frames or ():
            self._waiting.append((round(frame.time * self._settings.rate), frame.image, self._look(frame.image)))
            if len(self._waiting) > _WAITING:
                self._settle()
        self._ready = chunk.end

    def finish(self) -> None:
        """No more will come."""
        while self._waiting:
            self._settle()
        self._newest = None
        self._ready = math.inf

    def track(self, start: float, end: float, speech: Track | None = None) -> Track:
        """The rows with ``start`` <= time < ``end`` of the one face that counts there.

        Args:
            speech: with a column ``speech``, 0 to 1, for the same times; None: the largest face counts.

        Raises:
            ValueError: the span is not ready, or forgotten.
        """
        first, last = self._span(start, end)
        pictures = self._tracks.pictures(first, last)
        chosen = choose_face(pictures, (first, last), self._settings.rate, self._settings.choose, speech)
        rows = np.full((last - first, len(self._columns)), np.nan, dtype=np.float32)
        for index, faces in pictures.items():
            if chosen in faces:
                rows[index - first] = faces[chosen].row
        return Track(self._columns, rows, self._settings.rate, first / self._settings.rate)

    def faces(self, start: float, end: float, speech: Track | None = None) -> FaceFigures:
        """Figures of a span. Arguments and errors as for ``track``."""
        first, last = self._span(start, end)
        pictures = self._tracks.pictures(first, last)
        chosen = choose_face(pictures, (first, last), self._settings.rate, self._settings.choose, speech)
        counts = np.array([len(faces) for faces in pictures.values()])
        sizes = [math.sqrt(faces[chosen].area) for faces in pictures.values() if chosen in faces]
        whole = max(len(pictures), 1)
        return FaceFigures(
            pictures=len(pictures),
            identities=len({who for faces in pictures.values() for who in faces}),
            any_face=float((counts > 0).sum()) / whole,
            several=float((counts > 1).sum()) / whole,
            chosen=len(sizes) / whole,
            size=float(np.mean(sizes)) if sizes else 0.0,
        )

    def forget(self, before: float) -> None:
        """Frees what was kept of the times ``before``."""
        self._forgotten = max(self._forgotten, before)
        self._tracks.forget(self._index(before))

    def _look(self, image: Image) -> Future[_Sight]:
        # A film with fewer pictures per second brings each several times; the same picture has the same faces.
        if self._newest is None or not np.array_equal(image, self._newest[0]):
            self._newest = image, self._threads.submit(_look_at, self._find, image)
        return self._newest[1]

    def _settle(self) -> None:
        index, image, sight = self._waiting.popleft()
        faces, palette = sight.result()
        if self._describe is not None:
            faces = tuple(replace(face, row=self._describe(image, face)) for face in faces)
        self._tracks.add(index, faces, palette)

    def _span(self, start: float, end: float) -> tuple[int, int]:
        if end > self._ready + 1e-6 or start < self._forgotten - 1e-6 or end < start:
            raise ValueError(
                f"the span {start} to {end} s was asked for; {self._forgotten} to {self._ready} s are at hand."
            )
        first, last = self._index(start), self._index(end)
        while self._waiting and self._waiting[0][0] < last:
            self._settle()
        return first, last

    def _index(self, time: float) -> int:
        return math.ceil(time * self._settings.rate - 1e-6)


def face_analyser(settings: FaceSettings, threads: int | None = None) -> FaceAnalyser:
    """An analyser for one clip or live source. The models are loaded once per process.

    Args:
        settings: of the face.
        threads: pictures looked at at the same time; None: one per core, 4 at most. The result is the same.

    Raises:
        MissingPackageError: MediaPipe is missing or cannot be used.
        WeightsError: the weights of the landmarker or of the encoder are missing or cannot be read.
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
