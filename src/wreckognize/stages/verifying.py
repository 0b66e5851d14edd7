"""Whether a finished run still says what it said: every file as it was recorded, every figure derived anew.

Nothing is written. Figures are derived with the functions that the stages themselves use, from the stored predictions,
the locked test set and its truth; measured times are taken as they were measured.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import ValidationError

from wreckognize.curate.lock import check_lock, read_lock
from wreckognize.curate.looks import read_looks
from wreckognize.errors import WreckognizeError
from wreckognize.evaluation.comparison import Provenance, SystemFigures
from wreckognize.evidence.findings import Findings
from wreckognize.evidence.thresholds import FrozenThreshold
from wreckognize.files import sha256_of
from wreckognize.progress import Progress, Silent
from wreckognize.settings import SystemSettings
from wreckognize.stages import deciding, judging, results, shortcuts
from wreckognize.stages.looking import predictions_stage
from wreckognize.stages.run import Run
from wreckognize.state import STATE_COPY, STATE_FILE, OutputRecord, State
from wreckognize.study import Study
from wreckognize.workspace import Workspace, reading_workspace

TOLERANCE = 1e-9
"""Figures may differ by so much, relatively: sums in another order on another processor."""
NAMED = 20

_MISSING = object()

Outcome = Literal["holds", "differs", "not checked"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        what: in words.
        outcome: whether it holds; "not checked" where that could not be found out, with the reason.
        details: what differs, or why it was not checked; one sentence each.
    """

    what: str
    outcome: Outcome
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found.

    Attributes:
        checks: in the order of the work.
        digest: sha256 of ``state.json``, which names the sha256 of everything else: note it elsewhere, and nobody can
            change the run unseen.
    """

    checks: tuple[Check, ...]
    digest: str

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return all(check.outcome != "differs" for check in self.checks)


def verify(folder: Path, *, photos: bool = True, progress: Progress | None = None) -> Verification:
    """Check a run's files against their recorded hashes, and derive every figure of its report anew.

    Args:
        folder: the run's.
        photos: read the sources' photos too, as far as they are still there.
        progress: where to report; default nowhere.

    Raises:
        WorkspaceError: it is no run, or one is at work in it.
    """
    listener = progress or Silent()
    with reading_workspace(folder.absolute()) as workspace:
        checks = [*_files(workspace, listener)]
        for what, derive in _derivations(workspace, listener, photos=photos):
            checks.append(_checked(what, derive))
        return Verification(tuple(checks), sha256_of(workspace.path(STATE_FILE)))


def _checked(what: str, derive: Callable[[], Check | Sequence[str]]) -> Check:
    """Run one derivation; what it raises is the finding, because a spoilt file can break it anywhere."""
    try:
        found = derive()
    except (Exception, pl.exceptions.PanicException) as error:
        said = error.what if isinstance(error, WreckognizeError) else f"{type(error).__name__}: {error}"
        return Check(what, "differs", (f"cannot be derived: {said}",))
    if isinstance(found, Check):
        return found
    return Check(what, "differs" if found else "holds", tuple(found))


# ---- files ----------------------------------------------------------------------------------------------------------


def _files(workspace: Workspace, progress: Progress) -> Iterator[Check]:
    state = workspace.state
    if state.seal:
        same = state.seal == state.digest and _is_written_as(workspace.path(STATE_FILE), state)
        yield Check(
            "the record of stages (state.json)",
            "holds" if same else "differs",
            () if same else (f"{STATE_FILE}: its content is not what its seal was made for",),
        )
    else:
        yield Check(
            "the record of stages (state.json)",
            "not checked",
            ("written by an earlier version, without a seal; the next run seals it",),
        )
    if not _is_copied(workspace):
        yield Check(
            f"the copy of the record of stages ({STATE_COPY})",
            "differs",
            (f"{STATE_COPY}: it is not a whole copy of {STATE_FILE}; the next run writes it anew",),
        )
    named: dict[str, OutputRecord] = dict(state.others)
    for record in state.stages.values():
        named |= record.outputs
    found: list[str] = []
    with progress.task("files against their hashes", len(named), "files") as task:
        for name, output in sorted(named.items()):
            found += _file(workspace.path(name), name, output)
            task.advance()
    yield Check(
        f"files against their recorded sha256: {len(named):,}", "differs" if found else "holds", tuple(found)
    )
    unknown = sorted(set(workspace.unnamed()) - set(named))
    if unknown:
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        yield Check(
            f"files that the run did not record: {len(unknown):,}",
            "not checked",
            (f"{', '.join(unknown[:NAMED])}{more}",),
        )


def _is_copied(workspace: Workspace) -> bool:
    """Whether the copy of the record, where there is one, is whole; it may be a step behind if the run was killed."""
    copy = workspace.path(STATE_COPY)
    if not copy.is_file():
        return True  # of an earlier version
    try:
        state = State.model_validate_json(copy.read_bytes())
    except ValidationError:
        return False
    return state.seal in ("", state.digest) and _is_written_as(copy, state)


def _is_written_as(file: Path, state: State) -> bool:
    """Whether a record is spelt as this package spells it: a seal is over what is said, not over how."""
    return file.read_bytes() == state.text.encode()


def _file(path: Path, name: str, output: OutputRecord) -> list[str]:
    try:
        sha256 = sha256_of(path)
    except FileNotFoundError:
        return [f"{name}: gone"]
    except OSError as error:
        return [f"{name}: cannot be read ({error.strerror})"]
    return [] if sha256 == output.sha256 else [f"{name}: its bytes are not those that were recorded"]


# ---- figures --------------------------------------------------------------------------------------------------------

_Derivation = tuple[str, Callable[[], Check | Sequence[str]]]


def _derivations(workspace: Workspace, progress: Progress, *, photos: bool) -> Iterator[_Derivation]:
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
    stored = _json(run.path("report", results.MADE_FILE))
    made = results.Made(stored["created"], tuple((name, version) for name, version in stored["environment"]))
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


def differences(derived: Any, stored: Any, where: str = "") -> list[str]:
    """Where two JSON values differ, as sentences; numbers may differ by `TOLERANCE`, relatively.

    >>> differences({"tp": 3, "auc": 0.5}, {"tp": 4, "auc": 0.5 + 1e-12})
    ['tp: 4 is recorded, 3 follows']
    """
    if isinstance(derived, Mapping) and isinstance(stored, Mapping):
        keys = [*derived, *(key for key in stored if key not in derived)]
        return [
            sentence
            for key in keys
            for sentence in differences(
                derived.get(key, _MISSING), stored.get(key, _MISSING), f"{where}.{key}" if where else str(key)
            )
        ]
    if isinstance(derived, list | tuple) and isinstance(stored, list | tuple) and len(derived) == len(stored):
        return [
            sentence
            for place, (one, other) in enumerate(zip(derived, stored, strict=True))
            for sentence in differences(one, other, f"{where}[{place}]")
        ]
    if _is_number(derived) and _is_number(stored):
        if abs(derived - stored) <= TOLERANCE * max(abs(derived), abs(stored)):
            return []
    elif derived == stored and type(derived) is type(stored):
        return []
    return [f"{where}: {_short(stored)} is recorded, {_short(derived)} follows"]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
