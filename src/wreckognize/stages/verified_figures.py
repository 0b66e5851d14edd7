"""Figures derived once more, with the functions that the stages themselves use; times are taken as measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from wreckognize.curate.lock import check_lock, read_lock
from wreckognize.curate.looks import read_looks
from wreckognize.errors import WreckognizeError
from wreckognize.evaluation.comparison import Provenance, SystemFigures
from wreckognize.evidence.findings import Findings
from wreckognize.evidence.thresholds import FrozenThreshold
from wreckognize.files import sha256_of
from wreckognize.progress import Progress
from wreckognize.settings import SystemSettings
from wreckognize.stages import deciding, judging, results, shortcuts
from wreckognize.stages.checks import NAMED, Check, differences
from wreckognize.stages.looking import predictions_stage
from wreckognize.stages.run import Run
from wreckognize.study import Study
from wreckognize.workspace import Workspace

Derivation = tuple[str, Callable[[], Check | Sequence[str]]]
"""What is derived, in words, and how: a check, or sentences on what differs."""


def derivations(workspace: Workspace, progress: Progress, *, photos: bool) -> Iterator[Derivation]:
    """What can be derived once more of a run as far as it came: in words, and how.

    Args:
        workspace: the run's folder, to be read.
        progress: where to report.
        photos: look at the sources' photos too.
    """
    if "split" not in workspace.stages:
        yield "the figures", partial(_not_yet, "the figures", "the run has not come to its split")
        return
    try:
        run = Run(Study.recorded(workspace.path("study.yaml")), workspace, progress)
    except WreckognizeError as error:
        yield "the study that the run recorded (study.yaml)", partial(list, (str(error),))
        return
    yield "the split: the test set is the locked one, and no group straddles it", partial(_split, run)
    if photos:
        yield "the photos of the sources", partial(_photos, run)
    evaluated = [system for system in run.study.systems if f"evaluate:{system.name}" in workspace.stages]
    for system in evaluated:
        for number in range(system.train.seeds if system.trained else 1):
            which = f"{system.name}, training {number + 1}" if number else system.name
            yield f"threshold of {which}", partial(_threshold, run, system, number)
            yield f"figures of {which}", partial(_figures, run, system, number)
            yield f"{which} in the record of looks", partial(_look, run, system, number)
        if f"shortcuts:{system.name}" in workspace.stages:
            yield f"shortcut check of {system.name}", partial(_shortcuts, run, system)
    if "report" not in workspace.stages:
        yield "the report", partial(_not_yet, "the report", "the run has no report yet")
        return
    names = [system.name for system in evaluated]
    yield "intervals, verdicts, claims and slices (evidence.json)", partial(_evidence, run, evaluated)
    yield f"the tables of the report ({', '.join(results.TEXT_FILES)})", partial(_texts, run, names)
    yield "the page (index.html) and its figures", partial(_page, run, names)


def _not_yet(what: str, why: str) -> Check:
    return Check(what, "not checked", (why,))


def _split(run: Run) -> list[str]:
    check_lock(read_lock(run.path("test.lock.json")), run.split, run.catalog.photos)
    held = run.split.filter(pl.col("split").is_in(["train", "val", "test"]))
    sides = held.group_by("group").agg(pl.col("split").n_unique().alias("sides"))
    return [f"group {group} stands in several splits" for group in sides.filter(pl.col("sides") > 1)["group"]][
        :NAMED
    ]


def _photos(run: Run) -> Check | list[str]:
    """Bytes of the sources' photos; sources that are gone (an archived run) are counted, not blamed."""
    found, gone = [], 0
    rows = run.catalog.photos.select("photo", "path", "sha256")
    with run.progress.task("photos against their hashes", rows.height) as task:
        for photo, path, sha256 in rows.iter_rows():
            task.advance()
            try:
                if sha256_of(Path(path)) != sha256:
                    found.append(f"{photo}: its bytes are not those that were collected")
            except OSError:
                gone += 1
    if found or not gone:
        return found[:NAMED]
    return Check(
        f"{rows.height - gone:,} of {rows.height:,} photos of the sources",
        "not checked",
        (f"{gone:,} are no longer where they were collected",),
    )


def _threshold(run: Run, system: SystemSettings, number: int) -> list[str]:
    stored = deciding.frozen_threshold(run, system, number)
    derived = deciding.choose_threshold(
        run,
        system,
        number,
        predictions_sha256=_only(run.workspace.digest(predictions_stage(system, "val", number))),
        frozen_at=stored.frozen_at,
    )
    return differences(FrozenThreshold.to_dict(derived), FrozenThreshold.to_dict(stored))


def _figures(run: Run, system: SystemSettings, number: int) -> list[str]:
    folder = run.trained_folder(system, number)
    stored = SystemFigures.from_dict(_json(folder / "metrics.json"))
    known = {field.name: getattr(stored, field.name) for field in fields(Provenance)}
    provenance = Provenance(**known)
    if system.trained:
        labels = pl.read_parquet(run.path("systems", system.name, "labels.parquet")).group_by("origin").len()
        weights = sha256_of(folder / "weights" / "best.safetensors")
        provenance = replace(provenance, labels=dict(labels.iter_rows()), weights_sha256=weights)
    derived = results.figures_of(
        run, system, number, provenance=provenance, agrees=stored.teacher_agreement is not None
    )
    return differences(derived.to_dict(), stored.to_dict())


def _look(run: Run, system: SystemSettings, number: int) -> list[str]:
    file = run.path(results.LOOKS_FILE)
    looks = read_looks(file.read_text(encoding="utf-8"), where=str(file))
    digest = results.look_digest(run, system, number)
    return (
        [] if any(look.digest == digest for look in looks) else [f"{results.LOOKS_FILE} does not know this look"]
    )


def _shortcuts(run: Run, system: SystemSettings) -> list[str]:
    threshold = deciding.frozen_threshold(run, system).chosen.threshold
    derived = shortcuts.check_of(run, system, threshold=threshold)
    return differences(derived.to_dict(), _json(run.path("systems", system.name, "shortcuts.json")))


def _evidence(run: Run, systems: Sequence[SystemSettings]) -> list[str]:
    checks = {}
    if run.study.evidence.shortcuts:
        for system in systems:
            threshold = deciding.frozen_threshold(run, system).chosen.threshold
            checks[system.name] = shortcuts.check_of(run, system, threshold=threshold)
    with run.progress.task("intervals and verdicts", None, "draws"):
        derived = judging.find(run, systems, checks).to_dict()
    stored = _json(run.path("report", "evidence.json"))
    return differences({**derived, "test": _as_of(stored["test"], derived["test"])}, stored)


def _as_of(stored: Mapping[str, Any], derived: Mapping[str, Any]) -> dict[str, Any]:
    """The test set's history as the report knew it: looks that came since (an audit is one) change no report."""
    since = {name: stored[name] for name in ("looks", "looks_by_system") if name in stored}
    return {**derived, **since} if derived["looks"] > stored["looks"] else dict(derived)


def _texts(run: Run, names: list[str]) -> list[str]:
    texts = results.report_texts(run, results.compare(run, names), _findings(run))
    return [
        f"report/{name} is not what predictions and truth give"
        for name, text in texts.items()
        if run.path("report", name).read_bytes() != text.encode()
    ]


def _page(run: Run, names: list[str]) -> Check | list[str]:
    from wreckognize.reporting.page import render, write_figures

    what = "the page (index.html) and its figures"
    made = results.Made.read(run.path("report", results.MADE_FILE), run)
    if made.study != results.study_digest(run):
        return Check(
            what, "not checked", ("the study was changed since they were drawn; their bytes are as recorded",)
        )
    if made.environment != results.environment():
        return Check(
            what, "not checked", ("drawn with other versions than those here; their bytes are as recorded",)
        )
    if not all(Path(path).is_file() for path in run.catalog.photos["path"]):
        return Check(what, "not checked", ("photos that it shows are gone; its bytes are as recorded",))
    page = results.page_input(run, results.compare(run, names), _findings(run), made)
    files = {results.PAGE_FILE: render(page, run.progress).encode()}
    files |= {f"figures/{name}": data for name, data in write_figures(page).items()}
    return [
        f"report/{name} is not what predictions and truth give"
        for name, data in files.items()
        if run.path("report", name).read_bytes() != data
    ]


def _findings(run: Run) -> Findings:
    return Findings.from_dict(_json(run.path("report", "evidence.json")))


def _json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _only(values: Mapping[str, str]) -> str:
    (value,) = values.values()
    return value
