"""Who trains, who picks the epoch, who judges: a seeded split by group.

Strata are role x first damage type. Groups of several photos are placed first, the largest first, each where it
raises Pearson's chi-square between the counts so far and the counts wanted,

    sum over strata s and splits k of (placed[s, k] - target[s, k])^2 / target[s, k],

the least. (For one stratum that is Sainte-Laguë's apportionment. To go by the largest absolute deficit would send
every large group to training and leave a test set of lonely photos.) Photos that stand alone then fill what is
missing in each stratum to within one photo. Where a stratum is still off its share by more than a photo and more than
1 %, whole groups are moved and swapped (`even`) until it is not, or nothing helps.

The order of everything is that of `wreckognize.lots`: the same on every machine, for any order of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize.catalog import PHOTO_SCHEMA, ROLES, SPLIT_SCHEMA, SPLITS, require_schema
from wreckognize.curate.even import TOLERANCE, even_out
from wreckognize.errors import LeakError, UsageError
from wreckognize.lots import lots
from wreckognize.settings import SplitSettings

HELD_BACK = "held_back"

_RANKS = {name: rank for rank, name in enumerate(SPLITS, 1)}
_PHOTOS_NAMED = 10
STRATUM = pl.concat_str("role", pl.col("damage_types").list.first(), separator="/", ignore_nulls=True)
"""What a photo counts under: its role, and its first damage type."""


@dataclass(frozen=True, slots=True)
class SplitResult:
    """A split and what could not be had.

    Attributes:
        table: ``SPLIT_SCHEMA``, every photo once, sorted by photo.
        held_back: photos not pinned that share a group with pinned test photos; in no split.
        excluded: photos on the training side of a leak, in no split (``on_leak: exclude``).
        shortfalls: one sentence for each split without a role, and for each stratum off its share.
    """

    table: pl.DataFrame
    held_back: tuple[str, ...]
    excluded: tuple[str, ...]
    shortfalls: tuple[str, ...]


def split_photos(
    photos: pl.DataFrame,
    groups: pl.DataFrame,
    settings: SplitSettings,
    *,
    seed: int,
    locked: frozenset[str] = frozenset(),
) -> SplitResult:
    """Split photos by group, with shares met in every stratum.

    A group with pinned photos follows the highest of their splits: test, then val, then train. Its other photos go
    there too, except that nothing joins pinned test photos: those are held back. Photos pinned to a lower split of
    the same group are a leak; train and val count as two sides as well, since the epoch is chosen on val. Pinned
    groups do not count against the shares of the free ones.

    Locked photos stay test, no other free photo becomes test, and the rest goes to train and val by their shares
    alone, in the same seeded order. Photos in a group with a locked one are excluded; `beside_lock` names them, so
    that they can be refused before.

    Args:
        photos: ``PHOTO_SCHEMA``, in any order.
        groups: ``photo, group`` for every photo.
        settings: the shares, and what to do about a leak.
        seed: of the study.
        locked: names of the test photos, where the test set stands already.

    Raises:
        LeakError: if a group is pinned to two splits and ``on_leak`` is ``stop``.
        UsageError: photos are locked and the shares leave nothing to the others.
        ValueError: if a photo has no group, or several.
    """
    require_schema(photos, PHOTO_SCHEMA, "photos")
    joined = photos.join(groups.select("photo", "group"), on="photo", how="left")
    if len(joined) != len(photos) or joined.get_column("group").has_nulls():
        raise ValueError("every photo must have exactly one group")
    joined = joined.with_columns(stratum=STRATUM).sort("photo")
    beside = pl.col("photo").is_in(list(beside_lock(photos, groups, locked)))
    stays = pl.col("photo").is_in(list(locked)) & pl.col("pinned").is_null()
    standing = joined.filter(beside | stays).select(
        "photo", "role", "group", split=pl.when(stays).then(pl.lit("test")).otherwise(pl.lit(HELD_BACK))
    )
    placed = _place_pinned(
        joined.filter(~beside & ~stays).select(
            "photo",
            "group",
            "role",
            "stratum",
            rank=pl.col("pinned").replace_strict(_RANKS, default=0, return_dtype=pl.Int8),
        )
    )
    leaking = placed.filter("leaks")
    if len(leaking) and settings.on_leak == "stop":
        raise _leak(placed)

    is_free = pl.col("winner") == 0
    shares = np.array([settings.train, settings.val, settings.test])
    free_shares = _without_test(shares) if locked else shares
    free = split_free(placed.filter(is_free), free_shares, seed)
    table = placed.join(free, on="group", how="left").with_columns(
        split=pl.when(is_free).then("free_split").otherwise("split")
    )
    held_back = table.filter((pl.col("split") == HELD_BACK) & ~pl.col("leaks"))
    whole = pl.concat([table.select(standing.columns), standing]).sort("photo")
    excluded = pl.concat([leaking.get_column("photo"), standing.filter(split=HELD_BACK).get_column("photo")])
    return SplitResult(
        table=whole.select(SPLIT_SCHEMA.names()),
        held_back=tuple(held_back.get_column("photo").sort()),
        excluded=tuple(excluded.sort()),
        shortfalls=(*_missing_roles(whole, shares), *_uneven_strata(table.filter(is_free), free_shares)),
    )


def beside_lock(photos: pl.DataFrame, groups: pl.DataFrame, locked: frozenset[str]) -> tuple[str, ...]:
    """Photos that are not locked and share a group with a locked one; sorted.

    Free photos beside photos that are *pinned* to the test set are not among them: they are held back in any split.

    Args:
        photos: ``PHOTO_SCHEMA``.
        groups: ``photo, group`` for every photo.
        locked: names of the test photos.
    """
    is_locked = pl.col("photo").is_in(list(locked))
    joined = photos.select("photo", "pinned").join(groups.select("photo", "group"), on="photo")
    with_locked = (is_locked & pl.col("pinned").is_null()).any().over("group")
    with_pinned = (pl.col("pinned") == "test").fill_null(False).any().over("group")
    return tuple(joined.filter(~is_locked & with_locked & ~with_pinned).get_column("photo").sort())


def _without_test(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares of train and val alone."""
    kept = shares * [1, 1, 0]
    if kept.sum() == 0:
        raise UsageError(
            "the test set is locked, and the shares leave nothing to the photos that are not in it",
            where="split",
            remedy="give train or val a share",
        )
    rest: NDArray[np.float64] = kept / kept.sum()
    return rest


def _place_pinned(table: pl.DataFrame) -> pl.DataFrame:
    """Add ``winner`` (the group's split as a rank, 0: free), ``leaks`` and ``split`` (null: free)."""
    rank, winner = pl.col("rank"), pl.col("winner")
    would_join_test = (rank == 0) & (winner == _RANKS["test"])
    names = {rank: name for name, rank in _RANKS.items()}
    return (
        table.with_columns(winner=rank.max().over("group"))
        .with_columns(leaks=(rank > 0) & (rank < winner))
        .with_columns(
            split=pl.when(pl.col("leaks") | would_join_test)
            .then(pl.lit(HELD_BACK))
            .otherwise(winner.replace_strict(names, default=None, return_dtype=pl.String))
        )
    )


def _leak(placed: pl.DataFrame) -> LeakError:
    """Name the pinned photos of every group that is pinned to two splits."""
    straddling = placed.filter((pl.col("rank") > 0) & pl.col("leaks").any().over("group")).sort("group", "photo")
    names = straddling.get_column("photo").to_list()
    shown = ", ".join(
        f"{photo} ({SPLITS[rank - 1]})"
        for photo, rank in straddling.select("photo", "rank").head(_PHOTOS_NAMED).iter_rows()
    )
    groups, losing = straddling.get_column("group").n_unique(), straddling.get_column("leaks").sum()
    more = f" and {len(names) - _PHOTOS_NAMED} more" if len(names) > _PHOTOS_NAMED else ""
    return LeakError(
        names,
        "photos that belong together (same claim, same file, nearly the same picture) are pinned to different splits, "
        f"{losing} of them on the training side, in {groups} group{'' if groups == 1 else 's'}: {shown}{more}",
        remedy="give their sources the same `split`, take the doubles out of one of them, or leave the training "
        "side out with `split: {on_leak: exclude}`",
    )


def split_free(free: pl.DataFrame, shares: NDArray[np.float64], seed: int) -> pl.DataFrame:
    """Split groups by the shares alone, with shares met in every stratum.

    Args:
        free: ``group, stratum``, a row a photo.
        shares: of train, val and test.
        seed: of the study.

    Returns:
        ``group, free_split``.
    """
    strata = free.get_column("stratum").unique().sort()
    number = pl.DataFrame({"stratum": strata, "number": np.arange(len(strata))})
    totals = free.group_by("stratum").len("photos").sort("stratum").get_column("photos").to_numpy()
    target = totals[:, None] * shares[None, :]

    groups = (
        free.join(number, on="stratum")
        .group_by("group", "number")
        .agg(photos=pl.len())
        .sort("group", "number")
        .group_by("group", maintain_order=True)
        .agg(strata="number", counts="photos", size=pl.col("photos").sum())
    )
    groups = groups.with_columns(lots(groups["group"], seed)).sort("size", "lot", descending=[True, False])

    several = groups.filter(pl.col("size") > 1)
    several_splits, placed = _place_groups(several, target)

    alone = groups.filter(pl.col("size") == 1).sort(pl.col("strata").list.first(), "lot")
    alone_strata = alone.get_column("strata").list.first().to_numpy()
    quotas = _fill_up(target, placed, np.bincount(alone_strata, minlength=len(strata)))
    alone_splits = np.repeat(np.tile(np.arange(len(SPLITS)), len(strata)), quotas.ravel())

    placed_groups = pl.concat([several, alone])
    splits = np.array([*several_splits, *alone_splits.tolist()], dtype=np.int64)
    if len(several):
        splits = even_out(_count_matrix(placed_groups, len(strata)), splits, target)
    return placed_groups.select(
        "group",
        free_split=pl.Series(splits, dtype=pl.Int64).replace_strict(
            dict(enumerate(SPLITS)), return_dtype=pl.String
        ),
    )


def _count_matrix(groups: pl.DataFrame, strata: int) -> NDArray[np.int64]:
    """``(groups, strata)`` photos."""
    matrix = np.zeros((len(groups), strata), dtype=np.int64)
    rows = np.repeat(np.arange(len(groups)), groups.get_column("strata").list.len().to_numpy())
    matrix[rows, groups.get_column("strata").explode().to_numpy()] = (
        groups.get_column("counts").explode().to_numpy()
    )
    return matrix


def _place_groups(groups: pl.DataFrame, target: NDArray[np.float64]) -> tuple[list[int], NDArray[np.int64]]:
    """Place groups one after the other, each where the chi-square grows least.

    Args:
        groups: ``strata, counts``, both lists: how many photos a group has in which strata.
        target: ``(strata, splits)`` photos wanted.

    Returns:
        The split of each group, and the photos placed ``(strata, splits)``.
    """
    # Plain lists: on vectors of three numbers they are several times faster than arrays.
    wanted: list[list[float]] = target.tolist()
    placed = [[0] * len(SPLITS) for _ in wanted]
    open_splits = [split for split in range(len(SPLITS)) if target[:, split].any()]
    chosen = []
    for strata, counts in groups.select("strata", "counts").iter_rows():
        members = list(zip(strata, counts, strict=True))
        growth = [
            sum(
                count * (placed[stratum][split] + count / 2) / wanted[stratum][split] for stratum, count in members
            )
            for split in open_splits
        ]
        split = open_splits[growth.index(min(growth))]
        chosen.append(split)
        for stratum, count in members:
            placed[stratum][split] += count
    return chosen, np.array(placed, dtype=np.int64).reshape(target.shape)


def _fill_up(
    target: NDArray[np.float64], placed: NDArray[np.int64], alone: NDArray[np.int64]
) -> NDArray[np.int64]:
    """How many of the photos that stand alone go where, ``(strata, splits)``.

    Largest remainders within a stratum; what rounding gave or took is carried on to the next stratum, so that ten
    strata of three photos do not leave the test set empty.
    """
    quotas = np.zeros(target.shape, dtype=np.int64)
    carry = np.zeros(target.shape[1])
    for stratum, count in enumerate(alone.tolist()):
        missing = np.clip(target[stratum] - placed[stratum], 0, None)
        ideal = np.round(missing * (count / missing.sum()), 9) if count else np.zeros_like(missing)
        whole = np.floor(ideal)
        remainder = ideal - whole
        seats = count - int(whole.sum())
        eager = np.argsort(np.where(remainder > 0, -(remainder + carry), np.inf), kind="stable")
        quotas[stratum] = whole
        quotas[stratum, eager[:seats]] += 1
        carry += target[stratum] - placed[stratum] - quotas[stratum]
    return quotas


def _missing_roles(table: pl.DataFrame, shares: NDArray[np.float64]) -> list[str]:
    """Name each split that should hold photos and has none of a role that the study has."""
    counts = {(role, split): n for role, split, n in table.group_by("role", "split").len().iter_rows()}
    lines = []
    for split, share in zip(SPLITS, shares, strict=True):
        if share == 0 and not any((role, split) in counts for role in ROLES):
            continue
        for role in ROLES:
            photos = sum(n for (its_role, _), n in counts.items() if its_role == role)
            if photos and (role, split) not in counts:
                lines.append(f"{split} has no {role} photo (the study has {photos})")
    return lines


def _uneven_strata(free: pl.DataFrame, shares: NDArray[np.float64]) -> list[str]:
    """Name each stratum and split that is off its share by more than one photo and more than 1 %."""
    counts = {(stratum, split): n for stratum, split, n in free.group_by("stratum", "split").len().iter_rows()}
    totals = free.group_by("stratum").len().sort("stratum")
    lines = []
    for stratum, total in totals.iter_rows():
        for split, share in zip(SPLITS, shares, strict=True):
            found, wanted = counts.get((stratum, split), 0), total * share
            if abs(found - wanted) > max(1.0, TOLERANCE * total) + 1e-9:
                lines.append(
                    f"{split} has {found} of {total} {stratum} photos, its share is {wanted:.1f}; "
                    "groups stay whole"
                )
    return lines
