"""The page's files: whole, cached, harmless; every word in both languages; colours that can be read."""

import asyncio
import re
from itertools import product
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

import wreckognize.serving
from wreckognize.serving.page import page_routes, read_page

FOLDER = Path(wreckognize.serving.__file__).parent / "page"
WORD = re.compile(r"^  (\w+):\s*(.*?)(?=^  \w+:|^\};)", re.S | re.M)


class Client:
    """Asks the page's routes without a network."""

    def __init__(self):
        self.app = Starlette(routes=page_routes())

    def ask(self, method, path, **options):
        async def one():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
                return await client.request(method, path, **options)

        return asyncio.run(one())

    def get(self, path, **options):
        return self.ask("GET", path, **options)


@pytest.fixture(scope="module")
def client():
    return Client()


def test_every_file_is_served_with_its_type_and_asked_for_again(client):
    index = client.get("/")
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    assert index.headers["cache-control"] == "no-cache"
    names = {path.name for path in FOLDER.iterdir()}
    assert names == set(read_page())
    for name in names - {"index.html"}:
        answer = client.get(f"/page/{name}")
        kind = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}[Path(name).suffix]
        assert answer.headers["content-type"].startswith(kind)
        assert answer.content == (FOLDER / name).read_bytes()
        tag = answer.headers["etag"]
        for given in (tag, f'"other", W/{tag}', "*"):
            again = client.get(f"/page/{name}", headers={"If-None-Match": given})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert client.get(f"/page/{name}", headers={"If-None-Match": '"other"'}).status_code == 200
        assert client.ask("HEAD", f"/page/{name}").headers["etag"] == tag
    for path in ("/page/", "/page/none.js", "/page/../page.py", "/page/%2e%2e/page.py"):
        assert client.get(path).status_code == 404


def test_the_page_needs_no_other_host_and_runs_nothing_inline():
    html = (FOLDER / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", html)
    for name in read_page():
        text = (FOLDER / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn|@import|innerHTML|outerHTML|insertAdjacentHTML|eval\(", text), name
    imported = {
        name
        for text in ((FOLDER / name).read_text() for name in read_page())
        for name in re.findall(r'from "\./([\w.]+)"', text)
    }
    assert imported <= set(read_page())


def words(language):
    found = dict(WORD.findall((FOLDER / f"words.{language}.js").read_text()))
    assert len(found) > 100
    return found


def test_both_languages_have_the_same_words_with_the_same_places():
    english, korean = words("en"), words("ko")
    assert list(english) == list(korean)
    for key, text in english.items():
        places = [set(re.findall(r"\{(\w+)\}", one)) for one in (text, korean[key])]
        assert places[1] <= places[0] | {"n"}, key
        assert places[0] - {"n"} <= places[1], key
        assert re.search("[가-힣]", korean[key]) or re.fullmatch(r'[\s"{}\w:,()-]*', korean[key]), key


def test_every_word_that_is_used_is_there_and_every_word_is_used():
    known = set(words("en"))
    html = (FOLDER / "index.html").read_text()
    in_page = set(re.findall(r'data-(?:word|label)="(\w+)"', html))
    assert in_page <= known
    code = "".join(
        (FOLDER / name).read_text() for name in read_page() if name.endswith(".js") and "words." not in name
    )
    called = set(re.findall(r'word\("(\w+)"', code))
    assert called <= known
    kinds = set(re.findall(r'"(\w+)"', code)) | {match[1] for match in re.finditer(r"(\w+):", code)}
    families = ("means_", "csv_", "edge_")
    endings = ("_title", "_remedy", "_name")
    for key in known - in_page - called - kinds:
        stem = key
        for ending in endings:
            stem = stem.removesuffix(ending)
        assert key.startswith(families) or stem in kinds or (stem in known and stem != key), key


def colours(scheme):
    """The style sheet's variables, light or dark."""
    css = (FOLDER / "style.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", css, re.S)
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    return found | (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", dark)) if scheme == "dark" else {})


def luminance(colour):
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_reckoned_as_wcag_does():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


TEXTS = [
    *product(("ink", "muted", "accent", "alarm"), ("page", "card")),
    ("on-accent", "accent"),
    ("notice-ink", "notice"),
    ("vehicle-ink", "vehicle"),
    ("none-ink", "none"),
    ("person-ink", "person"),
    ("muted", "vehicle"),  # the drop zone while something is dragged over it
]
LINES = [("line", "page"), ("line", "card"), ("accent", "card"), ("accent", "grid"), ("ink", "grid")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_and_controls_can_be_told_from_what_is_behind_them(scheme):
    found = colours(scheme)
    low = {pair: round(ratio, 2) for pair in TEXTS if (ratio := contrast(found[pair[0]], found[pair[1]])) < 4.5}
    low |= {pair: round(ratio, 2) for pair in LINES if (ratio := contrast(found[pair[0]], found[pair[1]])) < 3}
    assert low == {}
