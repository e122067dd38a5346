"""The setting ``model``: a model of selfmm by its name, or a class of the user's own by the place of its code.

Code is named as ``path/to/file.py:ClassName`` or ``package.module:ClassName``. Nothing here runs it;
:func:`selfmm.models.find_model` does.
"""

from __future__ import annotations

import os
from pathlib import Path


def is_code(model: str) -> bool:
    """Whether ``model`` names code rather than a model of selfmm."""
    return ":" in model


def split_code(model: str) -> tuple[str, str]:
    """The place of the code (a file or a module) and the class.

    >>> split_code("models/gated.py:Gated")
    ('models/gated.py', 'Gated')
    """
    place, _, name = model.rpartition(":")
    return place, name


def is_file(place: str) -> bool:
    """Whether a place is a Python file; otherwise it is a module."""
    return place.endswith(".py") or os.sep in place or "/" in place


def absolute(model: str) -> str:
    """The same model from any working directory: the path of a file is made absolute, all else is left alone."""
    place, name = split_code(model)
    return f"{Path(place).expanduser().resolve()}:{name}" if is_file(place) else model


def short_name(model: str) -> str:
    """The name for messages, tables and folders: that of the model, or of the user's class.

    >>> short_name("self_mm"), short_name("/home/me/gated.py:Gated")
    ('self_mm', 'Gated')
    """
    return split_code(model)[1]
