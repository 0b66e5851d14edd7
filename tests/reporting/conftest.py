"""A made-up study: small random photos on disk, systems of known quality, and figures by the real evaluation."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pytest

from wreckognize.catalog import (
    BOX_SCHEMA,
    LABEL_SCHEMA,
    PHOTO_SCHEMA,
    PREDICTION_SCHEMA,
    QUARANTINE_SCHEMA,
    SPLIT_SCHEMA,
    TALLY_SCHEMA,
)
from wreckognize.evaluation.comparison import Comparison, JudgedPhotos, Provenance, evaluate_system
from wreckognize.evaluation.latency import Latency, LatencyContext
from wreckognize.reporting.inputs import LABEL_PHOTO_SCHEMA, ReportInput, SystemReport

SKILLS = {"baseline": 0.45, "ver1": 0.42, "ver4": 0.7, "ver5": 0.85, "ver6": 0.95}
MakeReport = Callable[..., ReportInput]
VOID = {"meta", "link", "br", "img", "hr", "input"}


def photo_table(
    folder: Path, names: Sequence[tuple[str, str]], *, size: tuple[int, int] = (320, 240)
) -> pl.DataFrame:
    """``PHOTO_SCHEMA`` rows of ``(name, role)``; sources are named after the role, paths lie in ``folder``."""
    kinds = ("Scratched", "Separated", "Breakage", "Crushed")
    return pl.DataFrame(
        {
            "photo": [name for name, _ in names],
            "path": [str(folder / f"{number}.jpg") for number, _ in enumerate(names)],
            "source": [name.split("/")[0] for name, _ in names],
            "role": [role for _, role in names],
            "has_vehicle": [role != "background" for _, role in names],
            "width": [size[0]] * len(names),
            "height": [size[1]] * len(names),
            "damage_types": [
                [kinds[number % 4]] if role == "damaged" else [] for number, (_, role) in enumerate(names)
            ],
            "claim": [None] * len(names),
            "sha256": [f"{number:064x}" for number in range(len(names))],
            "pinned": [None] * len(names),
            "box_truth": [role != "damaged" for _, role in names],
            "plain": [True] * len(names),
        },
        schema=PHOTO_SCHEMA,
    )


def write_photos(photos: pl.DataFrame, *, noise: bool = False) -> None:
    """A JPEG for each row of ``photos``, of the size it says: a smooth picture, or noise that compresses badly."""
    random = np.random.default_rng(0)
    for path, width, height in photos.select("path", "width", "height").iter_rows():
        grid = (height, width) if noise else (4, 6)
        pixels = random.integers(0, 256, (*grid, 3), dtype=np.uint8)
        cv2.imwrite(path, cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC))


def predict(photos: pl.DataFrame, skill: float, seed: int) -> pl.DataFrame:
    """Predictions that tell vehicles from backgrounds the better the higher ``skill`` (0 to 1)."""
    random = np.random.default_rng(seed)
    rows = []
    for name, vehicle, width, height in photos.select("photo", "has_vehicle", "width", "height").iter_rows():
        score = random.beta(0.3 + 7 * skill**3, 1.5) if vehicle else random.beta(0.5, 3 + 3 * skill)
        if score > 0.02:
            x, y = random.uniform(0.02, 0.2, 2)
            rows.append((name, x * width, y * height, (1 - x) * width, (1 - y) * height, score))
    return pl.DataFrame(rows, schema=PREDICTION_SCHEMA, orient="row", strict=False)


def curves(epochs: int, skill: float) -> pl.DataFrame:
    """Training curves with the columns of Ultralytics' results.csv."""
    epoch = np.arange(1, epochs + 1)
    losses = {
        f"{part}/{kind}_loss": start * np.exp(-epoch / 9) + offset
        for part, offset in (("train", 0.3), ("val", 0.5))
        for kind, start in (("box", 1.4), ("cls", 2.2), ("dfl", 1.1))
    }
    figures = {
        f"metrics/{name}(B)": skill * factor * (1 - np.exp(-epoch / 6))
        for name, factor in (("precision", 1.0), ("recall", 0.97), ("mAP50", 0.98), ("mAP50-95", 0.8))
    }
    return pl.DataFrame({"epoch": epoch, "time": epoch * 95.0} | losses | figures | {"lr/pg0": 1e-4 / epoch})


def system_report(
    name: str,
    photos: pl.DataFrame,
    boxes: pl.DataFrame,
    test: pl.DataFrame,
    predictions: pl.DataFrame,
    seed: int = 0,
) -> SystemReport:
    """A system whose figures follow from its predictions; trained unless it is called ``baseline``."""
    trained = name != "baseline"
    learned = photos.join(test, on="photo", how="anti")
    origins = ("teacher", "damage", "frame", "human")
    vehicles = learned.filter("has_vehicle").with_row_index("number")
    kept = vehicles.filter(pl.col("number") % 11 != 0)
    rows = [
        (photo, "train", 10.0, 10.0, width - 10.0, height - 10.0, "vehicle", origins[number % 4], 0.8)
        for number, photo, width, height in kept.select("number", "photo", "width", "height").iter_rows()
    ]
    labels = pl.DataFrame(rows, schema=LABEL_SCHEMA, orient="row", strict=False).with_columns(
        pl.when(pl.col("origin") == "teacher").then("confidence")
    )
    left_out = vehicles.filter(pl.col("number") % 11 == 0)["photo"]
    outcomes = [(photo, "train", "labelled", None) for photo in kept["photo"]]
    outcomes += [(photo, "train", "left_out", "no teacher box") for photo in left_out]
    outcomes += [(photo, "train", "background", None) for photo in learned.filter(~pl.col("has_vehicle"))["photo"]]
    figures = evaluate_system(
        name, test, boxes, predictions, threshold=0.10,
        provenance=Provenance(
            recipe=name, weights="yolov8x.pt", weights_sha256="ab" * 32, trained=trained,
            epochs_run=30 if trained else None, train_seconds=2850.0 if trained else None,
        ),
        latency=Latency(54.2 + seed, 71.8 + seed, 18.1, 40),
        context=LatencyContext("CPU (2 cores)", 2, "fp32", 640, "torch"),
    )  # fmt: skip
    return SystemReport(
        name,
        figures,
        predictions,
        labels if trained else None,
        pl.DataFrame(outcomes, schema=LABEL_PHOTO_SCHEMA, orient="row") if trained else None,
        curves(30, SKILLS.get(name, 0.8)) if trained else None,
    )


def human_boxes(photos: pl.DataFrame) -> pl.DataFrame:
    """A human box round the vehicle of every photo with box truth."""
    rows = [
        (photo, 0.1 * width, 0.12 * height, 0.9 * width, 0.88 * height, "vehicle", "human", None, False)
        for photo, width, height in photos.filter(pl.col("box_truth") & pl.col("has_vehicle"))
        .select("photo", "width", "height")
        .iter_rows()
    ]
    return pl.DataFrame(rows, schema=BOX_SCHEMA, orient="row", strict=False)


def assemble(
    photos: pl.DataFrame,
    boxes: pl.DataFrame,
    split: pl.DataFrame,
    predictions: dict[str, pl.DataFrame],
    **more: Any,
) -> ReportInput:
    """A whole report input from predictions by system name."""
    test = photos.join(split.filter(pl.col("split") == "test"), on="photo", how="semi")
    systems = tuple(
        system_report(name, photos, boxes, test, predicted, number)
        for number, (name, predicted) in enumerate(predictions.items())
    )
    comparison = Comparison("made-up", JudgedPhotos.of(test), tuple(system.figures for system in systems))
    nothing = {"quarantine": QUARANTINE_SCHEMA, "tally": TALLY_SCHEMA}
    values: dict[str, Any] = {"study": "made-up", "created": "2026-11-23 12:00 UTC", "notice": ""}
    values |= {name: pl.DataFrame(schema=schema) for name, schema in nothing.items()}
    values |= {"comparison": comparison, "systems": systems, "photos": photos, "boxes": boxes, "split": split}
    return ReportInput(**(values | more))


def split_table(photos: pl.DataFrame, in_test: Callable[[int], bool]) -> pl.DataFrame:
    """``SPLIT_SCHEMA``: test where ``in_test`` says so of the row's number, else train."""
    names = photos["photo"].to_list()
    splits = ["test" if in_test(number) else "train" for number in range(len(names))]
    return pl.DataFrame({"photo": names, "split": splits, "group": names}, schema=SPLIT_SCHEMA)


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="session")
def parse() -> type[Page]:
    """Reads a page as a browser would."""
    return Page


@pytest.fixture(scope="session")
def make_report(tmp_path_factory: pytest.TempPathFactory) -> MakeReport:
    """A report input of ``counts`` photos a role, of which ``test_share`` are tested, for the systems named."""

    def make(
        systems: Sequence[str] = tuple(SKILLS),
        counts: tuple[int, int, int] = (120, 60, 120),
        *,
        test_every: int = 2,
        boxes: bool = True,
        noise: bool = False,
        size: tuple[int, int] = (320, 240),
        on_disk: bool = True,
        **more: Any,
    ) -> ReportInput:
        folder = tmp_path_factory.mktemp("photos")
        roles = ("damaged", "normal", "background")
        names = sorted(
            (f"{role}-photos/{number:04d}.jpg", role)
            for role, many in zip(roles, counts, strict=True)
            for number in range(many)
        )
        photos = photo_table(folder, names, size=size)
        if on_disk:
            write_photos(photos, noise=noise)
        drawn = human_boxes(photos) if boxes else pl.DataFrame(schema=BOX_SCHEMA)
        split = split_table(photos, lambda number: number % test_every == 0)
        test = photos.join(split.filter(pl.col("split") == "test"), on="photo", how="semi")
        predictions = {name: predict(test, SKILLS[name], seed) for seed, name in enumerate(systems)}
        return assemble(photos, drawn, split, predictions, **more)

    return make


@pytest.fixture(scope="session")
def full_report(make_report: MakeReport) -> ReportInput:
    """Five systems with everything a report can hold."""
    reasons = ["truncated or damaged photo"] * 40 + ["label without photo"] * 20
    quarantine = [
        ("aihub", f"images/{number}.jpg", reason, "fetch the photo again, or take it away")
        for number, reason in enumerate(reasons)
    ]
    tally = [
        ("aihub", "used", "", 80),
        ("aihub", "quarantined", "truncated or damaged photo", 40),
        ("aihub", "quarantined", "label without photo", 20),
        ("aihub", "noted", "EXIF orientation 6", 3),
        ("aihub", "box_clipped", "partly outside", 7),
        ("coco", "not_wanted", "largest box below min_area", 1234),
    ]
    return make_report(
        notice="The photos in this study are drawn.",
        quarantine=pl.DataFrame(quarantine, schema=QUARANTINE_SCHEMA, orient="row"),
        tally=pl.DataFrame(tally, schema=TALLY_SCHEMA, orient="row"),
        shortfalls=("ver4 stopped after 30 of 50 epochs: patience.",),
        environment=(("wreckognize", "0.1.0"), ("torch", "2.15.0"), ("device", "CPU (2 cores)")),
        settings_yaml="study: made-up\nseed: 0\nsources:\n- {name: 한국, images: /home/jane doe/photos/damaged}\n",
    )
