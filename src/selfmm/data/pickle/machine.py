"""The stack machine that reads a pickle, with a table of the opcodes that it allows and our own functions for them.

It never imports, calls or changes anything that the file names, hashes deeply nested keys, or trusts a length that it
states. It refuses other opcodes by name. The opcodes are described in `pickletools`.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO

from selfmm.core.errors import SourceError, UnsafePickleError
from selfmm.data.pickle.arrays import Pending
from selfmm.data.pickle.content import LARGE, Content
from selfmm.data.pickle.names import ENCODE, REMEDY, Name, expect, hashable, look_up, pairs

_HIGHEST_PROTOCOL = 5
_BOOLS = {b"00": False, b"01": True}  # how INT writes them


class _Spent:
    """Replaces a long text in the memo that has become an array, so that it is not in memory twice."""


class Machine:
    """Runs a pickle on a stack of values.

    Frames only speed up other readers. They are skipped, so that large content can stay in the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.content = Content(file)
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []  # the stacks below each mark
        self.memo: dict[int, Any] = {}
        self.unfinished = 0  # number of dtypes and arrays that are announced but not described yet

    def load(self) -> Any:
        """Run the pickle up to its end and return its value."""
        while (code := self.content.read(1)) != b".":
            allowed = _ALLOWED.get(code)
            if allowed is None:
                raise _refusal(code)
            allowed(self)
        value = self.stack.pop()
        if self.unfinished:
            raise SourceError("the pickle ends before its arrays are described; it is damaged.")
        return value

    def push(self, value: object) -> None:
        self.stack.append(value)

    def protocol(self) -> None:
        version = self.content.number("<B")
        if version > _HIGHEST_PROTOCOL:
            raise SourceError(f"not a pickle, or one of the unknown protocol {version}. Get the file again.")

    # The stack.

    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        """Take everything that was pushed since the last mark."""
        items, self.stack = self.stack, self.marked.pop()
        return items

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def duplicate(self) -> None:
        if type(self.stack[-1]) is Pending:
            raise SourceError("the pickle uses an array before it is described; it is damaged.")
        self.push(self.stack[-1])

    # Containers: only real ones are filled, and only with keys that are safe to hash.

    def make_tuple(self, count: int) -> None:
        if len(self.stack) < count:
            raise SourceError("the pickle makes a tuple of values that it does not hold; it is damaged.")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def append_item(self) -> None:
        value = self.stack.pop()
        expect(self.stack[-1], list).append(value)

    def append_items(self) -> None:
        values = self.since_mark()
        expect(self.stack[-1], list).extend(values)

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        expect(self.stack[-1], dict)[hashable(key)] = value

    def set_items(self) -> None:
        items = self.since_mark()
        expect(self.stack[-1], dict).update(pairs(items))

    def add_items(self) -> None:
        values = self.since_mark()
        expect(self.stack[-1], set).update(map(hashable, values))

    # The memo: an array may be stored before it is described, but not used.

    def store(self, key: int) -> None:
        value = self.stack[-1]
        if type(value) is Pending:
            value.memo.append(key)
        self.memo[key] = value

    def recall(self, key: int) -> None:
        value = self.memo.get(key, self)
        if value is self or type(value) in (Pending, _Spent):
            raise SourceError("not a pickle, or a damaged one: it refers to something that it does not hold (yet).")
        self.push(value)

    # Names and calls.

    def stack_name(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.push(look_up(module, name))

    def call(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        if type(function) is not Name or function.make is None or type(arguments) is not tuple:
            what = repr(function.label) if type(function) is Name else f"a {type(function).__name__}"
            raise UnsafePickleError(f"the pickle asks to call {what}. {REMEDY}")
        value = self.stack[-1] = function.make(arguments)
        if type(value) is Pending:
            self.unfinished += 1
        if function is ENCODE and len(value) > LARGE:
            for key in [key for key, text in self.memo.items() if text is arguments[0]]:
                self.memo[key] = _Spent()

    def build(self) -> None:
        state = self.stack.pop()
        pending = self.stack[-1]
        if type(pending) is not Pending:
            raise UnsafePickleError(f"the pickle asks to change the state of a {type(pending).__name__}. {REMEDY}")
        value = self.stack[-1] = pending.finish(state)
        self.unfinished -= 1
        for key in pending.memo:
            self.memo[key] = value


def _whole(line: bytes) -> int:
    return _BOOLS[line] if line in _BOOLS else int(line, 0)


def _byte_array(machine: Machine) -> None:
    data = machine.content.blob("<Q")
    machine.push(bytearray(data) if isinstance(data, bytes) else data)


_OPCODES: dict[str, Callable[[Machine], object]] = {
    "PROTO": Machine.protocol,
    "FRAME": lambda m: m.content.need(m.content.number("<Q")),
    # Constants and numbers.
    "NONE": lambda m: m.push(None),
    "NEWTRUE": lambda m: m.push(True),
    "NEWFALSE": lambda m: m.push(False),
    "INT": lambda m: m.push(_whole(m.content.line())),
    "BININT": lambda m: m.push(m.content.number("<i")),
    "BININT1": lambda m: m.push(m.content.number("<B")),
    "BININT2": lambda m: m.push(m.content.number("<H")),
    "LONG": lambda m: m.push(int(m.content.line().removesuffix(b"L"), 0)),
    "LONG1": lambda m: m.push(m.content.long("<B")),
    "LONG4": lambda m: m.push(m.content.long("<i")),
    "FLOAT": lambda m: m.push(float(m.content.line())),
    "BINFLOAT": lambda m: m.push(m.content.number(">d")),
    # Text and bytes.
    "STRING": lambda m: m.push(m.content.quoted()),
    "BINSTRING": lambda m: m.push(m.content.latin1("<i")),
    "SHORT_BINSTRING": lambda m: m.push(m.content.latin1("<B")),
    "UNICODE": lambda m: m.push(str(m.content.line(-1), "raw-unicode-escape")),
    "SHORT_BINUNICODE": lambda m: m.push(m.content.text("<B")),
    "BINUNICODE": lambda m: m.push(m.content.text("<I")),
    "BINUNICODE8": lambda m: m.push(m.content.text("<Q")),
    "SHORT_BINBYTES": lambda m: m.push(m.content.blob("<B")),
    "BINBYTES": lambda m: m.push(m.content.blob("<I")),
    "BINBYTES8": lambda m: m.push(m.content.blob("<Q")),
    "BYTEARRAY8": _byte_array,
    # Containers.
    "EMPTY_TUPLE": lambda m: m.push(()),
    "TUPLE1": lambda m: m.make_tuple(1),
    "TUPLE2": lambda m: m.make_tuple(2),
    "TUPLE3": lambda m: m.make_tuple(3),
    "TUPLE": lambda m: m.push(tuple(m.since_mark())),
    "EMPTY_LIST": lambda m: m.push([]),
    "LIST": lambda m: m.push(m.since_mark()),
    "APPEND": Machine.append_item,
    "APPENDS": Machine.append_items,
    "EMPTY_DICT": lambda m: m.push({}),
    "DICT": lambda m: m.push(dict(pairs(m.since_mark()))),
    "SETITEM": Machine.set_item,
    "SETITEMS": Machine.set_items,
    "EMPTY_SET": lambda m: m.push(set()),
    "ADDITEMS": Machine.add_items,
    "FROZENSET": lambda m: m.push(frozenset(map(hashable, m.since_mark()))),
    # The stack and the memo.
    "MARK": Machine.mark,
    "POP": Machine.pop,
    "POP_MARK": Machine.since_mark,
    "DUP": Machine.duplicate,
    "PUT": lambda m: m.store(int(m.content.line())),
    "BINPUT": lambda m: m.store(m.content.number("<B")),
    "LONG_BINPUT": lambda m: m.store(m.content.number("<I")),
    "MEMOIZE": lambda m: m.store(len(m.memo)),
    "GET": lambda m: m.recall(int(m.content.line())),
    "BINGET": lambda m: m.recall(m.content.number("<B")),
    "LONG_BINGET": lambda m: m.recall(m.content.number("<I")),
    # Names, calls of our functions, and the states of arrays.
    "GLOBAL": lambda m: m.push(look_up(m.content.line().decode(), m.content.line().decode())),
    "STACK_GLOBAL": Machine.stack_name,
    "REDUCE": Machine.call,
    "BUILD": Machine.build,
}
_NAME_OF = {opcode.code.encode("latin-1"): opcode.name for opcode in pickletools.opcodes}
_ALLOWED = {code: _OPCODES[name] for code, name in _NAME_OF.items() if name in _OPCODES}
_REASONS = {
    **dict.fromkeys(("INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"), "makes an instance of a class"),
    **dict.fromkeys(("PERSID", "BINPERSID"), "refers to an object outside the file"),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), "refers to a registry of extensions"),
    **dict.fromkeys(("NEXT_BUFFER", "READONLY_BUFFER"), "refers to a buffer outside the file"),
}


def _refusal(code: bytes) -> SourceError:
    name = _NAME_OF.get(code)
    if name is None:
        return SourceError(f"not a pickle, or a damaged one: 0x{code.hex()} is not an opcode. Get the file again.")
    reason = _REASONS.get(name, "is not needed for data")
    return UnsafePickleError(f"the pickle uses the opcode {name}, which {reason}. {REMEDY}")
