"""What a search leaves: the page, the table, and the best system as an entry of the study file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from wreckognize.errors import TrainingError
from wreckognize.files import atomic_write, held_file
from wreckognize.search.best import best_entry
from wreckognize.search.page import Page, render
from wreckognize.search.records import SUMMARY_FILE, SearchSummary, Trial, best_of
from wreckognize.search.words import said_of_value
from wreckognize.settings import OBJECTIVES, Objective
from wreckognize.spreadsheet import table_to_csv
from wreckognize.stages.records import RECORD_FILE, files_below, record, rename
from wreckognize.stages.run import Run
from wreckognize.stages.searching import Plan

BEST_FILE = "best.yaml"
RESULTS = (BEST_FILE, "trials.csv", "index.html", SUMMARY_FILE)
"""The summary last: it says whose they are."""
PUBLISH_LOCK = ".publish"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What a search came to.

    Attributes:
        folder: ``RUN/search``.
        system: whose settings were searched.
        objective: what was looked for.
        judged: how many photos trials were judged on.
        trials: all, in the order they began.
        best: the best one; None if none came to its end yet.
        notes: what the reader must know.
    """

    folder: Path
    system: str
    objective: Objective
    judged: int
    trials: tuple[Trial, ...]
    best: Trial | None
    notes: tuple[str, ...]

    @property
    def page(self) -> Path:
        """The HTML page."""
        return self.folder / "index.html"

    @property
    def entry(self) -> Path:
        """The best system, to be pasted into the study file."""
        return self.folder / BEST_FILE


def publish(run: Run, plan: Plan) -> None:
    """Write ``search/index.html``, ``trials.csv``, ``summary.json`` and ``best.yaml`` as things stand now."""
    folder = run.path("search")
    with held_file(folder / PUBLISH_LOCK):  # one process at a time, so that the last one knows most
        _put_aside(folder, key=plan.folder.name)
        now = plan.store.trials()
        atomic_write(folder / "index.html", render(_page(run, plan, now)))
        atomic_write(folder / "trials.csv", _csv(plan, now))
        best = best_of(now)
        summary = SearchSummary(
            system=plan.system.name,
            objective=plan.settings.objective,
            made=sum(trial.counts for trial in now),
            judged=plan.judged.height,
            best=best.value if best is not None else None,
            key=plan.folder.name,
        )
        atomic_write(folder / SUMMARY_FILE, json.dumps(asdict(summary), indent=1))
        if best is not None:
            name = plan.system.name
            atomic_write(
                folder / BEST_FILE,
                best_entry(
                    name,
                    run.study.content["systems"][name],
                    best,
                    names=[system.name for system in run.study.systems],
                    objective=plan.settings.objective,
                    photos=plan.judged.height,
                ),
            )
        else:
            (folder / BEST_FILE).unlink(missing_ok=True)  # of this search, when its trials were others
        _record(folder, plan, now)


def _record(folder: Path, plan: Plan, trials: Sequence[Trial]) -> None:
    """Record the hashes of the results, and of the trials that have ended and that no process tidies up any more."""
    settled = [folder / "folder.txt", *files_below(plan.folder / "teachers")]
    for origin in sorted(
        {trial.number if trial.origin is None else trial.origin for trial in trials if trial.counts}
    ):
        with held_file(plan.folder / "locks" / f"{origin:04d}", wait=False) as lock:
            if lock is not None:
                settled += files_below(plan.folder / "trials" / f"{origin:04d}")
    written = [name for name in RESULTS if (folder / name).exists()]
    record(
        plan.folder / RECORD_FILE,
        folder,
        written=written,
        settled=[path.relative_to(folder).as_posix() for path in settled],
        gone=set(RESULTS) - set(written),
    )


def _put_aside(folder: Path, *, key: str) -> None:
    """Keep what another search found, beside its trials, before this one's takes its place."""
    file = folder / SUMMARY_FILE
    if not file.exists():
        return
    before = json.loads(file.read_text(encoding="utf-8")).get("key", "")
    if before in ("", key):
        return
    for name in RESULTS:
        if (folder / name).exists():
            (folder / before).mkdir(exist_ok=True)
            (folder / name).replace(folder / before / name)
    rename(folder / before / RECORD_FILE, {name: f"{before}/{name}" for name in RESULTS})


def result(run: Run, plan: Plan) -> SearchResult:
    """What the search has come to.

    Raises:
        TrainingError: every trial failed.
    """
    trials = tuple(plan.store.trials())
    made = [trial for trial in trials if trial.counts]
    if (
        made
        and all(trial.outcome == "failed" for trial in made)
        and not any(t.outcome == "running" for t in trials)
    ):
        reasons = "".join(f"\n    trial {trial.number}: {trial.reason}" for trial in made[:5])
        raise TrainingError(
            f"all {len(made)} trials failed{reasons}" if len(made) > 1 else f"the only trial failed{reasons}",
            where=str(run.path("search")),
            remedy="read the reasons above (a trial's log lies in its folder below); mend the cause or narrow the "
            "space. A failed trial counts: to try again, ask for more trials or remove the folder",
        )
    return SearchResult(
        folder=run.path("search"),
        system=plan.system.name,
        objective=plan.settings.objective,
        judged=plan.judged.height,
        trials=trials,
        best=best_of(trials),
        notes=plan.notes,
    )


def _page(run: Run, plan: Plan, trials: Sequence[Trial]) -> Page:
    return Page(
        study=run.study.study,
        system=plan.system.name,
        objective=plan.settings.objective,
        asked=plan.settings.trials,
        judged=plan.judged.height,
        backgrounds=int((~plan.judged["has_vehicle"]).sum()),
        space=plan.settings.space,
        pruned_by=plan.settings.pruner,
        trials=tuple(trials),
        importances=plan.store.importances(),
        notes=plan.notes,
    )


def _csv(plan: Plan, trials: Sequence[Trial]) -> str:
    fields = [dimension.field for dimension in plan.settings.space]
    rows = [
        {
            "trial": trial.number,
            "outcome": trial.outcome,
            **{field: said_of_value(trial.values[field]) if field in trial.values else None for field in fields},
            **{name: trial.figures.get(name) for name in OBJECTIVES},
            "epochs_run": trial.epochs_run,
            "seconds": trial.seconds,
            "same_as": trial.same_as,
            "goes_on_with": trial.origin,
            "reason": trial.reason,
        }
        for trial in trials
    ]
    return table_to_csv(pl.DataFrame(rows, infer_schema_length=None))
