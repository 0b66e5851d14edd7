"""A photo without what is hidden in its file: place, time, owner, camera, comments, thumbnails, a second picture.

The pixels stay as they are. A JPEG or PNG keeps its compressed data byte for byte; only the parts round it are chosen
anew, with the EXIF orientation as the one thing kept of the metadata (ITU-T T.81 Annex B; PNG, W3C Third Edition,
section 5). Any other format, and any file of these two that turns out otherwise than expected, is decoded and written
as a PNG, which loses nothing.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from wreckognize.errors import InputError
from wreckognize.images import decode, read_header

_SOI, _EOI, _SOS = b"\xff\xd8", b"\xff\xd9", 0xDA
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"pHYs", b"bKGD"}
)


@dataclass(frozen=True, slots=True)
class BarePhoto:
    """A photo's file without metadata.

    Attributes:
        data: the file.
        suffix: what its name ends in.
        width: pixels, as shown.
        height: pixels, as shown.
    """

    data: bytes
    suffix: Literal[".jpg", ".png"]
    width: int
    height: int


def without_metadata(data: bytes) -> BarePhoto:
    """The same photo without metadata; decoded, it has the same pixels.

    Raises:
        InputError: it cannot be read.
    """
    header = read_header(data)
    pixels = decode(data)
    rewritten = None
    try:
        if header.format in ("JPEG", "MPO"):
            rewritten = BarePhoto(_bare_jpeg(data, header.orientation), ".jpg", header.width, header.height)
        elif header.format == "PNG":
            rewritten = BarePhoto(_bare_png(data, header.orientation), ".png", header.width, header.height)
    except (ValueError, struct.error):
        rewritten = None  # built otherwise than the standards say: the pixels are what counts
    if rewritten is not None and _shows(rewritten.data, pixels):
        return rewritten
    done, encoded = cv2.imencode(".png", pixels)
    if not done:
        raise InputError("photo cannot be written", remedy="give it as a JPEG or PNG")
    return BarePhoto(encoded.tobytes(), ".png", header.width, header.height)


def _shows(data: bytes, pixels: np.ndarray) -> bool:
    try:
        return np.array_equal(decode(data), pixels)
    except InputError:
        return False


def _bare_jpeg(data: bytes, orientation: int) -> bytes:
    """Keep what decoding needs: tables, frame, scans; JFIF and Adobe (they say what the colours are), the ICC profile.

    Raises:
        ValueError: not built as a JPEG is.
    """
    parts = [_SOI]
    for marker, segment in _jpeg_segments(data):
        if marker == 0xE0 and segment[4:9] == b"JFIF\0":
            parts.append(b"\xff\xe0\x00\x10" + segment[4:16] + b"\0\0")  # without its thumbnail
        elif 0xE0 <= marker <= 0xEF:
            kept = (marker == 0xE2 and segment[4:16] == b"ICC_PROFILE\0") or (
                marker == 0xEE and segment[4:9] == b"Adobe"
            )
            parts += [segment] if kept else []
        elif marker != 0xFE:
            parts.append(segment)
    if orientation != 1:
        exif = b"Exif\0\0" + _orientation_block(orientation)
        place = 2 if parts[1][1:2] == b"\xe0" else 1
        parts.insert(place, b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif)
    return b"".join(parts)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and bytes of each segment after SOI, up to the first EOI; a scan goes with its header."""
    if not data.startswith(_SOI):
        raise ValueError("no SOI")
    at = 2
    while True:
        if data[at : at + 1] != b"\xff":
            raise ValueError("no marker where one must be")
        while data[at + 1 : at + 2] == b"\xff":  # fill bytes
            at += 1
        marker = data[at + 1]
        if marker == 0xD9:
            yield marker, _EOI
            return
        if marker in _ALONE:
            yield marker, data[at : at + 2]
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        if marker == _SOS:
            end = _scan_end(data, end)
        if length < 2 or end > len(data):
            raise ValueError("a segment without end")
        yield marker, data[at:end]
        at = end


def _scan_end(data: bytes, at: int) -> int:
    """Where the entropy-coded data ends: at the next marker that is neither a stuffed zero nor a restart."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise ValueError("a scan without end")
        following = data[at + 1]
        if following == 0 or 0xD0 <= following <= 0xD7:
            at += 2
        elif following == 0xFF:
            at += 1
        else:
            return at


def _bare_png(data: bytes, orientation: int) -> bytes:
    """Keep what decoding and colours need.

    Raises:
        ValueError: not built as a PNG is.
    """
    if not data.startswith(_PNG):
        raise ValueError("no PNG")
    parts, at = [_PNG], len(_PNG)
    while True:
        (length,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data):
            raise ValueError("a chunk without end")
        if kind in _PNG_KEPT:
            parts.append(data[at:end])
        if kind == b"IHDR" and orientation != 1:
            parts.append(_png_chunk(b"eXIf", _orientation_block(orientation)))
        if kind == b"IEND":
            return b"".join(parts)
        at = end


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _orientation_block(orientation: int) -> bytes:
    """A TIFF directory with the orientation (tag 0x0112, SHORT) and nothing else."""
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
