"""The settings that a study file can hold, one model for each thing a stage is handed.

Plain data with local checks only: nothing here opens a file. `study` reads the file, merges recipes and lists all
problems; stages import the narrow model they need from here.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_serializer,
    model_validator,
)

from wreckognize.catalog import Role, SplitName
from wreckognize.urls import url_of

# Numbers and switches are strict: `epochs: "5"` or `epochs: true` is a mistake, not a five or a one.
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=1)]
Index = Annotated[int, Field(strict=True, ge=0)]
Side = Annotated[int, Field(strict=True, ge=32, le=4096, multiple_of=32)]
"""Length of a square input's side in pixels; networks halve it five times."""
Switch = Annotated[bool, Field(strict=True)]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]


def _as_tuple(value: object) -> object:
    if value == "" or (isinstance(value, list | tuple) and "" in value):
        raise ValueError("a path, not an empty text")
    return (value,) if isinstance(value, str | Path) else value


def _written(path: Path) -> str:
    return url_of(path) or str(path)


_Place = Annotated[Path, PlainSerializer(_written, when_used="json")]
Paths = Annotated[tuple[_Place, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
"""One path or a list of them; globs allowed. Resolved against the study file's folder by `study`. A URL is kept as a
path too (`wreckognize.urls.url_of` knows it again)."""


class Settings(BaseModel):
    """Unknown keys are errors; values are not changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class SourceBase(Settings):
    """What all kinds of source share."""

    name: Name
    role: Role
    images: Paths
    limit: Count | None = None
    split: SplitName | None = None
    max_failed: Share = 0.05
    follow_links: Switch = False  # to files outside its folders
    hard: Switch = (
        False  # backgrounds that are likely to be mistaken: documents, interiors, engine bays, odometers
    )

    @model_validator(mode="after")
    def _hard_means_background(self) -> Self:
        if self.hard and self.role != "background":
            raise ValueError(f"`hard` on a source of backgrounds only (this one's role is {self.role})")
        return self


class AihubSource(SourceBase):
    """AI-Hub 581: one JSON a photo, in a tree beside the photos."""

    type: Literal["aihub"]
    labels: Paths
    per_damage: Count | None = None


class CocoSource(SourceBase):
    """COCO: one JSON for all photos."""

    type: Literal["coco"]
    annotations: Paths
    classes: tuple[str, ...] | None = None
    min_area: Share = 0.0


class FolderSource(SourceBase):
    """Photos without labels; the role says what they show."""

    type: Literal["folder"]


class YoloSource(SourceBase):
    """YOLO: one text file a photo, lines of ``class cx cy w h`` in shares of the photo's sides."""

    type: Literal["yolo"]
    labels: Paths | None = None  # default: the images path with its last folder "images" read as "labels"
    names: tuple[str, ...] = ("vehicle",)  # class names by number
    classes: tuple[str, ...] | None = None
    min_area: Share = 0.0


Source = Annotated[AihubSource | CocoSource | FolderSource | YoloSource, Field(discriminator="type")]


class SplitSettings(Settings):
    """Shares of the photos that are not pinned, and how validation is parted.

    Validation has two uses that must not share a group: its *stopping* part chooses the epoch, its *calibration*
    part the threshold. ``calibration`` is the share of the validation photos that choose the threshold.
    """

    train: Share = 0.7
    val: Share = 0.2
    test: Share = 0.1
    calibration: Annotated[float, Field(strict=True, gt=0, lt=1, allow_inf_nan=False)] = 0.5
    on_leak: Literal["stop", "exclude"] = "stop"

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.train + self.val + self.test
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            raise ValueError(f"shares of train, val and test that sum to 1 (these sum to {total:g})")
        return self


class GroupSettings(Settings):
    """When two photos count as nearly the same, and so must not straddle a split; null switches a test off.

    The defaults come from planted copies of real photos (``benchmarks/near.py``, ``docs/evidence-groups.md``).
    ``hash_distance``: up to 8 of 64 bits finds every copy that was re-encoded or halved, 99.9 % of the brightened and
    90 % of those cropped by 5 %, and joins none of a million pairs of different photos; at 10 the false joins begin.
    ``cosine``: from 0.975 on (YOLOv8n) it finds every cropped and mirrored copy, and of the 17 pairs it joins besides
    16 are the same car or the same place from another angle; at 0.97 every third pair is of different cars.
    """

    hash_distance: Annotated[int, Field(strict=True, ge=0, le=32)] | None = 8  # bits of 64 that may differ
    cosine: Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)] | None = 0.975


Engine = Literal["torch", "compiled", "openvino", "onnxruntime", "tensorrt", "auto"]
PrecisionName = Literal["float32", "bfloat16", "float16", "int8"]
ENGINE_PRECISIONS: dict[str, tuple[PrecisionName, ...]] = {
    "torch": ("float32", "bfloat16", "float16"),
    "compiled": ("float32", "bfloat16", "float16"),
    "openvino": ("float32", "bfloat16", "int8"),
    "onnxruntime": ("float32",),
    "tensorrt": ("float16",),
    "auto": ("float32",),  # it chooses the precision too
}
"""What each engine offers; whether the machine has it is another question."""


class EngineSettings(Settings):
    """What runs a network. ``auto`` measures what is installed and takes the fastest that passes parity."""

    engine: Engine = "torch"
    precision: PrecisionName = "float32"

    @model_validator(mode="after")
    def _offered(self) -> Self:
        if self.precision not in ENGINE_PRECISIONS[self.engine]:
            if self.engine == "auto":
                raise ValueError("`engine: auto` without `precision`: it chooses that too")
            offered = " or ".join(ENGINE_PRECISIONS[self.engine])
            raise ValueError(f"a precision that {self.engine} offers: {offered}")
        return self


class TeacherSettings(EngineSettings):
    """The detector that auto-labels whole vehicles."""

    weights: str = "yolov8x.pt"
    classes: tuple[str, ...] = ("car", "bus", "truck")
    imgsz: Side = 640
    merge: Literal["max", "argmax"] = "max"
    confidence: Share | None = None  # a default for systems that say nothing


class SystemAsTeacher(Settings):
    """A trained system of this study as the teacher of another."""

    system: Name


class LabelSettings(Settings):
    """Which boxes a system is trained on."""

    policy: Literal["damage", "hybrid"] = "hybrid"
    confidence: Share = 0.25
    fallback: Literal["damage", "union", "frame", "leave_out"] = "damage"
    human: Switch = False  # human boxes, where they exist, are the labels (from ver6 on)


def _switch_as_cache(value: object) -> object:
    """YAML reads a bare ``off`` as false."""
    return "off" if value is False else value


class TrainSettings(BaseModel):
    """Training settings: the recipes' own, and any other that Ultralytics knows (kept in ``model_extra``)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    epochs: Count = 50
    imgsz: Side = 640
    batch: Count = 16
    freeze: Index | tuple[Index, ...] | None = 10
    lr0: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] = 1e-4
    optimizer: str = "AdamW"
    patience: Index = 15
    close_mosaic: Index | None = None  # None: the library's default
    device: str | Index | tuple[Index, ...] | None = None
    cache: Annotated[Literal["auto", "ram", "disk", "off"], BeforeValidator(_switch_as_cache)] = (
        "auto"  # where photos are kept once they are decoded; changes no result
    )
    seeds: Annotated[int, Field(strict=True, ge=1, le=20)] = (
        1  # how many times it is trained, each from its own seed
    )

    def library_settings(self) -> dict[str, Any]:
        """What is handed to the library, without what was left to its defaults."""
        return {
            key: value for key, value in self.model_dump(exclude={"seeds", "cache"}).items() if value is not None
        }


ThresholdRule = Literal[
    "fixed",
    "best_f1",
    "best_balanced_accuracy",
    "recall_at_least",
    "false_alarms_at_most",
    "miss_rate_at_most",
]
_RULES_WITHOUT_VALUE = ("best_f1", "best_balanced_accuracy")
_WRITTEN = (
    "a number such as 0.1, best_f1, best_balanced_accuracy, {recall_at_least: 0.99}, {false_alarms_at_most: 0.05} or "
    "{miss_rate_at_most: 0.01}"
)


class ThresholdSettings(BaseModel):
    """How a system's threshold is chosen, on the calibration photos and before the test set is opened.

    In a study file: a number (fixed), the name of a rule (``best_f1``), or a rule and its value
    (``{miss_rate_at_most: 0.01}``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: ThresholdRule
    value: Share | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, given: object) -> object:
        rules = get_args(ThresholdRule)
        if isinstance(given, cls) or (isinstance(given, dict) and given.get("rule") in rules):
            return given
        if isinstance(given, int | float) and not isinstance(given, bool):
            return {"rule": "fixed", "value": given}
        if isinstance(given, str) and given in rules and given != "fixed":
            return {"rule": given}
        if isinstance(given, dict) and len(given) > 1:
            raise ValueError(f"one rule only: {_WRITTEN}")
        if isinstance(given, dict) and given:
            ((rule, value),) = given.items()
            if rule in rules:
                return {"rule": rule, "value": value}
        raise ValueError(_WRITTEN)

    @model_validator(mode="after")
    def _value_where_wanted(self) -> Self:
        wanted = self.rule not in _RULES_WITHOUT_VALUE
        if wanted != (self.value is not None):
            raise ValueError(f"{self.rule}: a share, e.g. 0.01" if wanted else f"{self.rule} without a value")
        return self

    @model_serializer
    def _as_written(self) -> object:
        if self.rule == "fixed":
            return self.value
        return self.rule if self.value is None else {self.rule: self.value}


class PredictSettings(EngineSettings):
    """How a system looks at photos."""

    imgsz: Side | None = None  # default: train.imgsz, else 640
    threshold: ThresholdSettings = ThresholdSettings(rule="fixed", value=0.10)  # vehicle if score >= threshold
    device: str | Index | None = None


class ToAPersonSettings(Settings):
    """The third answer: what lies between two thresholds goes to a person."""

    misses_at_most: Annotated[float, Field(strict=True, gt=0, lt=1, allow_inf_nan=False)] = 0.01
    false_alarms_at_most: Annotated[float, Field(strict=True, gt=0, lt=1, allow_inf_nan=False)] = 0.05


class EvidenceSettings(Settings):
    """What is said about the figures."""

    level: Annotated[float, Field(strict=True, gt=0.5, lt=1, allow_inf_nan=False)] = (
        0.95  # of intervals and verdicts
    )
    draws: Annotated[int, Field(strict=True, ge=200, le=100_000)] = 2000  # of the bootstrap and the sign-flip test
    prevalence: Annotated[float, Field(strict=True, gt=0, lt=1, allow_inf_nan=False)] | None = None  # at your door
    claim: Literal["any", "majority", "mean_top_two"] = "any"  # how the photos of one claim give one decision
    to_a_person: ToAPersonSettings = ToAPersonSettings()
    shortcuts: Switch = True  # predict on photos altered in shape and compression too


class StorageSettings(Settings):
    """How object storage is spoken to; credentials come from the environment, never from a study."""

    endpoint: str | None = None  # of an S3 API other than Amazon's, e.g. https://storage.example.org
    region: str | None = None
    attempts: Annotated[int, Field(strict=True, ge=1, le=20)] = 6  # of each request, with growing pauses
    timeout: Annotated[float, Field(strict=True, gt=0, le=600, allow_inf_nan=False)] = 30  # seconds of a request


class ScaleSettings(Settings):
    """Where photos are looked at: here, or by the machines of a Ray cluster.

    None of it changes a table; so none of it is part of any stage's fingerprint.
    """

    on: Literal["here", "ray"] = "here"
    address: str | None = None  # HOST:PORT of a cluster, or `auto`; none: Ray is started on this machine
    workers_per_node: Count | None = (
        None  # default: one a GPU; on a node without GPUs one, which has all its cores
    )
    patience: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] = 300  # seconds without any worker
    storage: StorageSettings = StorageSettings()

    @model_validator(mode="before")
    @classmethod
    def _an_address_means_ray(cls, given: object) -> object:
        if isinstance(given, dict) and given.get("address") is not None and "on" not in given:
            return {**given, "on": "ray"}
        return given


class SystemSettings(Settings):
    """One row of the comparison, with its recipe already merged in."""

    name: Name
    recipe: str
    weights: str
    trained: bool  # False: the baseline, never trained
    classes: tuple[str, ...] = ("car", "bus", "truck")  # read as vehicle where the weights know several classes
    merge: Literal["max", "argmax"] = "max"
    teacher: TeacherSettings | SystemAsTeacher
    labels: LabelSettings
    limits: dict[str, Count] = Field(default_factory=dict)  # role or source name -> photos of train + val
    train: TrainSettings
    predict: PredictSettings

    @property
    def predict_imgsz(self) -> int:
        """Longest side in pixels that photos are scaled to before inference."""
        return self.predict.imgsz or (self.train.imgsz if self.trained else 640)


Objective = Literal["roc_area", "found_at_5_percent", "balanced_accuracy", "map50_95"]
OBJECTIVES: dict[Objective, str] = {
    "roc_area": "ROC area, damaged against background",
    "found_at_5_percent": "damaged found at 5 % false alarms",
    "balanced_accuracy": "balanced accuracy at the best threshold",
    "map50_95": "mAP50-95 against boxes that people drew",
}
"""What a search may look for, in words; each from 0 to 1, the higher the better."""


class Dimension(Settings):
    """One field of a system that a search varies, and what it may become: one of ``choices``, or a number between.

    Attributes:
        field: of the system, e.g. ``train.lr0``.
        choices: values as in a study file; empty for a range.
        low: least value of a range.
        high: greatest value of a range, itself included.
        log: values are drawn by their order of magnitude.
        step: between neighbouring values; None: any (of whole numbers: 1).
        whole: whole numbers only.
    """

    field: str
    choices: tuple[Any, ...] = ()
    low: int | float = 0
    high: int | float = 0
    log: bool = False
    step: int | float | None = None
    whole: bool = False


class SearchSettings(Settings):
    """A search for the best settings of one system.

    Attributes:
        system: whose settings; it is trained.
        space: what varies.
        trials: how many settings are tried, by all processes together.
        minutes: no trial begins later than this after the command did; None: no limit.
        objective: what is looked for, on the stopping photos.
        pruner: ``median`` ends a training early if it does worse than half of those before it at the same epoch.
        storage: an Optuna storage URL; None: an SQLite file in the run's folder.
    """

    system: Name
    space: tuple[Dimension, ...]
    trials: Count = 20
    minutes: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] | None = None
    objective: Objective = "roc_area"
    pruner: Literal["median", "none"] = "median"
    storage: Annotated[str, Field(min_length=1)] | None = None
