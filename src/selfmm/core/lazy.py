"""Packages whose contents are imported when they are first used: importing torch takes seconds."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from importlib.abc import InspectLoader


def lazy(package: str, *more: str) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    Its contents are the names that it imports under ``if TYPE_CHECKING``, each as ``from module import name as name``:
    one table for type checkers and for Python.

    Args:
        package: its ``__name__``. The package calls this function while it is imported.
        more: names that it defines directly.
    """
    spec = sys.modules[package].__spec__
    assert spec is not None
    assert isinstance(spec.loader, InspectLoader)
    tree = ast.parse(spec.loader.get_source(package) or "")
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    home = {alias.asname: (str(node.module), alias.name) for node in imports for alias in node.names if alias.asname}
    names = sorted({*more, *home})

    def load(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, original = home[name]
        return getattr(importlib.import_module(module), original)

    return load, lambda: names, names
