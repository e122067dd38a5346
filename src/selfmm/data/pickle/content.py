"""The bytes of a pickle file, read without trusting any length that the file states."""

from __future__ import annotations

import os
import struct
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from selfmm.core.errors import SourceError

LARGE = 1 << 20
"""Content of more bytes than this stays in the file and is mapped."""
_LONGEST_LINE = 1 << 16


class Content:
    """Reads what follows an opcode: a line, a number, or bytes after their length."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._map: npt.NDArray[np.uint8] | None = None

    def need(self, count: int) -> None:
        """Check that ``count`` more bytes follow, before memory is reserved for them."""
        left = self._size - self._file.tell()
        if count > left:
            raise SourceError(f"the file is truncated: it announces {count} more bytes but has {left}. Get it again.")

    def read(self, count: int) -> bytes:
        if count > _LONGEST_LINE:
            self.need(count)
        data = self._file.read(count)
        if len(data) < count:
            raise SourceError("the file is truncated: it ends in the middle. Get it again.")
        return data

    def line(self, limit: int = _LONGEST_LINE) -> bytes:
        """Return the next line without its end; a ``limit`` of -1 means no limit."""
        line = self._file.readline(limit)
        if not line.endswith(b"\n"):
            raise SourceError("not a pickle, or a truncated one: a line does not end. Get the file again.")
        return line[:-1]

    def number(self, layout: str) -> Any:
        """Return a number stored in the given layout of `struct`."""
        return struct.unpack(layout, self.read(struct.calcsize(layout)))[0]

    def long(self, layout: str) -> int:
        """Return a whole number of any size, stored after its length in bytes."""
        length = self.number(layout)
        if not 0 <= length <= _LONGEST_LINE:
            raise SourceError("the pickle holds a number of absurd length; it is damaged.")
        return int.from_bytes(self.read(length), "little", signed=True)

    def text(self, layout: str) -> str:
        """Return Unicode text stored after its length in bytes."""
        return str(self.read(self.number(layout)), "utf-8", "surrogatepass")

    def blob(self, layout: str) -> bytes | npt.NDArray[np.uint8]:
        """Return bytes stored after their length: short ones as they are, long ones as a map of the file."""
        length = self.number(layout)
        if length < 0:
            raise SourceError("the pickle holds content of negative length; it is damaged.")
        self.need(length)
        if length <= LARGE:
            return self.read(length)
        start = self._file.tell()
        if self._map is None:
            self._map = np.memmap(self._file, dtype=np.uint8, mode="r", shape=(self._size,))
        self._file.seek(start + length)  # after the map, which moves the file's position
        return self._map[start : start + length]

    def latin1(self, layout: str) -> str | npt.NDArray[np.uint8]:
        """Return what Python 2 called a string; a long one is mapped."""
        data = self.blob(layout)
        return data.decode("latin-1") if isinstance(data, bytes) else data

    def quoted(self) -> str:
        """Return what Python 2 called a string, in quotes on a line of its own."""
        line = self.line(-1)
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise SourceError("the pickle holds a string without quotes; it is damaged.")
        return str(line[1:-1], "unicode_escape")
