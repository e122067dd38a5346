"""Reader of pickles with numpy arrays and plain containers, for files from untrusted sources.

A pickle is a program, and Python's own reader runs it: loading a file from the internet can do anything that its
author likes. This reader supports numpy arrays, scalars and dtypes, and dict, OrderedDict, list, tuple, set, str,
bytes, numbers, bool and None. It builds them itself (see `selfmm.data.pickle.machine`) and neither imports nor calls
anything that the file names. It refuses everything else by name.

Memory: content of more than 1 MiB stays in the file and is mapped, so a pickle of 13 GB needs almost no memory until
its arrays are used. This works for protocol 3 and later, and for files that Python 2 wrote with protocol 1 or 2.
Python 3 writes arrays as text in protocols 0, 1 and 2. These are read into memory: all arrays together, plus 1.5 times
the largest while it is decoded. To avoid this, save the file again with ``pickle.dump(data, file, protocol=4)``.

A bytes value of more than 1 MiB outside an array becomes a mapped uint8 array.
"""

from __future__ import annotations

import mmap
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from selfmm.core.errors import SelfmmError, SourceError, UnsafePickleError
from selfmm.data.pickle.machine import Machine

_BLANK = 1024  # bytes after the object in which to look for more than blanks
_OTHER_FORMATS = {
    b"\x1f\x8b": "a gzip file; unpack it with gunzip",
    b"BZh": "a bzip2 file; unpack it with bunzip2",
    b"\xfd7zXZ": "an xz file; unpack it with unxz",
    b"PK\x03\x04": "a zip file (torch.save and numpy.savez write such files too); unpack it, or save its content "
    "again with pickle.dump",
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19": "a file of torch.save; load it with torch and save numpy arrays "
    "with pickle.dump",
    b"\x93NUMPY": "a .npy file; selfmm import takes a table with such files in a folder next to it",
    b"\x89HDF": "an HDF5 file; save its content as numpy arrays with pickle.dump",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself; fetch it with git lfs pull",
    b"<": "a web page; the download failed, get the file again",
}


def read_pickle(path: str | Path) -> Any:
    """Read the object in a pickle file without running anything in it.

    Returns:
        Numpy arrays and plain containers. Arrays may be read-only and mapped to the file, which must not change
        while they are in use.

    Raises:
        UnsafePickleError: if the pickle asks for anything but numpy arrays and plain containers.
        SourceError: if the file is missing, truncated, damaged or not a pickle, or goes on after its object.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SourceError("not a regular file. Give the path of a pickle.")
            _refuse_other_formats(file)
            value = Machine(file).load()
            if file.read(_BLANK).strip(b"\0\r\n "):
                raise SourceError(
                    "the file goes on after its first object, which alone would be read. If pickle.dump was called "
                    "several times, save all in one dict."
                )
            return value
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path}: {error}") from error
    except SelfmmError as error:
        raise SourceError(f"{path}: {error}") from error
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}. Check the path.") from error
    except Exception as error:  # the bytes may be hostile: whatever fails here is the fault of the file
        raise SourceError(
            f"{path}: not a pickle, or a damaged one ({type(error).__name__}). Get the file again."
        ) from error


def release(array: object) -> None:
    """Drop the pages of a mapped array from memory; they are read from the file again when needed."""
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
            raise SourceError(f"not a pickle; it looks like {what}.")
