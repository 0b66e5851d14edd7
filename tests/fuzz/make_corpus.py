"""Writes the good files of the corpus anew: ``python tests/fuzz/make_corpus.py``. What fuzzing found stays there."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pillow_heif
import polars as pl
from PIL import Image, PngImagePlugin

sys.path.insert(0, str(Path(__file__).parents[1]))
from bundles import make_bundle
from checkpoints import archive, harmless, holding, planted_files, planted_pickles, tensor
from exported import said, tiny_graph

from wreckognize.collect import aihub, photofile
from wreckognize.collect.aihub_label import LabelAnswer, LabelRequest, read_label
from wreckognize.collect.remembered import REMEMBERED_SCHEMA, Remembered
from wreckognize.curate.lock import LockedPhoto, TestLock, _digest
from wreckognize.errors import InputError
from wreckognize.images import read_header

CORPUS = Path(__file__).parent / "corpus"
SHA256 = hashlib.sha256(b"photo").hexdigest()


def write(name: str, content: bytes | str | Any) -> None:
    path = CORPUS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)).encode()
    path.write_bytes(content)


def picture() -> Image.Image:
    rng = np.random.default_rng(7)
    pixels = np.kron(rng.integers(0, 255, (4, 6, 3)), np.ones((10, 10, 1))).astype(np.uint8)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photos() -> None:
    pillow_heif.register_heif_opener()
    image = picture()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    text = PngImagePlugin.PngInfo()
    text.add_itxt("Comment", "owner", zip=True)
    write("photo/plain.jpg", encoded(image, "JPEG", quality=80))
    write("photo/progressive.jpg", encoded(image, "JPEG", progressive=True))
    write("photo/exif.jpg", encoded(image, "JPEG", exif=exif, comment=b"owner"))
    write("photo/cmyk.jpg", encoded(image.convert("CMYK"), "JPEG"))
    write("photo/grey.jpg", encoded(image.convert("L"), "JPEG"))
    write("photo/mpo.jpg", encoded(image, "MPO", save_all=True, append_images=[image]))
    write("photo/text.png", encoded(image, "PNG", pnginfo=text))
    write("photo/palette.png", encoded(image.quantize(8), "PNG", transparency=b"\0\x80"))
    write("photo/deep.png", cv2.imencode(".png", np.asarray(image).astype(np.uint16) * 257)[1].tobytes())
    write("photo/tile.webp", encoded(image, "WEBP"))
    write("photo/frames.gif", encoded(image.quantize(8), "GIF", save_all=True, append_images=[image.quantize(4)]))
    write("photo/lzw.tif", encoded(image, "TIFF", compression="tiff_lzw"))
    write("photo/jpeg.tif", encoded(image, "TIFF", compression="jpeg"))
    write("photo/deep.tif", encoded(Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20)), "TIFF"))
    write("photo/plain.bmp", encoded(image, "BMP"))
    write("photo/tile.heic", encoded(image, "HEIF", quality=40))
    write("photo/tile.avif", encoded(image, "AVIF", quality=40))


def labels() -> None:
    annotation = {
        "bbox": [30, 20, 12, 9],
        "damage": "Scratched",
        "category_id": "sc-1",
        "segmentation": [[[[1, 2]]]],
    }
    label = {"images": {"id": 1, "width": 96, "height": 64, "file_name": "a.jpg"}, "annotations": [annotation]}
    write("aihub/good.json", label)
    write("aihub/list.json", {"images": [label["images"]], "annotations": annotation})
    write("aihub/mark.json", b"\xef\xbb\xbf" + json.dumps(label).encode())
    write("aihub/korean.json", json.dumps(label | {"차량": "파손"}, ensure_ascii=False).encode("cp949"))
    coco = {
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": 96, "height": 64},
            {"id": "2", "file_name": "b.jpg", "width": 64, "height": 96},
            {"id": 3, "file_name": "c/a.jpg"},
        ],
        "annotations": [
            {"image_id": 1, "category_id": 3, "bbox": [10, 10, 50, 40], "iscrowd": 0},
            {"image_id": "2", "category_id": 15, "bbox": [0, 0, 9, 9], "iscrowd": 1},
            {"image_id": 3, "category_id": 3, "bbox": ["1", 2, 30, 40]},
        ],
        "categories": [{"id": 3, "name": "car"}, {"id": 15, "name": "bench"}],
    }
    write("coco/good.json", coco)
    write("coco/out.json", json.dumps(coco).replace("b.jpg", "../../b.jpg"))
    write("yolo/good.txt", "0 0.5 0.5 0.4 0.3\n1 0.2 0.2 0.1 0.1 0.9\n2 0.1 0.1 0.9 0.1 0.9 0.9\n")


def reviews() -> None:
    result = [
        {"type": "choices", "value": {"choices": ["damaged vehicle"]}},
        {
            "type": "rectanglelabels",
            "original_width": 96,
            "original_height": 64,
            "image_rotation": 0,
            "value": {"x": 10, "y": 10, "width": 50, "height": 40, "rotation": 0, "rectanglelabels": ["vehicle"]},
        },
    ]
    task = {
        "id": 1,
        "data": {"study": "claims", "photo": "s/1.jpg", "sha256": SHA256},
        "annotations": [{"completed_by": 1, "updated_at": "2026-11-24T10:00:00Z", "result": result}],
    }
    write("label-studio/good.json", [task])
    write(
        "review-coco/good.json",
        {
            "info": {"study": "claims"},
            "images": [{"id": 1, "file_name": "images/000001-abc.jpg", "width": 96, "height": 64}],
            "annotations": [{"image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 40]}],
            "categories": [{"id": 1, "name": "vehicle"}],
        },
    )
    write("review-yolo/good.txt", b"study: claims\nnames:\n  0: vehicle\n\0" + b"0 0.5 0.5 0.4 0.3\n")
    review = {
        "photo": "s/1.jpg",
        "sha256": SHA256,
        "reviewer": "anna",
        "when": "2026-11-24T10:00:00+00:00",
        "verdict": "damaged",
        "boxes": [[1.5, 2, 30, 40]],
    }
    write("reviews/good.json", {"format": 1, "study": "claims", "reviews": [review]})
    exported = {
        "file": "000001-abc.jpg",
        "photo": "s/1.jpg",
        "sha256": SHA256,
        "width": 96,
        "height": 64,
        "split": "train",
        "verdict": None,
        "boxes": [[1, 2, 3, 4]],
        "drawn_by": "",
        "why": "",
    }
    write("manifest/good.json", {"study": "claims", "tool": "coco", "system": "ver6", "photos": [exported]})


STUDY = """\
study: claims
seed: 1
sources:
  - {name: aihub, type: aihub, role: damaged, images: a/images, labels: [a/labels], per_damage: 3, follow_links: no}
  - {name: street, type: coco, role: background, images: c, annotations: c.json, classes: [bench], min_area: 0.1}
  - {name: show, type: folder, role: normal, images: "s/*", limit: 10, split: test}
  - {name: y, type: yolo, role: damaged, images: y/images, names: [car, dent], hard: false}
groups: &g {hash_distance: 8, cosine: 0.975}
split: {train: 0.7, val: 0.2, test: 0.1, on_leak: exclude}
teacher: {weights: yolov8x.pt, imgsz: 640, classes: [car]}
systems:
  baseline: {recipe: baseline}
  ver6: {recipe: ver6, weights: starter, classes: [car], merge: max, limits: {damaged: 5},
         train: {epochs: 5, lr0: 1e-4}, labels: {confidence: 0.1}, predict: {imgsz: 640, threshold: best_f1}}
evidence: {level: 0.95, draws: 200, prevalence: 0.9}
search: {system: ver6, trials: 3, space: {train.lr0: {low: 1e-5, high: 1e-2, log: true}}}
"""


def study() -> None:
    write("study/good.yaml", STUDY)
    write("study/merge.yaml", "study: a\nbase: &b {role: normal}\nsources:\n- {<<: *b, name: x}\nsystems: {}\n")
    write("set/good.txt", "systems.ver6.train.epochs=5\nsources.show.limit=1\nteacher.classes=[car]\nseed=3\n")


def run() -> None:
    card = {
        "format": 1,
        "architecture": {"nc": 1, "backbone": [[-1, 1, "Conv", [16, 3, 2]]]},
        "names": ["vehicle"],
        "dtype": "float16",
        "sha256": hashlib.sha256(b"weights").hexdigest(),
    }
    write("card/good.json", card)
    header = json.dumps({"a": {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}}).encode()
    write("safetensors/good.bin", len(header).to_bytes(8, "little") + header + b"\0" * 8)
    write("safetensors/huge-header.bin", (2**60).to_bytes(8, "little") + header)
    locked = (LockedPhoto(photo="s/1.jpg", sha256=SHA256, hash="00112233aabbccdd", group="s/1.jpg"),)
    lock = TestLock(
        version=2,
        study="claims",
        seed=1,
        created="2026-11-24T10:00:00+00:00",
        digest=_digest(2, locked, ()),
        photos=locked,
    )
    write("lock/good.json", lock.to_json())
    write("looks/good.jsonl", '{"when":"2026-11-22T10:00:00+00:00","what":["ver6"],"digest":"a1"}\n')
    output = {"sha256": SHA256, "size": 3, "mtime_ns": 5}
    stage = {"fingerprint": "f", "finished": "2026", "seconds": 1.5, "outputs": {"split.parquet": output}}
    write("state/good.json", {"format": 1, "stages": {"split": stage}})
    write("threshold/good.json", threshold())


def threshold() -> str:
    from wreckognize.evidence.person import choose_third_answer
    from wreckognize.evidence.thresholds import FrozenThreshold, choose
    from wreckognize.settings import ThresholdSettings, ToAPersonSettings

    scores, truth = np.array([0.9, 0.8, 0.2, 0.05], np.float32), np.array([True, True, False, False])
    groups = np.array(["a", "b", "c", "d"])
    frozen = FrozenThreshold(
        system="ver6",
        seed=1,
        chosen=choose(scores, truth, groups, ThresholdSettings(rule="best_f1")),
        third_answer=choose_third_answer(scores, truth, groups, ToAPersonSettings()),
        predictions_sha256=SHA256,
        frozen_at="2026-11-24T10:00:00+00:00",
    )
    return json.dumps(frozen.to_dict())


def caches() -> None:
    label = (CORPUS / "aihub/good.json").read_bytes()
    reading = read_label(label)
    content = msgspec.msgpack.encode(reading)
    remembered = Remembered(CORPUS / "cache/sealed.bin", aihub.READER)
    remembered.keep(
        pl.DataFrame([(b"/a", 3, 5, reading.mark, content)], schema=REMEMBERED_SCHEMA, orient="row"), learned=True
    )
    remembered.save()
    write("reading/label.bin", bytes([reading.mark]) + content)
    opened = photofile.Opened(read_header((CORPUS / "photo/plain.jpg").read_bytes()), SHA256)
    write("reading/photo.bin", photofile.encoded(opened))
    write("reading/refused.bin", photofile.encoded(InputError("why", remedy="do", where="there")))
    write("reading/request.bin", msgspec.msgpack.encode(LabelRequest([b"/a"], [1], [2])))
    write("reading/answer.bin", msgspec.msgpack.encode(LabelAnswer(b"\1", [1], [2], b"\1", [content])))


def names() -> None:
    for number, name in enumerate(
        ('"><img src=x onerror=alert(1)>.jpg', "=cmd|'/c calc'!A1.jpg", "a;=1+1.jpg", "two\nlines.jpg",
         "photo\u202egpj.exe", "\x1b]0;title\x07.jpg", "한글 사진.jpg", "a" * 255)
    ):  # fmt: skip
        write(f"name/{number}.txt", name.encode())
    write("name/latin.txt", b"caf\xe9.jpg")
    write("hashes/some.bin", b"\x08" + np.arange(12, dtype=np.uint64).tobytes() + b"\xff" * 16)


def weights(folder: Path) -> None:
    """Checkpoints as torch writes them, and such as nobody should open."""
    write("checkpoint/good.pt", harmless(folder / "good.pt").read_bytes())
    write("checkpoint/tensor.pt", archive(folder / "tensor.pt", holding(tensor(1, 0, (1,), (1,)))).read_bytes())
    for number, (_, pickled, _) in enumerate(planted_pickles(Path("canary"))):
        write(f"pickle/planted-{number:02}.pkl", pickled)
    for number, (_, file, _) in enumerate(planted_files(folder, Path("canary"))):
        if file.stat().st_size < 50_000:
            write(f"checkpoint/planted-{number:02}.pt", file.read_bytes())
    write("pickle/good.pkl", holding(tensor(1, 0, (1,), (1,))))


def bundles(folder: Path) -> None:
    made = make_bundle(folder / "bundle", to="safetensors")
    write("bundle/good.json", (made.folder / "bundle.json").read_bytes())
    write("claims/good.csv", "photo,claim\na/1.jpg,c1\n2.jpg,c2\n")
    write("claims/mark.csv", b"\xef\xbb\xbfclaim;photo\r\n")
    facts = {
        "revision": 1, "key": {"seed": 1}, "epoch": 1, "finished": False,
        "best": {"epoch": 1, "fitness": 0.5, "sha256": SHA256}, "stopper": {"best_epoch": 1}, "scaler": {},
        "groups": [{"lr": 0.1}], "scalars": {"0": {"step": 3}}, "ema_updates": 3, "loss_updates": None, "pending": 0,
        "batch": 4, "seconds": 1.5, "curves": "epoch\n1\n", "epochs": [{"epoch": 1, "map50_95": 0.1, "roc_area": None}],
    }  # fmt: skip
    write("facts/good.json", facts)


def graphs() -> None:
    """ONNX files of detectors: as they are exported, and as nobody should use them."""
    from onnx import TensorProto, helper

    good = tiny_graph()
    write("onnx/good.onnx", good.SerializeToString())
    said(names="['car', 'boat']", end2end="True")(good)
    for number, location in enumerate(("model.data", "../model.data", "/etc/passwd", "C:\\model.data")):
        model = tiny_graph()
        tensor = model.graph.initializer[-1]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        write(f"onnx/elsewhere-{number}.onnx", model.SerializeToString())
    for kind, domain in (("NonMaxSuppression", ""), ("Loop", ""), ("EPContext", "com.microsoft")):
        model = tiny_graph()
        node = helper.make_node(kind, ["images"], ["more"], domain=domain)
        branch = helper.make_graph([node], "b", [], [])
        model.graph.node.append(helper.make_node("If", ["flag"], ["x"], then_branch=branch, else_branch=branch))
        write(f"onnx/{kind}.onnx", model.SerializeToString())
    write("onnx/end2end.onnx", good.SerializeToString())
    write("onnx-names/dictionary.txt", str({0: "car", 1: "driver's cab", 2: 'a "b"', 3: "back\\slash"}))
    write("onnx-names/list.txt", str(["car", "bus", "한글"]))
    write("onnx-names/code.txt", "{0: __import__('os').system('true')}")
    write("onnx-names/deep.txt", "[" * 500 + "'a'" + "]" * 500)


def requests() -> None:
    """Requests to the service: forms of photos, a photo alone, a correction."""
    jpeg, png = (CORPUS / "photo/plain.jpg").read_bytes(), encoded(picture().resize((32, 20)), "PNG")
    kind = b"content-type: multipart/form-data; boundary=b0\n"

    def part(name: str, content: bytes, more: str = "") -> bytes:
        return f'--b0\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"

    two = part("photos", jpeg, '; filename="../a.jpg"\r\nContent-Type: image/jpeg') + part("photos", png)
    write("request/form.txt", b"/v1/inspect\n" + kind + b"\n" + two + b"--b0--\r\n")
    write("request/open-form.txt", b"/v1/inspect\n" + kind + b"\n" + two)
    write("request/other-field.txt", b"/v1/inspect\n" + kind + b"\n" + part("file", png) + b"--b0--\r\n")
    write("request/many.txt", b"/v1/inspect\n" + kind + b"\n" + part("photos", b"x") * 6 + b"--b0--\r\n")
    write("request/photo.txt", b"/v1/inspect\ncontent-type: image/jpeg\nx-request-id: a-1\n\n" + jpeg)
    write("request/rotated.txt", b"/v1/inspect\n\n" + (CORPUS / "photo/exif.jpg").read_bytes())
    write("request/packed.txt", b"/v1/inspect\ncontent-encoding: gzip\ncontent-length: 99999999\n\n" + jpeg)
    write("request/json.txt", b"/v1/inspect\ncontent-type: application/json\n\n{}")
    answer = {
        "verdict": "vehicle",
        "boxes": [{"x1": 1, "y1": 1, "x2": 20, "y2": 15}],
        "damaged": True,
        "comment": "a",
    }
    correction = part("photo", png) + part("correction", json.dumps(answer).encode()) + part("consent", b"yes")
    write("request/correction.txt", b"/v1/feedback\n" + kind + b"\n" + correction + b"--b0--\r\n")


if __name__ == "__main__":
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as name:
        weights(Path(name))
        bundles(Path(name))
    for part in (photos, labels, reviews, study, run, caches, names, graphs, requests):
        part()
