"""A process that reads labels and photos for another, or looks whether they have changed.

Requests come on its standard input, answers go out.
Not `multiprocessing`: that imports the caller's main program again (which must be written for it) or copies a process
with threads. This one imports next to nothing, and ends when its input does. `helpers` has the other side.
"""

from __future__ import annotations

import gc
import sys
from typing import IO

import msgspec

from wreckognize.collect.aihub_label import LabelAnswer, LabelRequest, read_labels
from wreckognize.collect.folderstamp import (
    FolderAnswer,
    FolderRequest,
    SameAnswer,
    SameRequest,
    are_same,
    stamp_files,
)
from wreckognize.collect.photobatch import PhotoAnswer, PhotoRequest, open_photos

Request = LabelRequest | FolderRequest | SameRequest | PhotoRequest
Answer = LabelAnswer | FolderAnswer | SameAnswer | PhotoAnswer

_LENGTH = 8  # bytes


def answer(request: Request) -> Answer:
    """Do what is asked, in whichever process."""
    match request:
        case LabelRequest():
            return read_labels(request)
        case PhotoRequest():
            return open_photos(request)
        case FolderRequest():
            return stamp_files(request)
        case SameRequest():
            return are_same(request)


def send(stream: IO[bytes], message: Request | Answer) -> None:
    """Write one message."""
    data = msgspec.msgpack.encode(message)
    stream.write(len(data).to_bytes(_LENGTH, "little"))
    stream.write(data)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """Read one message; None where the stream ends, before it or within it."""
    length = stream.read(_LENGTH)
    if len(length) < _LENGTH:
        return None
    size = int.from_bytes(length, "little")
    data = stream.read(size)
    return data if len(data) == size else None


def main() -> None:
    """Answer until the input ends."""
    gc.disable()  # what is read makes no circles, and looking for them takes a tenth of the time
    decoder = msgspec.msgpack.Decoder(Request)
    while (data := receive(sys.stdin.buffer)) is not None:
        send(sys.stdout.buffer, answer(decoder.decode(data)))


if __name__ == "__main__":
    main()
