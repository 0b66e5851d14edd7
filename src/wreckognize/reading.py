"""Opens files that strangers wrote: regular files only, and never more of one than is asked for.

A pipe or a device under the name of a photo would be waited for without end; a file of two gigabytes, all of it holes,
costs its sender nothing and its reader the memory. Light, as helper processes import it.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

LABEL_BYTES = 8_000_000
"""The most that a label of one photo may hold; real ones hold some thousand."""
TABLE_BYTES = 1_500_000_000
"""The most that one file about all photos may hold; the largest published COCO files reach a gigabyte."""
RECORD_BYTES = 50_000_000
"""The most that a record which this package wrote may hold: cards, thresholds, the lock of half a million photos."""


def open_regular(path: str | bytes | Path, at_most: int) -> BufferedReader:
    """Open a file for reading, without waiting for anything.

    Raises:
        OSError: it is not there or may not be read (as from `open`), is not a regular file, or is larger than
            ``at_most`` bytes; ``strerror`` says which.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would make `open` wait
    try:
        require_readable(os.fstat(descriptor), at_most)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: str | bytes | Path, at_most: int) -> bytes:
    """The bytes of a file that `open_regular` opens.

    Raises:
        OSError: as `open_regular`; also if it grows beyond ``at_most`` while it is read.
    """
    with open_regular(path, at_most) as file:
        size = os.fstat(file.fileno()).st_size  # room for half a gigabyte is not made for every photo
        data = file.read(size + 1)
        if len(data) > size:  # it grows while it is read
            data += file.read(at_most - size)
    if len(data) > at_most:
        raise too_large(at_most)
    return data


def require_readable(status: os.stat_result, at_most: int) -> None:
    """Refuse what is not a regular file of at most so many bytes.

    Raises:
        OSError: ``strerror`` says why.
    """
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if status.st_size > at_most:
        raise too_large(at_most)


def too_large(at_most: int) -> OSError:
    """What is said of a file of more bytes."""
    return OSError(errno.EOVERFLOW, f"larger than {at_most // 1_000_000:,} MB")
