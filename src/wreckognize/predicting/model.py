"""What decides about photos: a bundle, a system of a run, or weights alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

from wreckognize.detectors.engines import Choice
from wreckognize.detectors.port import Detector, EngineName
from wreckognize.errors import UsageError
from wreckognize.exporting.bundle import is_bundle, read_bundle
from wreckognize.exporting.manifest import MANIFEST
from wreckognize.exporting.verdicts import LEAST_KEPT, Band, Rule
from wreckognize.files import sha256_of
from wreckognize.inference.passes import Opener
from wreckognize.inference.stream import StreamSettings
from wreckognize.settings import ENGINE_PRECISIONS
from wreckognize.stages.finished import Finished, finished_system, usable_weights
from wreckognize.stages.looking import Looker
from wreckognize.study.weights import STARTER, is_random
from wreckognize.weightfiles import exported_graph, is_graph

DEFAULT_THRESHOLD, DEFAULT_IMGSZ = 0.10, 640


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the command asks of the model; None: as the model has it.

    Attributes:
        threshold: one threshold in the place of the model's.
        imgsz: pixels of the longest side.
        engine: what runs the network.
        to_a_person: give the third answer, or decide by one threshold. A bundle does what it was exported to do, a
            system decides by one threshold.
        trust: ``sha256:...`` of checkpoints that may be opened whatever they hold.
    """

    threshold: float | None = None
    imgsz: int | None = None
    engine: str | None = None
    to_a_person: bool | None = None
    trust: tuple[str, ...] = ()


@dataclass(frozen=True)
class BundleOpener:
    """Opens a bundle, here or from a copy of its files on another machine; its bytes are checked each time."""

    folder: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the bundle."""
        names = read_bundle(self.folder).manifest.files
        return tuple(self.folder / name for name in (MANIFEST, *names))

    def moved(self, folder: Path) -> BundleOpener:
        """The same bundle in another folder."""
        return BundleOpener(folder)

    def open(self) -> Detector:
        """Load it."""
        return read_bundle(self.folder).open()


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A detector that is not loaded yet, and how it decides.

    Attributes:
        opener: loads it, here or on another machine.
        settings: of the stream.
        rule: how a score becomes a verdict.
        version: the bundle's, or the first 12 hex digits of the weights' sha256.
        note: what a person should know before reading its verdicts; may be empty.
    """

    opener: Opener
    settings: StreamSettings
    rule: Rule
    version: str
    note: str = ""

    @property
    def key(self) -> dict[str, Any]:
        """All that its answers depend on, but for the photo."""
        band = self.rule.band
        return {
            "model": self.version,
            "imgsz": self.settings.imgsz,
            "confidence": self.settings.confidence,
            "threshold": self.rule.threshold,
            "to_a_person": None if band is None else [band.low, band.high],
        }


def model_of(named: Path, wishes: Wishes) -> Model:
    """The model that was named.

    Raises:
        UsageError: there is none, or it cannot do what is wished.
        BundleError: the bundle was changed.
    """
    _check(wishes)
    if is_bundle(named):
        return _of_bundle(named, wishes)
    if named.is_dir() or named.parent.name in ("systems", "seeds"):
        return _of_system(finished_system(named, wishes.trust), wishes)
    if not named.suffix and not named.exists() and str(named) != STARTER:
        raise UsageError(
            "no such file or folder",
            where=str(named),
            remedy="name a bundle, a system of a run (RUN/systems/NAME), or a weights file",
        )
    if wishes.to_a_person:
        raise UsageError(
            "a weights file has no thresholds for the third answer",
            where="--to-a-person",
            remedy="name a bundle, or a system of a run, e.g. runs/STUDY/systems/ver6",
        )
    weights = usable_weights(str(named), Path.cwd(), wishes.trust)
    plain = Finished(
        weights=weights,
        imgsz=(exported_graph(Path(weights)).side if is_graph(weights) else None) or DEFAULT_IMGSZ,
        classes=("car", "bus", "truck"),
        merge="max",
        threshold=DEFAULT_THRESHOLD,
        third_answer=None,
    )
    return _of_system(plain, wishes)


def _check(wishes: Wishes) -> None:
    offered = [name for name in get_args(EngineName) if "float32" in ENGINE_PRECISIONS[name]]
    if wishes.engine is not None and wishes.engine not in offered:
        raise UsageError(_not_offered(wishes.engine), where="--engine", remedy=f"choose {' or '.join(offered)}")
    if wishes.imgsz is not None and (wishes.imgsz < 32 or wishes.imgsz % 32):
        raise UsageError(f"{wishes.imgsz} pixels", where="--imgsz", remedy="give a multiple of 32, e.g. 640")
    if wishes.threshold is not None and not 0 <= wishes.threshold <= 1:
        raise UsageError(
            f"{wishes.threshold:g} is no confidence", where="--threshold", remedy="give a number from 0 to 1"
        )
    if wishes.to_a_person and wishes.threshold is not None:
        raise UsageError(
            "one threshold and two at once", where="--threshold, --to-a-person", remedy="give one of both options"
        )


def _not_offered(engine: str) -> str:
    if engine == "auto":
        return "`auto` compares engines on a study's photos"
    if engine in ENGINE_PRECISIONS:
        narrower = " or ".join(ENGINE_PRECISIONS[cast(EngineName, engine)])
        return f"{engine} offers {narrower} only, and `predict` looks in float32"
    return f"no engine is called {engine!r}"


def _of_bundle(folder: Path, wishes: Wishes) -> Model:
    fixed = {"--imgsz": wishes.imgsz, "--engine": wishes.engine}
    given = [name for name, value in fixed.items() if value is not None]
    if given:
        raise UsageError(
            "a bundle is used as it was checked",
            where=", ".join(given),
            remedy="leave that out, or name the system",
        )
    bundle = read_bundle(folder)
    rule = bundle.manifest.rule
    if wishes.to_a_person and rule.band is None:
        raise UsageError(
            "the bundle decides by one threshold",
            where="--to-a-person",
            remedy="export the system again with --to-a-person",
        )
    if wishes.threshold is not None:
        rule = Rule(wishes.threshold)
    elif wishes.to_a_person is False:
        rule = Rule(rule.threshold)
    settings = bundle.stream_settings()
    return Model(
        opener=BundleOpener(bundle.folder),
        settings=_low_enough(settings, rule),
        rule=rule,
        version=bundle.manifest.version,
    )


def _of_system(system: Finished, wishes: Wishes) -> Model:
    third = system.third_answer if wishes.to_a_person else None
    band = None if third is None else Band(third.low, third.high)
    rule = Rule(system.threshold if wishes.threshold is None else wishes.threshold, band)
    imgsz = wishes.imgsz or system.imgsz
    graph = is_graph(system.weights)
    if graph:
        _check_graph(system.weights, imgsz, wishes)
    engine = cast("EngineName", wishes.engine or ("onnxruntime" if graph else "torch"))
    notes = []
    if engine == "compiled":
        notes.append("each shape of photo is compiled before it is looked at: for minutes on a CPU")
    if third is not None and not rule.thresholds:
        notes.append(f"every photo goes to a person: {third.why_low}; {third.why_high}")
    weights = system.weights if is_random(system.weights) else sha256_of(Path(system.weights))[:12]
    return Model(
        opener=Looker(system.weights, imgsz, system.classes, system.merge, choice=Choice(engine)),
        settings=_low_enough(StreamSettings(imgsz, confidence=LEAST_KEPT), rule),
        rule=rule,
        version=weights,
        note="\n".join(notes),
    )


def _check_graph(weights: str, imgsz: int, wishes: Wishes) -> None:
    """An ONNX file runs on one engine, and perhaps at one size."""
    if wishes.engine not in (None, "onnxruntime"):
        raise UsageError(
            f"{wishes.engine} cannot run an ONNX file",
            where="--engine",
            remedy="leave it out, or give onnxruntime",
        )
    wanted = exported_graph(Path(weights)).misfit(imgsz)
    if wanted:
        raise UsageError(
            f"photos of {imgsz} pixels, where the ONNX file takes {wanted}",
            where="--imgsz",
            remedy="give that, or export the graph again with dynamic=True",
        )


def _low_enough(settings: StreamSettings, rule: Rule) -> StreamSettings:
    """Boxes are kept down to every threshold."""
    return replace(settings, confidence=min((settings.confidence, *rule.thresholds)))
