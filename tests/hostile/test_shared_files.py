"""What leaves the house: report, pages of audit and search, review exports, bundles and annotated copies of a real run.

It is made of photos full of secrets and hostile names.

Planted: owner, serial number, place, maker's note, thumbnail, XMP, IPTC, colour profile, comment and what follows the
end of the picture, in every photo; user, host and folder names that nothing else has. Looked for: all of them, in every
byte.
"""

from __future__ import annotations

import base64
import html.parser
import io
import json
import os
import re
import socket
import subprocess
import sys
import zlib
from importlib.util import find_spec
from pathlib import Path

import pillow_heif
import polars as pl
import pytest
import yaml
from PIL import Image, PngImagePlugin
from studies import BACKGROUND, DAMAGED, NORMAL, WHOLE, write_study

from wreckognize.images import decode
from wreckognize.review.metadata import without_metadata

pytestmark = pytest.mark.slow

MARK = "ZQXSECRET"
"""The beginning of everything that was planted; long enough not to stand in compressed data by chance."""
EVIL = (
    '{:02}"><img src=x onerror="document.title=\'ZRAN\'">.jpg',
    "{:02}<svg onload=document.title='ZRAN'>.jpg",
    "{:02}' onmouseover='document.title=1' x='.jpg",
    "{:02}]]><script>document.title='ZRAN'<script>.jpg",
    "=1+1;{:02}\u202egpj.jpg",
    "{:02}\n<iframe src=javascript:document.title='ZRAN'>.jpg",
)


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def exif() -> bytes:
    block = Image.Exif()
    block[0x013B], block[0x010F], block[0x8298] = f"{MARK}ARTIST", f"{MARK}MAKER", f"{MARK}COPYRIGHT"
    private = block.get_ifd(0x8769)
    private[0xA430], private[0xA431] = f"{MARK}OWNER", f"{MARK}SERIAL"
    private[0x927C], private[0x9286] = f"{MARK}MAKERNOTE".encode(), f"ASCII\0\0\0{MARK}USER".encode()
    place = block.get_ifd(0x8825)
    place[1], place[2], place[0x1C] = "N", (52.0, 31.0, 7.0), f"ASCII\0\0\0{MARK}PLACE".encode()
    return block.tobytes()


def full_of_secrets(photo: Path) -> None:
    """A JPEG with all that cameras and programs leave in one."""
    data = photo.read_bytes()
    thumbnail = segment(0xE1, b"Exif\0\0" + f"{MARK}THUMBNAIL".encode() + b"\xff\xd8\xff\xd9")
    planted = segment(0xE1, exif()) + thumbnail
    planted += segment(0xE1, f"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>{MARK}XMP</x:xmpmeta>".encode())
    planted += segment(0xE2, f"ICC_PROFILE\0\1\1{MARK}DEVICE".encode())
    planted += segment(0xED, f"Photoshop 3.0\0{MARK}IPTC".encode()) + segment(0xFE, f"{MARK}COMMENT".encode())
    photo.write_bytes(data[:2] + planted + data[2:] + f"{MARK}TRAILER".encode() + b"\xff\xd9")


def in_another_format(photo: Path, suffix: str) -> None:
    pillow_heif.register_heif_opener()
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", f"{MARK}AUTHOR")
    text.add_itxt("XML:com.adobe.xmp", f"{MARK}XMP")
    text.add_text("Comment", f"{MARK}ZTXT", zip=True)
    options = {"pnginfo": text, "icc_profile": f"{MARK}DEVICE".encode()} if suffix == ".png" else {}
    with Image.open(photo) as image:
        image.load()
        bare = Image.frombytes(image.mode, image.size, image.tobytes())
        bare.save(photo.with_suffix(suffix), exif=exif(), **options)
    photo.unlink()


def in_a_house_of_its_own() -> list[str]:
    """A command that gives what it runs another host name, where this system lets us."""
    command = ["unshare", "--uts", "sh", "-c", f'hostname {MARK}HOST && exec "$@"', "sh"]
    try:
        return (
            command if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0 else []
        )
    except FileNotFoundError:
        return []


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_weights) -> Path:
    """The folder of a finished run with three review exports."""
    home = tmp_path_factory.mktemp("home") / f"{MARK}USER"
    folder = home / f"{MARK}FOLDER"
    file = write_study(
        folder,
        tiny_weights,
        notice="<script>document.title='ZRAN'</script>",
        evidence={"draws": 200, "shortcuts": False},
        search={"system": "ver6", "trials": 1, "space": {"train.lr0": [1e-3, 1e-2]}},
    )
    for photo in sorted(folder.rglob("*.jpg")):
        full_of_secrets(photo)
    for number, photo in enumerate(sorted((folder / "normal").iterdir())):
        match number:
            case 0 | 1:
                in_another_format(photo, ".png")
            case 2:
                in_another_format(photo, ".heic")
            case 3:
                in_another_format(photo, ".tif")
            case _:
                photo.rename(photo.with_name(EVIL[number % len(EVIL)].format(number)))
    (folder / "normal" / "\"><b>broken<img src=x onerror=document.title='ZRAN'>.jpg").write_bytes(b"not a photo")
    study = yaml.safe_load(file.read_text())
    next(source for source in study["sources"] if source["name"] == "normal").update(max_failed=0.5, split="test")
    file.write_text(yaml.safe_dump(study))
    environment = {**os.environ, "HOME": str(home), "USER": f"{MARK}USER", "LOGNAME": f"{MARK}USER"}
    program = [*in_a_house_of_its_own(), sys.executable, "-c", COMMANDS]
    commands = [["run", str(file), "--out", "run"]]
    commands += [["audit", str(file), "--out", "run", "--folds", "2", "--epochs", "1"]]
    commands += [["search", str(file), "--out", "run"]] if "search" in PAGES else []
    commands += [["review", "export", str(file), "--out", "run", "--to", tool] for tool in TOOLS]
    for kind in BUNDLES:
        commands += [["export", "run/systems/baseline", "--to", kind, "--out", f"run/bundles/{kind}", "--force"]]
    looked = ["predict", f"run/bundles/{BUNDLES[0]}", "aihub", "coco", "--annotate", "run/annotated"]
    commands += [[*looked, "--out", "predictions.jsonl"]]
    ended = subprocess.run(
        [*program, json.dumps(commands)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return folder / "run"


COMMANDS = """
import json, sys
from wreckognize.cli import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["wreckognize", *words]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""
"""One process for all: half of the time of such short commands is their start."""
TOOLS = ("label-studio", "coco", "yolo")
BUNDLES = ("safetensors", *(("onnx", "openvino") if find_spec("onnx") and find_spec("openvino") else ()))
FOLDERS = ("report", "review", "bundles", "annotated")
PAGES = {"audit": "audit/*/*", **({"search": "search/*"} if find_spec("optuna") else {})}
"""Of these the pages and tables are handed on, not what lies in the folders below: trials, and their logs."""


def files_for_others(run: Path) -> list[Path]:
    """What docs/run-folder.md says is safe to hand on."""
    found = [path for name in FOLDERS for path in sorted((run / name).rglob("*"))]
    for pattern in (*PAGES.values(), "systems/*/weights/*"):
        found += sorted(run.glob(pattern))
    return [path for path in found if path.is_file()]


def secrets() -> list[str]:
    names = [MARK]
    if len(socket.gethostname()) > 5 and not in_a_house_of_its_own():
        names.append(socket.gethostname())
    return names


def spelt(word: str) -> list[bytes]:
    return [word.encode(), word.lower().encode(), word.encode("utf-16-le"), word.encode("utf-16-be")]


def pictures_in(page: str) -> list[bytes]:
    return [base64.b64decode(data) for data in re.findall(r"data:image/[a-z]+;base64,([A-Za-z0-9+/=]+)", page)]


def markers(jpeg: bytes) -> list[int]:
    """The segments of a JPEG before its first scan."""
    found, place = [], 2
    while jpeg[place] == 0xFF and jpeg[place + 1] != 0xDA:
        found.append(jpeg[place + 1])
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
    return found


def chunks(png: bytes) -> dict[bytes, bytes]:
    found, place = {}, 8
    while place < len(png):
        end = place + 12 + int.from_bytes(png[place : place + 4], "big")
        found[png[place + 4 : place + 8]] = png[place + 8 : end - 4]
        place = end
    return found


def assert_bare(data: bytes, name: str) -> None:
    """A picture and nothing else; what our own plots say of the program that drew them is no secret."""
    if data.startswith(b"\xff\xd8"):
        assert not set(markers(data)) & {*range(0xE1, 0xEE), 0xEF, 0xFE}, name
        assert data.endswith(b"\xff\xd9")
        assert data.count(b"\xff\xd9") == 1
    else:
        assert data.startswith(b"\x89PNG"), name
        found = chunks(data)
        assert not set(found) & {b"eXIf", b"iTXt", b"zTXt", b"iCCP", b"tIME"}, name
        assert found.get(b"tEXt", b"Software\0Matplotlib").startswith(b"Software\0Matplotlib"), name


def test_the_secrets_are_in_the_photos(run):
    data = b"".join(path.read_bytes() for path in run.parent.rglob("*") if path.suffix in (".jpg", ".png"))
    for word in (
        "ARTIST",
        "OWNER",
        "SERIAL",
        "MAKERNOTE",
        "PLACE",
        "THUMBNAIL",
        "XMP",
        "DEVICE",
        "IPTC",
        "COMMENT",
    ):
        assert f"{MARK}{word}".encode() in data


def test_no_byte_of_what_is_shared_holds_a_secret(run):
    shared = files_for_others(run)
    assert len(shared) > 100
    assert {path.relative_to(run).parts[0] for path in shared} == {*FOLDERS, *PAGES, "systems"}
    for path in shared:
        texts = [path.read_bytes(), str(path.relative_to(run)).encode()]
        if path.suffix == ".html":
            inside = pictures_in(path.read_text(encoding="utf-8"))
            assert len(inside) > 20 or path.parent.name == "search"
            texts += inside
        if path.suffix == ".parquet":  # compressed as it lies there
            texts += [pl.read_parquet(path).write_json().encode()]
        if path.suffix == ".png":
            texts += [zlib.decompress(chunks(texts[0])[b"IDAT"]) if path.parent.name != "figures" else b""]
        for word in secrets():
            for spelling in spelt(word):
                assert not any(spelling in text for text in texts), (path, spelling)


def test_every_picture_that_is_shared_is_a_picture_alone(run):
    counted = 0
    for path in files_for_others(run):
        if path.suffix in (".jpg", ".png"):
            assert_bare(path.read_bytes(), path.name)
            counted += 1
        if path.suffix == ".html":
            for data in pictures_in(path.read_text(encoding="utf-8")):
                assert_bare(data, path.name)
                counted += 1
    assert counted > 150


def test_no_absolute_path_stands_in_what_is_shared(run):
    for path in files_for_others(run):
        if path.suffix in (".html", ".json", ".csv", ".md", ".txt", ".yaml", ".xml", ".parquet"):
            text = pl.read_parquet(path).write_json() if path.suffix == ".parquet" else path.read_text("utf-8")
            text = re.sub(r"data:image/[^\"]+", "", text)
            assert str(run.parent) not in text
            assert not re.search(r"(?<![\w/:.])/(?:home|tmp|root|Users|mnt|var)/", text), path


def test_copies_for_reviewers_show_the_same_pixels(run):
    originals = {path.read_bytes(): path for path in run.parent.rglob("*.jpg") if run not in path.parents}
    copies = sorted((run / "review" / "coco" / "images").iterdir())
    assert len(copies) == DAMAGED + NORMAL + BACKGROUND + WHOLE
    seen = {decode(copy).tobytes() for copy in copies}
    plain = [decode(path).tobytes() for data, path in originals.items() if without_metadata(data)]
    assert len(plain) > 40
    assert sum(pixels in seen for pixels in plain) == len(plain)


class Active(html.parser.HTMLParser):
    """What of a page would do something by itself, or speak to anybody; and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found, self.text = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        if tag in ("script", "iframe", "frame", "object", "embed", "applet", "base", "form", "foreignobject"):
            self.found.append(f"<{tag}>")
        for name, value in attributes:
            text = (value or "").translate(dict.fromkeys(range(33))).lower()
            acts = name.startswith("on") or name in ("srcdoc", "formaction", "ping")
            acts |= name == "http-equiv" and text != "content-security-policy"
            acts |= name == "style" and "url(" in text
            acts |= name in ADDRESSES and re.match(r"(?!data:image/)[a-z][a-z0-9+.-]*:|//", text) is not None
            if acts:
                self.found.append(f"<{tag} {name}={value!r}>")

    def handle_data(self, data):
        self.text.append(data)


ADDRESSES = ("href", "src", "srcset", "xlink:href", "action", "data", "poster", "background")


ACTING = """
<script>1</script>
<p onclick=x>
<SVG/onload=x>
<a href=' java\tscript:x'>
<a href='data:text/html,x'>
<a style='background:url(//a)'>
<img src=x onerror=x>
<img src=https://a/b.png>
<img src=//a/b.png>
<iframe src=a>
<meta http-equiv=refresh>
"""


@pytest.mark.parametrize("page", ACTING.split("\n")[1:-1])
def test_the_reader_of_pages_sees_what_acts(page):
    """Else finding nothing would prove nothing."""
    assert Active(page).found


def test_no_file_name_becomes_anything_that_acts(run):
    pages = [path for path in files_for_others(run) if path.suffix in (".html", ".svg")]
    assert {path.relative_to(run).parts[0] for path in pages} >= {"report", *PAGES}
    for path in pages:
        page = Active(path.read_text(encoding="utf-8"))
        assert page.found == [], path
        if path.suffix == ".html" and path.parent.name != "search":
            text = "".join(page.text)
            assert "onerror=" in text, "the names must be on the page for this to show anything"
            assert "\\u202e" in text


def browser():
    """A page of the Chromium that is there; none is downloaded."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = next((path for path in map(Path, CHROMIUMS) if path.exists()), None)
    if program is None:
        pytest.skip(f"no Chromium at hand ({', '.join(CHROMIUMS)})")
    return playwright, program


CHROMIUMS = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")


def test_no_script_from_a_file_name_runs_in_the_report(run):
    playwright, program = browser()
    said, asked = [], []
    with playwright.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=str(program), args=["--no-sandbox"])
        try:
            page = chromium.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
            page.on("request", lambda request: asked.append(request.url))
            page.goto((run / "report" / "index.html").as_uri(), timeout=60_000)
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            page.mouse.wheel(0, 5000)
            title, text = page.title(), page.inner_text("body")
            planted = page.evaluate(
                "document.querySelectorAll('script, iframe, img[src=x], [onerror], [onload]').length"
            )
        finally:
            chromium.close()
    assert "onerror=" in text, "the names must be on the page for this to show anything"
    assert "ZRAN" not in title
    assert planted == 0
    assert said == []
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}
    assert sum(url.startswith("file:") for url in asked) == 1
    assert "\\u202e" in text


def test_metadata_goes_and_no_pixel_changes():
    """Of every usual way to store a JPEG; what cannot be followed is not guessed at."""
    pixels = Image.effect_noise((65, 43), 60).convert("RGB")
    for options in (
        {},
        {"progressive": True},
        {"subsampling": 0},
        {"optimize": True},
        {"restart_marker_blocks": 2},
    ):
        buffer = io.BytesIO()
        pixels.save(buffer, "JPEG", exif=exif(), comment=f"{MARK}C", icc_profile=f"{MARK}D".encode(), **options)
        bare = without_metadata(buffer.getvalue() + b"trailer")
        assert bare is not None
        assert MARK.encode() not in bare
        assert (decode(bare) == decode(buffer.getvalue())).all()
        for cut in range(2, len(bare), 97):
            assert without_metadata(bare[:cut]) is None
    assert without_metadata(b"GIF89a") is None
