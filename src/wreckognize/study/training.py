"""What may stand under ``train``: our own settings, and those of the installed library, which is not imported."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from wreckognize.settings import TrainSettings
from wreckognize.study.problems import Problems, show
from wreckognize.study.reader import Key

YOLO_MODULES = ("torch", "ultralytics")
"""Modules that the extra ``[yolo]`` brings."""

_RUN = "the run decides it: each system has its own folder in the run"
_ONE_CLASS = "a study has one class, Vehicle"
_OTHER = "it is a setting of prediction, validation or export, not of training"
REFUSED: dict[str, str] = {
    "task": "the task is detection",
    "mode": "the mode is training",
    "model": "write `weights` in the system instead",
    "pretrained": "write `weights` in the system instead; `yolov8n.yaml` begins with random weights",
    "data": "the study's sources and labels make the data set",
    "split": "the study's `split` decides it",
    "fraction": "write `limits` in the system instead, so that what is left out is counted",
    "seed": "write `seed` at the top of the study, or `seeds: 3` here to train three times",
    "project": _RUN,
    "name": _RUN,
    "exist_ok": _RUN,
    "save_dir": _RUN,
    "resume": "a run that was interrupted resumes by itself",
    "save": "the best weights are always kept",
    "save_period": "the best weights are kept, and while it trains its last state",
    "val": "the best epoch is chosen on the val photos, so they are always looked at",
    "plots": "the report draws the curves",
    "cfg": "write each setting in the study, where it is checked and recorded",
    "single_cls": _ONE_CLASS,
    "classes": _ONE_CLASS,
    "cls_remap": _ONE_CLASS,
    "distill_model": "distillation is not available in this version",
    "dis": "distillation is not available in this version",
} | dict.fromkeys(
    (
        *(
            "save_json",
            "conf",
            "iou",
            "max_det",
            "quantize",
            "dnn",
            "nms",
            "source",
            "vid_stride",
            "stream_buffer",
        ),
        *("visualize", "augment", "agnostic_nms", "retina_masks", "embed", "show", "save_frames", "save_txt"),
        *("save_conf", "save_crop", "show_labels", "show_conf", "show_boxes", "line_width", "format", "optimize"),
        *("dynamic", "simplify", "opset", "workspace", "tracker", "keras", "int8", "half"),
    ),
    _OTHER,
)
"""Settings of the library that a study does not take, and why."""

OPTIMIZERS = ("SGD", "MuSGD", "Adam", "Adamax", "AdamW", "NAdam", "RAdam", "RMSProp", "auto")

_LINE = re.compile(r"^(\w+):(?:.*?#\s*\(([^)]*)\))?", re.MULTILINE)  # `lr0: 0.01 # (float) initial learning rate`
_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "int": ("a whole number", (int,)),
    "float": ("a number", (int, float)),
    "bool": ("true or false", (bool,)),
    "str": ("text", (str,)),
    "list": ("a list", (list, tuple)),
    "tuple": ("a list", (list, tuple)),
}


@dataclass(frozen=True, slots=True)
class LibrarySetting:
    """One setting of the library: its name, its types in words, and the Python types that fit.

    ``types`` is empty where the library does not say them.
    """

    name: str
    words: str
    types: tuple[type, ...]

    def fits(self, value: Any) -> bool:
        """Whether a value is of one of the types; ``None`` stands for the library's default."""
        if value is None or not self.types:
            return True
        if isinstance(value, bool):  # a bool is an int to Python, but no learning rate
            return bool in self.types
        return isinstance(value, self.types)


def missing_modules() -> tuple[str, ...]:
    """The modules of the extra ``[yolo]`` that are not installed; none of them is imported."""
    return tuple(name for name in YOLO_MODULES if find_spec(name) is None)


def check_train_settings(train: Mapping[str, Any], key: Key, problems: Problems) -> dict[str, Any]:
    """Check what `TrainSettings` leaves open: settings that only the library knows, and the optimizer's name.

    Args:
        train: what a system says under ``train``, without its recipe.
        key: of that section.
        problems: where refused, unknown and wrongly typed settings are noted.

    Returns:
        ``train``, as a dictionary.
    """
    optimizer = train.get("optimizer", "auto")
    if isinstance(optimizer, str) and optimizer not in OPTIMIZERS:
        problems.unknown((*key, "optimizer"), optimizer, OPTIMIZERS, "optimizer")
    others = {}
    for name, value in train.items():
        if name in REFUSED:
            problems.add((*key, name), show(value), f"no `{name}` under `train`", REFUSED[name])
        elif name not in TrainSettings.model_fields:
            others[name] = value
    if others:
        _check_others(others, key, problems)
    return dict(train)


def _check_others(train: Mapping[str, Any], key: Key, problems: Problems) -> None:
    """Settings that are none of ours: the installed library knows them, and they are of its types."""
    try:
        known = library_settings()
    except OSError as error:
        problems.add(key, f"an Ultralytics that is not whole ({error})", "its settings file", "install it again")
        return
    if known is None:
        return  # that it is missing is a problem of its own
    for name, value in train.items():
        if name not in known:
            names = {*TrainSettings.model_fields, *known} - REFUSED.keys()
            problems.unknown((*key, name), name, names, "training setting")
        elif not known[name].fits(value):
            problems.add((*key, name), show(value), known[name].words)


def library_settings() -> dict[str, LibrarySetting] | None:
    """All settings the installed Ultralytics knows, by its ``cfg/default.yaml``; ``None`` if it is not installed.

    Raises:
        OSError: it is installed, but not whole.
    """
    spec = find_spec("ultralytics")
    if spec is None or not spec.submodule_search_locations:
        return None
    text = Path(spec.submodule_search_locations[0], "cfg", "default.yaml").read_text(encoding="utf-8")
    return {name: _setting(name, declared) for name, declared in _LINE.findall(text)}


def _setting(name: str, declared: str) -> LibrarySetting:
    """Read a declaration such as ``int | list, optional``; an unknown word in it means that anything fits."""
    kinds = [re.sub(r"\[.*\]$", "", word.strip()) for word in declared.removesuffix(", optional").split("|")]
    if not all(kind in _TYPES for kind in kinds):
        return LibrarySetting(name, "", ())
    words = dict.fromkeys(_TYPES[kind][0] for kind in kinds)
    return LibrarySetting(name, " or ".join(words), tuple(fit for kind in kinds for fit in _TYPES[kind][1]))
