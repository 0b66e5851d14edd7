"""From sources to labels: collect, split, label."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import polars as pl

from wreckognize.catalog import QUARANTINE_SCHEMA, SPLITS
from wreckognize.errors import LockError, TooManyFailuresError, UsageError
from wreckognize.files import atomic_write, write_table
from wreckognize.settings import SystemSettings
from wreckognize.stages.looking import teacher_predictions
from wreckognize.stages.run import REVISIONS, Run
from wreckognize.workspace import tree_signature


def collect(run: Run) -> None:
    """Sources -> ``catalog/``, ``quarantine.csv``."""
    from wreckognize.collect import collect as collect_sources
    from wreckognize.collect import paths_read

    study = run.study
    outputs = [run.path("catalog", f"{name}.parquet") for name in ("photos", "boxes", "quarantine", "tally")]

    def action() -> None:
        try:
            collected = collect_sources(study.sources, seed=study.seed, progress=run.progress)
        except TooManyFailuresError as error:
            rows = pl.DataFrame(error.rows, schema=QUARANTINE_SCHEMA, orient="row")
            atomic_write(run.path("quarantine.csv"), rows.write_csv())
            raise
        tables = (collected.catalog.photos, collected.catalog.boxes, collected.quarantine, collected.tally)
        for path, table in zip(outputs, tables, strict=True):
            write_table(path, table)
        atomic_write(run.path("quarantine.csv"), collected.quarantine.write_csv())
        _say_collected(run, collected.tally)

    inputs = {
        "revision": REVISIONS["collect"],
        "seed": study.seed,
        "sources": [source.model_dump(mode="json", exclude={"split", "hard"}) for source in study.sources],
        "pins": {source.name: source.split for source in study.sources},
        "files": tree_signature({path for source in study.sources for path in paths_read(source)}),
    }
    run.workspace.run_stage("collect", inputs, outputs, action)


def _say_collected(run: Run, tally: pl.DataFrame) -> None:
    counts = dict(tally.group_by("outcome").agg(pl.col("count").sum()).iter_rows())
    words = [f"{counts.get('used', 0):,} photos used"]
    for outcome, word in (("quarantined", "quarantined"), ("not_wanted", "not wanted")):
        if counts.get(outcome):
            words.append(f"{counts[outcome]:,} {word}")
    where = " (see quarantine.csv)" if counts.get("quarantined") else ""
    run.progress.say(f"collected: {', '.join(words)}{where}")


def respect_lock(run: Run) -> None:
    """Refuse at once what would certainly change a locked test set, before anything of the run is touched.

    Raises:
        LockError: the run was locked by another study or seed.
    """
    from wreckognize.curate.lock import read_lock

    lock_file = run.path("test.lock.json")
    if not lock_file.exists():
        return
    lock = read_lock(lock_file)
    for word, locked, asked in (("study", lock.study, run.study.study), ("seed", lock.seed, run.study.seed)):
        if locked != asked:
            raise LockError(
                f"the test set of this run was locked with {word} {locked!r}, not {asked!r}; it would change",
                where=str(lock_file),
                remedy="start a new run in another folder with --out DIR",
            )


def split(run: Run) -> None:
    """Groups and split -> ``split.parquet``; the test set is locked the first time and held to its lock after."""
    from wreckognize.curate.groups import assign_groups
    from wreckognize.curate.lock import check_lock, make_lock, read_lock
    from wreckognize.curate.split import split_photos

    study, photos = run.study, run.catalog.photos
    lock_file = run.path("test.lock.json")
    outputs = [run.path("split.parquet"), run.path("catalog", "split.json"), lock_file]

    def action() -> None:
        result = split_photos(photos, assign_groups(photos), study.split, seed=study.seed)
        _require_photos(run, result.table)
        if lock_file.exists():
            check_lock(read_lock(lock_file), result.table, photos)
        notes = {
            "held_back": list(result.held_back),
            "excluded": list(result.excluded),
            "shortfalls": [*result.shortfalls, *contradictions(photos)],
        }
        write_table(outputs[0], result.table)
        atomic_write(outputs[1], json.dumps(notes, ensure_ascii=False, indent=1))
        if not lock_file.exists():
            created = datetime.now(UTC).isoformat(timespec="seconds")
            lock = make_lock(result.table, photos, study=study.study, seed=study.seed, created=created)
            atomic_write(lock_file, lock.to_json())

    inputs = {
        "revision": REVISIONS["split"],
        "photos": run.workspace.digest("collect")["catalog/photos.parquet"],
        "split": study.split.model_dump(mode="json", exclude={"calibration"}),
        "seed": study.seed,
    }
    if run.workspace.run_stage("split", inputs, outputs, action):
        counts = dict(run.split.group_by("split").len().iter_rows())
        run.progress.say("split: " + ", ".join(f"{counts.get(name, 0):,} {name}" for name in SPLITS))
        for sentence in split_notes(run):
            run.progress.say(f"  note: {sentence}")
    check_lock(read_lock(lock_file), run.split, photos)


def part(run: Run) -> None:
    """Validation parted into stopping and calibration, by group -> ``validation.parquet``."""
    from wreckognize.curate.split import part_validation

    study, output = run.study, run.path("validation.parquet")

    def action() -> None:
        parts = part_validation(run.catalog.photos, run.split, study.split.calibration, seed=study.seed)
        write_table(output, parts)

    inputs = {
        "revision": REVISIONS["part"],
        "photos": run.workspace.digest("collect")["catalog/photos.parquet"],
        "split": run.workspace.digest("split")["split.parquet"],
        "calibration": study.split.calibration,
        "seed": study.seed,
    }
    run.workspace.run_stage("part", inputs, [output], action)


def _require_photos(run: Run, table: pl.DataFrame) -> None:
    """A test set without photos judges nothing, and must not be locked."""
    needed = ["test", *(["train", "val"] if any(system.trained for system in run.study.systems) else [])]
    empty = [name for name in needed if table.filter(pl.col("split") == name).is_empty()]
    if empty:
        raise UsageError(
            f"no photo is left for {' and '.join(empty)} of {table.height:,} photos",
            where="split",
            remedy="give more photos, change the shares, or pin a source with `split:`",
        )


def contradictions(photos: pl.DataFrame) -> list[str]:
    """Files that stand in the catalog both as a vehicle and as none, in words."""
    both = photos.group_by("sha256").agg(pl.col("has_vehicle").n_unique(), pl.col("photo").sort())
    doubtful = both.filter(pl.col("has_vehicle") > 1).sort(pl.col("photo").list.first())
    if doubtful.is_empty():
        return []
    named = "; ".join(" and ".join(names) for names in doubtful["photo"].head(5))
    return [f"{doubtful.height} files are given both with a vehicle and without; one role is wrong: {named}."]


def split_notes(run: Run) -> tuple[str, ...]:
    """What the split could not do as asked, in words."""
    notes = json.loads(run.path("catalog", "split.json").read_text(encoding="utf-8"))
    sentences = list(notes["shortfalls"])
    if notes["held_back"]:
        sentences.append(
            f"{len(notes['held_back'])} photos share a claim or a file with pinned test photos; held back."
        )
    if notes["excluded"]:
        sentences.append(f"{len(notes['excluded'])} photos of the training side were taken out because of a leak.")
    return tuple(sentences)


def label(run: Run, system: SystemSettings) -> None:
    """A system's label policy -> ``systems/NAME/labels.parquet`` and ``photos.parquet``."""
    from wreckognize.labeling.policies import make_labels

    stage, predictions, digest = teacher_predictions(run, system)
    outputs = [run.path("systems", system.name, f"{name}.parquet") for name in ("labels", "photos")]

    def action() -> None:
        result = make_labels(
            run.catalog.photos,
            run.split,
            run.catalog.boxes,
            pl.read_parquet(predictions),
            system.labels,
            system.limits,
            seed=run.study.seed,
        )
        write_table(outputs[0], result.labels)
        write_table(outputs[1], result.photos)
        counts = dict(result.photos.group_by("outcome").len().iter_rows())
        run.progress.say(
            f"labels of {system.name}: {counts.get('labelled', 0):,} photos labelled, "
            f"{counts.get('background', 0):,} backgrounds, {counts.get('left_out', 0):,} left out"
        )

    inputs = {
        "revision": REVISIONS["label"],
        "catalog": run.workspace.digest("collect"),
        "split": run.workspace.digest("split")["split.parquet"],
        "teacher": {stage: digest},
        "labels": system.labels.model_dump(mode="json"),
        "limits": dict(system.limits),
        "seed": run.study.seed,
    }
    run.workspace.run_stage(f"label:{system.name}", inputs, outputs, action)
