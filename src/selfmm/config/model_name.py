"""The settings ``model`` and ``start``: names of what comes with selfmm, or places of the user's own.

``model`` is the name of a selfmm model, or the place of the code of the user's own class, as
``path/to/file.py:ClassName`` or ``package.module:ClassName``. Nothing here runs it; :func:`selfmm.models.find_model`
does. ``start`` is a run folder, or ``starter``.
"""

from __future__ import annotations

import os
from pathlib import Path

STARTER = "starter"
"""Names the run that comes with selfmm, unless a run folder of this name is in the current folder."""


def is_code(model: str) -> bool:
    """Return whether ``model`` names code rather than a model of selfmm."""
    return ":" in model


def split_code(model: str) -> tuple[str, str]:
    """Return the place of the code (a file or a module) and the class.

    >>> split_code("models/gated.py:Gated")
    ('models/gated.py', 'Gated')
    """
    place, _, name = model.rpartition(":")
    return place, name


def is_file(place: str) -> bool:
    """Return whether a place is a Python file; otherwise it is a module."""
    return place.endswith(".py") or os.sep in place or "/" in place


def absolute(model: str) -> str:
    """Return the same model with the path of its file, if any, made absolute: it is valid in any working directory."""
    place, name = split_code(model)
    return f"{Path(place).expanduser().resolve()}:{name}" if is_file(place) else model


def absolute_run(run: str) -> str:
    """Return the setting ``start`` with an absolute path; ``starter``, which comes with selfmm, and "" stay.

    >>> absolute_run("starter")
    'starter'
    """
    return run if run in ("", STARTER) else str(Path(run).expanduser().resolve())


def short_name(model: str) -> str:
    """Return the name for messages, tables and folders: that of the model, or of the user's class.

    >>> short_name("self_mm"), short_name("/home/me/gated.py:Gated")
    ('self_mm', 'Gated')
    """
    return split_code(model)[1]
