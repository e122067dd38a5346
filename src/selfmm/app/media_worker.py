"""A process that reads recordings for the server. It takes requests and sends events as :mod:`selfmm.app.worker` does.

A request has ``do``, ``path`` and ``out``, the file to write, and the arguments of ``do``: ``thumbnail`` (``time``;
an empty file if there are no pictures), ``sound`` (``start``, ``end``, ``hearing``), ``playable`` (the media
type, or nothing) or ``copy`` (``start``, ``end``).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TextIO

from selfmm import api
from selfmm.app.worker import answer_all


def main() -> None:
    """Answer requests until standard input closes."""
    answer_all(_answer)


def _answer(request: dict[str, Any], _: TextIO) -> None:
    path, out, do = Path(request["path"]), Path(request["out"]), request["do"]
    if do == "copy":
        api.playable_copy(path, out, start=request["start"], end=request["end"])
    elif do == "thumbnail":
        _write(out, api.thumbnail(path, request["time"]) or b"")
    elif do == "playable":
        _write(out, api.playable(path).encode("ascii"))
    else:
        _write(out, api.clip_sound(path, start=request["start"], end=request["end"], hearing=request["hearing"]))


def _write(path: Path, content: bytes) -> None:
    """Write a file and move it into place, so that another request never reads a part of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    temporary.write_bytes(content)
    temporary.replace(path)


if __name__ == "__main__":
    main()
