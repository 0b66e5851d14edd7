"""A real headless Chromium, and a real service with a small real bundle."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pillow_heif
import pytest
from bundles import draw_photos, make_bundle
from PIL import Image
from running import Running

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
TIMEOUT = 20_000  # milliseconds; for what must happen


def chromium() -> str:
    """The browser's program, or a skip with the reason."""
    named = os.environ.get("WRECKOGNIZE_CHROMIUM")
    found = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the path, and WRECKOGNIZE_CHROMIUM names none")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Closed with its module: while it is open its event loop counts as running, so that no other can be."""
    program = chromium()
    api = pytest.importorskip("playwright.sync_api", reason="needs the extra [dev]")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def bundle(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "b", to_a_person=(0.05, 0.3)).folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where corrections lie."""
    return tmp_path_factory.mktemp("feedback") / "kept"


@pytest.fixture(scope="module")
def service(bundle: Path, kept: Path) -> Iterator[Running]:
    with Running(bundle, "--feedback", str(kept)) as running:
        yield running


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """``vehicle`` (as a phone stores it: turned), ``place`` (no vehicle), ``heic``, and ``text`` (no photo)."""
    folder = tmp_path_factory.mktemp("photos")
    vehicle, place = draw_photos(folder, 2)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Secretcam"
    with Image.open(vehicle) as image:
        image.rotate(90, expand=True).save(folder / "turned.jpg", quality=95, exif=exif)
        pillow_heif.register_heif_opener()
        image.save(folder / "phone.heic", quality=90)
    (folder / "report.pdf").write_bytes(b"%PDF-1.4 no photo")
    return {
        "vehicle": vehicle,
        "turned": folder / "turned.jpg",
        "place": place,
        "heic": folder / "phone.heic",
        "text": folder / "report.pdf",
    }


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page of a service; fails if a script failed there or another host was asked for anything."""
    contexts, wrong = [], []

    def open_page(url: str, **options: Any) -> Any:
        context = browser.new_context(
            **({"locale": "en-US", "viewport": {"width": 1200, "height": 900}} | options)
        )
        context.set_default_timeout(TIMEOUT)
        contexts.append(context)
        context.add_init_script(
            "window.held = new Set();"
            "const made = URL.createObjectURL, gone = URL.revokeObjectURL;"
            "URL.createObjectURL = (what) => { const url = made(what); held.add(url); return url; };"
            "URL.revokeObjectURL = (url) => { held.delete(url); gone(url); };"
        )
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
        page.on(
            "console",
            lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None,
        )
        page.on(
            "request",
            lambda asked: wrong.append(f"asked {asked.url}") if not asked.url.startswith((url, "blob:")) else None,
        )
        page.goto(f"{url}/")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
