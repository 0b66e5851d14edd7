"""From sources to labels: collect, split, label."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from wreckognize.catalog import QUARANTINE_SCHEMA, SPLITS, Catalog
from wreckognize.errors import LockError, TooManyFailuresError, UsageError
from wreckognize.files import atomic_write, sha256_of, write_table
from wreckognize.settings import SystemSettings
from wreckognize.spreadsheet import table_to_csv
from wreckognize.stages.alike import Links, find_links, hashes_of, links_inputs
from wreckognize.stages.looking import teacher_predictions
from wreckognize.stages.run import REVISIONS, Run
from wreckognize.stages.scaling import FETCHED, SELECTED

_NAMED = 10

if TYPE_CHECKING:
    from wreckognize.collect.opening import Elsewhere
    from wreckognize.curate.lock import TestLock
    from wreckognize.curate.split import SplitResult


def collect(run: Run) -> None:
    """Sources -> ``catalog/``, ``quarantine.csv``."""
    from wreckognize.collect import are_unchanged, paths_read, tree_signature
    from wreckognize.collect import collect as collect_sources

    study = run.study
    outputs = [run.path("catalog", f"{name}.parquet") for name in ("photos", "boxes", "quarantine", "tally")]
    outputs += [run.path("catalog", "reviewed.json"), run.path("quarantine.csv")]
    stamps = run.path(SELECTED)  # no output, as the same photos may have other times elsewhere

    def action() -> None:
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

    places = [paths_read(source) for source in run.sources]
    inputs = {
        "revision": REVISIONS["collect"],
        "seed": study.seed,
        "sources": [source.model_dump(mode="json", exclude={"split", "hard"}) for source in run.sources],
        "pins": {source.name: source.split for source in study.sources},
        "reviews": [sha256_of(file) for file in study.reviews],
        "files": tree_signature(
            {path for read in places for path in read.labels}, {path for read in places for path in read.photos}
        ),
    }
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


def respect_lock(run: Run, *, unlock: str | None = None) -> None:
    """Refuse at once what would certainly change a locked test set, before anything of the run is touched.

    Args:
        run: the study in its folder.
        unlock: why the test set may change; None: it may not.

    Raises:
        LockError: the run was locked by another study or seed, or the lock was removed.
    """
    from wreckognize.curate.lock import check_origin, read_lock

    lock_file = run.path("test.lock.json")
    if lock_file.exists():
        lock = read_lock(lock_file)
        if unlock is None:
            check_origin(lock, study=run.study.study, seed=run.study.seed, where=str(lock_file))
    elif "split" in run.workspace.stages:
        raise LockError(
            "the lock on the test set is gone, and with it what the test set was and how often it was changed",
            where=str(lock_file),
            remedy="put the file back, or start a new run in another folder with --out DIR",
        )


def split(run: Run, *, embeddings: bool = False, unlock: str | None = None) -> None:
    """Groups and split -> ``split.parquet``; the test set is locked the first time and held to its lock after.

    Args:
        run: after `collect` and `look_alike`.
        embeddings: whether the teacher looked at the photos of this run.
        unlock: why the test set may change; None: it may not.
    """
    from wreckognize.curate.groups import connect
    from wreckognize.curate.lock import check_lock, read_lock
    from wreckognize.curate.split import split_photos

    study, photos = run.study, run.catalog.photos
    lock_file = run.path("test.lock.json")
    outputs = [
        run.path("split.parquet"),
        run.path("catalog", "split.json"),
        run.path("catalog", "near.parquet"),
        lock_file,
    ]

    def action() -> None:
        links = find_links(run, embeddings=embeddings)
        groups = connect(photos, links.table)
        before = read_lock(lock_file) if lock_file.exists() else None
        result = split_photos(photos, groups, study.split, seed=study.seed)
        said = [*links.notes]
        if (
            before is not None
            and unlock is None
            and set(result.table.filter(split="test")["photo"]) != before.names
        ):
            result = _held_to_lock(run, before, groups, links)
            said.append(
                f"The test set is as it was locked ({before.created}, {len(before.photos)} photos); all others, those "
                "that came since among them, train or validate."
            )
        _require_photos(run, result.table)
        lock = _lock(run, result.table, before, unlock)
        notes = {
            "held_back": list(result.held_back),
            "excluded": list(result.excluded),
            "shortfalls": [*result.shortfalls, *contrary_copies(photos, links.table), *said],
            "pairs": links.pairs,
            "groups_of_several": int((groups["group"].value_counts()["count"] > 1).sum()),
        }
        write_table(outputs[0], result.table)
        atomic_write(outputs[1], json.dumps(notes, ensure_ascii=False, indent=1))
        write_table(outputs[2], links.table.filter(pl.col("reason") != "claim").sort("reason", "distance", "left"))
        if lock != before:
            atomic_write(lock_file, lock.to_json())

    inputs = {
        "revision": REVISIONS["split"],
        "photos": run.workspace.digest("collect")["catalog/photos.parquet"],
        **links_inputs(run, embeddings=embeddings),
        "split": study.split.model_dump(mode="json", exclude={"calibration"}),
        "seed": study.seed,
        "unlock": unlock,
    }
    if run.workspace.run_stage("split", inputs, outputs, action):
        counts = dict(run.split.group_by("split").len().iter_rows())
        run.progress.say("split: " + ", ".join(f"{counts.get(name, 0):,} {name}" for name in SPLITS))
        for sentence in _split_notes(run):
            run.progress.say(f"  note: {sentence}")
    check_lock(read_lock(lock_file), run.split, photos)


def _held_to_lock(run: Run, lock: TestLock, groups: pl.DataFrame, links: Links) -> SplitResult:
    """The split with the test set as it was locked.

    Raises:
        LockError: a locked photo is gone or has other bytes.
        LeakError: a photo that is not in the test set belongs with one that is.
    """
    from wreckognize.curate.guard import leak, name_matches
    from wreckognize.curate.lock import check_lock
    from wreckognize.curate.split import beside_lock, split_photos

    study, photos = run.study, run.catalog.photos
    in_test = pl.when(pl.col("photo").is_in(list(lock.names))).then(pl.lit("test")).otherwise(pl.lit("train"))
    check_lock(lock, groups.select("photo", in_test.alias("split"), "group"), photos)
    if study.split.on_leak == "stop":
        beside = beside_lock(photos, groups, lock.names)
        if beside:
            known = (
                photos.select("photo", "sha256", "claim").join(hashes_of(run), on="photo").join(groups, on="photo")
            )
            given, test = (known.filter(pl.col("photo").is_in(list(names))) for names in (beside, lock.names))
            found = name_matches(given, test, links.table, hash_distance=study.groups.hash_distance)
            raise leak(found, "photos that are not in the locked test set belong with photos that are")
    return split_photos(photos, groups, study.split, seed=study.seed, locked=lock.names)


def _lock(run: Run, table: pl.DataFrame, before: TestLock | None, unlock: str | None) -> TestLock:
    """The lock on the test set of ``table``: the one before if it is about the same photos.

    Raises:
        LockError: the test set changed, and nobody said why it may.
    """
    from wreckognize.curate.lock import VERSION, check_lock, make_lock, relock

    study, photos = run.study, run.catalog.photos
    now = datetime.now(UTC).isoformat(timespec="seconds")
    lock = make_lock(table, photos, hashes_of(run), study=study.study, seed=study.seed, created=now)
    if before is None:
        return lock
    if unlock is not None:
        lock = relock(before, lock, reason=unlock)
        if lock is not before:
            return lock
        run.progress.say("  note: the test set is the same as before; there was nothing to unlock")
    check_lock(before, table, photos)
    if before.version == VERSION:
        return before
    return make_lock(table, photos, hashes_of(run), study=study.study, seed=study.seed, created=before.created)


def refuse_test_photos(run: Run, photos: pl.DataFrame, what: str) -> None:
    """Make sure that none of these photos belongs to the locked test set, whatever made them come here.

    Args:
        run: after `split`.
        photos: with ``photo`` and ``sha256``: all that is handed over.
        what: they are for, e.g. ``training of ver5``.

    Raises:
        LeakError: a photo is a test photo, has the bytes of one, looks like one, or is in a group with one.
    """
    from wreckognize.curate.guard import refuse_leaks
    from wreckognize.curate.lock import read_lock

    groups = run.split.select("photo", "group")
    given = photos.select("photo", "sha256").join(hashes_of(run), on="photo", how="left")
    refuse_leaks(
        given.join(groups, on="photo", how="left"),
        read_lock(run.path("test.lock.json")),
        hash_distance=run.study.groups.hash_distance,
        what=what,
        groups=groups,
    )


def part(run: Run) -> None:
    """Validation parted into stopping and calibration, by group -> ``validation.parquet``."""
    from wreckognize.curate.validation import part_validation

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
    if run.workspace.run_stage("part", inputs, [output], action):
        for sentence in _validation_notes(run):
            run.progress.say(f"  note: {sentence}")


def _validation_notes(run: Run) -> tuple[str, ...]:
    """What the parting of validation could not do, in words."""
    from wreckognize.curate.validation import unserved

    trains = any(system.trained for system in run.study.systems)
    return unserved(run.catalog.photos, run.split, run.validation, trains=trains)


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


def contrary_copies(photos: pl.DataFrame, links: pl.DataFrame) -> list[str]:
    """Photos that look the same, one given with a vehicle and one without, in words."""
    from wreckognize.curate.groups import contrary_pairs

    pairs = contrary_pairs(photos, links)
    if pairs.is_empty():
        return []
    named = "; ".join(f"{left} and {right}" for left, right in pairs.select("left", "right").head(5).iter_rows())
    several = pairs.height > 1
    return [
        f"{pairs.height} pair{'s' if several else ''} of photos look the same, though one is given with a vehicle and "
        f"the other without; one role is probably wrong, and figures with it: {named}"
        f"{' ...' if pairs.height > 5 else ''}."
    ]


def split_notes(run: Run) -> tuple[str, ...]:
    """What the split and the parting of validation could not do as asked, in words; after `part`."""
    return (*_split_notes(run), *_validation_notes(run))


def _split_notes(run: Run) -> tuple[str, ...]:
    notes = json.loads(run.path("catalog", "split.json").read_text(encoding="utf-8"))
    sentences = [*reviewed_of(run)["notes"], *notes["shortfalls"]]
    if notes["held_back"]:
        sentences.append(
            f"{len(notes['held_back'])} photos belong with pinned test photos (same claim, same file or nearly the "
            "same picture); held back."
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
