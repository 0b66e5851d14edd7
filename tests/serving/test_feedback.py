"""Corrections over HTTP: with consent, or not at all."""

import json

import httpx
import numpy as np
import pytest
from bundles import draw_photos, make_bundle
from PIL import Image
from running import Running

from wreckognize.images import decode
from wreckognize.review.corrections import from_json


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundle") / "b", to_a_person=(0.05, 0.3)).folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("feedback") / "kept"


@pytest.fixture(scope="module")
def service(bundle, kept):
    with Running(bundle, "--feedback", str(kept), "--photo-mb", "1", "--feedback-most", "4") as running:
        yield running


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A drawn vehicle as a phone stores it."""
    folder = tmp_path_factory.mktemp("photos")
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Secretcam"
    exif.get_ifd(0x8825).update({1: "N", 2: (37.0, 33.0, 59.0)})
    with Image.open(draw_photos(folder, 1)[0]) as image:
        image.save(folder / "phone.jpg", quality=90, exif=exif)
    return folder / "phone.jpg"


def send(service, photo, correction, consent="yes", **extra):
    parts = [("photo", ("IMG of Jane.jpg", photo, "image/jpeg")), ("correction", (None, json.dumps(correction)))]
    if consent is not None:
        parts.append(("consent", (None, consent)))
    parts += [(name, (None, value)) for name, value in extra.items()]
    return httpx.post(f"{service.url}/v1/feedback", files=parts, timeout=30)


def test_a_correction_is_kept_with_what_the_service_had_said(service, kept, photo):
    data = photo.read_bytes()
    asked = httpx.post(f"{service.url}/v1/inspect", files={"photos": ("a.jpg", data)}, timeout=30).json()
    [shown] = asked["photos"]
    box = {"x1": 1, "y1": 2, "x2": shown["width"] - 1, "y2": shown["height"] - 1}
    answer = send(service, data, {"verdict": "vehicle", "boxes": [box], "damaged": True, "comment": "문이 파손됨"})
    assert answer.status_code == 201, answer.text
    correction = from_json((kept / "corrections" / f"{answer.json()['id']}.json").read_bytes())
    assert correction.kept_sha256 == answer.json()["photo_sha256"]
    assert (correction.width, correction.height) == (shown["width"], shown["height"])
    assert correction.boxes == ((1, 2, shown["width"] - 1, shown["height"] - 1),)
    assert (correction.said.damaged, correction.said.comment) == (True, "문이 파손됨")
    assert (correction.served.verdict, correction.served.score) == (shown["verdict"], shown["score"])
    assert (correction.served.version, correction.served.threshold) == (asked["model"]["version"], 0.1)
    assert (correction.served.low, correction.served.high) == (0.05, 0.3)
    bare = (kept / correction.photo).read_bytes()
    assert np.array_equal(decode(bare), decode(data))
    everything = b"".join(file.read_bytes() for file in kept.rglob("*") if file.is_file())
    assert b"Secretcam" in data
    assert not [secret for secret in (b"Secretcam", b"Jane", b"GPS") if secret in everything]
    assert "Jane" not in json.dumps(service.lines)


@pytest.mark.parametrize(
    ("correction", "consent", "extra", "code"),
    [
        ({"verdict": "vehicle"}, None, {}, "consent"),
        ({"verdict": "vehicle"}, "no", {}, "consent"),
        ({"verdict": "vehicle"}, "", {}, "consent"),
        ({"verdict": "maybe"}, "yes", {}, "correction"),
        ({}, "yes", {}, "correction"),
        ({"verdict": "vehicle", "more": 1}, "yes", {}, "correction"),
        ({"verdict": "no vehicle", "boxes": [{"x1": 0, "y1": 0, "x2": 5, "y2": 5}]}, "yes", {}, "correction"),
        ({"verdict": "vehicle", "boxes": [{"x1": 0, "y1": 0, "x2": 5000, "y2": 5}]}, "yes", {}, "correction"),
        ({"verdict": "vehicle", "boxes": [{"x1": 0, "y1": 0, "x2": 1e400, "y2": 5}]}, "yes", {}, "correction"),
        ({"verdict": "vehicle", "boxes": 3}, "yes", {}, "correction"),
        ({"verdict": "vehicle", "comment": "x" * 2001}, "yes", {}, "correction"),
        ({"verdict": "vehicle"}, "yes", {"score": "1.0"}, "form"),
    ],
)
def test_what_is_no_correction_is_refused_and_nothing_kept(service, kept, photo, correction, consent, extra, code):
    before = sorted(kept.rglob("*"))
    answer = send(service, photo.read_bytes(), correction, consent, **extra)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert answer.json()["error"]["remedy"]
    assert sorted(kept.rglob("*")) == before


def test_a_photo_that_cannot_be_used_is_refused_as_everywhere(service, kept, photo):
    before = sorted(kept.rglob("*"))
    whole = photo.read_bytes()
    for data, status in ((b"hello", 415), (whole[: len(whole) // 2], 400), (whole + bytes(1_100_000), 413)):
        assert send(service, data, {"verdict": "vehicle"}).status_code == status
    for files in ({"photo": ("a.jpg", whole)}, {"correction": (None, "{}")}, {"photos": ("a.jpg", whole)}):
        assert httpx.post(f"{service.url}/v1/feedback", files=files, timeout=30).status_code == 400
    assert httpx.post(f"{service.url}/v1/feedback", content=whole, timeout=30).status_code == 400
    assert sorted(kept.rglob("*")) == before


def test_a_full_store_says_so(service, kept, photo):
    answers = [send(service, photo.read_bytes(), {"verdict": "vehicle"}) for _ in range(5)]
    assert [one.status_code for one in answers][-1] == 503
    assert answers[-1].json()["error"]["code"] == "feedback_full"
    assert "Retry-After" in answers[-1].headers
    assert len(list((kept / "corrections").iterdir())) == 4


def test_without_a_place_no_correction_is_taken_and_with_keys_only_from_those_who_have_one(
    bundle, photo, tmp_path
):
    from wreckognize.serving.keys import add_line, new_key

    key, line = new_key("desk-7")
    add_line(tmp_path / "keys", line)
    with Running(bundle, "--keys", str(tmp_path / "keys")) as service:
        assert httpx.get(f"{service.url}/v1/feedback").status_code == 401
        assert send(service, photo.read_bytes(), {"verdict": "vehicle"}).status_code == 401
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.get(f"{service.url}/v1/feedback", headers=headers).json()["open"] is False
        answer = httpx.post(f"{service.url}/v1/feedback", headers=headers, files={"photo": b""}, timeout=30)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_feedback")


def test_a_place_that_cannot_be_used_is_said_before_anything_starts(bundle, photo):
    from wreckognize.cli.serving import serve_bundle
    from wreckognize.errors import UsageError

    with pytest.raises(UsageError, match="no corrections"):
        serve_bundle(bundle, host="127.0.0.1", port=0, workers=1, drift=None, drain=0, feedback=str(photo.parent))
