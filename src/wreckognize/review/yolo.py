"""YOLO's files: one text file a photo, a line ``class cx cy w h`` a box, in shares of the photo's sides."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import yaml

from wreckognize.errors import StudyError, UsageError
from wreckognize.review.answers import Incoming
from wreckognize.review.boxfiles import CLASS, LookedAt, to_incoming
from wreckognize.review.manifest import PHOTOS, Exported, Manifest
from wreckognize.review.plan import Task
from wreckognize.review.records import Corners
from wreckognize.study.reader import parse_document

LABELS = "labels"
DATA = "data.yaml"
CLASSES = "classes.txt"
_COLUMNS = 5
_NUMBER = re.compile("[0-9]{1,6}")


def files(tasks: Sequence[Task], manifest: Manifest) -> dict[str, bytes]:
    """What goes out: name -> content. A photo without boxes has an empty file."""
    data = {"study": manifest.study, "path": ".", "train": PHOTOS, "val": PHOTOS, "names": {0: CLASS}}
    content = {
        DATA: yaml.safe_dump(data, sort_keys=False).encode(),
        f"{LABELS}/{CLASSES}": f"{CLASS}\n".encode(),
    }
    for task, exported in zip(tasks, manifest.photos, strict=True):
        lines = [_line(box.corners, task.width, task.height) for box in task.boxes]
        content[f"{LABELS}/{_stem(exported.file)}.txt"] = "".join(lines).encode()
    return content


def _stem(file: str) -> str:
    return PurePosixPath(file).stem


def _line(box: Corners, width: int, height: int) -> str:
    x1, y1, x2, y2 = box
    shares = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
    return "0 " + " ".join(f"{share:.9f}" for share in shares) + "\n"


def read_names(text: str, *, where: str) -> dict[int, str]:
    """Class names by number, from ``data.yaml`` (``names`` as a list or by number).

    Raises:
        UsageError: it has no such names.
    """
    try:
        document = parse_document(text, where)
        if document.problems:
            raise StudyError(document.problems)
    except StudyError as error:
        problem = error.problems[0]
        raise UsageError(
            f"{problem.found}, not YAML with `names`", where=problem.file, remedy="correct it, or export again"
        ) from error
    names = document.content.get("names")
    if isinstance(names, list):
        return {number: str(name) for number, name in enumerate(names)}
    if isinstance(names, dict) and all(_NUMBER.fullmatch(number) for number in names):
        return {int(number): str(name) for number, name in names.items()}
    raise UsageError("has no `names` by number", where=where, remedy="give `names: {0: vehicle}`")


def read_study(text: str) -> str | None:
    """The study that a ``data.yaml`` is of, if it says so (ours do; what a tool wrote need not)."""
    try:
        study = parse_document(text, DATA).content.get("study")
    except StudyError:
        return None  # said where its names are read
    return None if study is None else str(study)


def read(
    labels: Mapping[str, str], names: Mapping[int, str], manifest: Manifest, *, looked_at: LookedAt
) -> Incoming:
    """Read label files that came back.

    Args:
        labels: name of a label file without its ending -> its text. A photo whose file is missing has no answer; an
            empty file says that there is no vehicle.
        names: class names by number.
        manifest: of the export that they came from.
        looked_at: see `boxfiles`.
    """
    incoming = Incoming()
    exported = {_stem(one.file): one for one in manifest.photos}
    found: dict[str, list[Corners]] = {}
    for stem, text in labels.items():
        if stem not in exported:
            incoming.problem(f"{stem}.txt", "is not of a photo of this export")
            continue
        one = exported[stem]
        found[one.file] = [
            box
            for number, line in enumerate(text.splitlines(), 1)
            if line.strip() and (box := _box(line, f"{stem}.txt line {number}", names, one, incoming))
        ]
    return to_incoming(manifest, found, looked_at=looked_at, incoming=incoming)


def _box(
    line: str, where: str, names: Mapping[int, str], exported: Exported, incoming: Incoming
) -> Corners | None:
    try:
        number, *shares = (float(word) for word in line.split())
    except ValueError:
        incoming.problem(where, f"{line.strip()!r} is not a line of numbers")
        return None
    if len(shares) != _COLUMNS - 1:
        incoming.problem(where, f"has {len(shares) + 1} numbers; a box has {_COLUMNS}")
        return None
    if not all(map(math.isfinite, (number, *shares))):
        incoming.problem(where, f"{line.strip()!r} is not a box of numbers")
        return None
    name = names.get(int(number)) if number.is_integer() else None
    if name != CLASS:
        found = f"class {name!r}" if name is not None else f"class {number:g}, which is not defined"
        incoming.problem(where, f"has a box of the {found}; the only class is {CLASS!r}")
        return None
    cx, cy, w, h = shares
    width, height = exported.width, exported.height
    return (cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height
