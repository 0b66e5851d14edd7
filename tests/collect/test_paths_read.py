from pathlib import Path

import pytest

from wreckognize.collect import paths_read
from wreckognize.errors import UsageError
from wreckognize.settings import AihubSource, CocoSource, FolderSource, YoloSource

COMMON = {"name": "s", "role": "normal"}


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def test_every_place_a_source_is_read_from_is_named(tmp_path):
    images, labels = folder(tmp_path / "a" / "images"), folder(tmp_path / "a" / "labels")
    more = folder(tmp_path / "b" / "images")
    annotations = tmp_path / "instances.json"
    annotations.write_text("{}")

    def places(source):
        read = paths_read(source)
        return [*read.photos], [*read.labels]

    assert places(FolderSource(type="folder", images=tmp_path / "*" / "images", **COMMON)) == ([images, more], [])
    assert places(AihubSource(type="aihub", images=images, labels=labels, **COMMON)) == ([images], [labels])
    assert places(CocoSource(type="coco", images=images, annotations=annotations, **COMMON)) == (
        [images],
        [annotations],
    )
    neighbour = places(YoloSource(type="yolo", images=images, **COMMON))
    assert neighbour == ([images], [labels])


def test_a_missing_place_is_said(tmp_path):
    with pytest.raises(UsageError, match="not found"):
        paths_read(FolderSource(type="folder", images=tmp_path / "gone", **COMMON))
