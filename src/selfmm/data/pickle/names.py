"""The names that a pickle may use, and our own functions for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from selfmm.core.errors import SourceError, UnsafePickleError
from selfmm.data.pickle.arrays import Pending, array_from_buffer, as_bytes, build_scalar, check_code

T = TypeVar("T")
REMEDY = (
    "Nothing in the file was run. If you know where it comes from and trust it, load it yourself and save it again "
    "with numpy arrays, dicts, lists and strings only. If not, do not use it."
)
_KEYS = (str, bytes, int, float, complex, type(None), np.generic)


@dataclass(frozen=True)
class Name:
    """A name that a pickle may use.

    Attributes:
        label: the name, with its module.
        make: our function for the arguments of a call; None if the name is only passed on.
    """

    label: str
    make: Callable[[Sequence[Any]], Any] | None


def look_up(module: object, name: object) -> Name:
    """Return the entry of ``module.name``; raise ``UnsafePickleError`` if pickles must not use it."""
    module, name = expect(module, str), expect(name, str)
    if (module, name) in NAMES:
        return NAMES[module, name]
    label = f"{module}.{name}"[:100]
    raise UnsafePickleError(
        f"the pickle asks for {label!r}, which is neither a numpy array nor a plain container. {REMEDY}"
    )


def hashable(key: object) -> Any:
    """Return ``key`` if hashing it is safe: Python crashes on the hash of a tuple that is nested deeply enough."""
    if isinstance(key, _KEYS) or (type(key) is tuple and all(isinstance(part, _KEYS) for part in key)):
        return key
    raise SourceError(
        f"the pickle uses a {type(key).__name__} as a key; only strings, numbers and tuples of them can be keys."
    )


def expect(value: object, kind: type[T]) -> T:
    """Return ``value`` if it is of this kind."""
    if isinstance(value, kind):
        return value
    raise SourceError(f"the pickle uses a {type(value).__name__} as if it were a {kind.__name__}; it is damaged.")


def pairs(items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield keys and values, which a pickle stores in turn."""
    for key, value in zip(items[::2], items[1::2], strict=True):
        yield hashable(key), value


def _ordered_dict(arguments: Sequence[Any]) -> OrderedDict[Any, Any]:
    (items,) = arguments or ((),)
    return OrderedDict((hashable(key), value) for key, value in items)


def _set(arguments: Sequence[Any]) -> set[Any]:
    (items,) = arguments or ([],)
    return {hashable(item) for item in expect(items, list)}


def _bytes(arguments: Sequence[Any]) -> bytes:
    """Return bytes from nothing, from bytes, or from text with an encoding, as protocol 2 writes them."""
    return as_bytes(arguments[0]).tobytes() if arguments else b""


def _complex(arguments: Sequence[Any]) -> complex:
    real, imaginary = arguments
    return complex(expect(real, float), expect(imaginary, float))


def _encode(arguments: Sequence[Any]) -> bytes:
    """Return bytes from latin-1 text, as Python 3 writes them in protocols without bytes."""
    text, encoding = arguments
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise UnsafePickleError(f"the pickle asks for '_codecs.encode' in an unusual way. {REMEDY}")
    return text.encode("latin-1")


def _announce_array(arguments: Sequence[Any]) -> Pending:
    if arguments[0] is not NAMES["numpy", "ndarray"]:
        raise UnsafePickleError(f"the pickle asks for an array of an unknown class. {REMEDY}")
    return Pending(None)


_MAKERS: dict[tuple[str, str], Callable[[Sequence[Any]], Any] | None] = {
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): lambda arguments: Pending(check_code(arguments[0])),
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): _ordered_dict,
}
for _module in ("builtins", "__builtin__"):  # Python 3 and 2
    _MAKERS[_module, "set"] = _set
    _MAKERS[_module, "frozenset"] = lambda arguments: frozenset(_set(arguments))
    _MAKERS[_module, "bytes"] = _bytes
    _MAKERS[_module, "bytearray"] = lambda arguments: bytearray(_bytes(arguments))
    _MAKERS[_module, "complex"] = _complex
for _module in ("numpy.core", "numpy._core"):  # numpy 1 and 2
    _MAKERS[f"{_module}.multiarray", "_reconstruct"] = _announce_array
    _MAKERS[f"{_module}.multiarray", "scalar"] = build_scalar
    _MAKERS[f"{_module}.numeric", "_frombuffer"] = array_from_buffer

NAMES = {name: Name(".".join(name), make) for name, make in _MAKERS.items()}
ENCODE = NAMES["_codecs", "encode"]
