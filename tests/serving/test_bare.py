"""Photos without what is hidden in their files: the pixels stay, the rest goes."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from wreckognize.errors import InputError
from wreckognize.images import decode, read_header
from wreckognize.serving.bare import without_metadata

SECRETS = (b"Jane Owner", b"Secretcam", b"37.5665", b"a comment", b"xpacket", b"trailing secret")


def pixels(seed=1, size=(67, 45), mode="RGB"):
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


def secret_exif(orientation=1):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Secretcam"
    exif[0xA430] = "Jane Owner"
    exif.get_ifd(0x8825).update({1: "N", 2: (37.0, 33.0, 59.0), 29: "37.5665"})
    return exif


def saved(image, file_format, **options):
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def assert_bare(data, suffix):
    bare = without_metadata(data)
    assert bare.suffix == suffix
    assert np.array_equal(decode(bare.data), decode(data))
    header = read_header(data)
    assert (bare.width, bare.height) == (header.width, header.height)
    assert not [secret for secret in SECRETS if secret in bare.data]
    with Image.open(io.BytesIO(bare.data)) as image:
        assert set(image.getexif()) <= {0x0112}
        assert not {"comment", "photoshop", "xmp", "XML:com.adobe.xmp", "Title"} & set(image.info)
    assert without_metadata(bare.data).data == bare.data, "nothing is left to take away"
    return bare.data


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "restart_marker_blocks": 2}])
def test_a_jpeg_keeps_its_compressed_data_and_orientation(orientation, options):
    data = saved(
        pixels(),
        "JPEG",
        quality=80,
        exif=secret_exif(orientation),
        comment="a comment",
        xmp=b"<?xpacket?>",
        **options,
    )
    data += b"trailing secret"
    assert all(secret in data for secret in SECRETS)
    bare = assert_bare(data, ".jpg")
    assert read_header(bare).orientation == orientation
    scan = data[data.index(b"\xff\xda") : data.rindex(b"\xff\xd9")]
    assert scan in bare, "no pixel was compressed again"


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colours_of_jpeg(mode):
    assert_bare(saved(pixels(mode=mode), "JPEG", exif=secret_exif(6)), ".jpg")


def test_the_colour_profile_stays():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    bare = assert_bare(saved(pixels(), "JPEG", icc_profile=profile, exif=secret_exif()), ".jpg")
    assert Image.open(io.BytesIO(bare)).info["icc_profile"] == profile


def test_a_second_picture_in_the_file_goes():
    data = saved(pixels(1), "MPO", save_all=True, append_images=[pixels(2)])
    assert data.count(b"\xff\xd8\xff") > 1
    assert assert_bare(data, ".jpg").count(b"\xff\xd8\xff") == 1


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_png_keeps_its_compressed_data(mode, orientation):
    words = PngImagePlugin.PngInfo()
    words.add_text("Author", "Jane Owner")
    words.add_itxt("Title", "a comment", zip=False)
    data = saved(pixels(mode=mode), "PNG", pnginfo=words, exif=secret_exif(orientation)) + b"trailing secret"
    bare = assert_bare(data, ".png")
    assert read_header(bare).orientation == orientation


@pytest.mark.parametrize("file_format", ["WEBP", "TIFF", "BMP", "GIF", "HEIF", "AVIF"])
def test_other_formats_become_png_without_loss(file_format):
    read_header(saved(pixels(), "PNG"))  # so that Pillow knows HEIC
    options = {} if file_format in ("BMP", "GIF") else {"exif": secret_exif(6)}
    assert_bare(saved(pixels(), file_format, **options), ".png")


@given(st.data())
def test_whatever_is_damaged_is_refused_or_shows_the_same(data):
    whole = saved(pixels(), data.draw(st.sampled_from(["JPEG", "PNG"])), exif=secret_exif(3))
    spoiled = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=6)):
        spoiled[place] = data.draw(st.integers(0, 255))
    cut = bytes(spoiled[: data.draw(st.integers(0, len(whole)))])
    try:
        shown = decode(cut)
    except InputError:
        with pytest.raises(InputError):
            without_metadata(cut)
        return
    assert np.array_equal(decode(without_metadata(cut).data), shown)
