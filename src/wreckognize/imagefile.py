"""Photos on disk: what their header says, and whether they are whole.

Knows file formats and EXIF orientation. Light, as helper processes import it: neither NumPy nor OpenCV, as `images` has
the pixels. A photo that cannot be used raises `InputError`, whatever its decoder raised. No photo is ever written to.
"""

from __future__ import annotations

import errno
import io
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from PIL import Image, TiffImagePlugin, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from wreckognize.errors import InputError
from wreckognize.reading import open_regular, read_regular

MAX_PIXELS = 200_000_000
MIN_SIDE = 10
"""Ultralytics refuses photos with a side below 10 pixels."""
MAX_BYTES = 500_000_000
"""Of a photo's file: 200 megapixels take less unless they are stored without any compression."""
LARGE_SIDE = 8_192
MAX_SCANS = 100
"""Of a JPEG: usual progressive ones have about ten. Each is a pass over all pixels, though it may take ten bytes."""
_LARGE_PIXELS = 64_000_000
_one_large = threading.Lock()
"""Held while a photo of more pixels is decoded: a few kilobytes may stand for 200 megapixels, on every thread."""

_USUAL_FORMATS = ("JPEG", "PNG")  # Pillow always has their readers; to load the others takes as long as 500 photos
_FORMATS = (*_USUAL_FORMATS, "WEBP", "BMP", "TIFF", "GIF", "HEIF", "AVIF")
"""Formats to open; Pillow's JPEG reader tells a multi-picture JPEG by itself and calls it MPO."""
_CONTAINER_NOTES = {"HEIF": "HEIC", "AVIF": "AVIF", "WEBP": "WebP", "BMP": "BMP", "TIFF": "TIFF", "GIF": "GIF"}
_MODE_NOTES = {
    "1": ("grey",),
    "L": ("grey",),
    "LA": ("grey", "alpha"),
    "I;16": ("grey", "16-bit"),
    "I;16B": ("grey", "16-bit"),
    "I;16L": ("grey", "16-bit"),
    "RGBA": ("alpha",),
    "RGBa": ("alpha",),
    "P": ("palette",),
    "PA": ("palette", "alpha"),
    "CMYK": ("CMYK",),
}
_UNSCALED_MODES = ("I", "F")  # 32-bit: no range is agreed that white could be read from

_JPEG_START = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_PNG_END = b"IEND\xaeB`\x82"
_ENDS = {"JPEG": _JPEG_END, "PNG": _PNG_END}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_FRAME = 12  # bytes of a chunk beside its data
_ORIENTATION_TAG = 0x0112
_EXIF_SHORT = 3

# EXIF 2.32, tag 0x0112: how to show a stored photo, as (swap x and y, then mirror x, then mirror y).
TURNS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}

# What decoders are known to raise on broken files, besides OSError.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a photo's header says; lengths in pixels.

    Attributes:
        width: as shown, after EXIF orientation.
        height: as shown, after EXIF orientation.
        raw_width: as stored, before EXIF orientation.
        raw_height: as stored, before EXIF orientation.
        orientation: EXIF orientation, 1 (upright) to 8; 1 where the file has none or a wrong one.
        format: Pillow's name of the file format.
        mode: Pillow's name of the pixel format.
        plain: an upright 8-bit RGB or grey JPEG or PNG, whose last bytes are its end marker: any reader opens it
            alike, and none rewrites it (Ultralytics rewrites JPEGs without that marker in place).
        notes: what is converted or out of the ordinary, in words.
    """

    width: int
    height: int
    raw_width: int
    raw_height: int
    orientation: int
    format: str
    mode: str
    plain: bool
    notes: tuple[str, ...]


def read_header(photo: Path | bytes) -> ImageHeader:
    """Read what the header of a photo says, without decoding its pixels.

    Args:
        photo: a file, or its bytes.

    Raises:
        InputError: if it is empty, not a photo, over 200 megapixels, or below 10 pixels a side.
    """
    with _file(photo) as file, opened(file) as (_, header):
        return header


class LargePhotoError(Exception):
    """A photo has too many pixels to be decoded beside others; says nothing against it."""


def verify(photo: Path | bytes, *, large: bool = True) -> ImageHeader:
    """Decode a photo as cheaply as its format allows, to find out whether it is whole.

    A JPEG is decoded at an eighth of its size: its entropy-coded data is read to the end all the same.

    Args:
        photo: a file, or its bytes.
        large: decode it even if it has over 64 megapixels; threads of one process then wait for one another.

    Returns:
        The photo's header, as `read_header` gives it.

    Raises:
        InputError: if the photo is truncated or damaged, or for what `read_header` refuses.
        LargePhotoError: if it is large, and those were not asked for.
    """
    data = content(photo) if isinstance(photo, Path) else photo
    with opened(io.BytesIO(data)) as (image, header), room(header, large):
        require_sound(image, data)
        if isinstance(image, JpegImageFile):
            image.draft(None, (image.width // 8, image.height // 8))
        load(image)
    return header


@cache
def _raise_limit() -> None:
    # Pillow's own limit (89 megapixels) is below ours, which `_header` enforces before any pixel is decoded.
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, MAX_PIXELS)


@cache
def _load_all_readers() -> None:
    import pillow_heif

    Image.init()
    pillow_heif.register_heif_opener()


@contextmanager
def _file(photo: Path | bytes) -> Iterator[IO[bytes]]:
    if isinstance(photo, bytes):
        yield io.BytesIO(photo)
        return
    try:
        opened_file = open_regular(photo, MAX_BYTES)
    except OSError as error:
        raise _unreadable(error) from error
    with opened_file:
        yield opened_file


def content(path: Path) -> bytes:
    """The bytes of a photo's file.

    Raises:
        InputError: if it cannot be read, or is not a regular file of at most `MAX_BYTES`.
    """
    try:
        return read_regular(path, MAX_BYTES)
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> InputError:
    if error.errno in (errno.EISDIR, errno.EINVAL, errno.ENXIO):
        return InputError("not a regular file", remedy="take it out of the folder")
    if error.errno == errno.EOVERFLOW:
        return InputError(f"over {MAX_BYTES // 1_000_000} MB", remedy="save the photo compressed, or leave it out")
    if isinstance(error, FileNotFoundError):
        return InputError("file is not there", remedy="put the file back, or take its label away")
    return InputError(
        f"file cannot be read ({error.strerror})", remedy="give yourself the right to read it, or check the disk"
    )


def _tail(file: IO[bytes]) -> bytes:
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - len(_PNG_END)))
    return file.read()


def pillow_open() -> Callable[..., Image.Image]:
    """Pillow's own way to open a photo.

    Ultralytics, once imported by whoever shares this process, puts one in its place that installs packages when it
    meets a broken photo.
    """
    found: Any = Image.open
    own: Callable[..., Image.Image] = (
        found if found.__module__ == "PIL.Image" else found.__globals__.get("_image_open", found)
    )
    return own


@contextmanager
def opened(file: IO[bytes]) -> Iterator[tuple[Image.Image, ImageHeader]]:
    """Open with Pillow, which reads the header only; every error of a decoder within becomes an `InputError`."""
    _raise_limit()
    # Again at every call, as a caller may have reset the filters: what matters is noted or raised here, and
    # Pillow's remarks about odd metadata would otherwise end up on the user's screen.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        tail = _tail(file)
        if not tail:
            raise InputError("empty file", remedy="fetch the photo again, or take it away")
        with _identified(file) as image:
            yield image, _header(image, tail)
    except UnidentifiedImageError as error:
        raise InputError(
            "not a photo, or its header is damaged",
            remedy="fetch the photo again, or take it away",
            kind="not_a_photo",
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_large() from error
    except _DECODER_ERRORS as error:
        raise InputError("truncated or damaged photo", remedy="fetch the photo again, or take it away") from error


def _identified(file: IO[bytes]) -> Image.Image:
    own_open = pillow_open()
    file.seek(0)
    if file.read(len(_PNG_SIGNATURE)).startswith((_JPEG_START, _PNG_SIGNATURE)):
        try:
            return own_open(file, formats=_USUAL_FORMATS)
        except UnidentifiedImageError:
            pass  # another reader may take what begins like it
    _load_all_readers()
    return own_open(file, formats=_FORMATS)


def room(header: ImageHeader, large: bool = True) -> AbstractContextManager[object]:
    """Large photos are decoded one at a time, whatever the number of threads, so that memory holds them.

    Raises:
        LargePhotoError: if it is large, and those were not asked for.
    """
    if header.width * header.height <= _LARGE_PIXELS:
        return nullcontext()
    if not large:
        raise LargePhotoError
    return _one_large


_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # not a stuffed byte, a fill byte or a restart marker
_JPEG_SCAN = b"\xff\xda"


def require_sound(image: Image.Image, data: bytes) -> None:
    """Refuse what a decoder would work on without end, make room for, or show as noise.

    Raises:
        InputError: says which.
    """
    if image.format == "PNG":
        _require_checksums(data)
    elif image.format in ("JPEG", "MPO"):
        _require_few_scans(data)


def _require_few_scans(data: bytes) -> None:
    """Refuse a JPEG that has a decoder go over its pixels again and again.

    Raises:
        InputError: it has more than `MAX_SCANS` scans.
    """
    # Within compressed data the two bytes stand for nothing else, so this counts at least the scans.
    if data.count(_JPEG_SCAN) > MAX_SCANS and _scans(data) > MAX_SCANS:
        raise InputError(f"over {MAX_SCANS} scans in a JPEG", remedy="save the photo again as a usual JPEG")


def _require_checksums(data: bytes) -> None:
    """Refuse a PNG whose pixels are not those that were written, or that has a part longer than the file.

    Decoders stop at the last row: what was damaged in its last stretch they would show as noise, without a word. And
    OpenCV makes room for whatever length a part names, up to two gigabytes, before it reads any of it.

    Raises:
        InputError: a stretch of its pixels does not have its checksum, or a part reaches over the end.
    """
    place, kind = len(_PNG_SIGNATURE), b""
    while kind != b"IEND" and place + _PNG_FRAME <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        inside = end + 4 <= len(data)
        whole = inside and zlib.crc32(memoryview(data)[place + 4 : end]) == struct.unpack_from(">I", data, end)[0]
        if (kind == b"IDAT" and not whole) or (not inside and data.endswith(_PNG_END)):  # else it was cut off
            raise InputError("truncated or damaged photo", remedy="fetch the photo again, or take it away")
        place = end + 4


def _scans(data: bytes) -> int:
    """How many scans a JPEG has before its end marker (ITU-T T.81, annex B)."""
    count, place = 0, 2
    while found := _JPEG_MARKER.search(data, place):
        marker, place = data[found.start() + 1], found.end()
        if marker == _JPEG_END[1]:
            break
        if marker not in (0x01, 0xD8):  # all others are followed by the length of their segment
            count += marker == _JPEG_SCAN[1]
            place += int.from_bytes(data[place : place + 2], "big")
    return count


def _too_large() -> InputError:
    return InputError(
        f"over {MAX_PIXELS // 1_000_000} megapixels", remedy="scale the photo down", kind="too_many_pixels"
    )


def load(image: Image.Image) -> None:
    """Decode the pixels.

    Raises:
        InputError: if they have 32 bits, of which no range is agreed.
    """
    if image.mode in _UNSCALED_MODES:
        raise InputError("32-bit pixels", remedy="save the photo with 8 or 16 bits a channel", kind="pixel_format")
    image.load()


def _header(image: Image.Image, tail: bytes) -> ImageHeader:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_large()
    if min(width, height) < MIN_SIDE:
        raise InputError(f"smaller than {MIN_SIDE} px a side", remedy="use a larger photo", kind="too_small")
    orientation = _orientation(image)
    turned = orientation >= 5
    # Pillow turns a TIFF itself and says its size as shown; of all others it says the size as stored.
    stored_is_swapped = turned and image.format == "TIFF"
    raw_width, raw_height = (height, width) if stored_is_swapped else (width, height)
    file_format = image.format or ""
    ends = file_format in _ENDS and tail.endswith(_ENDS[file_format])
    upright_8_bit = orientation == 1 and _raw_mode(image) in ("RGB", "L") and "transparency" not in image.info
    return ImageHeader(
        width=raw_height if turned else raw_width,
        height=raw_width if turned else raw_height,
        raw_width=raw_width,
        raw_height=raw_height,
        orientation=orientation,
        format=file_format,
        mode=image.mode,
        plain=ends and upright_8_bit,
        notes=_notes(image, orientation, tail),
    )


def _notes(image: Image.Image, orientation: int, tail: bytes) -> tuple[str, ...]:
    notes = [_CONTAINER_NOTES[image.format]] if image.format in _CONTAINER_NOTES else []
    notes += _MODE_NOTES.get(image.mode, ())
    if "transparency" in image.info:
        notes.append("alpha")
    if image.format in ("PNG", "TIFF") and ";16" in _raw_mode(image):
        notes.append("16-bit")
    if orientation != 1:
        notes.append(f"EXIF orientation {orientation}")
    if image.format == "JPEG" and not tail.endswith(_JPEG_END):
        notes.append("JPEG end marker not last")
    if image.format != "MPO" and getattr(image, "is_animated", False):
        notes.append("several frames, first used")
    if max(image.size) > LARGE_SIDE:
        notes.append(f"over {LARGE_SIDE:,} px a side")
    return tuple(dict.fromkeys(notes))


def _raw_mode(image: Image.Image) -> str:
    """Pillow's name of the samples as stored: 16-bit colour is decoded to 8 bits, and only this name tells."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return image.mode
    args = tiles[0][3]
    name = args[0] if isinstance(args, tuple) and args else args
    return name if isinstance(name, str) and name else image.mode


def _orientation(image: Image.Image) -> int:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        value = image.tag_v2.get(_ORIENTATION_TAG, 1)
    else:
        value = _exif_orientation(image.info.get("exif") or b"")
    return value if isinstance(value, int) and value in TURNS else 1


def _exif_orientation(exif: bytes) -> int:
    """The orientation tag of the first directory of an EXIF block; 1 where there is none.

    Read here rather than by Pillow, which gives up on the whole block when another tag is broken.
    """
    if not exif:
        return 1
    block = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return 1
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    if start + 2 > len(block):
        return 1
    (count,) = struct.unpack_from(f"{order}H", block, start)
    for entry in range(start + 2, min(start + 2 + 12 * count, len(block) - 11), 12):
        tag, kind = struct.unpack_from(f"{order}HH", block, entry)
        if tag == _ORIENTATION_TAG and kind == _EXIF_SHORT:
            return int(struct.unpack_from(f"{order}H", block, entry + 8)[0])
    return 1
