"""Compute with one thread: with more, the order of sums, and so the last digits, would depend on the machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_TURN = threading.Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Make torch use one thread in this block. Other threads wait, because the setting is for the whole process."""
    import torch

    with _TURN:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.inference_mode():
                yield
        finally:
            torch.set_num_threads(threads)
