"""Small files that stand for much: pixels, scans, nesting, aliases, digits."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from wreckognize import imagefile, images
from wreckognize.collect.aihub_label import read_label
from wreckognize.collect.cocofile import load
from wreckognize.collect.ledger import Ledger
from wreckognize.errors import InputError, StudyError, UsageError, WreckognizeError
from wreckognize.review import coco, labelstudio, yolo
from wreckognize.review.manifest import Manifest
from wreckognize.study.reader import MAX_VALUES, parse_document

pytestmark = pytest.mark.usefixtures("in_time")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def small(mode: str = "RGB") -> Image.Image:
    return Image.fromarray(np.arange(64 * 40 * 3, dtype=np.uint8).reshape(40, 64, 3)).convert(mode)


def replaced(data: bytes, before: bytes, after: bytes) -> bytes:
    assert before in data
    return data.replace(before, after)


SIDE = 15_000  # a side: 225 megapixels


def declared() -> dict[str, bytes]:
    """Photos of a few bytes whose headers say 225 megapixels, in every format."""
    big = struct.pack(">HH", SIDE, SIDE)
    little = struct.pack("<HH", SIDE, SIDE)
    webp = encoded(small(), "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0")  # with the extended header
    place = webp.index(b"VP8X") + 12
    canvas = (SIDE - 1).to_bytes(3, "little") * 2
    boxes = struct.pack(">II", 64, 40), struct.pack(">II", SIDE, SIDE)
    return {
        "JPEG": replaced(encoded(small(), "JPEG"), struct.pack(">HH", 40, 64), big),
        "GIF": replaced(encoded(small("P"), "GIF"), struct.pack("<HH", 64, 40), little),
        "BMP": replaced(encoded(small(), "BMP"), struct.pack("<ii", 64, 40), struct.pack("<ii", SIDE, SIDE)),
        "TIFF": encoded(small(), "TIFF")
        .replace(struct.pack("<HHII", 256, 4, 1, 64), struct.pack("<HHII", 256, 4, 1, SIDE))
        .replace(struct.pack("<HHII", 257, 4, 1, 40), struct.pack("<HHII", 257, 4, 1, SIDE)),
        "WebP": webp[:place] + canvas + webp[place + 6 :],
        "HEIC": replaced(encoded(small(), "HEIF"), *boxes),
        "AVIF": replaced(encoded(small(), "AVIF"), *boxes),
    }


@pytest.mark.parametrize("kind", declared())
def test_a_header_that_says_too_many_pixels_is_refused_before_any_is_decoded(kind, monkeypatch):
    monkeypatch.setattr(imagefile, "load", None)
    data = declared()[kind]
    assert len(data) < 10_000
    for look in (images.read_header, images.verify, images.decode):
        with pytest.raises(InputError, match=r"over 200 megapixels|truncated or damaged|header is damaged"):
            look(data)


def test_a_real_bomb_is_decoded_alone_and_within_memory(tmp_path, make_png):
    """180 million pixels from 180 kilobytes, on eight threads at once: never two at a time."""
    side = 13_400
    (tmp_path / "bomb.png").write_bytes(make_png(side, side, bytes((side + 1) * side)))
    assert (tmp_path / "bomb.png").stat().st_size < 200_000
    program = (
        "import sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from pathlib import Path\n"
        "from wreckognize.images import verify\n"
        "data = Path(sys.argv[1]).read_bytes()\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    assert len({header.width for header in pool.map(verify, [data] * 4)}) == 1\n"
        "status = dict(line.split(':', 1) for line in Path('/proc/self/status').read_text().splitlines())\n"
        "print(status['VmHWM'].split()[0])\n"  # what this program took; ru_maxrss also counts what forked it
    )
    command = [sys.executable, "-c", program, str(tmp_path / "bomb.png")]
    kilobytes = int(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
    assert kilobytes < 600_000


def test_large_photos_are_decoded_one_at_a_time(monkeypatch):
    running, most, lock = [0], [0], threading.Lock()
    load = imagefile.load

    def slow(image: Image.Image) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        load(image)
        with lock:
            running[0] -= 1

    monkeypatch.setattr(imagefile, "load", slow)
    data = encoded(small("CMYK"), "JPEG")
    for limit, at_once in ((10, 1), (10_000, 4)):
        monkeypatch.setattr(imagefile, "_LARGE_PIXELS", limit)
        most[0] = 0
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(images.decode, [data] * 12))
            list(pool.map(images.verify, [data] * 12))
        assert (most[0] == 1) == (at_once == 1)


def scans(count: int) -> bytes:
    """A progressive JPEG whose last scan, of a few bytes, is there again and again."""
    data = encoded(Image.new("RGB", (800, 600), (90, 120, 30)), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + b"\xff\xd9"


def test_a_jpeg_of_thousands_of_scans_is_refused():
    for look in (images.verify, images.decode):
        with pytest.raises(InputError, match="over 100 scans"):
            look(scans(5000))


def test_usual_progressive_photos_and_scans_in_what_follows_are_used():
    # Some tools repeat a scan; a phone puts a film behind the photo, in which the two bytes stand for nothing.
    assert images.verify(scans(20)).width == 800
    assert images.verify(scans(0) + b"\xff\xda\0\x0c" * 500).width == 800


@pytest.mark.parametrize("kind", [b"IDAT", b"PLTE", b"fdAT", b"tEXt", b"IEND"])
@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
def test_a_png_with_a_part_longer_than_the_file_never_reaches_a_decoder(kind, before, monkeypatch):
    """OpenCV makes room for what a part says before it reads it: a gigabyte for these 300 bytes."""
    png = encoded(small(), "PNG")
    assert images.decode(png).shape == (40, 64, 3)
    place = png.index(before) - 4
    monkeypatch.setattr(images.cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(InputError):
        images.decode(png[:place] + struct.pack(">I4s", 2**30, kind) + png[place:])


def test_a_png_that_unpacks_without_end_is_refused(make_png):
    """A text chunk of 100 MB in 100 KB, and image data that goes on after the last row."""
    with pytest.raises(InputError):
        images.verify(make_png(64, 40, b"\0")[:-12])
    images.verify(make_png(64, 40, bytes(100_000_000)))  # what lies beyond the last row is not unpacked


DEEP = 200_000


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"annotations":['])
def test_json_nested_without_end_is_refused(tmp_path, opening):
    deep = opening * DEEP
    assert read_label(deep).error
    assert read_label(b'{"annotations": [], "images": ' + deep).error
    (tmp_path / "instances.json").write_bytes(b'{"images": ' + deep)
    with pytest.raises(UsageError):
        load(tmp_path / "instances.json", Ledger("s"))
    manifest = Manifest(study="s", tool="coco", system="ver6", photos=())
    with pytest.raises(UsageError):
        labelstudio.read(deep, where="f", sizes={})
    with pytest.raises(UsageError):
        coco.read(b'{"info": ' + deep, manifest, where="f", looked_at=None)


def laughs(key: str) -> str:
    """Ten aliases of ten aliases, ten times over: 10^10 words if they are written out."""
    lines = [f"a0: &a0 [{', '.join(['word'] * 10)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join([*lines, f"{key}: *a9"])


STUDIES = {
    "aliases": laughs("systems"),
    "an alias of itself": "study: &a [*a]\n",
    "deep": "study: " + "[" * 10_000,
    "deep blocks": "\n".join(f"{' ' * n}a:" for n in range(1000)),
    "a million keys": "\n".join(f"k{n}: 1" for n in range(1_000_000))[:999_000],
    "a long list": "study: [" + "1," * 300_000 + "]",
    "digits": "seed: " + "9" * 500_000,
    "hexadecimal": "seed: 0x" + "f" * 500_000,
    "base 60": "seed: 1" + ":59" * 300_000,
    "base 60, a float": "seed: 1" + ":59" * 300_000 + ".5",
    "a tag": "study: !!python/object/apply:os.system ['touch /tmp/planted']",
    "a tag that is unknown": "study: !hostile {a: 1}",
    "binary": "study: !!binary aGVsbG8=",
    "a set": "study: !!set {a, b}",
    "merged without end": "a: &a {<<: *a}",
    "not a mapping": "- a\n- b",
    "NUL": "study: a\0b",
    "infinite": "seed: .inf\nstudy: .nan\nsources: {}\nsystems: []",
}


@pytest.mark.parametrize("name", STUDIES)
def test_a_hostile_study_is_refused_in_words(tmp_path, name):
    from wreckognize.study import Study

    file = tmp_path / "study.yaml"
    file.write_text(STUDIES[name], encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        Study.load(file)
    assert len(str(caught.value)) < 20_000
    assert not Path("/tmp/planted").exists()


def test_the_limit_of_values_leaves_room_for_real_studies():
    systems = "\n".join(f"  s{n}: {{recipe: ver6, train: {{epochs: {n}}}}}" for n in range(MAX_VALUES // 20))
    assert parse_document(f"systems:\n{systems}", "f").problems == ()


@pytest.mark.parametrize(
    "text", [laughs("names"), "names: !!python/object/apply:os.system [ls]", "names: {0: vehicle", "names: {1.5: a}",
             "names: {? [a] : b}", "[" * 5000, "names: {99999999999: vehicle}", "a: 2001-99-99", "- a", "",
             "names: 5"]
)  # fmt: skip
def test_a_hostile_data_yaml_of_a_review_is_refused(text):
    with pytest.raises(UsageError):
        yolo.read_names(text, where="data.yaml")
    yolo.read_study(text)


def test_a_huge_number_from_python_is_a_problem_and_no_crash():
    from wreckognize.study import Study

    with pytest.raises(WreckognizeError):
        Study.from_mapping({"study": "s", "seed": 10**6000, "sources": [], "systems": {}})


def test_numbers_beyond_all_sizes_in_labels_are_refused_or_left_out():
    for number in ("1e400", "-1e400", "9" * 5000, "1e308", "NaN", "Infinity"):
        reading = read_label(
            f'{{"annotations": [{{"bbox": [0, 0, {number}, 5], "damage": "Dent"}}]}}'.encode(),
        )
        json.dumps([reading.error, reading.boxes])
