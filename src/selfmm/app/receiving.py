"""Receive a form with a recording: the recording is written to disk piece by piece, the fields stay in memory."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from selfmm.api import parts
from selfmm.app.errors import RequestError, TooLargeError

_FIELDS = 2**20  # bytes of all fields together
_HEADER = 8 * 2**10  # bytes of the headers of a part
_PIECE = 2**20  # bytes that are written at a time
_SPARE = 64 * 2**20  # bytes that stay free on the disk
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")


@dataclass
class Form:
    """A form.

    Attributes:
        fields: its text fields.
        recording: the file that was sent in the field ``recording``; None if there is none.
        title: the name that the client gave the file, without folders and ending.
    """

    fields: dict[str, str] = field(default_factory=dict)
    recording: Path | None = None
    title: str = "recording"


async def receive(request: Request, folder: Path) -> Form:
    """Receive a form. Its size is limited by :class:`selfmm.app.security.Guard`.

    Args:
        folder: where the recording is written.

    Raises:
        RequestError: if the body is not a form, or has several files.
        TooLargeError: if its fields are too large.
        OutputError: if the recording cannot be written, for example because the disk is full.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise RequestError("Send a form: multipart/form-data with a boundary.")
    length = int(request.headers.get("content-length", 0))
    if shutil.disk_usage(folder).free < length + _SPARE:
        raise parts.explain(OSError(28, "No space left on device"), Path("the recording"))
    reader = _Reader(folder)
    try:
        parser = MultipartParser(options[b"boundary"], reader.callbacks)  # type: ignore[arg-type]
        async for chunk in request.stream():
            parser.write(chunk)
            if len(reader.pending) >= _PIECE:
                await run_in_threadpool(reader.flush)
        parser.finalize()
        await run_in_threadpool(reader.flush)
    except FormParserError as error:
        raise RequestError("The form is damaged: it is cut off, or its parts are not separated as it says.") from error
    except OSError as error:
        raise parts.explain(error, Path("the recording")) from error
    finally:
        reader.close()
    if not reader.complete:
        raise RequestError("The form is damaged: it is cut off.")
    return reader.form


def suffix_of(name: str) -> str:
    """Return the ending of a file's name in lower case, if it is an ordinary one; otherwise an empty string."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if _SUFFIX.fullmatch(suffix) else ""


class _Reader:
    """Collects the parts of a form."""

    def __init__(self, folder: Path) -> None:
        self.form, self.pending, self.complete = Form(), bytearray(), False
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._size = 0  # bytes of all fields
        self._begin()
        self.callbacks: dict[str, Any] = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._add(self._header, data[start:end], _HEADER),
            "on_header_value": lambda data, start, end: self._add(self._value, data[start:end], _HEADER),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def flush(self) -> None:
        """Write what is pending."""
        if self._file is not None and self.pending:
            self._file.write(self.pending)
            self._file.flush()  # fails if the disk is full
        self.pending = bytearray()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self._header, self._value, self._text = bytearray(), bytearray(), bytearray()
        self._disposition, self._name, self._is_file = b"", "", False

    def _add(self, target: bytearray, data: bytes, most: int) -> None:
        target += data
        if len(target) > most:
            raise TooLargeError("The fields of the form are too large.")

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = b"filename" in options
        if not self._is_file:
            return
        if self._name != "recording" or self._file is not None:
            raise RequestError("Send one file, in the field `recording`.")
        name = PurePosixPath(options[b"filename"].decode("utf-8", "replace").replace("\\", "/").replace("\0", ""))
        self.form.title = name.stem.strip(". ")[:100] or "recording"
        self.form.recording = self._folder / f"recording{suffix_of(name.name)}"
        self._file = self.form.recording.open("xb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.pending += data[start:end]
            return
        self._text += data[start:end]
        self._size += end - start
        if self._size > _FIELDS:
            raise TooLargeError("The fields of the form are too large.")

    def _end(self) -> None:
        if self._is_file:
            return
        if self._name in self.form.fields:
            raise RequestError(f"The field {self._name[:100]!r} is there twice.")
        self.form.fields[self._name] = self._text.decode("utf-8", "replace")

    def _finish(self) -> None:
        self.complete = True
