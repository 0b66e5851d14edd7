"""Many photos to open at once, as helper processes are asked to. Light: what decodes is imported when it is needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from wreckognize.collect.photofile import Glance

LEFT, LASTING, PASSING = 0, 1, 2
"""States of a photo: not opened as it is large, opened, or not to be read (which says nothing about next time)."""


class PhotoRequest(msgspec.Struct, array_like=True, tag="photos", gc=False):
    """Photos to open."""

    paths: list[bytes]


class PhotoAnswer(msgspec.Struct, array_like=True, tag="photos", gc=False):
    """For each photo its state, size, time, and what opening it told, encoded."""

    states: bytes
    sizes: list[int]
    times: list[int]
    contents: list[bytes]


def open_photos(request: PhotoRequest) -> PhotoAnswer:
    """Open photos, but leave the large ones: only one of those is decoded at a time, by who asked."""
    from wreckognize.collect.photofile import encoded, glance
    from wreckognize.imagefile import LargePhotoError

    states = bytearray()
    told = PhotoAnswer(b"", [], [], [])
    for path in request.paths:
        state, size, mtime_ns, content = LEFT, -1, -1, b""
        try:
            found = glance(path, large=False)
            state, size, mtime_ns = LASTING if found.encoded else PASSING, found.size, found.mtime_ns
            content = found.encoded or encoded(found.opened)
        except LargePhotoError:
            pass  # it is left
        states.append(state)
        told.sizes.append(size)
        told.times.append(mtime_ns)
        told.contents.append(content)
    told.states = bytes(states)
    return told


def glances(paths: Sequence[bytes], answer: PhotoAnswer) -> Iterator[Glance]:
    """What was told of each photo; those that were left are opened here."""
    from wreckognize.collect.photofile import Glance, decoded, glance

    for path, state, size, mtime_ns, content in zip(
        paths, answer.states, answer.sizes, answer.times, answer.contents, strict=True
    ):
        if state == LEFT:
            yield glance(path)
        else:
            yield Glance(decoded(content), size, mtime_ns, content if state == LASTING else None)
