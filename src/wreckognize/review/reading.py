"""Opens what an annotation tool gave back and hands it to the reader of its format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from wreckognize.errors import UsageError
from wreckognize.reading import LABEL_BYTES, TABLE_BYTES, read_regular
from wreckognize.review import coco, labelstudio, yolo
from wreckognize.review.answers import Incoming
from wreckognize.review.boxfiles import CLASS, LookedAt
from wreckognize.review.manifest import MANIFEST, Manifest, Tool, read_manifest


def read_answers(
    source: Path, tool: Tool | None, photos: pl.DataFrame, *, looked_at: LookedAt, export: Path | None
) -> Incoming:
    """Read what a tool gave back.

    Args:
        source: a file, or for YOLO a folder.
        tool: that it is from; None: as it looks.
        photos: the catalog's, ``PHOTO_SCHEMA``.
        looked_at: how far the person got, for tools that do not say (COCO, YOLO).
        export: the folder that went out; None: the one that ``source`` lies in.

    Raises:
        UsageError: it cannot be read.
    """
    tool = tool or _tool_of(source)
    if tool == "label-studio":
        if looked_at is not None:
            raise UsageError(
                "Label Studio says itself which photos were looked at", where="--looked-at", remedy="leave it out"
            )
        sizes = {photo: (width, height) for photo, width, height in photos["photo", "width", "height"].iter_rows()}
        return labelstudio.read(_bytes(source), where=str(source), sizes=sizes)
    manifest = _manifest(source, export)
    if tool == "coco":
        file = source / coco.INSTANCES if source.is_dir() else source
        return coco.read(_bytes(file), manifest, where=str(file), looked_at=looked_at)
    labels = source / yolo.LABELS if (source / yolo.LABELS).is_dir() else source
    texts = {file.stem: _text(file) for file in sorted(labels.glob("*.txt")) if file.name != yolo.CLASSES}
    incoming = yolo.read(texts, _class_names(labels), manifest, looked_at=looked_at)
    named = [yolo.read_study(_text(file)) for file in _data_files(labels)]
    incoming.studies.update(study for study in named if study is not None)
    return incoming


def _tool_of(source: Path) -> Tool:
    """Which tool something is from, by its looks."""
    if source.is_dir():
        if (source / coco.INSTANCES).exists():
            return "coco"
        if (source / yolo.LABELS).is_dir() or any(source.glob("*.txt")):
            return "yolo"
    elif (first := _bytes(source)[:1]) in (b"[", b"{"):
        return "label-studio" if first == b"[" else "coco"
    raise UsageError(
        "cannot tell which tool this is from",
        where=str(source),
        remedy="name the JSON file (Label Studio, COCO) or the folder with the label files (YOLO), or say --from",
    )


def _bytes(file: Path, at_most: int = TABLE_BYTES) -> bytes:
    try:
        return read_regular(file, at_most).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError as error:
        raise UsageError(
            f"cannot be read ({error.strerror})", where=str(file), remedy="name the right file"
        ) from error


def _text(file: Path) -> str:
    """Of a small file in a folder that a tool wrote, which may have come from anywhere.

    Raises:
        UsageError: it is large, no text, or a link, which could lead to any file of this machine.
    """
    if file.is_symlink():
        raise UsageError("is a link", where=str(file), remedy="put the file itself in its place")
    try:
        return _bytes(file, LABEL_BYTES).decode()
    except UnicodeDecodeError as error:
        raise UsageError("is not text", where=str(file), remedy="export from the tool again") from error


def _class_names(labels: Path) -> Mapping[int, str]:
    for file in _data_files(labels):
        return yolo.read_names(_text(file), where=str(file))
    file = labels / yolo.CLASSES
    names = _text(file).splitlines() if file.exists() else [CLASS]
    return dict(enumerate(name.strip() for name in names))


def _data_files(labels: Path) -> list[Path]:
    """``data.yaml`` in the folder of labels or beside it; at most one."""
    return [file for file in (labels / yolo.DATA, labels.parent / yolo.DATA) if file.exists()][:1]


def _manifest(source: Path, export: Path | None) -> Manifest:
    folders = [export] if export else [source, source.parent, source.parent.parent]
    for folder in folders:
        if (folder / MANIFEST).exists():
            return read_manifest(folder / MANIFEST)
    raise UsageError(
        f"no {MANIFEST} lies beside it, so it cannot be known which photos these boxes are of",
        where=str(source),
        remedy="name the folder that `wreckognize review export` wrote with --export DIR",
    )
