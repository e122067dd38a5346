"""What sound and pictures share on their way out of a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class Lane(ABC):
    """One stream of a recording, on the clock of the clip.

    Args:
        stream: PyAV's.
        zero: what its clock shows at the beginning of the clip, in seconds.

    Attributes:
        damaged: packets that could not be decoded, and pictures that were only in part.
        late: seconds that came when they could no longer be given.
    """

    late: float = 0.0

    def __init__(self, stream: Any, zero: float) -> None:
        self.damaged = 0
        self._stream = stream
        self._zero = zero

    @property
    @abstractmethod
    def until(self) -> float:
        """Seconds; what is before will not change."""

    @abstractmethod
    def finish(self) -> float:
        """No packet will come any more. Gives the time at which the stream ends."""

    @abstractmethod
    def _see(self, frame: Any) -> None: ...

    def feed(self, packet: Any) -> None:
        """Decodes a packet; None, or one without content, is the last."""
        import av

        try:
            frames = self._stream.decode(packet)
        except av.EOFError:  # it had its last already
            return
        except av.FFmpegError:
            self.damaged += 1
            return
        for frame in frames:
            if frame.time_base is None:  # PyAV knows it from the packet, and the last frames come without one
                frame.time_base = self._stream.time_base
            self.damaged += (
                bool(frame.is_corrupt) and (frame.time or 0.0) >= self._zero
            )  # it is whole soon after a jump
            self._see(frame)
