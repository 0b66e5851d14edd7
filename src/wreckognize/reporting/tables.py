"""The tables that compare systems, as text: one column a system, one row a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wreckognize.catalog import ROLES
from wreckognize.evaluation.comparison import FALSE_ALARM_RATES, Comparison, SystemFigures
from wreckognize.evaluation.image_level import Found, FoundAt, FoundInSource, ImageFigures
from wreckognize.reporting.wording import (
    ABSENT,
    count,
    decimal,
    duration,
    first_of,
    hide_folders,
    percent,
    rate,
    threshold,
    visible,
)

_TOO_FEW = "too few backgrounds in the test set, or no photo of this role"
_ZERO_BY_ZERO = "cannot be said: 0 divided by 0, or all test photos show a vehicle, or none does"
_NO_BOX_TRUTH = "no person drew whole vehicles on the test photos"
_NOTHING_PREDICTED = "no person drew whole vehicles on the test photos, or the system predicted no box"
_NOT_TIMED = "not measured"
_NOT_TRAINED = "not trained in this study"

_ROLE_WORDS = {
    "damaged": "damaged cars",
    "normal": "intact cars",
    "background": "backgrounds (false alarms)",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; ``why`` says why it is empty, ``best`` that no system has a better one.

    ``small`` stands beneath ``text``: an interval, as a rule. ``tone`` is good, bad or nothing.
    """

    text: str
    why: str = ""
    best: bool = False
    small: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled row."""

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under one heading."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows in groups; ``columns`` names what stands above the cells, ``corner`` what the row labels are."""

    title: str
    corner: str
    columns: tuple[str, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Confusion:
    """A confusion matrix: counts, and their shares of the row, which is what the truth says."""

    system: str
    threshold: str
    found: tuple[str, str]
    missed: tuple[str, str]
    alarms: tuple[str, str]
    left: tuple[str, str]


_Text = Callable[[SystemFigures], str]
_Image = SystemFigures | ImageFigures

_IMAGE_FIGURES: tuple[tuple[str, Callable[[_Image], str]], ...] = (
    ("TP (vehicles found)", lambda own: count(own.tp)),
    ("FN (vehicles missed)", lambda own: count(own.fn)),
    ("FP (false alarms)", lambda own: count(own.fp)),
    ("TN (rightly left)", lambda own: count(own.tn)),
    ("accuracy", lambda own: percent(own.accuracy)),
    ("precision, Vehicle", lambda own: percent(own.precision.vehicle)),
    ("precision, Non-Vehicle", lambda own: percent(own.precision.non_vehicle)),
    ("recall, Vehicle", lambda own: percent(own.recall.vehicle)),
    ("recall, Non-Vehicle", lambda own: percent(own.recall.non_vehicle)),
    ("F1, Vehicle", lambda own: percent(own.f1.vehicle)),
    ("F1, Non-Vehicle", lambda own: percent(own.f1.non_vehicle)),
)

_BOX_FIGURES: tuple[tuple[str, _Text, str], ...] = (
    ("mAP50", lambda own: decimal(own.map50), _NO_BOX_TRUTH),
    ("mAP50-95", lambda own: decimal(own.map50_95), _NO_BOX_TRUTH),
    ("precision at best F1, IoU 0.5", lambda own: percent(own.box_precision), _NOTHING_PREDICTED),
    ("recall at best F1, IoU 0.5", lambda own: percent(own.box_recall), _NO_BOX_TRUTH),
    ("confidence of best F1", lambda own: decimal(own.box_confidence), _NOTHING_PREDICTED),
    ("whose boxes are the truth", lambda own: own.box_truth, ""),
    ("photos with box truth", lambda own: count(own.box_photos), ""),
)

_SPEED: tuple[tuple[str, _Text, str], ...] = (
    ("ms a photo, median", lambda own: decimal(own.ms_per_image, 1), _NOT_TIMED),
    ("ms a photo, 95th percentile", lambda own: decimal(own.ms_p95, 1), _NOT_TIMED),
    ("photos a second (FPS)", lambda own: decimal(own.fps, 1), _NOT_TIMED),
    ("device", lambda own: hide_folders(own.device or ABSENT), _NOT_TIMED),
    ("CPU threads", lambda own: count(own.threads), _NOT_TIMED),
    ("number format", lambda own: own.precision_dtype or ABSENT, _NOT_TIMED),
    ("image size", lambda own: ABSENT if own.imgsz is None else f"{own.imgsz} px", _NOT_TIMED),
    ("engine", lambda own: own.engine or ABSENT, _NOT_TIMED),
)

_MAKING: tuple[tuple[str, _Text, str], ...] = (
    ("recipe", lambda own: own.recipe, ""),
    ("started from", lambda own: _weights(own), ""),
    ("epochs run", lambda own: count(own.epochs_run), _NOT_TRAINED),
    ("training time", lambda own: duration(own.train_seconds), _NOT_TRAINED),
    ("sha256 of its weights (start)", lambda own: own.weights_sha256[:8] or ABSENT, "not known"),
)


def comparison_table(comparison: Comparison) -> Table:
    """Every figure of every system. The best ones are marked only where all systems raise equal false alarms."""
    systems = comparison.systems
    return Table(
        "Comparison of all systems on the test set",
        "Figure",
        tuple(first_of(system.name, system.seeds) for system in systems),
        (
            *_equal_alarm_groups(systems),
            *_threshold_groups(systems),
            Group("Boxes against human boxes", tuple(_row(systems, *figure) for figure in _BOX_FIGURES)),
            Group("Speed, one photo at a time", tuple(_row(systems, *figure) for figure in _SPEED)),
            Group("How it was made", tuple(_row(systems, *figure) for figure in _MAKING)),
        ),
    )


def confusions(comparison: Comparison) -> tuple[Confusion, ...]:
    """The confusion matrix of each system at its own threshold."""

    def cell(number: int, of: int) -> tuple[str, str]:
        return count(number), percent(number / of if of else None)

    return tuple(
        Confusion(
            first_of(own.name, own.seeds),
            threshold(own.threshold),
            found=cell(own.tp, own.tp + own.fn),
            missed=cell(own.fn, own.tp + own.fn),
            alarms=cell(own.fp, own.fp + own.tn),
            left=cell(own.tn, own.fp + own.tn),
        )
        for own in comparison.systems
    )


def found_table(comparison: Comparison) -> Table:
    """What each system calls a vehicle at its own threshold, by role, damage type and source."""
    systems = comparison.systems
    roles = _found_rows(systems, lambda own: own.by_role, ROLES, lambda name: _ROLE_WORDS[name])
    types = _found_rows(systems, lambda own: own.by_damage_type, tuple(systems[0].by_damage_type), visible)
    held = systems[0].by_source
    sources = _found_rows(
        systems, lambda own: own.by_source, tuple(held), lambda name: f"{visible(name)} ({held[name].role})"
    )
    groups = (Group("By role", roles), Group("By damage type", types), Group("By source", sources))
    return Table(
        "Photos called vehicle at each system's own threshold",
        "Photos",
        tuple(first_of(own.name, own.seeds) for own in systems),
        tuple(group for group in groups if group.rows),
    )


def _row(systems: tuple[SystemFigures, ...], label: str, text: _Text, why: str = "") -> Row:
    texts = [text(system) for system in systems]
    return Row(label, tuple(Cell(shown, why if shown == ABSENT else "") for shown in texts))


def _ranked(
    systems: tuple[SystemFigures, ...],
    label: str,
    value: Callable[[SystemFigures], float | None],
    text: Callable[[float | None], str] = percent,
) -> Row:
    values = [value(system) for system in systems]
    best = max((known for known in values if known is not None), default=None)
    differ = len(set(values)) > 1
    return Row(
        label,
        tuple(
            Cell(text(own), _TOO_FEW if own is None else "", best=differ and own is not None and own == best)
            for own in values
        ),
    )


def _equal_alarm_groups(systems: tuple[SystemFigures, ...]) -> tuple[Group, ...]:
    """What is found where all raise the same share of false alarms, and the thresholds for it."""
    keys = [f"{value:g}" for value in FALSE_ALARM_RATES]
    labels = [f"{rate(key)} false alarms" for key in keys]
    damaged = [
        _ranked(systems, label, _at(key, lambda at: at.damaged)) for key, label in zip(keys, labels, strict=True)
    ]
    normal = [
        _ranked(systems, label, _at(key, lambda at: at.normal)) for key, label in zip(keys, labels, strict=True)
    ]
    thresholds = [
        _row(systems, label, _threshold_text(_at(key, lambda at: at.threshold)), _TOO_FEW)
        for key, label in zip(keys, labels, strict=True)
    ]
    auc = _ranked(systems, "AUC", lambda own: own.auc_damaged, decimal)
    return (
        Group("Damaged cars found at", (*damaged, auc)),
        Group("Intact cars found at", tuple(normal)),
        Group("Threshold for", tuple(thresholds)),
    )


def _threshold_groups(systems: tuple[SystemFigures, ...]) -> tuple[Group, ...]:
    """The figures at the systems' own thresholds and at the fixed ones; said once where they are the same."""
    own = {threshold(system.threshold) for system in systems}
    fixed = tuple(
        Group(
            f"At threshold {key}, every system's own" if own == {key} else f"At threshold {key}",
            _image_rows(systems, _figures_at(key)),
        )
        for key in systems[0].at
    )
    if len(own) == 1 and own <= systems[0].at.keys():
        return fixed
    rows = (
        _row(systems, "threshold", lambda own: threshold(own.threshold)),
        *_image_rows(systems, lambda own: own),
    )
    return (Group("At each system's own threshold", rows), *fixed)


def _image_rows(systems: tuple[SystemFigures, ...], figures: Callable[[SystemFigures], _Image]) -> tuple[Row, ...]:
    def of(text: Callable[[_Image], str]) -> _Text:
        return lambda own: text(figures(own))

    return tuple(_row(systems, label, of(text), _ZERO_BY_ZERO) for label, text in _IMAGE_FIGURES)


def _figures_at(key: str) -> Callable[[SystemFigures], ImageFigures]:
    return lambda own: own.at[key]


def _at(key: str, pick: Callable[[FoundAt], float | None]) -> Callable[[SystemFigures], float | None]:
    def value(own: SystemFigures) -> float | None:
        found = own.found_at_false_alarms[key]
        return None if found is None else pick(found)

    return value


def _threshold_text(value: Callable[[SystemFigures], float | None]) -> _Text:
    return lambda own: decimal(value(own))


def _found_rows(
    systems: tuple[SystemFigures, ...],
    pick: Callable[[SystemFigures], Mapping[str, Found] | Mapping[str, FoundInSource]],
    names: tuple[str, ...],
    label: Callable[[str], str],
) -> tuple[Row, ...]:
    rows = []
    for name in names:
        counts = [pick(system)[name] for system in systems]
        if counts[0].photos:
            shares = (f"{count(own.found)} ({percent(own.found / own.photos)})" for own in counts)
            rows.append(Row(f"{label(name)}, {count(counts[0].photos)}", tuple(Cell(share) for share in shares)))
    return tuple(rows)


def _weights(own: SystemFigures) -> str:
    name = hide_folders(own.weights)
    return f"{name}, random numbers in its shape" if own.random_weights else name
