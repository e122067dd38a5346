"""The packages of the extra ``[experiments]``, asked for before hours of work and not after them."""

from __future__ import annotations

import importlib.util

from selfmm.core.errors import MissingPackageError

_PACKAGES = {"sklearn": "scikit-learn"}


def check_parts(command: str, *modules: str) -> None:
    """Raises ``MissingPackageError`` where a module that ``command`` needs is not installed."""
    lacking = [_PACKAGES.get(name, name) for name in modules if importlib.util.find_spec(name) is None]
    if lacking:
        raise MissingPackageError(
            f"{command} needs {' and '.join(lacking)}. Install what is missing with: pip install 'selfmm[experiments]'"
        )
