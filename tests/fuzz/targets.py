"""What strangers' bytes meet: for each reader a function that may refuse them only as this package refuses things.

`test_readers.py` runs all for seconds, `run.py` one of them for as long as one likes. Those for ONNX files and for the
service stand in files of their own.
"""

from __future__ import annotations

import copy
import errno
import hashlib
import io
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
from fuzz.target import TARGETS as TARGETS
from fuzz.target import corpus_file, folder, put, target

from wreckognize import images
from wreckognize.catalog import PHOTO_SCHEMA
from wreckognize.cli.console import harmless
from wreckognize.collect import aihub, aihub_label, cocofile, photofile, placing, yolo
from wreckognize.collect.candidates import Candidate, Listed, box_array
from wreckognize.collect.coco import read as read_coco
from wreckognize.collect.helper import Answer, Request
from wreckognize.collect.ledger import Ledger
from wreckognize.collect.remembered import REMEMBERED_SCHEMA, Remembered
from wreckognize.collect.walk import File
from wreckognize.curate.hamming import near_pairs
from wreckognize.curate.lock import read_lock
from wreckognize.curate.looks import read_looks
from wreckognize.curate.near import perceptual_hash
from wreckognize.detectors.weights import read_card
from wreckognize.errors import BundleError, InputError, LockError, UsageError, WeightsError
from wreckognize.evidence.thresholds import read_frozen
from wreckognize.exporting.bundle import read_bundle
from wreckognize.exporting.manifest import canonical_text, own_sha256
from wreckognize.images import ImageHeader
from wreckognize.inference.traits import jpeg_quality
from wreckognize.predicting.claims import claims_from
from wreckognize.progress import Silent
from wreckognize.reporting.wording import visible
from wreckognize.review import coco as review_coco
from wreckognize.review import labelstudio
from wreckognize.review import yolo as review_yolo
from wreckognize.review.answers import Incoming, check
from wreckognize.review.manifest import Exported, Manifest, read_manifest
from wreckognize.review.metadata import without_metadata
from wreckognize.review.records import read_reviews
from wreckognize.settings import CocoSource, YoloSource
from wreckognize.spreadsheet import cell
from wreckognize.stages.finished import finished_system
from wreckognize.state import read_state
from wreckognize.study.build import build
from wreckognize.study.overrides import apply_overrides
from wreckognize.study.problems import Problems
from wreckognize.study.reader import dump, parse_document
from wreckognize.training import state as training_state
from wreckognize.weightfiles import CheckpointRefused, clean_archive, pickles, refusal_of
from wreckognize.weightfiles.pickles import names_in

STUDY = "claims"
SHA256 = hashlib.sha256(b"photo").hexdigest()
WIDTH, HEIGHT = 96, 64


# Labels and photos.


@target("aihub", InputError)
def aihub_labels(data: bytes) -> None:
    reading = aihub_label.read_label(data)
    again = aihub_label.decode_reading(aihub_label._ENCODER.encode(reading))
    assert again.error == reading.error
    if reading.error is None:
        boxes = box_array(reading.boxes)
        candidate = Candidate("a.jpg", "/a.jpg", boxes, tuple(reading.kinds), label_size=reading.size)
        _placed(candidate)
        pl.DataFrame({"claim": [reading.claim], "damage_types": [reading.damage_types]})
        reading.claim.encode()


def _placed(candidate: Candidate) -> None:
    for header in (
        ImageHeader(WIDTH, HEIGHT, WIDTH, HEIGHT, 1, "JPEG", "RGB", True, ()),
        ImageHeader(HEIGHT, WIDTH, WIDTH, HEIGHT, 6, "JPEG", "RGB", False, ()),
    ):
        placed = placing.place([candidate], [header])
        limits = [header.width, header.height] * 2
        assert ((placed.boxes >= 0) & (placed.boxes <= limits)).all()
        assert (placed.boxes[:, :2] < placed.boxes[:, 2:]).all()


@target("coco", UsageError)
def coco_file(data: bytes) -> None:
    path = put("instances.json", data)
    photos = [File(name, "/photos") for name in ("a.jpg", "b.jpg", "c/a.jpg")]
    cocofile.load(path, Ledger("s"))
    for role, classes in (("normal", None), ("background", ("bench",))):
        source = CocoSource(
            name="s",
            type="coco",
            role=role,
            images=Path("/photos"),
            annotations=path,
            classes=classes,
            min_area=0.01,
        )
        ledger = Ledger("s")
        wanted = Listed(read_coco(source, photos, ledger, Silent()))
        for candidate in wanted.candidates(range(len(wanted.names))):
            try:
                _placed(candidate)
            except InputError as error:
                ledger.quarantine(candidate.path, error)
        ledger.quarantine_table()
        ledger.tally_table()
        # Nothing is dropped: every photo is a candidate, in quarantine, or not wanted.
        not_wanted = sum(row[3] for row in ledger.tally_table().rows() if row[1] == "not_wanted")
        assert len(wanted.names) + ledger.failures + not_wanted >= len(photos)


@target("yolo", InputError)
def yolo_label(data: bytes) -> None:
    path = put("labels/a.txt", data)
    source = YoloSource(
        name="s", type="yolo", role="damaged", images=Path("/p"), labels=path.parent, names=("car", "dent", "dog")
    )
    ledger = Ledger("s")
    found = yolo.read(source, [], [File("a.jpg", "/p")], ledger, Silent())
    assert len(found) + ledger.failures + sum(row[3] for row in ledger.tally_table().rows()) >= 1
    for candidate in found:
        _placed(candidate)


@target("photo", InputError)
def photo(data: bytes) -> None:
    header = images.read_header(data)
    jpeg_quality(data)
    images.verify(data)
    pixels = images.decode(data)
    assert pixels.shape == (header.height, header.width, 3)
    hash_ = perceptual_hash(pixels)
    assert hash_ is None or len(hash_) == 16


@target("photo", InputError)
def metadata(data: bytes) -> None:
    header = images.verify(data)
    bare = without_metadata(data)
    if bare is None or not header.plain:
        return
    np.testing.assert_array_equal(images.decode(bare), images.decode(data))
    for word in (b"Exif", b"ns.adobe", b"ICC_PROFILE", b"iTXt", b"tEXt"):
        if header.format == "PNG":
            assert word not in bare or word in b"".join(_idat(bare))


def _idat(png: bytes) -> list[bytes]:
    return [png]  # compressed pixels may hold any word by chance


# What annotation tools give back.


def _manifest(tool: str) -> Manifest:
    photos = tuple(
        Exported(
            file=f"{number:06}-abc.jpg",
            photo=f"s/{number}.jpg",
            sha256=SHA256,
            width=WIDTH,
            height=HEIGHT,
            split="train",
            verdict="damaged",
            boxes=((1.0, 2.0, 30.0, 40.0),),
            drawn_by="labels of ver6",
            why="",
        )
        for number in (1, 2)
    )
    return Manifest(study=STUDY, tool=tool, system="ver6", photos=photos)


@cache
def _catalog() -> pl.DataFrame:
    rows = [
        {
            **dict.fromkeys(PHOTO_SCHEMA.names()),
            "photo": f"s/{number}.jpg",
            "sha256": SHA256,
            "width": WIDTH,
            "height": HEIGHT,
        }
        for number in (1, 2)
    ]
    return pl.DataFrame(rows, schema=PHOTO_SCHEMA)


def _checked(incoming: Incoming) -> None:
    now = "2026-11-24T10:00:00+00:00"
    for review in check(incoming, _catalog(), study=STUDY, reviewer="anna", now=now, where="file").reviews:
        for x1, y1, x2, y2 in review.boxes:
            assert 0 <= x1 < x2 <= WIDTH
            assert 0 <= y1 < y2 <= HEIGHT


@target("label-studio", UsageError)
def review_label_studio(data: bytes) -> None:
    sizes = {f"s/{number}.jpg": (WIDTH, HEIGHT) for number in (1, 2)}
    _checked(labelstudio.read(data, where="file", sizes=sizes))


@target("review-coco", UsageError)
def review_coco_file(data: bytes) -> None:
    _checked(review_coco.read(data, _manifest("coco"), where="file", looked_at="all"))


@target("review-yolo", UsageError)
def review_yolo_files(data: bytes) -> None:
    names, _, label = data.partition(b"\0")
    text = names.decode("utf-8", "replace")
    review_yolo.read_study(text)
    classes = review_yolo.read_names(text, where="data.yaml")
    labels = {"000001-abc": label.decode("utf-8", "replace")}
    _checked(review_yolo.read(labels, classes, _manifest("yolo"), looked_at="all"))


@target("reviews", UsageError)
def reviews_file(data: bytes) -> None:
    read_reviews(put("reviews.json", data), study=STUDY)


@target("manifest", UsageError)
def review_manifest(data: bytes) -> None:
    read_manifest(put("export.json", data))


# The study.


@target("study", UsageError)
def study_file(data: bytes) -> None:
    document = parse_document(data.decode("utf-8", "replace"), "study.yaml")
    problems = Problems("study.yaml", document.lines, {}, list(document.problems))
    build(document.content, Path("/studies"), problems)
    for problem in problems.found:
        harmless(str(problem)).encode()
    if not document.problems:
        assert str(parse_document(dump(document.content), "again").content) == str(document.content)


@cache
def _good_study() -> dict[str, Any]:
    return parse_document(corpus_file("study", "good.yaml").decode(), "study.yaml").content


@target("set", UsageError)
def study_set(data: bytes) -> None:
    content = copy.deepcopy(_good_study())
    problems = Problems("study.yaml")
    apply_overrides(content, data.decode("utf-8", "replace").splitlines(), problems)
    build(content, Path("/studies"), problems)
    for problem in problems.found:
        harmless(str(problem)).encode()


# What a run leaves, spoilt by somebody.


@target("card", UsageError)
def model_card(data: bytes) -> None:
    weights = put("card/best.safetensors", b"weights")
    put("card/model.json", data)
    read_card(weights)


@target("safetensors", UsageError)
def safetensors_header(data: bytes) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    card = json.loads(corpus_file("card", "good.json"))
    card["sha256"] = hashlib.sha256(data).hexdigest()
    weights = put("safetensors/best.safetensors", data)
    put("safetensors/model.json", json.dumps(card).encode())
    read_card(weights)
    try:
        load(data)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:  # as whoever loads tensors reports it
        raise UsageError(str(error)) from error


@target("checkpoint", WeightsError)
def checkpoint(data: bytes) -> None:
    """What is refused by its description alone is never cleaned, and what was cleaned is not refused."""
    file = put("weights/best.pt", data)
    refusal = refusal_of(file)
    try:
        clean = clean_archive(file)
    except CheckpointRefused as error:
        raise WeightsError(str(error)) from error
    assert refusal is None
    assert refusal_of(put("weights/clean.pt", clean)) is None


@target("pickle", WeightsError)
def checkpoint_pickle(data: bytes) -> None:
    names_in(data)
    try:
        pickles.check(data)
    except pickles.Refused as error:
        raise WeightsError(str(error)) from error


@target("bundle", UsageError)
def bundle(data: bytes) -> None:
    """The files that it names are not there: a manifest that is taken comes to grief at the first of them."""
    try:
        read_bundle(put("bundle/bundle.json", data).parent)
    except BundleError as error:
        if error.what != f"cannot be read ({os.strerror(errno.ENOENT)})":
            raise


@target("bundle", UsageError)
def bundle_resealed(data: bytes) -> None:
    """By somebody who knows how it is sealed, so that what comes behind the seal is reached."""
    try:
        values = json.loads(data)
        values["sha256"] = own_sha256(values)
        data = canonical_text(values).encode()
    except (ValueError, TypeError, AttributeError, RecursionError):  # not sealed, then
        pass
    bundle(data)


@target("claims", UsageError)
def claims(data: bytes) -> None:
    of = claims_from(put("claims.csv", data))
    of("a/1.jpg")


@target("facts", WeightsError)
def training_facts(data: bytes) -> None:
    try:
        training_state._facts({"facts": data.decode("utf-8", "replace")})
    except training_state.UnfitState as error:
        raise WeightsError(str(error)) from error


@target("lock", LockError)
def lock_file(data: bytes) -> None:
    read_lock(put("test.lock.json", data))


@target("looks", LockError)
def looks(data: bytes) -> None:
    read_looks(data.decode("utf-8", "replace"))


@target("state", UsageError)
def state(data: bytes) -> None:
    read_state(put("run/state.json", data).parent, mend=False)


@target("threshold", UsageError)
def threshold(data: bytes) -> None:
    read_frozen(put("threshold.json", data))


@target("study", UsageError)
def finished_run(data: bytes) -> None:
    system = folder() / "finished" / "systems" / "ver6"
    put("finished/systems/ver6/threshold.json", corpus_file("threshold", "good.json"))
    put("finished/study.yaml", data)
    finished_system(system)


@target("cache")
def caches(data: bytes) -> None:
    """Bytes that fit no seal are passed over; a table under a seal is trusted like the run's other tables."""
    remembered = Remembered(put("cache/labels.cache", data), aihub.READER)
    for content in remembered.lookup([b"/a", b"/b"])["content"]:
        assert content is None or b"wreckognize aihub" in data


@target("reading", UsageError)
def cached_readings(data: bytes) -> None:
    label = put("labels/known.json", b"{}")
    status = label.stat()
    row = (os.fsencode(label), status.st_size, status.st_mtime_ns, data[:1][0] if data else 0, data[1:])
    remembered = Remembered(folder() / "cache" / "known.cache", aihub.READER)
    table = pl.DataFrame([row], schema=REMEMBERED_SCHEMA, orient="row")
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    put("cache/known.cache", remembered._head(buffer.getvalue()) + buffer.getvalue())
    from wreckognize.settings import AihubSource

    source = AihubSource(
        name="s", type="aihub", role="damaged", images=Path("/p"), labels=label.parent, follow_links=True
    )
    ledger = Ledger("s")
    wanted = aihub.read(source, lambda: [File("known.jpg", "/p")], ledger, Silent(), remembered)
    for candidate in wanted.candidates(range(len(wanted.names))):
        try:
            _placed(candidate)
        except InputError as error:
            ledger.quarantine(candidate.path, error)
    ledger.quarantine_table()


@target("reading")
def cached_photos(data: bytes) -> None:
    photofile.recalled(1, 1, data)


@target("reading", UsageError)
def helper_answers(data: bytes) -> None:
    """What a helper process says is decoded, or counts as nothing said."""
    import msgspec

    for kind in (Request, Answer):
        try:
            msgspec.msgpack.Decoder(kind).decode(data)
        except (msgspec.MsgspecError, ValueError):  # as `Helpers` takes them
            continue


# Names and numbers.

_SEPARATORS = re.compile("[;\t\r\n]")
_PASSED_OVER = "".join(map(chr, range(33))) + '\ufeff"'


@target("name")
def names(data: bytes) -> None:
    name = os.fsdecode(data)
    for text in (name, data.decode("utf-8", "replace"), data.decode("utf-16-le", "replace")):
        shown = harmless(text)
        shown.encode()
        assert not any(ord(sign) < 32 and sign not in "\n\t" for sign in shown)
        safe = cell(text)
        assert cell(safe) == safe
        for part in _SEPARATORS.split(safe):
            assert not part.lstrip(_PASSED_OVER).startswith(("=", "+", "-", "@"))
        assert "\n" not in visible(text)
        File(text, "/p").stem.encode("utf-8", "surrogateescape" if text is name else "replace")


@target("hashes")
def hamming(data: bytes) -> None:
    distance, rest = (data[0] % 65, data[1:201]) if data else (0, b"")
    hashes = np.frombuffer(rest[: len(rest) // 8 * 8], dtype=np.uint64)
    found = {
        (int(i), int(j), int(k))
        for left, right, apart in near_pairs(hashes, distance)
        for i, j, k in zip(left, right, apart, strict=True)
    }
    numbers = [int(value) for value in hashes]
    expected = {
        (i, j, (numbers[i] ^ numbers[j]).bit_count())
        for i in range(len(numbers))
        for j in range(i + 1, len(numbers))
        if (numbers[i] ^ numbers[j]).bit_count() <= distance
    }
    assert found == expected


@target("hashes")
def pixels(data: bytes) -> None:
    width = 1 + (data[0] if data else 0) % 40
    rows = max(1, len(data) // (3 * width))
    array = np.frombuffer(data.ljust(3 * width * rows, b"\0")[: 3 * width * rows], np.uint8).reshape(
        rows, width, 3
    )
    perceptual_hash(array)
    assert cv2.cvtColor(array, cv2.COLOR_BGR2GRAY).shape == (rows, width)


from fuzz import graphs, service  # noqa: E402, F401 (each adds its targets)
