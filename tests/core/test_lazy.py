"""A package that imports its contents when they are first used."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

PACKAGE = """
from typing import TYPE_CHECKING
from selfmm.core.lazy import lazy
if TYPE_CHECKING:
    from lazy_example_below import one as one
    from lazy_example_below import two as second
    from pathlib import Path
at_once = 1
__getattr__, __dir__, __all__ = lazy(__name__, "at_once")
"""


def test_contents_are_those_of_the_block_for_type_checkers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "lazy_example.py").write_text(PACKAGE)
    (tmp_path / "lazy_example_below.py").write_text("one, two = 1, 2")
    import lazy_example  # type: ignore[import-not-found]

    assert dir(lazy_example) == lazy_example.__all__ == ["at_once", "one", "second"]
    assert "lazy_example_below" not in sys.modules
    assert (lazy_example.one, lazy_example.second) == (1, 2)
    with pytest.raises(AttributeError, match="module 'lazy_example' has no attribute 'Path'"):
        lazy_example.Path  # noqa: B018
