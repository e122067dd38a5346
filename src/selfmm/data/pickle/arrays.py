"""Arrays of a pickle, built from checked parts.

numpy's own ``__setstate__`` trusts its input: a dtype with wrong flags can turn bytes of the file into pointers to
objects. So nothing in a pickle ever reaches it. Shape, dtype and content are checked here, and the array is a view of
bytes that really exist.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from selfmm.core.errors import SourceError

_CODE = re.compile(r"[biufSUO][0-9]{1,9}")
_ORDERS = frozenset("<>|=")
_MAX_DIMS = 32
_LAST_CODE_POINT = 0x10FFFF


@dataclass(eq=False)
class Pending:
    """A dtype or an array that the pickle has announced but not described yet.

    Attributes:
        code: numpy's type code, for example ``f4``; None for an array.
        memo: its keys in the memo of the pickle, which get the real value once it is built.
    """

    code: str | None
    memo: list[int] = field(default_factory=list)

    def finish(self, state: object) -> Any:
        """Return the real dtype or array, from the state in the pickle."""
        return _array_from_state(state) if self.code is None else _dtype_from_state(self.code, state)


def check_code(code: object) -> str:
    """Return ``code``, the type code of a dtype, if such arrays may be read."""
    if type(code) is not str or not _CODE.fullmatch(code) or (code[0] != "O" and int(code[1:]) == 0):
        what = repr(code[:40]) if isinstance(code, str) else type(code).__name__
        raise SourceError(
            f"the pickle holds an array of type {what}; only numbers, strings and plain objects are read. "
            "Save the file again with such arrays."
        )
    return code


def _dtype_from_state(code: str, state: object) -> np.dtype[Any]:
    if type(state) is not tuple or len(state) != 8 or state[0] != 3:
        raise SourceError("the pickle describes an array type in an unknown way; it is damaged or not from numpy.")
    order, size = state[1], state[5]
    if any(part is not None for part in state[2:5]):
        raise SourceError("the pickle holds a structured array; save each field as its own array.")
    if type(order) is not str or order not in _ORDERS:
        raise SourceError("the pickle describes an array type without a byte order; it is damaged.")
    if code[0] == "O":
        return np.dtype(object)
    dtype = np.dtype(order.replace("|", "=") + code)
    if type(size) is not int or size not in (-1, dtype.itemsize):
        raise SourceError(f"the pickle describes an array type {code!r} of a size that does not fit; it is damaged.")
    return dtype


def _array_from_state(state: object) -> npt.NDArray[Any]:
    if type(state) is not tuple or len(state) != 5 or state[0] != 1:
        raise SourceError("the pickle describes an array in an unknown way; it is damaged or not from numpy.")
    return build_array(data=state[4], dtype=state[2], shape=state[1], fortran=bool(state[3]))


def build_array(*, data: object, dtype: object, shape: object, fortran: bool) -> npt.NDArray[Any]:
    """Return an array over ``data``, which stays where it is (in memory, or in the file as a map).

    Args:
        data: the content: bytes, a uint8 array, latin-1 text (Python 2), or a list for an array of objects.
        dtype: from `Pending.finish`.
        shape: non-negative numbers, at most 32 of them.
        fortran: whether the first axis runs fastest.

    Raises:
        SourceError: if the parts do not fit together.
    """
    if not isinstance(dtype, np.dtype) or dtype.kind not in "biufSUO":
        raise SourceError("the pickle holds an array without a type; it is damaged.")
    if type(shape) is not tuple or len(shape) > _MAX_DIMS or not all(type(n) is int and n >= 0 for n in shape):
        raise SourceError("the pickle holds an array without a valid shape; it is damaged.")
    count = math.prod(shape)
    flat = _objects(data, count) if dtype.kind == "O" else _numbers(data, dtype, count)
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _objects(data: object, count: int) -> npt.NDArray[Any]:
    if type(data) is not list or len(data) != count:
        raise SourceError(f"the pickle holds an array of {count} objects without its content; it is damaged.")
    flat = np.empty(count, dtype=object)
    for place, value in enumerate(data):  # one at a time: numpy would take nested lists apart
        flat[place] = value
    return flat


def _numbers(data: object, dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
    raw = as_bytes(data)
    if len(raw) != count * dtype.itemsize:
        raise SourceError(
            f"the pickle holds an array of {count} values of {dtype.itemsize} bytes, but {len(raw)} bytes of content; "
            "it is damaged."
        )
    flat: npt.NDArray[Any] = raw.view(dtype)
    if dtype.kind == "b":
        return np.not_equal(raw, 0)  # a truth value of 7 is neither true nor false
    if dtype.kind == "U" and count and raw.view(dtype.str[0] + "u4").max() > _LAST_CODE_POINT:
        raise SourceError("the pickle holds an array of strings with impossible characters; it is damaged.")
    return flat


def as_bytes(data: object) -> npt.NDArray[np.uint8]:
    """Return content as a 1-D uint8 array, without a copy if it is bytes already."""
    if isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.ndim == 1:
        return data
    if isinstance(data, str):  # what Python 2 called a string
        data = data.encode("latin-1")
    if not isinstance(data, bytes | bytearray):
        raise SourceError("the pickle holds an array whose content is not bytes; it is damaged.")
    return np.frombuffer(data, dtype=np.uint8)


def array_from_buffer(arguments: Sequence[Any]) -> npt.NDArray[Any]:
    """Return an array as protocol 5 writes it."""
    data, dtype, shape, order = arguments
    if order not in ("C", "F"):
        raise SourceError("the pickle holds an array in an unknown order; it is damaged.")
    return build_array(data=data, dtype=dtype, shape=shape, fortran=order == "F")


def build_scalar(arguments: Sequence[object]) -> Any:
    """Return a numpy number or string, from its dtype and its bytes."""
    dtype, data = arguments
    return build_array(data=data, dtype=dtype, shape=(), fortran=False)[()]
