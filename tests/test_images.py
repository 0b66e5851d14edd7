"""Photos of every kind: what is read of them, and what is refused."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from wreckognize.errors import InputError
from wreckognize.images import ImageHeader, decode, orient_boxes, read_header, verify

WIDTH, HEIGHT = 64, 40
RED, GREEN, BLUE, WHITE = (220, 20, 20), (20, 200, 20), (20, 20, 220), (250, 250, 250)


def quarters(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Red, green over blue, white: tells every way of turning a photo apart."""
    image = Image.new("RGB", (width, height), RED)
    half_width, half_height = width // 2, height // 2
    image.paste(GREEN, (half_width, 0, width, half_height))
    image.paste(BLUE, (0, half_height, half_width, height))
    image.paste(WHITE, (half_width, half_height, width, height))
    return image


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def jpeg(image: Image.Image | None = None, **options: object) -> bytes:
    return encoded(image or quarters(), "JPEG", quality=95, subsampling=0, **options)


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def close(left: np.ndarray, right: np.ndarray, tolerance: int = 12) -> bool:
    return left.shape == right.shape and np.abs(left.astype(int) - right.astype(int)).mean() < tolerance


def as_bgr(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))[:, :, ::-1]


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_a_plain_jpeg_is_plain_and_decoded_as_opencv_does():
    data = jpeg()
    assert read_header(data) == ImageHeader(WIDTH, HEIGHT, WIDTH, HEIGHT, 1, "JPEG", "RGB", True, ())
    assert verify(data) == read_header(data)
    np.testing.assert_array_equal(decode(data), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


def test_a_file_and_its_bytes_give_the_same(tmp_path):
    path = tmp_path / "사고 사진 'quoted'\n.jpg"
    path.write_bytes(jpeg())
    assert read_header(path) == verify(path) == read_header(jpeg())
    np.testing.assert_array_equal(decode(path), decode(jpeg()))
    assert path.read_bytes() == jpeg()


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_applies_it(file_format, orientation):
    options = {"quality": 95} if file_format in ("JPEG", "WEBP", "AVIF") else {}
    data = encoded(quarters(), file_format, exif=exif(orientation), **options)
    with Image.open(io.BytesIO(data)) as image:
        expected = ImageOps.exif_transpose(image)
    header = read_header(data)
    assert (header.width, header.height) == expected.size
    assert (header.raw_width, header.raw_height) == (WIDTH, HEIGHT)
    assert header.orientation == orientation
    assert (f"EXIF orientation {orientation}" in header.notes) == (orientation != 1)
    assert header.plain == (orientation == 1 and file_format in ("JPEG", "PNG"))
    pixels = decode(data)
    assert pixels.flags.c_contiguous
    assert pixels.dtype == np.uint8
    assert close(pixels, as_bgr(expected), 6)


@given(
    orientation=st.integers(1, 8),
    x=st.integers(0, 50),
    y=st.integers(0, 30),
    w=st.integers(4, 14),
    h=st.integers(3, 9),
)
def test_boxes_turn_with_their_photo(orientation, x, y, w, h):
    image = Image.new("RGB", (WIDTH, HEIGHT), "black")
    image.paste("white", (x, y, x + w, y + h))
    data = encoded(image, "PNG", exif=exif(orientation))
    box = np.array([[x, y, min(x + w, WIDTH), min(y + h, HEIGHT)]], dtype=np.float32)
    shown = orient_boxes(box, read_header(data))
    rows, columns = np.nonzero(decode(data)[:, :, 0])
    assert shown.tolist() == [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]]
    assert shown.dtype == np.float32


def sixteen_bit_grey() -> Image.Image:
    return Image.fromarray((np.asarray(quarters().convert("L")).astype(np.uint16) << 8) | 0x7F)


def rgb_with_one_transparent_colour() -> bytes:
    return encoded(quarters(), "PNG", transparency=RED)


def palette_with_several_transparent_colours() -> bytes:
    image = quarters().quantize(8)
    return encoded(image, "PNG", transparency=bytes([0, 128, 255]))


def heic() -> bytes:
    pillow_heif.register_heif_opener()
    return encoded(quarters(), "HEIF", quality=95)


def sixteen_bit_colour() -> bytes:
    pixels = as_bgr(quarters()).astype(np.uint16) * 257
    return cv2.imencode(".png", pixels)[1].tobytes()


CONVERTED = {
    "grey": (lambda: jpeg(quarters().convert("L")), ("grey",), True),
    "grey png": (lambda: encoded(quarters().convert("L"), "PNG"), ("grey",), True),
    "bilevel": (lambda: encoded(quarters().convert("1"), "PNG"), ("grey",), False),
    "grey alpha": (lambda: encoded(quarters().convert("LA"), "PNG"), ("grey", "alpha"), False),
    "CMYK": (lambda: jpeg(quarters().convert("CMYK")), ("CMYK",), False),
    "RGBA": (lambda: encoded(quarters().convert("RGBA"), "PNG"), ("alpha",), False),
    "transparent colour": (rgb_with_one_transparent_colour, ("alpha",), False),
    "palette": (lambda: encoded(quarters().quantize(8), "PNG"), ("palette",), False),
    "transparent palette": (palette_with_several_transparent_colours, ("palette", "alpha"), False),
    "16-bit grey": (lambda: encoded(sixteen_bit_grey(), "PNG"), ("grey", "16-bit"), False),
    "16-bit grey TIFF": (lambda: encoded(sixteen_bit_grey(), "TIFF"), ("TIFF", "grey", "16-bit"), False),
    "16-bit colour": (sixteen_bit_colour, ("16-bit",), False),
    "HEIC": (heic, ("HEIC",), False),
    "BMP": (lambda: encoded(quarters(), "BMP"), ("BMP",), False),
    "GIF": (lambda: encoded(quarters(), "GIF"), ("GIF", "palette"), False),
    "WebP": (lambda: encoded(quarters(), "WEBP", lossless=True), ("WebP",), False),
    "bytes after the end": (lambda: jpeg() + b"\0\0", ("JPEG end marker not last",), False),
}


@pytest.mark.parametrize("kind", CONVERTED)
def test_every_pixel_format_is_used_converted_and_noted(kind):
    make, notes, plain = CONVERTED[kind]
    data = make()
    header = verify(data)
    assert (header.notes, header.plain) == (notes, plain)
    grey = "grey" in notes
    expected = as_bgr(quarters().convert("1" if kind == "bilevel" else "L")) if grey else as_bgr(quarters())
    assert close(decode(data), expected, 10)


def test_the_first_of_several_frames_is_used():
    other = Image.new("RGB", (WIDTH, HEIGHT), "black")
    data = encoded(quarters(), "GIF", save_all=True, append_images=[other])
    assert "several frames, first used" in read_header(data).notes
    assert close(decode(data), as_bgr(quarters()))


def test_a_large_photo_is_used_and_noted():
    data = encoded(Image.new("RGB", (12_000, 12), RED), "PNG")
    assert read_header(data).notes == ("over 8,192 px a side",)
    assert decode(data).shape == (12, 12_000, 3)


def test_180_megapixels_are_read_without_a_warning():
    data = png_header(18_000, 10_100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_header(data).width == 18_000


@pytest.mark.parametrize(("width", "height"), [(20_000, 10_001), (30_000, 30_000), (2_000_000, 200)])
def test_over_200_megapixels_is_refused_by_the_header(width, height):
    for function in (read_header, verify, decode):
        with pytest.raises(InputError, match="over 200 megapixels"):
            function(png_header(width, height))


@pytest.mark.parametrize("size", [(1, 1), (9, 400), (400, 9)])
def test_below_ten_pixels_a_side_is_refused(size):
    with pytest.raises(InputError, match="smaller than 10 px a side"):
        read_header(encoded(Image.new("RGB", size), "PNG"))
    assert read_header(encoded(Image.new("RGB", (10, 10)), "PNG")).width == 10


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"this is text, whatever its name says", "not a photo"),
        (b"%PDF-1.7", "not a photo"),
        (b"\xff\xd8\xff\xe0", "not a photo|damaged"),
        (b"\0" * 5000, "not a photo"),
    ],
)
def test_what_is_no_photo_is_refused(data, reason):
    for function in (read_header, verify, decode):
        with pytest.raises(InputError, match=reason) as caught:
            function(data)
        assert caught.value.remedy


WHOLE = {
    "JPEG": jpeg(quarters(320, 200)),
    "progressive": jpeg(quarters(320, 200), progressive=True),
    "PNG": encoded(quarters(320, 200), "PNG"),
    "WEBP": encoded(quarters(320, 200), "WEBP"),
    "BMP": encoded(quarters(320, 200), "BMP"),
    "TIFF": encoded(quarters(320, 200), "TIFF"),
    "HEIC": heic(),
}


@pytest.mark.parametrize("kind", WHOLE)
@given(share=st.floats(0.02, 0.97))
def test_a_truncated_photo_is_refused_wherever_it_ends(kind, share):
    data = WHOLE[kind]
    cut = data[: int(len(data) * share)]
    for function in (verify, decode):
        with pytest.raises(InputError, match=r"truncated or damaged|header is damaged"):
            function(cut)


@pytest.mark.parametrize("kind", WHOLE)
@given(data=st.data())
def test_damaged_bytes_never_raise_anything_but_an_input_error(kind, data):
    whole = bytearray(WHOLE[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, min(len(whole), 600) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels = decode(bytes(whole))
    except InputError:
        return
    header = read_header(bytes(whole))
    assert pixels.shape == (header.height, header.width, 3)


def test_a_damaged_png_that_claims_to_be_whole_is_refused():
    with pytest.raises(InputError, match="truncated or damaged"):
        decode(png_header(64, 64))


def test_a_png_damaged_in_its_last_rows_is_refused_though_a_decoder_would_show_noise_there():
    pixels = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    data = cv2.imencode(".png", pixels)[1].tobytes()
    assert (decode(data) == pixels).all()
    for before_the_end in range(24, 600, 8):
        damaged = bytearray(data)
        damaged[-before_the_end] ^= 0x10
        for read in (verify, decode):
            with pytest.raises(InputError, match="truncated or damaged"):
                read(bytes(damaged))


def test_32_bit_pixels_are_refused():
    with pytest.raises(InputError, match="32-bit"):
        verify(encoded(Image.new("F", (20, 20)), "TIFF"))


@pytest.mark.parametrize(
    ("block", "orientation"),
    [
        (exif(6).tobytes(), 6),
        (b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0", 8),
        (b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x09\0\0\0\0\0\0", 1),
        (b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x01\0\x08\0\0\0\0\0\0", 1),
        (b"Exif\0\0MM\0*\xff\xff\xff\xff", 1),
        (b"Exif\0\0MM\0*", 1),
        (b"Exif\0\0nonsense, and no directory at all", 1),
        (exif(6).tobytes()[:16], 1),
    ],
)
def test_a_broken_exif_block_means_upright(block, orientation):
    assert read_header(jpeg(exif=block)).orientation == orientation


def test_an_upright_heic_stays_upright_whatever_its_exif_says():
    pillow_heif.register_heif_opener()
    data = encoded(quarters(), "HEIF", quality=95, exif=exif(6).tobytes())
    with Image.open(io.BytesIO(data)) as image:
        expected = as_bgr(image)
    header = read_header(data)
    assert (header.height, header.width) == expected.shape[:2]
    assert close(decode(data), expected, 1)


def test_a_missing_file_and_a_folder_are_input_errors(tmp_path):
    for function in (read_header, verify, decode):
        with pytest.raises(InputError, match="not there"):
            function(tmp_path / "gone.jpg")
        with pytest.raises(InputError, match="not a regular file"):
            function(Path(tmp_path))


def test_a_pipe_under_a_photos_name_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for look in (read_header, verify, decode):
        with pytest.raises(InputError, match="not a regular file"):
            look(tmp_path / "pipe.jpg")


def test_a_broken_photo_installs_nothing_though_ultralytics_is_in_the_process(tmp_path):
    """It replaces `PIL.Image.open` with one that installs a package when it meets a broken photo."""
    (tmp_path / "broken.jpg").write_bytes(b"no photo at all")
    program = (
        "import sys; from pathlib import Path\n"
        "from wreckognize.detectors.ultralytics import import_library; import_library()\n"
        "import PIL.Image; from ultralytics.utils import patches; PIL.Image.open = patches.image_open\n"
        "from wreckognize.errors import InputError; from wreckognize import images\n"
        "try: images.read_header(Path(sys.argv[1]))\n"
        "except InputError as error: print(error.reason)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "broken.jpg")], capture_output=True, text=True, timeout=120
    )
    assert "not a photo" in done.stdout, done.stderr
