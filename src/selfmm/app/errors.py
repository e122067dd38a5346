"""What can be wrong with a request. The messages are for people; :mod:`selfmm.app.pages` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class NotHereError(Exception):
    """A name leads to nothing in the folder that is shown."""


class BusyError(Exception):
    """Too much is being done at the moment."""


class StoppingError(Exception):
    """The server is about to end and accepts nothing more."""


class RequestError(Exception):
    """A request lacks something, or has something that is not understood."""


class TooLargeError(Exception):
    """The body of a request is larger than allowed."""


class TooSlowError(Exception):
    """The body of a request arrives too slowly."""


class ScoringError(Exception):
    """A worker could not finish a task.

    Args:
        message: a sentence.
        kind: name of an exception of :mod:`selfmm.api`, or one of ``KINDS``.
    """

    KINDS: ClassVar[Mapping[str, int]] = {"TimeoutError": 504, "CrashError": 500, "MemoryError": 503, "TooLongError": 413}
    """HTTP status of what is not an exception of selfmm."""

    def __init__(self, message: str, kind: str) -> None:
        self.kind = kind
        super().__init__(message)
