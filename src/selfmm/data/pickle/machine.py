"""The machine that runs a pickle's opcodes, with nothing in it that could run anything else.

It is the standard library's pure-Python unpickler with every opcode replaced that could call, import or change
something, hash something deep, or believe a length that the file states.
"""

from __future__ import annotations

import codecs
import os
import pickle
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

import numpy as np
import numpy.typing as npt

from selfmm.core.errors import SourceError, UnsafePickleError
from selfmm.data.pickle.arrays import Pending, build_scalar, check_code
from selfmm.data.pickle.containers import CONTAINERS, expect, hashable, make_array, pairs

_LARGE = 1 << 20
_LONGEST_LINE = 1 << 16
_REMEDY = (
    "Nothing of it was run. If you know where the file comes from and trust it, load it yourself and save it again "
    "with numpy arrays, dicts, lists and strings only; if not, do not use it."
)


@dataclass(frozen=True)
class _Global:
    """What a name in a pickle stands for here: a function of ours, or None where the name is only passed on."""

    label: str
    make: Callable[[Sequence[Any]], Any] | None


class _Spent:
    """Takes the place of a long text in the memo once it has become an array, so that it is not kept twice."""


class Machine(pickle._Unpickler):
    """The pure-Python unpickler with every opcode that could call or change something replaced.

    Frames are an optimisation of the format; they are passed over, so that large content can be left in the file.
    """

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]
    metastack: list[list[Any]]
    append: Callable[[Any], None]
    memo: dict[int, Any]

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="latin-1")
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._file_read = self._read  # the base class reads through these two
        self._file_readline = self._read_line
        self._map: npt.NDArray[np.uint8] | None = None
        self._unfinished = 0
        self._known = self._makers()

    def load(self) -> Any:
        value = super().load()
        if self._unfinished:
            raise SourceError("the pickle ends before its arrays are described; it is damaged.")
        return value

    # Reading bytes.

    def _need(self, count: int) -> None:
        left = self._size - self._file.tell()
        if count > left:
            raise SourceError(
                f"the file is truncated: {count} more bytes are announced and {left} are there. Get the file again."
            )

    def _read(self, count: int) -> bytes:
        if count > _LONGEST_LINE:
            self._need(count)
        data = self._file.read(count)
        if len(data) < count:
            raise SourceError("the file is truncated: it ends in the middle. Get the file again.")
        return data

    def _read_line(self, limit: int = _LONGEST_LINE) -> bytes:
        line = self._file.readline(limit)
        if not line.endswith(b"\n"):
            raise SourceError("not a pickle, or a truncated one: a line does not end. Get the file again.")
        return line

    def _content(self, layout: str) -> bytes | npt.NDArray[np.uint8]:
        """What follows a length of the given layout: short content itself, long content as a map of the file."""
        (length,) = struct.unpack(layout, self._read(struct.calcsize(layout)))
        if length < 0:
            raise SourceError("the pickle holds content of negative length; it is damaged.")
        self._need(length)
        if length <= _LARGE:
            return self._read(length)
        start = self._file.tell()
        if self._map is None:
            self._map = np.memmap(self._file, dtype=np.uint8, mode="r", shape=(self._size,))
        self._file.seek(start + length)  # after the map, which moves the file's position
        return self._map[start : start + length]

    # Names and calls.

    def _makers(self) -> dict[tuple[str, str], _Global]:
        makers: dict[tuple[str, str], Callable[[Sequence[Any]], Any] | None] = {
            ("numpy", "ndarray"): None,
            ("numpy", "dtype"): self._announce_dtype,
            ("_codecs", "encode"): self._encode,
            **CONTAINERS,
        }
        for core in ("numpy.core", "numpy._core"):  # numpy 1 and 2
            makers[f"{core}.multiarray", "_reconstruct"] = self._announce_array
            makers[f"{core}.multiarray", "scalar"] = build_scalar
            makers[f"{core}.numeric", "_frombuffer"] = make_array
        return {name: _Global(".".join(name), make) for name, make in makers.items()}

    def find_class(self, module: str, name: str, /) -> Any:
        found = self._known.get((module, name))
        if found is None:
            asked = f"{module}.{name}"[:100]
            raise UnsafePickleError(
                f"the pickle asks for {asked!r}, which is neither a numpy array nor a plain container. {_REMEDY}"
            )
        return found

    def _announce_dtype(self, arguments: Sequence[Any]) -> Pending:
        self._unfinished += 1
        return Pending(check_code(arguments[0]))

    def _announce_array(self, arguments: Sequence[Any]) -> Pending:
        if arguments[0] is not self._known["numpy", "ndarray"]:
            raise UnsafePickleError(f"the pickle asks for an array of an unknown class. {_REMEDY}")
        self._unfinished += 1
        return Pending(None)

    def _encode(self, arguments: Sequence[Any]) -> bytes:
        """How Python 3 writes bytes in protocols that have none."""
        text, encoding = arguments
        if type(text) is not str or encoding not in ("latin1", "latin-1"):
            raise UnsafePickleError(f"the pickle asks for '_codecs.encode' in an unusual way. {_REMEDY}")
        if len(text) > _LARGE:
            for key in [key for key, value in self.memo.items() if value is text]:
                self.memo[key] = _Spent()
        return text.encode("latin-1")

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        if type(function) is not _Global or function.make is None or type(arguments) is not tuple:
            what = repr(function.label) if type(function) is _Global else f"a {type(function).__name__}"
            raise UnsafePickleError(f"the pickle asks to call {what}. {_REMEDY}")
        self.stack[-1] = function.make(arguments)

    def load_build(self) -> None:
        state = self.stack.pop()
        pending = self.stack[-1]
        if type(pending) is not Pending:
            raise UnsafePickleError(f"the pickle asks to change the state of a {type(pending).__name__}. {_REMEDY}")
        value = pending.finish(state)
        self._unfinished -= 1
        self.stack[-1] = value
        for key in pending.memo:
            self.memo[key] = value

    def refuse_instance(self) -> None:
        raise UnsafePickleError(f"the pickle asks to make an instance of a class. {_REMEDY}")

    def load_inst(self) -> None:
        self.find_class(self._read_line()[:-1].decode(), self._read_line()[:-1].decode())
        self.refuse_instance()

    def refuse_outside(self) -> None:
        raise UnsafePickleError(
            f"the pickle refers to things outside of itself (persistent ids, extension codes or buffers). {_REMEDY}"
        )

    # Content.

    def load_frame(self) -> None:
        (length,) = struct.unpack("<Q", self._read(8))
        self._need(length)

    def load_binbytes(self) -> None:
        self.append(self._content("<I"))

    def load_binbytes8(self) -> None:
        self.append(self._content("<Q"))

    def load_bytearray8(self) -> None:
        data = self._content("<Q")
        self.append(bytearray(data) if isinstance(data, bytes) else data)

    def load_binstring(self) -> None:
        data = self._content("<i")
        self.append(data.decode("latin-1") if isinstance(data, bytes) else data)

    def load_string(self) -> None:
        line = self._read_line(-1)[:-1]
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise SourceError("the pickle holds a string without quotes; it is damaged.")
        self.append(codecs.escape_decode(line[1:-1])[0].decode("latin-1"))

    def load_unicode(self) -> None:
        self.append(str(self._read_line(-1)[:-1], "raw-unicode-escape"))

    def load_long4(self) -> None:
        (length,) = struct.unpack("<i", self._read(4))
        if not 0 <= length <= _LONGEST_LINE:
            raise SourceError("the pickle holds a number of absurd length; it is damaged.")
        self.append(pickle.decode_long(self._read(length)))

    def _marked(self) -> list[Any]:
        items = self.stack
        self.stack = self.metastack.pop()
        self.append = self.stack.append
        return items

    # Containers: only real ones are filled, and only with keys that are safe to hash.

    def load_append(self) -> None:
        value = self.stack.pop()
        expect(self.stack[-1], list).append(value)

    def load_appends(self) -> None:
        values = self._marked()
        expect(self.stack[-1], list).extend(values)

    def load_dict(self) -> None:
        items = self._marked()
        self.append(dict(pairs(items)))

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        expect(self.stack[-1], dict)[hashable(key)] = value

    def load_setitems(self) -> None:
        items = self._marked()
        expect(self.stack[-1], dict).update(pairs(items))

    def load_additems(self) -> None:
        values = self._marked()
        expect(self.stack[-1], set).update(map(hashable, values))

    def load_frozenset(self) -> None:
        values = self._marked()
        self.append(frozenset(map(hashable, values)))

    # Memo: an array may be noted before it is described, but not used.

    def _note(self, key: int) -> None:
        value = self.stack[-1]
        if type(value) is Pending:
            value.memo.append(key)
        self.memo[key] = value

    def _recall(self, key: int) -> None:
        value = self.memo.get(key, self)
        if value is self or type(value) in (Pending, _Spent):
            raise SourceError("not a pickle, or a damaged one: it refers to something that it does not hold (yet).")
        self.append(value)

    def load_put(self) -> None:
        self._note(int(self._read_line()))

    def load_binput(self) -> None:
        self._note(self._read(1)[0])

    def load_long_binput(self) -> None:
        self._note(struct.unpack("<I", self._read(4))[0])

    def load_memoize(self) -> None:
        self._note(len(self.memo))

    def load_get(self) -> None:
        self._recall(int(self._read_line()))

    def load_binget(self) -> None:
        self._recall(self._read(1)[0])

    def load_long_binget(self) -> None:
        self._recall(struct.unpack("<I", self._read(4))[0])

    def load_dup(self) -> None:
        if type(self.stack[-1]) is Pending:
            raise SourceError("the pickle uses an array before it is described; it is damaged.")
        self.append(self.stack[-1])


def _replace_opcodes(names: str, replacement: Callable[[Machine], None] | None = None) -> None:
    for name in names.split():
        function = replacement or getattr(Machine, f"load_{name.lower()}")
        Machine.dispatch[getattr(pickle, name)[0]] = function


_replace_opcodes("REDUCE BUILD INST FRAME BINBYTES BINBYTES8 BYTEARRAY8 BINSTRING STRING UNICODE LONG4")
_replace_opcodes("APPEND APPENDS DICT SETITEM SETITEMS FROZENSET DUP PUT GET MEMOIZE")
_replace_opcodes("ADDITEMS BINPUT LONG_BINPUT BINGET LONG_BINGET")
_replace_opcodes("OBJ NEWOBJ NEWOBJ_EX", Machine.refuse_instance)
_replace_opcodes("PERSID BINPERSID EXT1 EXT2 EXT4 NEXT_BUFFER READONLY_BUFFER", Machine.refuse_outside)
