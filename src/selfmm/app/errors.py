"""What can be wrong with a request. The messages are for people; :mod:`selfmm.app.pages` shows them."""

from __future__ import annotations


class NotHereError(Exception):
    """A name leads to nothing in the folder that is shown."""


class BusyError(Exception):
    """Too much is being done at the moment."""


class RequestError(Exception):
    """A request lacks something, or has something that is not understood."""


class TooLargeError(Exception):
    """The body of a request is larger than allowed."""
