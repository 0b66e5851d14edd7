"""``bundle.json``: what a bundle is, what it decides by, and the hash of every file in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wreckognize.detectors.port import Merge, Precision
from wreckognize.exporting.verdicts import Band, Rule
from wreckognize.inference.stream import StreamSettings

MANIFEST, CARD, CARD_TEXT, PARITY = "bundle.json", "card.json", "card.md", "parity.json"
BundleEngine = Literal["onnxruntime", "openvino", "tensorrt", "torch"]
Target = Literal["onnx", "openvino", "tensorrt", "safetensors"]
"""What a system can be exported to."""
ENGINES: dict[Target, BundleEngine] = {
    "onnx": "onnxruntime",
    "openvino": "openvino",
    "tensorrt": "tensorrt",
    "safetensors": "torch",
}
MODEL_FILES: dict[BundleEngine, tuple[str, ...]] = {
    "onnxruntime": ("model.onnx",),
    "openvino": ("model.xml", "model.bin"),
    "tensorrt": ("model.onnx",),  # TensorRT makes its plan where it runs: a plan fits one kind of GPU only
    "torch": ("model.safetensors", "model.json"),
}

Confidence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]


class Part(BaseModel):
    """Part of a bundle's JSON files: unknown fields are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FileRecord(Part):
    """One file of a bundle."""

    sha256: Sha256
    size: Count  # bytes


class Letterbox(Part):
    """How a photo becomes the network's input; other values than these are another version's."""

    longest_side: Literal["imgsz"] = "imgsz"
    padding: Literal[114] = 114  # grey, up to the next multiple of the stride
    interpolation: Literal["linear"] = "linear"
    colours: Literal["BGR"] = "BGR"


class Suppression(Part):
    """What happens to the network's candidates, see `StreamSettings`."""

    confidence: Confidence
    iou: Confidence
    candidates: Annotated[int, Field(ge=1)]
    boxes: Annotated[int, Field(ge=1)]


class Threshold(Part):
    """A score at which the verdict changes, and how it was chosen."""

    value: Confidence
    rule: str  # as in the study file, e.g. "fixed at 0.1 in the study"


class PersonBand(Part):
    """The two thresholds between which a photo goes to a person; None: that verdict is never given."""

    low: Confidence | None
    high: Confidence | None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("low at or below high")
        return self


class Speed(Part):
    """Milliseconds of one photo, reading and suppression included, one at a time on the machine of the export."""

    original_ms: Number
    bundle_ms: Number
    photos: Count
    device: str


class ParityNote(Part):
    """The comparison with the original in short; `parity.json` has it whole."""

    result: Literal["passed", "forced"]  # forced: it did not pass, and was written all the same
    photos: Count  # compared
    flipped: Count  # photos whose verdict differs, at any threshold
    flipped_high: Confidence  # upper limit of the 95 % interval of their share
    max_flips: Confidence  # share that was allowed
    score_shift_max: Confidence
    speed: Speed | None


class Histogram(Part):
    """How a value was distributed: ``counts[i]`` photos lay in ``[edges[i], edges[i + 1])``, the last bin closed."""

    edges: tuple[Number, ...] = Field(min_length=2)
    counts: tuple[Count, ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.counts) != len(self.edges) - 1 or list(self.edges) != sorted(set(self.edges)):
            raise ValueError("rising edges, one more than counts")
        return self


class Reference(Part):
    """What validation photos looked like to this bundle: what drift is measured against."""

    photos: Count
    score: Histogram
    brightness: Histogram  # mean luma, 0 to 255
    longest_side: Histogram  # pixels
    verdicts: dict[Literal["vehicle", "no vehicle", "to a person"], Count]


class Manifest(Part):
    """``bundle.json``.

    Attributes:
        name: the study's and the system's.
        version: first 12 hex digits of a sha256 over the model's files and every setting that decides.
        classes: read as vehicle where the network knows several classes.
        names: classes that the network knows.
        shown: boxes are shown from this confidence on.
        weights_sha256: of the original.
        seed: number of the training, from 0; None for a system that is not trained.
        created: UTC, ISO 8601.
        sha256: of this file without this field, in its canonical form; as it holds the hashes of all the other
            files, it stands for the whole bundle.
    """

    format: Literal[1] = 1
    name: str
    version: Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
    engine: BundleEngine
    precision: Precision
    imgsz: Annotated[int, Field(ge=32)]
    stride: Annotated[int, Field(ge=1)]
    classes: tuple[str, ...]
    names: tuple[str, ...] = Field(min_length=1)
    merge: Merge
    letterbox: Letterbox = Letterbox()
    suppression: Suppression
    shown: Confidence
    threshold: Threshold
    to_a_person: PersonBand | None
    files: dict[FileName, FileRecord]
    study: str
    system: str
    seed: Count | None
    weights_sha256: str
    random_weights: bool = False
    created: str
    wreckognize: str
    parity: ParityNote
    reference: Reference | None
    sha256: Sha256 = "0" * 64

    @property
    def rule(self) -> Rule:
        """How a score becomes a verdict."""
        band = self.to_a_person
        return Rule(self.threshold.value, None if band is None else Band(band.low, band.high))

    def stream_settings(self, *, batch: int = 8, workers: int = 2) -> StreamSettings:
        """How photos go through its network."""
        limits = self.suppression
        return StreamSettings(
            self.imgsz,
            batch=batch,
            workers=workers,
            confidence=limits.confidence,
            iou=limits.iou,
            candidates=limits.candidates,
            boxes=limits.boxes,
        )

    def sealed(self) -> Manifest:
        """The same with its version and its own hash put in, both worked out from all the rest."""
        versioned = self.model_copy(update={"version": version_of(self.model_dump(mode="json"))})
        return versioned.model_copy(update={"sha256": own_sha256(versioned.model_dump(mode="json"))})

    def to_text(self) -> str:
        """As it stands in ``bundle.json``."""
        return canonical_text(self.model_dump(mode="json"))


_DECIDES = (
    "engine",
    "precision",
    "imgsz",
    "stride",
    "classes",
    "names",
    "merge",
    "letterbox",
    "suppression",
    "shown",
    "threshold",
    "to_a_person",
)


def version_of(values: Mapping[str, Any]) -> str:
    """The version that a manifest's values have: the same model files and settings, the same version."""
    decides = {name: values[name] for name in _DECIDES}
    decides["files"] = {name: values["files"][name]["sha256"] for name in MODEL_FILES[values["engine"]]}
    return _sha256(decides)[:12]


def own_sha256(values: Mapping[str, Any]) -> str:
    """The hash that a manifest of these values carries."""
    return _sha256({name: value for name, value in values.items() if name != "sha256"})


def canonical_text(values: Mapping[str, Any]) -> str:
    """JSON as it is written and hashed: one text for the same values."""
    return json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _sha256(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_text(values).encode()).hexdigest()
