"""A small real bundle, made in a second or two from the package's starter detector (it knows drawn vehicles)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import yaml

from wreckognize import __version__, images
from wreckognize.catalog import BOX_SCHEMA, PHOTO_SCHEMA, SPLIT_SCHEMA, Catalog
from wreckognize.detectors.ultralytics import load_as_vehicle_detector
from wreckognize.evidence.person import choose_third_answer
from wreckognize.evidence.thresholds import FrozenThreshold, choose
from wreckognize.exporting.bundle import Bundle, new_bundle, read_bundle, seal
from wreckognize.exporting.card import Card, Text
from wreckognize.exporting.manifest import (
    ENGINES,
    Manifest,
    ParityNote,
    PersonBand,
    Suppression,
    Target,
    Threshold,
)
from wreckognize.exporting.models import open_model, write_model
from wreckognize.exporting.reference import reference_of
from wreckognize.files import sha256_of
from wreckognize.inference.stream import PhotoFile, look_at
from wreckognize.inference.traits import read_traits
from wreckognize.settings import ThresholdSettings, ToAPersonSettings
from wreckognize.study.weights import starter_path


def draw_photos(folder: Path, count: int = 8, seed: int = 5) -> list[Path]:
    """Photos drawn as the demo draws them: every second one shows a vehicle, the others a place without one."""
    from wreckognize.demo.collection import write_jpeg
    from wreckognize.demo.draw import random_case, render_background, render_vehicle_photo

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        size = (160, 120) if number % 3 else (120, 160)
        if number % 2 == 0:
            photo = render_vehicle_photo(rng, random_case(rng, damaged=False), size=size, close_up=False)
        else:
            photo = render_background(rng, size=size, hard=False)
        file = folder / f"{'vehicle' if number % 2 == 0 else 'place'}-{number:03}.jpg"
        write_jpeg(file, photo.image, rng)
        assert cv2.imread(str(file)) is not None
        files.append(file)
    return files


def make_bundle(
    folder: Path,
    *,
    to: Target = "onnx",
    weights: Path | None = None,
    imgsz: int = 192,
    threshold: float = 0.1,
    to_a_person: tuple[float | None, float | None] | None = None,
    photos: int = 6,
) -> Bundle:
    """Write a bundle into ``folder``, which must not be there yet; its reference comes from a few drawn photos."""
    file = weights or starter_path()
    network, reading = load_as_vehicle_detector(str(file), ("car", "bus", "truck"))
    open_manifest = Manifest(
        name="drawn-starter",
        version="0" * 12,
        engine=ENGINES[to],
        precision="float32",
        imgsz=imgsz,
        stride=32,
        classes=("car", "bus", "truck"),
        names=network.names,
        merge="max",
        suppression=Suppression(confidence=0.01, iou=0.7, candidates=3000, boxes=300),
        shown=min(0.1, threshold),
        threshold=Threshold(value=threshold, rule="chosen by the test"),
        to_a_person=None if to_a_person is None else PersonBand(low=to_a_person[0], high=to_a_person[1]),
        files={},
        study="drawn",
        system="starter",
        seed=None,
        weights_sha256=network.sha256,
        created="2026-01-01T00:00:00+00:00",
        wreckognize=__version__,
        parity=ParityNote(
            result="forced",
            photos=0,
            flipped=0,
            flipped_high=1.0,
            max_flips=0.005,
            score_shift_max=0.0,
            speed=None,
        ),
        reference=None,
    )
    with new_bundle(folder) as part:
        write_model(to, network, reading, part, weights=str(file), imgsz=imgsz)
        drawn = draw_photos(folder.with_name(f"{folder.name}-photos"), photos)
        headers = {str(path): images.read_header(path) for path in drawn}
        files = [PhotoFile(name, Path(name), one.width, one.height) for name, one in headers.items()]
        looks = sorted(
            look_at(files, open_model(part, open_manifest), open_manifest.stream_settings()),
            key=lambda look: look.photo,
        )
        reference = reference_of(
            [look.score for look in looks],
            [read_traits(Path(look.photo)).brightness for look in looks],
            [max(headers[look.photo].width, headers[look.photo].height) for look in looks],
            open_manifest.rule,
        )
        seal(
            part,
            open_manifest.model_copy(update={"reference": reference}),
            _card(),
            card_text="# drawn-starter\n\nMade by a test.\n",
            parity={"photos": 0, "note": "made by a test, compared with nothing"},
        )
    return read_bundle(folder)


def _card() -> Card:
    text = Text(en="Made by a test from the starter detector.", ko="시험에서 만든 것입니다.")
    return Card(
        title="drawn-starter",
        about=text,
        figures_note=text,
        decision=text,
        parity=text,
        limits=(Text(en="It knows drawn vehicles only.", ko="그림 차량만 압니다."),),
        licence=text,
        forced=True,
    )


def finished_run(folder: Path, *, photos: int = 12, threshold: float = 0.1) -> Path:
    """What a run leaves of an untrained system, as far as an export needs it; returns ``RUN/systems/starter``.

    All photos are drawn and stand in the validation split, every second one a vehicle, two photos a group.
    """
    files = draw_photos(folder.with_name(f"{folder.name}-photos"), photos, seed=7)
    rows = [_photo_row(file, number) for number, file in enumerate(files)]
    table = pl.DataFrame(rows, schema=PHOTO_SCHEMA, orient="row")
    (folder / "catalog").mkdir(parents=True)
    Catalog(table, pl.DataFrame(schema=BOX_SCHEMA)).write(folder / "catalog")
    names = table["photo"].to_list()
    groups = [f"group-{number // 2:03}" for number in range(photos)]
    pl.DataFrame({"photo": names, "split": ["val"] * photos, "group": groups}, schema=SPLIT_SCHEMA).write_parquet(
        folder / "split.parquet"
    )
    system = {
        "recipe": "baseline",
        "weights": "starter",
        "classes": ["car", "bus", "truck"],
        "merge": "max",
        "train": {},
        "predict": {"imgsz": 192},
    }
    study = {"study": "drawn", "seed": 3, "notice": "Drawn photos.", "systems": {"starter": system}}
    (folder / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    own = folder / "systems" / "starter"
    own.mkdir(parents=True)
    scores = np.where(table["has_vehicle"].to_numpy(), 0.9, 0.01)
    truth, named = table["has_vehicle"].to_numpy(), np.asarray(groups)
    frozen = FrozenThreshold(
        system="starter",
        seed=None,
        chosen=choose(scores, truth, named, ThresholdSettings(rule="fixed", value=threshold)),
        third_answer=choose_third_answer(scores, truth, named, ToAPersonSettings()),
        predictions_sha256="0" * 64,
        frozen_at="2026-01-01T00:00:00+00:00",
    )
    (own / "threshold.json").write_text(json.dumps(frozen.to_dict()), encoding="utf-8")
    return own


def _photo_row(file: Path, number: int) -> dict[str, Any]:
    vehicle = number % 2 == 0
    header = images.read_header(file)
    return {
        "photo": f"drawn/{file.name}",
        "path": str(file),
        "source": "drawn",
        "role": "normal" if vehicle else "background",
        "has_vehicle": vehicle,
        "width": header.width,
        "height": header.height,
        "damage_types": [],
        "claim": None,
        "sha256": sha256_of(file),
        "pinned": None,
        "box_truth": not vehicle,
        "plain": header.plain,
    }
