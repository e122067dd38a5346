"""Read sound and pictures in one pass over a recording, and report what is wrong with the file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfmm.core.errors import MediaError
from selfmm.core.messages import count
from selfmm.features.media.lanes import Lane, PictureLane, SoundLane
from selfmm.features.media.opening import choose_streams, declared_seconds, missing_end, origin, several_tracks
from selfmm.features.streams import SOUND_RATE, Chunk

_LEAD = 10.0  # seconds that sound and pictures may be apart in a file, as in FFmpeg's muxers
_NEAR = 0.5  # seconds; the precision of declared lengths


@dataclass(frozen=True)
class Wanted:
    """The arguments of `selfmm.features.media.recording.read_chunks`; ``end`` may be infinite."""

    start: float
    end: float
    frame_rate: float | None
    sound: bool
    seconds: float
    longest_side: int

    @property
    def span(self) -> float:
        """Seconds from start to end."""
        return self.end - self.start


class Reading:
    """Reads sound and pictures at the same time.

    A file may store the sound and the pictures of a moment in different places. A chunk is complete when both lanes
    have reached its end. A lane that falls far behind has ended early: waiting for it would fill the memory.

    Args:
        path: path of the recording, for messages.
        container: a PyAV container, at the beginning of the clip or before.
        wanted: the span, and what to read in it.
        problems: gets a sentence for each fault of the file.

    Raises:
        MediaError: if the recording has neither the sound nor the pictures that are wanted.
    """

    def __init__(self, path: Path, container: Any, wanted: Wanted, problems: list[str]) -> None:
        self._path, self._container, self._wanted, self._problems = path, container, wanted, problems
        self._sound: SoundLane | None = None
        self._pictures: PictureLane | None = None
        self._lanes: dict[int, Lane] = {}
        video, audio = choose_streams(path, container)
        zero = origin(container) + wanted.start
        if wanted.sound and audio is not None:
            self._sound = self._lanes[audio.index] = SoundLane(audio, zero)
        if wanted.frame_rate is not None and video is not None:
            self._pictures = self._lanes[video.index] = PictureLane(
                video, zero, rate=wanted.frame_rate, longest_side=wanted.longest_side, end=wanted.span
            )
        if not self._lanes:
            has, lacks = ("pictures", "sound") if audio is None else ("sound", "pictures")
            raise MediaError(
                f"{path} has {has} but no {lacks}, which the parts need. Choose other parts, or another file."
            )
        streams = [container.streams[index] for index in self._lanes]
        self._problems += [sentence for stream in streams if (sentence := several_tracks(container, stream))]

    def packets(self) -> Iterator[None]:
        """Decode packet by packet."""
        import av

        streams = [self._container.streams[index] for index in self._lanes]
        try:
            for packet in self._container.demux(streams):
                self._lanes[packet.stream.index].feed(packet)
                yield
        except av.FFmpegError as error:
            self._problems.append(f"the file cannot be read to its end ({error.strerror}).")

    def complete(self, time: float) -> bool:
        """Return whether everything before this time (seconds) has been read."""
        known = [lane.until for lane in self._lanes.values()]
        return min(known) >= time or max(known) >= time + _LEAD

    def chunk(self, first: int, last: int) -> Chunk:
        """Return the samples ``first`` to ``last`` - 1 and the pictures of that time."""
        return Chunk(
            start=first / SOUND_RATE,
            end=last / SOUND_RATE,
            sound=None if self._sound is None else self._sound.take(first, last),
            frames=None if self._pictures is None else self._pictures.take(last / SOUND_RATE),
        )

    def finish(self) -> float:
        """End the reading and report problems. Return the time at which the longest lane ends, in seconds.

        Raises:
            MediaError: if the clip could not be decoded at all.
        """
        ends = max(lane.finish() for lane in self._lanes.values())
        declared = declared_seconds(self._container)
        if ends == -math.inf and declared is not None and declared <= self._wanted.start:
            raise MediaError(
                f"{self._path} ends at {declared:.2f} s, before the clip starts ({self._wanted.start:g} s)."
            )
        if ends == -math.inf and declared is None and self._wanted.start:
            raise MediaError(
                f"nothing in {self._path} can be decoded from the start of the clip ({self._wanted.start:g} s) on: the "
                "recording ends before it, or is damaged."
            )
        if ends == -math.inf:
            raise MediaError(f"nothing in {self._path} can be decoded: it is damaged. Copy or record it again.")
        end = self._wanted.start + ends
        if ends <= 0:
            raise MediaError(f"{self._path} ends at {end:.2f} s, before the clip starts ({self._wanted.start:g} s).")
        self._report_end(end)
        self._report_losses()
        return ends

    def _report_end(self, end: float) -> None:
        declared = declared_seconds(self._container)
        if declared is not None and end < min(declared, self._wanted.end) - _NEAR:
            self._problems.append(f"the file ends at {end:.1f} s of {declared:.1f} s: it was cut off or is damaged.")
        elif end < self._wanted.end - _NEAR and (sentence := missing_end(self._path)):
            self._problems.append(sentence)
        elif math.isfinite(self._wanted.end) and end < self._wanted.end - _NEAR:
            self._problems.append(f"the file ends at {end:.1f} s, before the end of the clip ({self._wanted.end:g} s).")

    def _report_losses(self) -> None:
        damaged = sum(lane.damaged for lane in self._lanes.values())
        if damaged:
            self._problems.append(f"{count(damaged, 'piece')} of the file could not be decoded.")
        opposite = 0.0 if self._sound is None else self._sound.opposite
        if opposite:
            self._problems.append(
                f"left and right cancel each other for {opposite:.1f} s (one is the other upside down): their "
                "difference was read."
            )
        late = max(lane.late for lane in self._lanes.values())
        if late:
            self._problems.append(
                f"sound and pictures are more than {_LEAD:g} s apart in the file: {late:.1f} s were left out. "
                "Convert it to mp4."
            )
