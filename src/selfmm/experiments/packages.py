"""The packages of the extra ``[experiments]``, checked before hours of work."""

from __future__ import annotations

import importlib.util

from selfmm.core.errors import MissingPackageError

_PACKAGES = {"sklearn": "scikit-learn"}


def check_packages(command: str, *modules: str) -> None:
    """Raise ``MissingPackageError`` if a module that ``command`` needs is not installed."""
    lacking = [_PACKAGES.get(name, name) for name in modules if importlib.util.find_spec(name) is None]
    if lacking:
        raise MissingPackageError(
            f"{command} needs {' and '.join(lacking)}. Install what is missing with: pip install 'selfmm[experiments]'"
        )
