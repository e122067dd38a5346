"""One pass over a recording: what was read, what can be given, and what was odd about it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfmm.core.errors import MediaError
from selfmm.features.media.lane import Lane
from selfmm.features.media.opening import choose_streams, declared_seconds, origin
from selfmm.features.media.pictures import PictureLane
from selfmm.features.media.sound import SoundLane
from selfmm.features.streams import SOUND_RATE, Chunk

_LEAD = 10.0  # seconds by which sound and pictures may lie apart in a file; FFmpeg's muxers keep to it
_NEAR = 0.5  # seconds; containers tell their length no more exactly


@dataclass(frozen=True)
class Wanted:
    """What is asked of a recording; see `selfmm.features.media.recording.read_chunks`. ``end`` may be infinite."""

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
    """Sound and pictures side by side.

    What belongs to one moment need not come together; what is complete in all lanes can be given. A lane that falls far
    behind has ended early and is not waited for, else the other would pile up.

    Args:
        path: for messages.
        container: of PyAV, at the clip's beginning or before.
        wanted: of it.
        problems: gets a sentence for everything odd.

    Raises:
        MediaError: it has nothing of what is wanted.
    """

    def __init__(self, path: Path, container: Any, wanted: Wanted, problems: list[str]) -> None:
        self._path, self._container, self._wanted, self._problems = path, container, wanted, problems
        self._sound: SoundLane | None = None
        self._pictures: PictureLane | None = None
        self._lanes: dict[int, Lane] = {}
        streams = choose_streams(path, container)
        zero = origin(container) + wanted.start
        if wanted.sound and streams.audio is not None:
            self._sound = self._lanes[streams.audio.index] = SoundLane(streams.audio, zero)
        if wanted.frame_rate is not None and streams.video is not None:
            self._pictures = self._lanes[streams.video.index] = PictureLane(
                streams.video, zero, rate=wanted.frame_rate, longest_side=wanted.longest_side, end=wanted.span
            )
        if not self._lanes:
            has, lacks = ("pictures", "sound") if streams.audio is None else ("sound", "pictures")
            raise MediaError(
                f"{path} has {has} but no {lacks}, which are asked for. Choose other parts, or another file."
            )

    def packets(self) -> Iterator[None]:
        """Decodes packet by packet."""
        import av

        streams = [self._container.streams[index] for index in self._lanes]
        try:
            for packet in self._container.demux(streams):
                self._lanes[packet.stream.index].feed(packet)
                yield
        except av.FFmpegError as error:
            self._problems.append(f"the file cannot be read to its end ({error.strerror}).")

    def complete(self, time: float) -> bool:
        """Whether nothing before this time is still to come."""
        known = [lane.until for lane in self._lanes.values()]
        return min(known) >= time or max(known) >= time + _LEAD

    def chunk(self, first: int, last: int) -> Chunk:
        """The samples from ``first`` to ``last`` and the pictures of that time."""
        return Chunk(
            start=first / SOUND_RATE,
            end=last / SOUND_RATE,
            sound=None if self._sound is None else self._sound.take(first, last),
            frames=None if self._pictures is None else self._pictures.take(last / SOUND_RATE),
        )

    def finish(self) -> float:
        """No more is read. Gives the seconds at which the longest lane ends, and tells what was odd.

        Raises:
            MediaError: nothing of the clip could be decoded.
        """
        ends = max(lane.finish() for lane in self._lanes.values())
        declared = declared_seconds(self._container)
        if ends == -math.inf and declared is not None and declared <= self._wanted.start:
            raise MediaError(
                f"{self._path} ends at {declared:.2f} s, before the clip starts ({self._wanted.start:g} s)."
            )
        if ends == -math.inf:
            raise MediaError(f"nothing in {self._path} can be decoded: it is damaged. Copy or record it again.")
        end = self._wanted.start + ends
        if ends <= 0:
            raise MediaError(f"{self._path} ends at {end:.2f} s, before the clip starts ({self._wanted.start:g} s).")
        self._tell_end(end)
        self._tell_losses()
        return ends

    def _tell_end(self, end: float) -> None:
        declared = declared_seconds(self._container)
        if declared is not None and end < min(declared, self._wanted.end) - _NEAR:
            self._problems.append(f"the file ends at {end:.1f} s of {declared:.1f} s: it was cut off or is damaged.")
        elif math.isfinite(self._wanted.end) and end < self._wanted.end - _NEAR:
            self._problems.append(f"the file ends at {end:.1f} s, before the end of the clip ({self._wanted.end:g} s).")

    def _tell_losses(self) -> None:
        damaged = sum(lane.damaged for lane in self._lanes.values())
        if damaged:
            self._problems.append(f"{damaged} pieces of the file are damaged.")
        late = max(lane.late for lane in self._lanes.values())
        if late:
            self._problems.append(
                f"sound and pictures lie more than {_LEAD:g} s apart in the file: {late:.1f} s were left out. "
                "Convert it to mp4."
            )
