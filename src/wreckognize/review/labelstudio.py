"""Label Studio's files: tasks with predictions out, annotations in.

Boxes there are in percent of the photo's sides, from the top left corner
(https://labelstud.io/guide/predictions). Photos are served from the export's folder by Label Studio itself
(``/data/local-files/?d=``, local file serving), so the photos need no upload and no copy of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from wreckognize.errors import UsageError
from wreckognize.lots import lot
from wreckognize.review.answers import Answer, Incoming
from wreckognize.review.boxfiles import CLASS
from wreckognize.review.manifest import PHOTOS, Manifest
from wreckognize.review.plan import Task
from wreckognize.review.records import Corners, Verdict, utc

TASKS = "tasks.json"
CONFIG = "label-config.xml"
_BOXES, _VERDICT, _IMAGE = "boxes", "verdict", "image"
_SHOWN = "wreckognize"
"""One name for all that is drawn: Label Studio shows the predictions of one ``model_version`` of a project only."""
_CANNOT_TELL = "cannot tell"
CHOICES: dict[str, Verdict | None] = {
    "damaged vehicle": "damaged",
    "intact vehicle": "normal",
    "no vehicle": "background",
    _CANNOT_TELL: None,
}
_CHOICE_OF = {verdict: choice for choice, verdict in CHOICES.items()}

_HEADER = '  <Header value="$note" size="5"/>\n'
LABEL_CONFIG = f"""\
<View>
{_HEADER}  <Choices name="{_VERDICT}" toName="{_IMAGE}" choice="single-radio" required="true" showInline="true"
           requiredMessage="Say what the photo shows.">
    <Choice value="damaged vehicle" hotkey="q"/>
    <Choice value="intact vehicle" hotkey="w"/>
    <Choice value="no vehicle" hotkey="e"/>
    <Choice value="{_CANNOT_TELL}" hotkey="r"/>
  </Choices>
  <RectangleLabels name="{_BOXES}" toName="{_IMAGE}" canRotate="false" strokeWidth="3" opacity="0.1">
    <Label value="{CLASS}" background="#d62728"/>
  </RectangleLabels>
  <Image name="{_IMAGE}" value="$image" zoom="true" zoomControl="true" rotateControl="false"/>
</View>
"""
"""The labelling interface: one class of boxes, and what the photo shows."""
BLANK_CONFIG = LABEL_CONFIG.replace(_HEADER, "")
"""The same without the note above the photo."""


class _Data(msgspec.Struct, frozen=True):
    study: str | None = None
    photo: str | None = None
    sha256: str | None = None


class _Result(msgspec.Struct, frozen=True):
    type: str
    value: dict[str, Any] = {}
    original_width: float | None = None
    original_height: float | None = None
    image_rotation: float | None = None


class _User(msgspec.Struct, frozen=True):
    id: int


class _Annotation(msgspec.Struct, frozen=True):
    id: int | str | None = None
    completed_by: int | _User | None = None
    result: list[_Result] = []
    was_cancelled: bool = False
    created_at: str | None = None
    updated_at: str | None = None


class _Task(msgspec.Struct, frozen=True):
    data: _Data
    id: int | str | None = None
    annotations: list[_Annotation] = []


def files(tasks: Sequence[Task], manifest: Manifest, folder: str) -> dict[str, bytes]:
    """What Label Studio imports: name -> content.

    Args:
        tasks: in order.
        manifest: of the same photos.
        folder: name of the export's folder; Label Studio serves the photos from the folder that holds it.
    """
    make = _blank_task if manifest.blank else _task
    entries = [
        make(task, _data(task, exported.file, manifest.study, folder))
        for task, exported in zip(tasks, manifest.photos, strict=True)
    ]
    content = msgspec.json.format(msgspec.json.encode(entries), indent=1) + b"\n"
    return {TASKS: content, CONFIG: (BLANK_CONFIG if manifest.blank else LABEL_CONFIG).encode()}


def _data(task: Task, file: str, study: str, folder: str) -> dict[str, str]:
    return {
        "image": f"/data/local-files/?d={quote(f'{folder}/{PHOTOS}/{file}')}",
        "study": study,
        "photo": task.photo,
        "sha256": task.sha256,
    }


def blank_name(photo: str) -> str:
    """What a photo is called where its name, which begins with its source, would tell the reviewer its role.

    >>> blank_name("street/a.jpg")
    'photo-ea31d97e9b1cd288'
    """
    return f"photo-{lot('blank review', photo).hex()[:16]}"


def _blank_task(task: Task, data: Mapping[str, str]) -> dict[str, Any]:
    return {"data": {**data, "photo": blank_name(task.photo)}}


def _task(task: Task, data: Mapping[str, str]) -> dict[str, Any]:
    frame = {"original_width": task.width, "original_height": task.height, "image_rotation": 0}
    regions: list[dict[str, Any]] = [
        {
            "id": f"box{number}",
            "type": "rectanglelabels",
            "from_name": _BOXES,
            "to_name": _IMAGE,
            **frame,
            "value": {
                **to_percent(box.corners, task.width, task.height),
                "rotation": 0,
                "rectanglelabels": [CLASS],
            },
            "meta": {"text": [box.origin]},
            **({} if box.confidence is None else {"score": box.confidence}),
        }
        for number, box in enumerate(task.boxes, 1)
    ]
    choice = {
        "id": "verdict",
        "type": "choices",
        "from_name": _VERDICT,
        "to_name": _IMAGE,
        "value": {"choices": [_CHOICE_OF[task.verdict]]},
    }
    confidences = [box.confidence for box in task.boxes if box.confidence is not None]
    score = {"score": min(confidences)} if confidences else {}
    return {
        "data": {**data, "note": _note(task)},
        "predictions": [{"model_version": _SHOWN, **score, "result": [*regions, choice]}],
    }


def _note(task: Task) -> str:
    """What the reviewer is told above the photo."""
    boxes = f"Boxes: {task.drawn_by}." if task.drawn_by else "No box."
    return f"{boxes} In doubt: {task.why}." if task.why else boxes


def to_percent(box: Corners, width: int, height: int) -> dict[str, float]:
    """``x y width height`` in percent of the photo's sides, from pixels.

    >>> to_percent((10, 20, 60, 40), 100, 200)
    {'x': 10.0, 'y': 10.0, 'width': 50.0, 'height': 10.0}
    """
    x1, y1, x2, y2 = box
    return {
        "x": 100 * x1 / width,
        "y": 100 * y1 / height,
        "width": 100 * (x2 - x1) / width,
        "height": 100 * (y2 - y1) / height,
    }


def to_pixels(value: dict[str, float], width: int, height: int) -> Corners:
    """``x1 y1 x2 y2`` in pixels, from percent."""
    x1, y1 = value["x"] * width / 100, value["y"] * height / 100
    return x1, y1, x1 + value["width"] * width / 100, y1 + value["height"] * height / 100


def read(data: bytes, *, where: str, sizes: dict[str, tuple[int, int]]) -> Incoming:
    """Read an export of Label Studio in its format ``JSON``.

    Of several answers of one person to one photo the last counts. Tasks without an answer, and those a person
    skipped, are counted.

    Args:
        data: the file.
        where: its name, for messages.
        sizes: photo -> width and height in pixels, as shown.

    Raises:
        UsageError: it is not such a file.
    """
    try:
        tasks = msgspec.json.decode(data, type=list[_Task])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"not an export of Label Studio: {error}",
            where=where,
            remedy="export the project as JSON (not JSON-MIN)",
        ) from error
    incoming = Incoming()
    blank = {blank_name(photo): photo for photo in sizes}
    for number, task in enumerate(tasks, 1):
        name = f"task {task.id if task.id is not None else number}"
        photo, sha256, study = task.data.photo, task.data.sha256, task.data.study
        if photo is None or sha256 is None or study is None:
            incoming.problem(
                name, "does not say study, photo and sha256: not a task of `wreckognize review export`"
            )
            continue
        photo = blank.get(photo, photo)
        incoming.studies.add(study)
        made = [one for one in task.annotations if not one.was_cancelled]
        if not made:
            incoming.unanswered += 1
            incoming.skipped += bool(task.annotations)
        for annotation in made:
            where_said = f"{name}, {photo}"
            incoming.answers.append(
                Answer(
                    where=where_said,
                    photo=photo,
                    sha256=sha256,
                    reviewer=_user(annotation),
                    when=_when(annotation, where_said, incoming),
                    **_said(annotation, where_said, sizes.get(photo), incoming),
                )
            )
    return incoming


def _user(annotation: _Annotation) -> str:
    by = annotation.completed_by
    return f"user {by.id if isinstance(by, _User) else by}"


def _when(annotation: _Annotation, where: str, incoming: Incoming) -> str | None:
    when = annotation.updated_at or annotation.created_at
    try:
        return utc(when) if when else None
    except ValueError:
        incoming.problem(where, f"{when!r} is not a time")
        return None


def _said(annotation: _Annotation, where: str, size: tuple[int, int] | None, incoming: Incoming) -> dict[str, Any]:
    """Verdict and boxes of an annotation; what cannot be read is a problem."""
    verdict: Verdict | None = None
    cannot_tell = False
    boxes: list[Corners] = []
    for result in annotation.result:
        if result.type == "choices":
            chosen = result.value.get("choices")
            if not isinstance(chosen, list) or len(chosen) != 1 or chosen[0] not in CHOICES:
                incoming.problem(where, f"the choice {chosen!r} is not one of {', '.join(CHOICES)}")
                continue
            verdict, cannot_tell = CHOICES[chosen[0]], chosen[0] == _CANNOT_TELL
        elif result.type == "rectanglelabels":
            boxes += _box(result, where, size, incoming)
        else:
            incoming.problem(where, f"has a region of type {result.type!r}; only rectangles are read")
    return {"verdict": verdict, "boxes": () if cannot_tell else tuple(boxes), "cannot_tell": cannot_tell}


def _box(result: _Result, where: str, size: tuple[int, int] | None, incoming: Incoming) -> Iterator[Corners]:
    value = result.value
    names = value.get("rectanglelabels")
    if names != [CLASS]:
        incoming.problem(where, f"has a box of the class {names!r}; the only class is {CLASS!r}")
        return
    if (value.get("rotation") or 0) % 360 or (result.image_rotation or 0) % 360:
        incoming.problem(where, "has a turned box or a turned photo; boxes must be upright")
        return
    numbers = {key: value.get(key) for key in ("x", "y", "width", "height")}
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers.values()):
        incoming.problem(where, f"has a box without numbers: {numbers}")
        return
    if size is None:
        return  # an unknown photo; that is said elsewhere
    shown = (result.original_width, result.original_height)
    if None not in shown and shown != size:
        incoming.problem(
            where, f"was drawn on a photo of {shown[0]:g} x {shown[1]:g} pixels; it has {size[0]} x {size[1]}"
        )
        return
    yield to_pixels({key: float(one) for key, one in numbers.items() if one is not None}, *size)
