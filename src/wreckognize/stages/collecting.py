"""From sources to the catalog. Light, as nothing else is needed where nothing has changed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import polars as pl

from wreckognize.catalog import QUARANTINE_SCHEMA, Catalog
from wreckognize.errors import LockError, TooManyFailuresError, UsageError
from wreckognize.files import atomic_write, sha256_of, write_table
from wreckognize.spreadsheet import table_to_csv
from wreckognize.stages.run import REVISIONS, Run
from wreckognize.stages.scaling import FETCHED, SELECTED

_NAMED = 10

if TYPE_CHECKING:
    from wreckognize.collect.opening import Elsewhere
    from wreckognize.collect.signature import Listing


def respect_lock(run: Run, *, unlock: str | None = None) -> None:
    """Refuse at once what would certainly change a locked test set, before anything of the run is touched.

    Args:
        run: the study in its folder.
        unlock: why the test set may change; None: it may not.

    Raises:
        LockError: the run was locked by another study or seed, or the lock was removed.
    """
    lock_file = run.path("test.lock.json")
    if lock_file.exists():
        from wreckognize.curate.lock import check_origin, read_lock

        lock = read_lock(lock_file)
        if unlock is None:
            check_origin(lock, study=run.study.study, seed=run.study.seed, where=str(lock_file))
    elif "split" in run.workspace.stages:
        raise LockError(
            "the lock on the test set is gone, and with it what the test set was and how often it was changed",
            where=str(lock_file),
            remedy="put the file back, or start a new run in another folder with --out DIR",
        )


def collect(run: Run) -> None:
    """Sources -> ``catalog/``, ``quarantine.csv``."""
    from wreckognize.collect import are_unchanged, list_tree, paths_read, signature_of
    from wreckognize.collect import collect as collect_sources

    study = run.study
    outputs = [run.path("catalog", f"{name}.parquet") for name in ("photos", "boxes", "quarantine", "tally")]
    outputs += [run.path("catalog", "reviewed.json"), run.path("quarantine.csv")]
    stamps = run.path(SELECTED)  # no output, as the same photos may have other times elsewhere
    places = [paths_read(source) for source in run.sources]
    tree: Iterable[Listing] = list_tree(
        {path for read in places for path in read.labels}, {path for read in places for path in read.photos}
    )
    asked = {
        "revision": REVISIONS["collect"],
        "seed": study.seed,
        "sources": [source.model_dump(mode="json", exclude={"split", "hard"}) for source in run.sources],
        "pins": {source.name: source.split for source in study.sources},
        "reviews": [sha256_of(file) for file in study.reviews],
    }
    looked_at: pl.DataFrame | None = None
    if "collect" not in run.workspace.stages:
        tree = list(tree)  # before the sources are read: what comes in between must be seen next time

    def action() -> None:
        nonlocal looked_at
        try:
            collected = collect_sources(
                run.sources,
                seed=study.seed,
                progress=run.progress,
                cache=run.path("cache"),
                elsewhere=_elsewhere(run),
            )
        except TooManyFailuresError as error:
            rows = pl.DataFrame(error.rows, schema=QUARANTINE_SCHEMA, orient="row")
            atomic_write(run.path("quarantine.csv"), table_to_csv(rows))
            raise
        looked_at = collected.labels
        catalog, reviewed = _with_reviews(run, collected.catalog)
        _refuse_contradictions(catalog.photos)
        tables = (catalog.photos, catalog.boxes, collected.quarantine, collected.tally)
        for path, table in zip(outputs[:4], tables, strict=True):
            write_table(path, table)
        atomic_write(outputs[4], json.dumps(reviewed, ensure_ascii=False, indent=1))
        atomic_write(outputs[5], table_to_csv(collected.quarantine))
        write_table(stamps, collected.stamps)  # the last, as it says that the others are of these photos
        _say_collected(run, collected.tally)
        for sentence in reviewed["notes"]:
            run.progress.say(f"  note: {sentence}")

    def inputs() -> dict[str, Any]:
        return {**asked, "files": signature_of(tree, looked_at)}

    run.workspace.run_stage("collect", inputs, outputs, action, still=lambda: are_unchanged(stamps))


def _elsewhere(run: Run) -> Elsewhere | None:
    """The machines of a cluster open photos too; what lies in object storage they read from there."""
    from wreckognize.collect.opening import Elsewhere

    if run.study.scale.on == "here":
        return None
    return Elsewhere(run.executor, run.path("cache"), run.path(FETCHED))


def _with_reviews(run: Run, catalog: Catalog) -> tuple[Catalog, dict[str, Any]]:
    """The catalog with what people drew in reviews, and for ``reviewed.json`` what they changed.

    ``notes``: what a reader must know, in sentences; ``photos``: whose truth is what a reviewer said; ``corrections``:
    those whose role is another now.
    """
    if not run.study.reviews:
        return catalog, {"notes": [], "photos": [], "corrections": []}
    from wreckognize.review.apply import apply_reviews
    from wreckognize.stages.reviewing import read_all

    reviewed = apply_reviews(catalog, read_all(run.study, run.study.reviews))
    count = len(reviewed.reviewed)
    return reviewed.catalog, {
        "notes": [f"People reviewed {count} photo{'s' if count != 1 else ''}.", *reviewed.notes()],
        "photos": list(reviewed.reviewed),
        "corrections": [asdict(correction) for correction in reviewed.corrections],
    }


def reviewed_of(run: Run) -> dict[str, Any]:
    """What reviews changed; see `_with_reviews` (after `collect`)."""
    found: dict[str, Any] = json.loads(run.path("catalog", "reviewed.json").read_text(encoding="utf-8"))
    return found


def _refuse_contradictions(photos: pl.DataFrame) -> None:
    """One file cannot show a vehicle and none.

    Raises:
        UsageError: naming the files.
    """
    both = photos.group_by("sha256").agg(pl.col("has_vehicle").n_unique(), pl.col("photo").sort())
    doubtful = both.filter(pl.col("has_vehicle") > 1).sort(pl.col("photo").list.first())
    if doubtful.is_empty():
        return
    named = "".join(f"\n    {' and '.join(names)}" for names in doubtful["photo"].head(_NAMED))
    raise UsageError(
        f"{doubtful.height} file{'s stand' if doubtful.height > 1 else ' stands'} in the study both with a vehicle and "
        f"without:{named}",
        remedy="look at them, and take each out of the source whose role is wrong for it",
    )


def _say_collected(run: Run, tally: pl.DataFrame) -> None:
    counts = dict(tally.group_by("outcome").agg(pl.col("count").sum()).iter_rows())
    words = [f"{counts.get('used', 0):,} photos used"]
    for outcome, word in (("quarantined", "quarantined"), ("not_wanted", "not wanted")):
        if counts.get(outcome):
            words.append(f"{counts[outcome]:,} {word}")
    where = " (see quarantine.csv)" if counts.get("quarantined") else ""
    run.progress.say(f"collected: {', '.join(words)}{where}")
