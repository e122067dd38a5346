"""Run a benchmark as a command."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

from selfmm.core.errors import SelfmmError


def run_benchmark(main: Callable[[], int | None]) -> NoReturn:
    """End with the exit code of ``main``; a mistake that selfmm explains gives its sentence and exit code 1."""
    try:
        sys.exit(main())
    except SelfmmError as error:
        sys.exit(f"error: {error}")
