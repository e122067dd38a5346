"""Reads pickles of numpy arrays and plain containers, from people one does not know.

A pickle is a program, and Python's own reader runs it: loading a file from the net can do anything its author
likes. This reader knows numpy's arrays, numbers and dtypes, and dict, OrderedDict, list, tuple, set, str, bytes,
numbers, bool and None. It makes them by itself (see `selfmm.data.pickle.machine`); nothing in the file is imported
or called. Anything else is refused by name.

Memory: content of more than 1 MiB is not read but left in the file and mapped, so a pickle of 13 GB costs next to
nothing until its arrays are looked at. This works for protocol 3 and later, and for what Python 2 wrote with
protocol 1 or 2. Python 3 writes arrays as text where protocol 0, 1 or 2 is asked for; these are read into memory:
all arrays together, plus 1.5 times the largest while it is decoded. Saving the file again with
``pickle.dump(data, file, protocol=4)`` ends that.

A bytes value of more than 1 MiB that belongs to no array is given as a mapped uint8 array.
"""

from __future__ import annotations

import mmap
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from selfmm.core.errors import SelfmmError, SourceError, UnsafePickleError
from selfmm.data.pickle.machine import Machine

_OTHER_FORMATS = {
    b"\x1f\x8b": "a gzip file; unpack it with gunzip",
    b"BZh": "a bzip2 file; unpack it with bunzip2",
    b"\xfd7zXZ": "an xz file; unpack it with unxz",
    b"PK\x03\x04": "a zip file (torch.save and numpy.savez write such files too); unpack it, or save its content "
    "again with pickle.dump",
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19": "a file of torch.save; load it with torch and save numpy arrays "
    "with pickle.dump",
    b"\x93NUMPY": "a .npy file; selfmm import takes a table with such files in a folder beside it",
    b"\x89HDF": "an HDF5 file; save its content as numpy arrays with pickle.dump",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself; fetch it with git lfs pull",
    b"<": "a web page; the download went wrong, get the file again",
}


def read_pickle(path: str | Path) -> Any:
    """Reads the first object of a pickle file without running anything in it.

    Returns:
        Numpy arrays and plain containers. Arrays may be read-only and mapped to the file, which must not change
        while they are in use.

    Raises:
        UnsafePickleError: the pickle asks for anything but numpy arrays and plain containers.
        SourceError: the file is missing, cut off, damaged, or no pickle.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SourceError("this is no regular file. Give the path of a pickle.")
            _refuse_other_formats(file)
            return Machine(file).load()
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path}: {error}") from error
    except SelfmmError as error:
        raise SourceError(f"{path}: {error}") from error
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}. Check the path.") from error
    except Exception as error:  # the bytes may be anybody's: whatever they break, it is the file's fault
        raise SourceError(
            f"{path}: not a pickle, or a damaged one ({type(error).__name__}). Get the file again."
        ) from error


def release(array: object) -> None:
    """Drops the pages of a mapped array from memory; they come back from the file when looked at again."""
    mapped = getattr(array, "_mmap", None)
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def _refuse_other_formats(file: BinaryIO) -> None:
    head = file.read(32)
    file.seek(0)
    if not head:
        raise SourceError("the file is empty. Get the file again.")
    for magic, what in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise SourceError(f"this is no pickle but looks like {what}.")
