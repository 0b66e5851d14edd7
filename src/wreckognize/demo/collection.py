"""The demo's collection: drawn photos and their labels, laid out as real sources are.

    claims/images/TS_damage, claims/labels/TL_damage  AI-Hub 581: a JSON a photo, up to three a claim
    wrecks/images, wrecks/instances.json              COCO: damaged vehicles, boxes round the whole vehicle
    street/images, street/instances.json              COCO: intact vehicles, and places without one
    fleet/images, fleet/labels                        YOLO: intact vehicles
    showroom                                          a plain folder: intact vehicles
    backyard, scrapyard                               plain folders: places without a vehicle
    study.yaml                                        a study over all of them

Real sources have defects, so these have a few: a truncated photo, a label without a photo, a box without area,
damage that is null, a photo that EXIF turns, a grey one, a CMYK one, one with a Korean name.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from wreckognize.boxes import as_boxes
from wreckognize.demo import formats
from wreckognize.demo.draw import Case, Drawn, random_case, render_background, render_vehicle_photo
from wreckognize.demo.paint import Image
from wreckognize.errors import UsageError
from wreckognize.files import atomic_folder, sha256_of
from wreckognize.progress import Progress, Silent, Task

STUDY = Path(__file__).with_name("study.yaml")
CLOSE_UP_SHARE = 0.5
"""Of the damaged photos: the vehicle exceeds the frame and only a part of it is seen."""

_MARK = "collection.json"
_FORMAT = 1  # of the drawings: raised when they change, so that an older collection is drawn anew
_SIZES = ((320, 240), (360, 240), (240, 320), (320, 320), (400, 300))
_FEWEST = 6
_FEWEST_CLAIMS = 60  # two of them are spoilt, and more than 5 % failing would stop the run


@dataclass(frozen=True, slots=True)
class Counts:
    """Photos of each kind."""

    claims: int
    wrecks: int
    street_vehicles: int
    street_places: int
    fleet: int
    showroom: int
    backyard: int
    scrapyard: int

    @property
    def total(self) -> int:
        """All photos."""
        return sum(asdict(self).values())


FULL = Counts(
    claims=330,
    wrecks=100,
    street_vehicles=90,
    street_places=140,
    fleet=50,
    showroom=100,
    backyard=110,
    scrapyard=200,
)


@dataclass(frozen=True, slots=True)
class Collection:
    """A finished collection."""

    folder: Path
    study: Path
    counts: Counts


def make(folder: Path, *, seed: int = 0, scale: float = 1.0, progress: Progress | None = None) -> Collection:
    """Draw the collection, or leave it as it is where the same one is already there.

    Everything is drawn beside ``folder`` and moved there whole at the end.

    Args:
        folder: an older collection in it is replaced.
        seed: the same seed draws the same photos.
        scale: share of the full counts; few photos of each kind are always drawn.
        progress: where to report.

    Raises:
        UsageError: ``folder`` holds something else, or cannot be written.
    """
    counts = scaled(scale)
    mark = json.dumps({"format": _FORMAT, "seed": seed, "counts": asdict(counts), "study": sha256_of(STUDY)})
    finished = Collection(folder, folder / STUDY.name, counts)
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARK).is_file():
            raise UsageError(
                "the folder holds files that the demo did not make",
                where=str(folder),
                remedy="choose an empty folder, or empty this one",
            )
        if (folder / _MARK).read_text() == mark:
            return finished
    try:
        with atomic_folder(folder, replace=True) as part:
            with (progress or Silent()).task("drawing", counts.total) as task:
                _Painter(part, seed, task).draw_all(counts)
            shutil.copyfile(STUDY, part / STUDY.name)
            (part / _MARK).write_text(mark)
    except OSError as error:
        raise UsageError(
            f"the collection could not be written ({error.strerror})",
            where=str(folder),
            remedy="check the folder's permissions and the free disk space",
        ) from error
    return finished


def scaled(scale: float) -> Counts:
    """The full counts times ``scale``, but never less than a handful of each kind."""

    def count(full: int, fewest: int = _FEWEST) -> int:
        return max(min(full, fewest), round(full * scale))

    return Counts(
        claims=count(FULL.claims, _FEWEST_CLAIMS),
        wrecks=count(FULL.wrecks),
        street_vehicles=count(FULL.street_vehicles),
        street_places=count(FULL.street_places),
        fleet=count(FULL.fleet),
        showroom=count(FULL.showroom),
        backyard=count(FULL.backyard),
        scrapyard=count(FULL.scrapyard),
    )


def random_size(rng: np.random.Generator) -> tuple[int, int]:
    """Width and height of a photo in pixels."""
    return _SIZES[int(rng.integers(len(_SIZES)))]


def write_jpeg(path: Path, image: Image, rng: np.random.Generator) -> None:
    """Write a photo as a camera would, at a random quality."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(68, 96))])
    path.write_bytes(data.tobytes())


def draw_damaged(rng: np.random.Generator, case: Case, size: tuple[int, int], *, close_up: bool) -> Drawn:
    """Take photos of a damaged vehicle until one shows damage; every fourth try moves in close."""
    tries = (
        render_vehicle_photo(rng, case, size=size, close_up=close_up or number % 4 == 3)
        for number in itertools.count()
    )
    return next(drawn for drawn in tries if drawn.damages)


class _Painter:
    """Draws one source after the other below a folder; each photo or claim has a generator of its own."""

    def __init__(self, folder: Path, seed: int, task: Task) -> None:
        self._folder, self._seed, self._task = folder, seed, task

    def draw_all(self, counts: Counts) -> None:
        self._claims(counts.claims)
        self._wrecks(counts.wrecks)
        self._street(counts.street_vehicles, counts.street_places)
        self._fleet(counts.fleet)
        self._showroom(counts.showroom)
        for number, (name, count) in enumerate((("backyard", counts.backyard), ("scrapyard", counts.scrapyard))):
            self._places(name, count, stream=6 + number)

    def _rng(self, *stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64([self._seed, *stream]))

    def _subfolder(self, *parts: str) -> Path:
        folder = self._folder.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _write(self, path: Path, image: Image, rng: np.random.Generator) -> None:
        write_jpeg(path, image, rng)
        self._task.advance()

    def _claims(self, count: int) -> None:
        images, labels = (
            self._subfolder("claims", "images", "TS_damage"),
            self._subfolder("claims", "labels", "TL_damage"),
        )
        number = 0
        for claim_number in itertools.count():
            rng = self._rng(1, claim_number)
            claim, case = f"sc-{100_000 + 7 * claim_number}", random_case(rng, damaged=True)
            for _ in range(min(int(rng.integers(1, 4)), count - number)):
                number += 1
                drawn = draw_damaged(rng, case, size := random_size(rng), close_up=rng.random() < CLOSE_UP_SHARE)
                stem = f"{number:07d}_{claim}"
                self._write(images / f"{stem}.jpg", drawn.image, rng)
                label = formats.aihub_label(
                    f"{stem}.jpg", size, claim, case.vehicle.kind, drawn.damages, number=number
                )
                (labels / f"{stem}.json").write_text(label)
            if number == count:
                break
        _spoil_claims(sorted(images.iterdir()), labels)

    def _wrecks(self, count: int) -> None:
        images = self._subfolder("wrecks", "images")
        photos = []
        for number in range(1, count + 1):
            rng = self._rng(2, number)
            case, size = random_case(rng, damaged=True), random_size(rng)
            drawn = draw_damaged(rng, case, size, close_up=rng.random() < CLOSE_UP_SHARE)
            self._write(images / f"wreck{number:04d}.jpg", drawn.image, rng)
            photos.append(formats.CocoPhoto(f"wreck{number:04d}.jpg", size, drawn.vehicles, drawn.kinds))
        (images.parent / "instances.json").write_text(formats.coco_annotations(photos))

    def _street(self, vehicles: int, places: int) -> None:
        images = self._subfolder("street", "images")
        photos = []
        for number in range(1, vehicles + places + 1):
            rng = self._rng(3, number)
            name, size = f"{number:012d}.jpg", random_size(rng)
            if number <= vehicles:
                drawn = _draw_intact(rng, size)
                self._write(images / name, drawn.image, rng)
                photos.append(formats.CocoPhoto(name, size, drawn.vehicles, drawn.kinds))
            else:
                place = render_background(rng, size=size, hard=True)
                self._write(images / name, place.image, rng)
                boxes = as_boxes([thing.box for thing in place.things])
                photos.append(formats.CocoPhoto(name, size, boxes, tuple(thing.name for thing in place.things)))
        (images.parent / "instances.json").write_text(formats.coco_annotations(photos))

    def _fleet(self, count: int) -> None:
        images, labels = self._subfolder("fleet", "images"), self._subfolder("fleet", "labels")
        for number in range(1, count + 1):
            rng = self._rng(4, number)
            drawn = _draw_intact(rng, size := random_size(rng))
            self._write(images / f"fleet-{number:04d}.jpg", drawn.image, rng)
            (labels / f"fleet-{number:04d}.txt").write_text(formats.yolo_label(size, drawn.vehicles))

    def _showroom(self, count: int) -> None:
        folder = self._subfolder("showroom")
        for number in range(1, count + 1):
            rng = self._rng(5, number)
            drawn = _draw_intact(rng, random_size(rng))
            self._write(folder / f"showroom {number:04d}.jpg", drawn.image, rng)
        _vary_showroom(sorted(folder.iterdir()))

    def _places(self, name: str, count: int, *, stream: int) -> None:
        folder = self._subfolder(name)
        for number in range(1, count + 1):
            rng = self._rng(stream, number)
            place = render_background(rng, size=random_size(rng), hard=True)
            self._write(folder / f"{name}-{number:04d}.jpg", place.image, rng)


def _draw_intact(rng: np.random.Generator, size: tuple[int, int]) -> Drawn:
    return render_vehicle_photo(rng, random_case(rng, damaged=False), size=size, close_up=False)


def _spoil_claims(photos: Sequence[Path], labels: Path) -> None:
    """Give the claims the defects of real labels; two photos or labels of them cannot be used."""
    cut = photos[-1]
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    missing = "9999999_sc-999999"
    (labels / f"{missing}.json").write_text((labels / f"{photos[0].stem}.json").read_text())
    for photo, change in ((photos[1], {"bbox": [5, 5, 0, 12]}), (photos[2], {"damage": None})):
        path = labels / f"{photo.stem}.json"
        label = json.loads(path.read_text())
        label["annotations"].append(label["annotations"][0] | {"id": 100_000_000} | change)
        path.write_text(json.dumps(label))


def _vary_showroom(photos: Sequence[Path]) -> None:
    """Store some photos as cameras, scanners and people do; all of them can be used."""
    from PIL import Image as Pillow

    turned, grey, cmyk, korean = photos[:4]
    with Pillow.open(turned) as photo:
        exif = photo.getexif()
        exif[0x0112] = 6  # stored lying on its side: to be turned clockwise by a quarter
        photo.transpose(Pillow.Transpose.ROTATE_90).save(turned, quality=88, exif=exif)
    for path, mode in ((grey, "L"), (cmyk, "CMYK")):
        with Pillow.open(path) as photo:
            photo.convert(mode).save(path, quality=88)
    korean.rename(korean.with_name("전시장 사진.jpg"))
