"""Hostile and valid pickles."""

from __future__ import annotations

import os
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfmm.core.errors import SelfmmError, SourceError, UnsafePickleError
from selfmm.data.pickle.machine import _OPCODES
from selfmm.data.pickle.reader import read_pickle, release

PROTOCOLS = range(6)


def store(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def dump(path: Path, value: object, protocol: int = 4) -> Path:
    return store(path, pickle.dumps(value, protocol=protocol))


def same(a: Any, b: Any) -> bool:
    """Equal in type, shape and content, all the way down."""
    if isinstance(a, np.ndarray):
        return (
            isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and a.shape == b.shape
            and all(map(same, a.ravel().tolist(), b.ravel().tolist()))
        )
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and bool(a == b or a != a)


class Attack:
    """Pickles to a call of ``function``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, True, None, "é", b"\x00\xff", (1, 2, 3, 4), -(2**80)], 3: {1, 2}, "f": frozenset("ab")},
        OrderedDict(x=1, y=bytearray(b"ab"), z=bytearray()),
        [b"", set(), complex(1, 2)],
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
        np.array([True, False]),
        np.array([["video", "0.1"]], dtype="U7"),
        np.array([b"ab", b"c"]),
        np.array(["text", None, {"a": [1]}, np.float32(2)], dtype=object),
        np.array(3.0),
        np.zeros((0, 5), dtype=np.float16),
        {"same": [np.float64(1), np.int32(2), np.bool_(True), np.str_("x")], "dtype": np.dtype("f4")},
    ],
)
def test_reads_what_python_writes(tmp_path: Path, value: Any, protocol: int) -> None:
    read = read_pickle(dump(tmp_path / "a.pkl", value, protocol))
    assert same(read, value)


def test_an_array_that_is_referred_to_twice_is_one_array(tmp_path: Path) -> None:
    array = np.arange(3.0)
    a, b = read_pickle(dump(tmp_path / "a.pkl", [array, array]))
    assert a is b


def test_reads_numpy_1_and_python_2(tmp_path: Path) -> None:
    old = pickle.dumps({"a": np.arange(3)}, protocol=2).replace(b"numpy._core", b"numpy.core")
    assert read_pickle(store(tmp_path / "a.pkl", old))["a"].tolist() == [0, 1, 2]
    python2 = (
        b"\x80\x02}q\x00U\x04textq\x01cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x08" + struct.pack("<2f", 1, -2) + b"tbs."
    )
    assert read_pickle(store(tmp_path / "b.pkl", python2))["text"].tolist() == [1, -2]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_large_arrays_are_right_and_stay_in_the_file_where_they_can(tmp_path: Path, protocol: int) -> None:
    array = np.random.default_rng(0).normal(size=(3, 200, 300))
    first, second, blob = read_pickle(dump(tmp_path / "a.pkl", [array, array.astype("f4"), b"x" * (3 << 20)], protocol))
    assert np.array_equal(first, array)
    assert bytes(blob) == b"x" * (3 << 20)
    assert isinstance(first, np.memmap) == (protocol >= 3)
    assert not isinstance(second, np.memmap)  # under 1 MiB
    release(first)
    assert np.array_equal(first, array)


def test_a_large_python_2_array_is_mapped(tmp_path: Path) -> None:
    array = np.arange(1 << 18, dtype="<f8")
    data = pickle.dumps(array, protocol=3)
    long = data.index(b"B" + struct.pack("<I", array.nbytes))
    mapped = read_pickle(store(tmp_path / "a.pkl", data[:long] + b"T" + data[long + 1 :]))
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("nested", [False, True])
def test_an_attack_does_not_run(tmp_path: Path, protocol: int, nested: bool) -> None:
    """The same bytes do run in Python's own reader, and do not here."""
    trace = tmp_path / "trace"
    attack: Any = Attack(os.system, f"touch {trace}")
    if nested:
        attack = {"train": {"raw_text": np.array(["a", attack], dtype=object)}}
    path = dump(tmp_path / "a.pkl", attack, protocol)
    with pytest.raises(
        UnsafePickleError, match=r"asks for 'posix\.system'.*Nothing in the file was run.*save it again"
    ):
        read_pickle(path)
    assert not trace.exists()
    pickle.loads(path.read_bytes())
    assert trace.exists()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "attack",
    [
        Attack(eval, "1"),
        Attack(getattr, 1, "real"),
        Attack(np.load, "x"),
        Attack(np.fromfile, "x"),
        Attack(bytearray.fromhex, "00"),
        Path("x"),
        np.ma.masked_array([1.0]),
    ],
)
def test_names_that_are_not_admitted(tmp_path: Path, attack: object, protocol: int) -> None:
    with pytest.raises(UnsafePickleError, match="asks for"):
        read_pickle(dump(tmp_path / "a.pkl", attack, protocol))


@pytest.mark.parametrize(
    "code",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        b"(cos\nsystem\nS'true'\no.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        b"\x80\x04\x8c\x05numpy\x8c\x0f_core.os.system\x93\x8c\x04true\x85R.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"\x80\x02cnumpy\nndarray\n)\x81.",
        b"\x80\x04cnumpy\nndarray\n)}\x92.",
        b"cnumpy\nndarray\n(I1\ntR.",
        b"}}S'x'\nI1\nsb.",
        b"(lp0\n}S'x'\nI1\nsb.",
        b"cnumpy.core.multiarray\n_reconstruct\n}S'make'\nI1\nsb.",
        b"c_codecs\nencode\n(S'a'\nS'rot13'\ntR.",
        b"c_codecs\nencode\n(S'a'\ntR.",
        b"Pid\n.",
        b"I1\nQ.",
        b"\x82\x01.",
        b"\x83\x01\x00.",
        b"\x80\x05\x97.",
        b"\x80\x05C\x01a\x98.",
    ],
)
def test_opcodes_that_are_not_admitted(tmp_path: Path, code: bytes) -> None:
    with pytest.raises(SourceError):
        read_pickle(store(tmp_path / "a.pkl", code))


@pytest.mark.parametrize("name", sorted({opcode.name for opcode in pickletools.opcodes} - set(_OPCODES) - {"STOP"}))
def test_an_opcode_that_is_not_in_the_table_is_refused_by_name(tmp_path: Path, name: str) -> None:
    code = next(opcode.code for opcode in pickletools.opcodes if opcode.name == name).encode("latin-1")
    with pytest.raises(UnsafePickleError, match=rf"opcode {name}, which .* Nothing in the file was run"):
        read_pickle(store(tmp_path / "a.pkl", b"\x80\x04" + code))


def test_every_allowed_opcode_exists() -> None:
    assert set(_OPCODES) < {opcode.name for opcode in pickletools.opcodes}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\x8c\x02f8", b"\x8c\x02O8"),
        (b"\x8c\x02f8", b"\x8c\x02V8"),
        (b"\x8c\x02f8", b"\x8c\x02M8"),
        (b"\x8c\x02f8", b"\x8c\x02f4"),
        (b"\x8c\x01<", b"\x8c\x01?"),
        (b"K\x03\x85", b"K\x04\x85"),
        (b"NNN", b"N)N"),
        (b"(K\x03", b"(K\x09"),
    ],
)
def test_a_changed_dtype_or_shape_is_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    """numpy's own __setstate__ would believe some of these and take the numbers for pointers."""
    data = pickle.dumps(np.arange(3.0), protocol=4)
    assert old in data
    with pytest.raises(SourceError):
        read_pickle(store(tmp_path / "a.pkl", data.replace(old, new)))


def test_structured_arrays_are_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="V12"):
        read_pickle(dump(tmp_path / "a.pkl", np.zeros(2, dtype=[("a", "f8"), ("b", "i4")])))


@pytest.mark.parametrize("opcode", [b"B" + b"\xff" * 4, b"\x8e" + b"\xff" * 7 + b"\x7f", b"\x96" + b"\xff" * 8])
@pytest.mark.parametrize("frame", [b"", b"\x95" + struct.pack("<Q", 1 << 62)])
def test_absurd_lengths_are_truncation_not_memory_errors(tmp_path: Path, opcode: bytes, frame: bytes) -> None:
    with pytest.raises(SourceError, match="truncated"):
        read_pickle(store(tmp_path / "a.pkl", b"\x80\x05" + frame + opcode + b"abc."))


@pytest.mark.slow
def test_deep_nesting_neither_crashes_nor_escapes(tmp_path: Path) -> None:
    deep = b"\x80\x04N" + b"\x85" * 1_000_000
    assert isinstance(read_pickle(store(tmp_path / "a.pkl", deep + b".")), tuple)
    with pytest.raises(SourceError, match="as a key"):  # its hash would overflow the C stack
        read_pickle(store(tmp_path / "b.pkl", b"\x80\x04}" + deep[2:] + b"Ns."))


def test_an_array_that_holds_itself_is_refused(tmp_path: Path) -> None:
    array = np.empty(1, dtype=object)
    array[0] = array
    with pytest.raises(SourceError, match="does not hold"):
        read_pickle(dump(tmp_path / "a.pkl", array))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"", "empty"),
        (b"\x1f\x8b\x08\x00", "gzip file; unpack it with gunzip"),
        (b"\x93NUMPY\x01", r"\.npy file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
        (b"<!DOCTYPE html>", "web page"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", r"torch\.save"),
        (b"hello, I am text\n", "not a pickle"),
        (b"\x00\x01\x02\x03", "not a pickle"),
        (b"\x80\x63.", "not a pickle"),
        (b".", "not a pickle"),
        (b"h\x07.", "does not hold"),
    ],
)
def test_other_files_are_named(tmp_path: Path, head: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_pickle(store(tmp_path / "a.pkl", head))


def test_zip_files_folders_and_missing_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pkl", "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
    with pytest.raises(SourceError, match=r"looks like a zip file \(torch\.save"):
        read_pickle(tmp_path / "a.pkl")
    with pytest.raises(SourceError, match="Is a directory"):
        read_pickle(tmp_path)
    with pytest.raises(SourceError, match="not a regular file"):
        read_pickle("/dev/zero")
    with pytest.raises(SourceError, match="No such file"):
        read_pickle(tmp_path / "none.pkl")


SEEDS = [
    pickle.dumps(
        {
            "train": {
                "raw_text": np.array(["a", "b"], dtype=object),
                "audio": np.ones((2, 3, 2), dtype="f4"),
                "id": np.array([["v", "1"], ["v", "2"]]),
                "audio_lengths": [np.int64(3), 2],
                "extra": (OrderedDict(a=1), {1, "x"}, b"bytes", 1.5, 2**70),
            }
        },
        protocol=protocol,
    )
    for protocol in PROTOCOLS
]


def survives(path: Path, data: bytes) -> None:
    content, problem = None, str(path)
    try:
        content = read_pickle(store(path, data))
    except SelfmmError as error:
        problem = str(error)
    assert str(path) in problem
    with suppress(RecursionError, ValueError):  # values may be odd
        repr(content)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.sampled_from(SEEDS),
    flips=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 2000),
)
def test_damaged_pickles_only_ever_raise_our_errors(
    tmp_path: Path, seed: bytes, flips: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(seed)
    for place, value in flips:
        data[place % len(data)] = value
    survives(tmp_path / "a.pkl", bytes(data[: cut if cut < len(data) else None]))


OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]
NAMES = [b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"c_codecs\nencode\n"]
PIECES = st.one_of(st.sampled_from(OPCODES + NAMES), st.binary(max_size=3), st.sampled_from([b"S'f4'\n", b"I1\n"]))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(PIECES, max_size=30))
def test_random_programs_only_ever_raise_our_errors(tmp_path: Path, pieces: list[bytes]) -> None:
    survives(tmp_path / "a.pkl", b"\x80\x04" + b"".join(pieces) + b".")
