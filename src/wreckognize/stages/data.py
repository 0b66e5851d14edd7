"""From the catalog to labels: split, part, label."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from wreckognize.catalog import SPLITS
from wreckognize.errors import UsageError
from wreckognize.files import atomic_write, write_table
from wreckognize.settings import SystemSettings
from wreckognize.stages.alike import Links, find_links, hashes_of, links_inputs
from wreckognize.stages.collecting import reviewed_of
from wreckognize.stages.looking import teacher_predictions
from wreckognize.stages.run import REVISIONS, Run

if TYPE_CHECKING:
    from wreckognize.curate.lock import TestLock
    from wreckognize.curate.split import SplitResult


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
