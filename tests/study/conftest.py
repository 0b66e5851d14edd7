"""A folder with the photos and weights that a small study needs, and the study's values."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoints
import pytest
import yaml

from wreckognize.errors import Problem, StudyError
from wreckognize.study import Study

SMALL = {
    "study": "small",
    "sources": [
        {"name": "claims", "type": "aihub", "role": "damaged", "images": "claims", "labels": "claims"},
        {"name": "showroom", "type": "folder", "role": "normal", "images": "showroom"},
        {
            "name": "streets",
            "type": "coco",
            "role": "background",
            "images": "streets",
            "annotations": "streets.json",
        },
    ],
    "teacher": {"weights": "teacher.pt"},
    "systems": {
        "baseline": {"recipe": "baseline", "weights": "teacher.pt"},
        "ver5": {"recipe": "ver5", "weights": "yolov8n.yaml"},
    },
}


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos (not real ones: a study is checked without opening them), annotations and weights."""
    folder = tmp_path_factory.mktemp("home")
    for name in (
        "claims/a.jpg",
        "claims/a.json",
        "showroom/deep/b.jpg",
        "streets/c.jpg",
        "streets.json",
        "teacher.pt",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    checkpoints.harmless(folder / "teacher.pt")
    (folder / "empty").mkdir()
    (folder / "empty.pt").touch()
    (folder / "empty.json").touch()
    return folder


@pytest.fixture(scope="session")
def small() -> dict[str, Any]:
    """The values of a study without a problem, not to be changed."""
    return SMALL


@pytest.fixture
def values() -> dict[str, Any]:
    """The values of a study without a problem, free to be changed."""
    return copy.deepcopy(SMALL)


@pytest.fixture
def make(home: Path) -> Callable[..., Study]:
    """Makes a study from values, as if its file stood in ``home``."""

    def study(values: object, *overrides: str) -> Study:
        return Study.from_mapping(values, home, overrides=overrides)

    return study


@pytest.fixture
def problems(home: Path) -> Callable[..., tuple[Problem, ...]]:
    """What is wrong with a study; fails if nothing is."""

    def found(values: object, *overrides: str) -> tuple[Problem, ...]:
        with pytest.raises(StudyError) as caught:
            Study.from_mapping(values, home, overrides=overrides)
        assert caught.value.exit_code == 2
        return caught.value.problems

    return found


@pytest.fixture
def write(home: Path, tmp_path: Path) -> Callable[[object], Path]:
    """Writes values (or text) as a study file into ``tmp_path``, with the paths of ``home`` beside it."""
    for path in home.iterdir():
        (tmp_path / path.name).symlink_to(path)

    def file(content: object) -> Path:
        text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
        (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
        return tmp_path / "study.yaml"

    return file
