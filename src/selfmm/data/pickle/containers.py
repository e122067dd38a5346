"""What a pickle's calls to Python's own containers stand for, and what may be a key in them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from selfmm.core.errors import SourceError
from selfmm.data.pickle.arrays import as_bytes, build_array

T = TypeVar("T")
_KEYS = (str, bytes, int, float, complex, type(None), np.generic)


def hashable(key: object) -> Any:
    """Returns ``key`` if hashing it is safe: Python crashes on the hash of a tuple that is nested deeply enough."""
    if isinstance(key, _KEYS) or (type(key) is tuple and all(isinstance(part, _KEYS) for part in key)):
        return key
    raise SourceError(f"the pickle uses a {type(key).__name__} as a key; only strings, numbers and tuples of them are.")


def expect(value: object, kind: type[T]) -> T:
    """Returns ``value`` if it is a container of the given kind, and so can be filled."""
    if isinstance(value, kind):
        return value
    raise SourceError(f"the pickle fills a {type(value).__name__} as if it were a {kind.__name__}; it is damaged.")


def pairs(items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Keys and values, which a pickle stores in turn."""
    for key, value in zip(items[::2], items[1::2], strict=True):
        yield hashable(key), value


def make_array(arguments: Sequence[Any]) -> npt.NDArray[Any]:
    """An array as protocol 5 writes it."""
    data, dtype, shape, order = arguments
    if order not in ("C", "F"):
        raise SourceError("the pickle holds an array in an unknown order; it is damaged.")
    return build_array(data=data, dtype=dtype, shape=shape, fortran=order == "F")


def _ordered_dict(arguments: Sequence[Any]) -> OrderedDict[Any, Any]:
    (items,) = arguments or ((),)
    return OrderedDict((hashable(key), value) for key, value in items)


def _set(arguments: Sequence[Any]) -> set[Any]:
    (items,) = arguments or ([],)
    return {hashable(item) for item in expect(items, list)}


def _bytes(arguments: Sequence[Any]) -> bytes:
    """From nothing, from bytes, or from text with an encoding, which is how protocol 2 writes them."""
    if not arguments:
        return b""
    return as_bytes(arguments[0]).tobytes()


def _complex(arguments: Sequence[Any]) -> complex:
    real, imaginary = arguments
    return complex(expect(real, float), expect(imaginary, float))


CONTAINERS: dict[tuple[str, str], Callable[[Sequence[Any]], Any]] = {("collections", "OrderedDict"): _ordered_dict}
for _module in ("builtins", "__builtin__"):  # Python 3 and 2
    CONTAINERS[_module, "set"] = _set
    CONTAINERS[_module, "frozenset"] = lambda arguments: frozenset(_set(arguments))
    CONTAINERS[_module, "bytes"] = _bytes
    CONTAINERS[_module, "bytearray"] = lambda arguments: bytearray(_bytes(arguments))
    CONTAINERS[_module, "complex"] = _complex
