"""Takes out of a photo's file what is no picture: places, times, names, devices, thumbnails. No pixel changes.

A JPEG (ITU-T T.81, annex B) is a row of segments; those that a decoder needs stay: tables, frames, scans, and of the
application segments the beginnings of JFIF's and Adobe's, which say what the colours mean. A PNG (ISO/IEC 15948) is a
row of chunks; those stay that say how pixels are stored or coloured. What follows the end of the picture is cut off.
"""

from __future__ import annotations

import re

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # not a stuffed byte, a fill byte or a restart marker
_SOI, _EOI, _SOS, _ADOBE, _COMMENT = 0xD8, 0xD9, 0xDA, 0xEE, 0xFE
_APPLICATIONS = range(0xE0, 0xF0)
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
"""Says that the colours are YCbCr, and nothing of densities and thumbnails."""
_ADOBE_SEGMENT = re.compile(rb"\xff\xee\x00\x0eAdobe.{7}", re.DOTALL)

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT"})


def without_metadata(data: bytes) -> bytes | None:
    """The bytes of a JPEG or PNG with nothing but the picture; None if they are neither or cannot be followed."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    return _png(data) if data.startswith(_PNG_SIGNATURE) else None


def _jpeg(data: bytes) -> bytes | None:
    kept, place, scanned = [data[:2]], 2, False
    while found := _MARKER.search(data, place):
        if found.start() > place and not scanned:
            return None  # bytes between segments before the first scan
        kept.append(data[place : found.start()])  # the coded picture that follows a scan's header
        marker, end = data[found.start() + 1], found.end()
        if marker == _EOI:
            return b"".join([*kept, b"\xff\xd9"]) if scanned else None
        if marker in (_SOI, 0x01):
            return None
        end += int.from_bytes(data[end : end + 2], "big")
        segment = data[found.start() : end]
        if scanned and (marker in _APPLICATIONS or marker == _COMMENT):
            return None  # a decoder may take it for part of the scan
        scanned |= marker == _SOS
        if marker == _ADOBE:
            kept += _ADOBE_SEGMENT.findall(segment)  # its fixed part alone
        elif segment.startswith(_JFIF[:2]) and segment[4:9] == _JFIF[4:9]:
            kept.append(_JFIF)
        elif marker not in _APPLICATIONS and marker != _COMMENT:
            kept.append(segment)
        place = end
    return None


def _png(data: bytes) -> bytes | None:
    kept, place = [_PNG_SIGNATURE], len(_PNG_SIGNATURE)
    while place + 12 <= len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        kind = data[place + 4 : place + 8]
        if kind in _PNG_KEPT:
            kept.append(data[place:end])
        if kind == b"IEND":
            return b"".join(kept)
        place = end
    return None
