"""The story of a study, from sources to report.

    sources -> catalog -> teacher pass -> groups and split -> for each system: labels -> training -> predictions
            -> threshold -> evaluation -> evidence -> report

Each step is in `wreckognize.stages`; a step whose inputs are unchanged is not done again. Steps are imported when they
are reached, as a run up to `collect` needs little of the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from wreckognize.errors import UsageError
from wreckognize.files import atomic_write
from wreckognize.progress import Progress, Silent
from wreckognize.settings import SystemAsTeacher, SystemSettings
from wreckognize.stages import collecting, scaling
from wreckognize.stages.run import Run
from wreckognize.study import Study
from wreckognize.urls import url_of
from wreckognize.workspace import open_workspace

if TYPE_CHECKING:
    from wreckognize.evaluation.comparison import Comparison
    from wreckognize.evidence.findings import Findings
    from wreckognize.stages.search_results import SearchResult

Until = Literal["collect", "split", "label", "train", "evaluate", "report"]
STEPS: tuple[Until, ...] = get_args(Until)


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run left.

    Attributes:
        folder: the run's.
        comparison: the figures of all systems; None if the run ended before the report.
        findings: how sure they are, and the verdicts; None likewise.
    """

    folder: Path
    comparison: Comparison | None
    findings: Findings | None = None

    @property
    def page(self) -> Path:
        """The report."""
        return self.folder / "report" / "index.html"


def run(
    study: Study,
    *,
    out: str | Path | None = None,
    until: Until = "report",
    only: Sequence[str] = (),
    unlock: str | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Run a study up to a step.

    Args:
        study: loaded and checked.
        out: the run's folder; default ``runs/<study>`` below the current folder. A URL (``s3://bucket/prefix``): the
            default folder, kept there as well.
        until: the last step to do.
        only: names of the systems to work on (and those they learn from); default all. The report also shows the
            systems that were evaluated before.
        unlock: why the locked test set may change, in words that stay in the lock; default: it may not.
        progress: where to report; default nowhere.

    Raises:
        WreckognizeError: what is wrong, where, and what to do.
    """
    if until not in STEPS:
        raise UsageError(f"no step is called {until!r}", remedy=f"choose one of {', '.join(STEPS)}")
    if unlock is not None and not unlock.strip():
        raise UsageError(
            "the reason is empty", where="--unlock", remedy="say why the test set changes; the report shows it"
        )
    url = None if out is None else url_of(out)
    folder = Path("runs") / study.study if out is None or url is not None else Path(out)
    systems = chosen_systems(study, only)
    progress = progress or Silent()
    with (
        open_workspace(folder.absolute()) as workspace,
        scaling.kept(study, url, workspace, progress),
        scaling.executor_of(study, workspace.root, progress) as executor,
    ):
        _say(progress, workspace.notes)
        run = Run(study, workspace, progress, executor, scaling.fetch(study, workspace.root, progress))

        _photos(run, until, unlock)
        _record(run)
        teachers = {system.teacher.system for system in systems if isinstance(system.teacher, SystemAsTeacher)}
        for system in systems:
            _advance(run, system, until, teaches=system.name in teachers)
        if until != "report":
            workspace.seal()
            return RunResult(folder, None)
        from wreckognize.stages import judging, results

        names = _reported(run, systems)
        findings = judging.findings(run, names)
        comparison = results.report(run, names, findings)
        workspace.seal()
        return RunResult(folder, comparison, findings)


def search(study: Study, *, out: str | Path | None = None, progress: Progress | None = None) -> SearchResult:
    """Look for a system's best settings, as the study's ``search`` section says; see ``docs/search.md``.

    Several processes may do this at once, in one folder or, with a storage that all of them reach, on several machines.

    Args:
        study: loaded and checked.
        out: the run's folder; default ``runs/<study>`` below the current folder.
        progress: where to report; default nowhere.

    Raises:
        MissingExtraError: the extra ``[search]`` is not installed.
        TrainingError: all trials failed.
        WreckognizeError: what is wrong, where, and what to do.
    """
    from wreckognize.stages import search_results, searching

    searching.require_extra()
    settings = study.search_settings()
    searching.require_storage(settings)
    if out is not None and url_of(out) is not None:
        raise UsageError(
            "a search works in a folder of this machine",
            where=f"--out {out}",
            remedy="give a folder; several machines share a search by its storage",
        )
    *teachers, _ = chosen_systems(study, [settings.system])
    folder = Path(out) if out is not None else Path("runs") / study.study
    listener = progress or Silent()
    with (
        open_workspace(folder.absolute(), beside=listener.say) as workspace,
        scaling.executor_of(study, workspace.root, listener) as executor,
    ):
        _say(listener, workspace.notes)
        run = Run(study, workspace, listener, executor, scaling.fetch(study, workspace.root, listener))
        _photos(run, "split", None)
        for teacher in teachers:
            _advance(run, teacher, "train", teaches=True)
        if not workspace.shared:
            _record(run)
            workspace.seal(only=["study.yaml"])  # of all the rest a search opens nothing that it does not need
        plan = searching.prepare(run, settings)
        workspace.share()
        searching.make_trials(run, plan, lambda: search_results.publish(run, plan))
        return search_results.result(run, plan)


def _say(progress: Progress, notes: Sequence[str]) -> None:
    for note in notes:
        progress.say(f"  note: {note}")


def _record(run: Run) -> None:
    """The study with nothing left to defaults -> ``study.yaml``; left alone where it says so already."""
    file, text = run.path("study.yaml"), run.study.resolved()
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        atomic_write(file, text)


def _photos(run: Run, until: Until, unlock: str | None) -> None:
    """From sources to the split, or as far as was asked for."""
    collecting.respect_lock(run, unlock=unlock)
    collecting.collect(run)
    if until == "collect":
        return
    from wreckognize.stages import alike, data, looking

    alike.look_alike(run)
    teaches = any(system.trained and system.teacher == run.study.teacher for system in run.study.systems)
    if teaches:
        looking.teacher_pass(run)
    data.split(run, embeddings=teaches, unlock=unlock)
    data.part(run)


def _advance(run: Run, system: SystemSettings, until: Until, *, teaches: bool) -> None:
    """Take one system as far as was asked for; one that teaches another must be trained before that one's labels."""
    last = STEPS.index(until)
    if last < STEPS.index("label"):
        return
    from wreckognize.stages import data, deciding, learning, looking, results

    if teaches and until == "label":
        last = STEPS.index("train")
    if system.trained:
        data.label(run, system)
    numbers = range(system.train.seeds if system.trained else 1)
    if system.trained and last >= STEPS.index("train"):
        for number in numbers:
            learning.train(run, system, number)
    if last >= STEPS.index("evaluate"):
        for number in numbers:
            looking.predict(run, system, "val", number)
            deciding.freeze_threshold(run, system, number)
        looking.time_system(run, system)
        for number in numbers:
            looking.predict(run, system, "test", number)
            results.evaluate(run, system, number)


def chosen_systems(study: Study, only: Sequence[str]) -> tuple[SystemSettings, ...]:
    """The named systems and those they learn from, teachers first; all if none is named.

    Raises:
        UsageError: a name is not a system of the study.
    """
    names = [system.name for system in study.systems]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise UsageError(
            f"the study has no system {', '.join(map(repr, unknown))}",
            where="--only",
            remedy=f"choose among {', '.join(names)}",
        )
    wanted = set(only or names)
    for system in reversed(study.systems_in_order()):
        if system.name in wanted and isinstance(system.teacher, SystemAsTeacher):
            wanted.add(system.teacher.system)
    return tuple(system for system in study.systems_in_order() if system.name in wanted)


def _reported(run: Run, worked_on: Sequence[SystemSettings]) -> list[str]:
    """Systems for the report, in the order of the study file: those of this run and those evaluated before.

    One that was evaluated before, but whose files are not as they were left, is named and not shown.
    """
    current = {system.name for system in worked_on}
    names = []
    for system in run.study.systems:
        evaluated = f"evaluate:{system.name}" in run.workspace.stages
        stages = [stage for stage in run.workspace.stages if system.name in stage.split(":")[1:2]]
        if system.name in current or (evaluated and all(map(run.workspace.is_intact, stages))):
            names.append(system.name)
        elif evaluated:
            run.progress.say(
                f"  note: {system.name} is left out: its files are not as they were left; run it again to have it "
                "in the report"
            )
    return names
