"""What photos look like, and which of them belong together."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import polars as pl

from wreckognize import images
from wreckognize.catalog import QUARANTINE_SCHEMA
from wreckognize.errors import InputError, UsageError
from wreckognize.files import write_table
from wreckognize.inference.executor import Doing, Tables, Tick, run_in_parts
from wreckognize.stages.run import REVISIONS, Run, versions
from wreckognize.state import fingerprint_of

_THREADS = 2
_PART_PHOTOS = 2048
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Links:
    """Why photos belong together.

    Attributes:
        table: ``LINK_SCHEMA``, enough of the pairs to connect every group.
        pairs: how many pairs of photos there are for each reason.
        notes: what was not compared, in words.
    """

    table: pl.DataFrame
    pairs: dict[str, int]
    notes: tuple[str, ...]


def look_alike(run: Run) -> None:
    """The perceptual hash of every photo -> ``catalog/hashes.parquet``."""
    photos = run.catalog.photos
    output = run.path("catalog", "hashes.parquet")
    parts = run.path("catalog", "parts-alike")

    inputs = {
        "revision": REVISIONS["alike"],
        "photos": run.workspace.digest("collect")["catalog/photos.parquet"],
        "versions": {name: versions()[name] for name in ("opencv-python-headless",)},
    }

    def action() -> None:
        tables = run_in_parts(
            photos,
            Hashing(),
            run.executor,
            size=_PART_PHOTOS,
            folder=parts,
            key=fingerprint_of(inputs),
            progress=run.progress,
            description="what photos look like",
        )
        _require_all_read(tables["unread"])
        write_table(output, tables["hashes"])

    if run.workspace.run_stage("alike", inputs, [output], action):
        shutil.rmtree(parts)


@dataclass(frozen=True)
class Hashing:
    """The `Work` of taking every photo's perceptual hash."""

    @property
    def schemas(self) -> Mapping[str, pl.Schema]:
        """Hashes (null for a photo that shows too little), and what could not be read."""
        from wreckognize.curate.near import HASH_SCHEMA

        return {"hashes": HASH_SCHEMA, "unread": QUARANTINE_SCHEMA}

    @property
    def files(self) -> Sequence[Path]:
        """None."""
        return ()

    def moved(self, folder: Path) -> Self:
        """The same."""
        return self

    def start(self) -> Doing:
        """Nothing has to be loaded."""
        return _hash_all


def _hash_all(rows: pl.DataFrame, tick: Tick) -> Tables:
    from wreckognize.curate.near import HASH_SCHEMA

    found: list[str | InputError | None] = []
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="hash") as pool:
        for one in pool.map(_hash_of, rows["path"]):
            tick(1)
            found.append(one)
    hashes = [None if isinstance(one, InputError) else one for one in found]
    unread = [
        (source, photo, one.reason, one.remedy)
        for one, source, photo in zip(found, rows["source"], rows["photo"], strict=True)
        if isinstance(one, InputError)
    ]
    return {
        "hashes": pl.DataFrame({"photo": rows["photo"], "hash": hashes}, schema=HASH_SCHEMA),
        "unread": pl.DataFrame(unread, schema=QUARANTINE_SCHEMA, orient="row"),
    }


def _hash_of(path: str) -> str | InputError | None:
    from wreckognize.curate.near import perceptual_hash

    try:
        return perceptual_hash(images.decode(Path(path)))
    except InputError as error:
        return error


def _require_all_read(unread: pl.DataFrame) -> None:
    if not unread.is_empty():
        rows = [f"{photo}: {reason}" for _, photo, reason, _ in unread.head(_NAMED).iter_rows()]
        raise UsageError(
            f"{unread.height} photos can no longer be read as they were collected:\n    " + "\n    ".join(rows),
            remedy="put them back as they were, or run again: what has changed is collected anew",
        )


def hashes_of(run: Run) -> pl.DataFrame:
    """``HASH_SCHEMA`` of every photo (after `look_alike`)."""
    return pl.read_parquet(run.path("catalog", "hashes.parquet"))


def links_inputs(run: Run, *, embeddings: bool) -> dict[str, Any]:
    """What `find_links` depends on, besides the photos."""
    return {
        "groups": run.study.groups.model_dump(mode="json"),
        "hashes": run.workspace.digest("alike"),
        "embeddings": run.workspace.digest("teacher")["teacher/embeddings.parquet"] if embeddings else None,
    }


def find_links(run: Run, *, embeddings: bool) -> Links:
    """Which photos belong together: one claim, the same bytes, nearly the same look, nearly the same to the teacher.

    Args:
        run: after `look_alike`.
        embeddings: whether the teacher looked at the photos of this run.
    """
    from wreckognize.curate.groups import Join, same_bytes, same_claim
    from wreckognize.curate.groups import find_links as links_of
    from wreckognize.curate.near import near_embeddings, near_hashes, too_coarse

    photos, settings, hashes = run.catalog.photos, run.study.groups, hashes_of(run)
    joins: list[Join] = [same_claim, same_bytes]
    pairs = {reason: _pairs(photos, key) for reason, key in (("claim", "claim"), ("file", "sha256"))}
    notes = []
    blank = hashes.filter(pl.col("hash").is_null())["photo"]
    if len(blank):
        notes.append(
            f"{len(blank)} photos show too little (one colour, a plain gradient, noise) to be compared by what they "
            f"show: {', '.join(blank.head(3))}{' ...' if len(blank) > 3 else ''}."
        )
    if settings.hash_distance is None:
        notes.append("Photos were not compared by perceptual hash (`groups: {hash_distance: null}`).")
    else:
        near = near_hashes(hashes, settings.hash_distance)
        pairs["hash"] = near.pairs
        joins.append(near.join)
    if settings.cosine is None:
        notes.append("Photos were not compared by the teacher's embeddings (`groups: {cosine: null}`).")
    elif not embeddings:
        notes.append("Photos were not compared by the teacher's embeddings: no system learns from the teacher.")
    else:
        table = pl.read_parquet(run.path("teacher", "embeddings.parquet"))
        if _gives_none(table):
            notes.append(
                "Photos were not compared by the teacher's embeddings: it is an ONNX file, which gives none. Name its "
                ".pt or .safetensors file as the teacher to have photos compared so."
            )
            return Links(links_of(photos, joins), pairs, tuple(notes))
        near = near_embeddings(table, settings.cosine, blank)
        lumped = too_coarse(near)
        if lumped is None:
            pairs["embedding"] = near.pairs
            joins.append(near.join)
        else:
            notes.append(
                f"The teacher sees the same (cosine {settings.cosine:g} or more) in {lumped} of {near.compared} "
                "photos: it does not tell these photos apart, so its embeddings were not used for groups; a higher "
                "`groups: {cosine: ...}` may help."
            )
    return Links(links_of(photos, joins), pairs, tuple(notes))


def _gives_none(embeddings: pl.DataFrame) -> bool:
    """Whether the teacher looked at photos, and gave no embedding of any."""
    return embeddings.height > 0 and embeddings.get_column("embedding").list.len().max() == 0


def _pairs(photos: pl.DataFrame, key: str) -> int:
    """How many pairs of photos share a value of ``key``."""
    sizes = (
        photos.filter(pl.col(key).is_not_null() & (pl.col(key) != "")).group_by(key).len()["len"].cast(pl.Int64)
    )
    return int((sizes * (sizes - 1) // 2).sum())
