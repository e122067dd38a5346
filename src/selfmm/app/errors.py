"""Why a request can fail. The messages are for people; :mod:`selfmm.app.pages` shows them."""

from __future__ import annotations


class NotHereError(Exception):
    """A name leads to nothing in the folder that is shown."""


class BusyError(Exception):
    """The server has too much to do at the moment."""


class StoppingError(Exception):
    """The server is about to end and accepts nothing more."""


class RequestError(Exception):
    """A request lacks something, or contains something that is not valid."""


class TooLargeError(Exception):
    """The body of a request is larger than allowed."""


class TooSlowError(Exception):
    """The body of a request arrives too slowly."""


KINDS = {"TimeoutError": 504, "CrashError": 500, "MemoryError": 503, "TooLongError": 413}
"""HTTP status of a ``ScoringError`` whose kind is not an exception of selfmm."""


class ScoringError(Exception):
    """A worker could not finish a task.

    Args:
        message: a sentence.
        kind: name of an exception of :mod:`selfmm.api`, or one of ``KINDS``.
    """

    def __init__(self, message: str, kind: str) -> None:
        self.kind = kind
        super().__init__(message)
