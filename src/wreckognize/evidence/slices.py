"""Where a system is worse than its average: its figures on slices of the test set, worst first.

Each slice is of one role. On damaged and normal photos the figure is the share found, on backgrounds the share of false
alarms, both at the system's frozen threshold.

*Worst first* means by how sure it is that a slice is bad: by the lower end of the interval of its error rate (vehicles
missed, or false alarms), highest first. Three misses among 200 photos are more certain to be a weakness than one among
ten.

Among many slices the worst looks bad by chance alone. So each slice is tested against the other photos of its role (a
role against the other vehicles), and the p-values of all slices of a system are corrected by Holm (1979, *Scandinavian
Journal of Statistics* 6:65): the chance that any slice of a system without a weak spot is called worse or better is at
most ``1 - level``. The intervals are not widened; each is right for its slice if that were the only one looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize.catalog import ROLES, require_schema
from wreckognize.evaluation.image_level import SCORE_SCHEMA, is_called_vehicle
from wreckognize.evidence.intervals import proportion
from wreckognize.evidence.paired import holm
from wreckognize.evidence.record import Record
from wreckognize.evidence.slicing import SLICE_SCHEMA

FEWEST = 10
"""A slice of fewer photos is too few to say anything of."""

Verdict = Literal["worse", "better", "no difference shown", "nothing to compare with", "too few to say"]

_Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRow:
    """A system's figure on one slice.

    Attributes:
        trait: what the slice is by, e.g. ``brightness``.
        slice: its name, e.g. ``dark (below 80)``.
        role: of its photos.
        figure: ``found``, or ``false alarms`` on backgrounds.
        photos: how many.
        groups: of photos that belong together.
        hits: photos called a vehicle.
        share: ``hits / photos``; None where there are too few photos.
        low: lower end of the interval of ``share``.
        high: upper end.
        rest: the share among the photos it is compared with; None where there are none.
        p_value: of the difference to them.
        p_adjusted: by Holm, for all slices of the system.
        verdict: of the slice against those photos.
    """

    trait: str
    slice: str
    role: str
    figure: Literal["found", "false alarms"]
    photos: int
    groups: int
    hits: int
    share: float | None
    low: float | None
    high: float | None
    rest: float | None
    p_value: float | None
    p_adjusted: float | None
    verdict: Verdict

    @property
    def surely_wrong(self) -> float:
        """Lower end of the interval of the error rate; what slices are ranked by."""
        if self.low is None or self.high is None:
            return -1.0
        return self.low if self.figure == "false alarms" else 1.0 - self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceTable(Record):
    """A system's slices.

    Attributes:
        system: its name.
        threshold: its own, frozen before.
        level: of intervals and verdicts.
        rows: worst first; those too few to say last.
        tested: slices that were compared, and for which p-values were corrected.
        too_few: slices with fewer than ``FEWEST`` photos.
        repeated: slices left out because they hold just the photos of another, in words.
    """

    CALLED = "a table of slices"

    system: str
    threshold: float
    level: float
    rows: tuple[SliceRow, ...]
    tested: int
    too_few: int
    repeated: tuple[str, ...]

    @property
    def note(self) -> str:
        """How to read the table, in words."""
        few = f" {_slices(self.too_few)} of fewer than {FEWEST} photos say too little." if self.too_few else ""
        compared = f"{_slices(self.tested)} {'was' if self.tested == 1 else 'were'} compared"
        return (
            f"{compared} with the other photos of their role, roles with the other vehicles. The worst of so many "
            "looks bad by chance alone: only what is called worse or better differs by more than that (Holm). Ranked "
            f"by how sure it is that a slice is bad, not by the share itself.{few}"
        )


def slice_table(
    system: str,
    scores: pl.DataFrame,
    groups: pl.DataFrame,
    slices: pl.DataFrame,
    *,
    threshold: float,
    level: float,
) -> SliceTable:
    """The figures of a system on every slice.

    Args:
        system: its name.
        scores: of the test photos, ``SCORE_SCHEMA``.
        groups: ``photo, group``; a photo without a group is one of its own.
        slices: ``SLICE_SCHEMA``, see `slicing.slices_of`.
        threshold: the system's own, frozen before.
        level: of intervals and verdicts, e.g. 0.95.

    Raises:
        ValueError: a score is NaN, or a table has other columns.
    """
    require_schema(scores, SCORE_SCHEMA, "scores")
    require_schema(slices, SLICE_SCHEMA, "slices")
    photos = scores.join(groups.select("photo", "group"), on="photo", how="left").sort("photo")
    called = is_called_vehicle(photos["score"].to_numpy(), threshold)
    own_group = photos.select(pl.col("group").fill_null(pl.col("photo")).rank("dense")).to_series()
    numbers = own_group.cast(pl.Int64).to_numpy()
    roles = photos["role"].to_numpy()
    rows: list[SliceRow] = []
    seen: dict[bytes, str] = {}
    repeated: list[str] = []
    for trait, name, role, members in _members(photos, slices):
        label = f"all the {role} photos" if trait == "role" else f"those of {trait} {name}"
        first = seen.setdefault(np.packbits(members).tobytes(), label)
        if first != label:
            repeated.append(f"{trait} {name}: its {role} photos are {first}")
            continue
        pool = (roles != "background") if trait == "role" and role != "background" else (roles == role)
        rows.append(_row(trait, name, role, members, pool & ~members, called, numbers, level))
    rows = _with_verdicts(rows, level)
    rows.sort(key=lambda row: (row.verdict == "too few to say", -row.surely_wrong, -row.photos))
    return SliceTable(
        system=system,
        threshold=threshold,
        level=level,
        rows=tuple(rows),
        tested=sum(row.p_value is not None for row in rows),
        too_few=sum(row.verdict == "too few to say" for row in rows),
        repeated=tuple(repeated),
    )


def _slices(number: int) -> str:
    return f"{number} slice{'' if number == 1 else 's'}"


def as_frame(tables: Sequence[SliceTable]) -> pl.DataFrame:
    """The slices of several systems as one table: ``system, rank``, and the fields of `SliceRow`."""
    rows = [
        {"system": table.system, "rank": rank} | msgspec.to_builtins(row)
        for table in tables
        for rank, row in enumerate(table.rows, 1)
    ]
    texts = dict.fromkeys(("system", "trait", "slice", "role", "figure", "verdict"), pl.String)
    counts = dict.fromkeys(("rank", "photos", "groups", "hits"), pl.Int64)
    types = {**texts, **counts}
    names = ("system", "rank", *SliceRow.__dataclass_fields__)
    return pl.DataFrame(rows, schema={name: types.get(name, pl.Float64) for name in names}, orient="row")


def _members(photos: pl.DataFrame, slices: pl.DataFrame) -> list[tuple[str, str, str, _Flags]]:
    """Trait, slice, role and ``(N,)`` membership, in the order of traits as given, then of roles, then by name."""
    numbered = photos.select("photo", "role").with_row_index("at")
    found: list[tuple[str, str, str, _Flags]] = []
    parts = slices.join(numbered, on="photo").partition_by("trait", "role", "slice", as_dict=True)
    for (trait, role, name), part in parts.items():
        members = np.zeros(photos.height, dtype=bool)
        members[part["at"].to_numpy()] = True
        found.append((str(trait), str(name), str(role), members))
    traits = slices["trait"].unique(maintain_order=True).to_list()
    return sorted(found, key=lambda each: (traits.index(each[0]), ROLES.index(each[2]), each[1]))


def _row(
    trait: str,
    name: str,
    role: str,
    members: _Flags,
    others: _Flags,
    called: _Flags,
    groups: NDArray[np.int64],
    level: float,
) -> SliceRow:
    count = int(members.sum())
    few = count < FEWEST
    figure = proportion(called[members], groups[members], level)
    compared = not few and bool(others.any())
    return SliceRow(
        trait=trait,
        slice=name,
        role=role,
        figure="false alarms" if role == "background" else "found",
        photos=count,
        groups=int(np.unique(groups[members]).size),
        hits=int(called[members].sum()),
        share=None if few else figure.share,
        low=None if few else figure.low,
        high=None if few else figure.high,
        rest=float(called[others].mean()) if others.any() else None,
        p_value=difference_p(called, members, others, groups) if compared else None,
        p_adjusted=None,
        verdict="too few to say" if few else "nothing to compare with",
    )


def _with_verdicts(rows: Sequence[SliceRow], level: float) -> list[SliceRow]:
    adjusted = holm([row.p_value for row in rows])
    return [
        row if p is None else replace(row, p_adjusted=p, verdict=_verdict(row, p, level))
        for row, p in zip(rows, adjusted, strict=True)
    ]


def _verdict(row: SliceRow, p_adjusted: float, level: float) -> Verdict:
    if p_adjusted > 1 - level or row.share is None or row.rest is None:
        return "no difference shown"
    more_called = row.share > row.rest
    return "worse" if more_called == (row.figure == "false alarms") else "better"


def difference_p(called: _Flags, members: _Flags, others: _Flags, groups: NDArray[np.int64]) -> float:
    """Two-sided p-value of the difference of two shares whose photos come in groups.

    The larger of two p-values. Fisher's exact test is right for small counts and blind to groups. Pearson's test with
    each side's photos divided by its design effect (Rao and Scott 1992, *Biometrics* 48:577) is right for groups and
    leans on counts that are not small. With one photo a group this is, but for rare cases, Fisher's test. Groups with
    photos on both sides make the two shares alike; that is not made use of, which errs on the careful side.

    Args:
        called: ``(N,)``.
        members: ``(N,)``, one side; at least one photo.
        others: ``(N,)``, the other, at least one photo; photos in neither do not matter.
        groups: ``(N,)``.
    """
    from scipy.stats import fisher_exact, norm

    sides = [(called[side], groups[side]) for side in (members, others)]
    exact = float(fisher_exact([[int(hit.sum()), int((~hit).sum())] for hit, _ in sides]).pvalue)
    share = float(called[members | others].mean())
    variance = 0.0
    for hit, own in sides:
        effect = proportion(hit, own).design_effect
        assert effect is not None  # there are photos
        variance += share * (1 - share) * effect / hit.size
    if variance == 0:
        return 1.0
    difference = float(called[members].mean()) - float(called[others].mean())
    clustered = 2 * float(norm.sf(abs(difference) / math.sqrt(variance)))
    return min(1.0, max(exact, clustered))
