"""The split: shares by stratum, whole groups, pins, leaks, and what it admits."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from wreckognize.catalog import DAMAGE_TYPES, ROLES, SPLIT_SCHEMA, SPLITS
from wreckognize.curate.groups import assign_groups
from wreckognize.curate.split import beside_lock, split_photos
from wreckognize.errors import LeakError, UsageError
from wreckognize.settings import SplitSettings

SHARES = SplitSettings()
LAW = settings(deadline=None, max_examples=50)


def split(photos, shares=SHARES, seed=0):
    return split_photos(photos, assign_groups(photos), shares, seed=seed)


def split_of(result):
    return dict(result.table.select("photo", "split").iter_rows())


def singles(count, prefix="a", **fields):
    return [{"photo": f"{prefix}/{number:05}.jpg", **fields} for number in range(count)]


@st.composite
def catalogs(draw, pins=(None, "train", "val", "test")):
    rows = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "role": st.sampled_from(ROLES),
                    "damage_types": st.lists(st.sampled_from(DAMAGE_TYPES), max_size=2, unique=True),
                    "claim": st.sampled_from([None, None, "p", "q", "r", "s"]),
                    "sha256": st.sampled_from("abcdefghijklmnopqrstuvwxyz"),
                    "pinned": st.sampled_from(pins),
                }
            ),
            max_size=40,
        )
    )
    return [{"photo": f"src/{number:02}.jpg"} | row for number, row in enumerate(rows)]


shares = st.sampled_from([(0.7, 0.2, 0.1), (0.8, 0.2, 0.0), (1.0, 0.0, 0.0), (1 / 3, 1 / 3, 1 / 3)]).map(
    lambda values: SplitSettings(train=values[0], val=values[1], test=values[2], on_leak="exclude")
)


class TestLaws:
    @LAW
    @given(rows=catalogs(), shares=shares, seed=st.integers(0, 3))
    def test_every_photo_once_and_no_group_straddles(self, make_photos, rows, shares, seed):
        photos = make_photos(rows)
        result = split(photos, shares, seed)
        assert result.table.schema == SPLIT_SCHEMA
        assert result.table.get_column("photo").to_list() == sorted(row["photo"] for row in rows)
        used = result.table.filter(pl.col("split") != "held_back")
        assert set(used.get_column("split")) <= set(SPLITS)
        assert (used.group_by("group").agg(pl.col("split").n_unique()).get_column("split") == 1).all()

    @LAW
    @given(rows=catalogs(), shares=shares)
    def test_what_is_held_back_is_named_and_has_its_reason(self, make_photos, rows, shares):
        photos = make_photos(rows)
        result = split(photos, shares)
        table = result.table.join(photos.select("photo", "pinned"), on="photo")
        held = set(table.filter(pl.col("split") == "held_back").get_column("photo"))
        assert held == {*result.held_back, *result.excluded}
        assert len(held) == len(result.held_back) + len(result.excluded)
        pins = {group: set(pinned) - {None} for group, pinned in table.group_by("group").agg("pinned").iter_rows()}
        for photo, where, group, pinned in table.iter_rows():
            top = max(pins[group], key=SPLITS.index, default=None)
            if photo in result.held_back:
                assert pinned is None
                assert top == "test"
            elif photo in result.excluded:
                assert SPLITS.index(pinned) < SPLITS.index(top)
            elif top is not None:
                assert where == top

    @LAW
    @given(rows=catalogs(), shares=shares, order=st.randoms(use_true_random=False))
    def test_the_same_for_any_order_of_rows(self, make_photos, rows, shares, order):
        shuffled = list(rows)
        order.shuffle(shuffled)
        once, again = split(make_photos(rows), shares), split(make_photos(shuffled), shares)
        assert_frame_equal(once.table, again.table)
        assert (once.held_back, once.excluded, once.shortfalls) == (
            again.held_back,
            again.excluded,
            again.shortfalls,
        )

    @LAW
    @given(
        sizes=st.lists(st.integers(1, 60), min_size=1, max_size=6),
        shares=shares,
        seed=st.integers(0, 2**32),
    )
    def test_photos_that_stand_alone_meet_every_share_to_within_one(self, make_photos, sizes, shares, seed):
        strata = [("damaged", [kind]) for kind in DAMAGE_TYPES] + [("normal", []), ("background", [])]
        rows = [
            row
            for number, (size, (role, types)) in enumerate(zip(sizes, strata, strict=False))
            for row in singles(size, f"s{number}", role=role, damage_types=types)
        ]
        photos = make_photos(rows)
        placed = split(photos, shares, seed).table.join(photos, on="photo")
        for number, size in enumerate(sizes):
            for name in SPLITS:
                wanted = size * getattr(shares, name)
                found = len(placed.filter(pl.col("source") == f"s{number}", pl.col("split") == name))
                assert abs(found - wanted) < 1
        for name in SPLITS:  # rounding does not add up over strata
            found = len(placed.filter(pl.col("split") == name))
            assert abs(found - len(photos) * getattr(shares, name)) <= 2


class TestShares:
    def test_a_hundred_alike_are_split_exactly(self, make_photos):
        result = split(make_photos(singles(100)))
        counts = dict(result.table.group_by("split").len().iter_rows())
        assert counts == {"train": 70, "val": 20, "test": 10}
        assert result.shortfalls == ()
        assert result.held_back == result.excluded == ()

    def test_the_order_is_that_of_the_documented_hash(self, make_photos):
        result = split(make_photos(singles(10)), seed=7)
        order = sorted(split_of(result), key=lambda name: hashlib.sha256(f"7:{name}".encode()).digest())
        assert [split_of(result)[name] for name in order] == ["train"] * 7 + ["val"] * 2 + ["test"]

    def test_another_seed_gives_another_split(self, make_photos):
        photos = make_photos(singles(100))
        assert split_of(split(photos, seed=0)) != split_of(split(photos, seed=1))

    def test_small_strata_do_not_starve_the_test_set(self, make_photos):
        rows = [row for kind in DAMAGE_TYPES for row in singles(3, kind, damage_types=[kind])]
        counts = dict(split(make_photos(rows)).table.group_by("split").len().iter_rows())
        assert counts["test"] >= 1
        assert counts["val"] >= 2

    def test_a_photo_counts_under_its_first_damage_type(self, make_photos):
        rows = singles(20, "x", damage_types=["Crushed", "Scratched"]) + singles(
            20, "y", damage_types=["Scratched"]
        )
        photos = make_photos(rows)
        test = split(photos).table.filter(pl.col("split") == "test").get_column("photo").str.slice(0, 1)
        assert sorted(test) == ["x", "x", "y", "y"]

    def test_groups_of_all_sizes_reach_every_split(self, make_photos):
        rows = [
            {"photo": f"a/{claim:03}-{number}.jpg", "claim": f"c{claim}"}
            for claim in range(300)
            for number in range(claim % 3 + 2)
        ]
        photos = make_photos(rows)
        result = split(photos)
        sizes = result.table.group_by("group", "split").len("size").group_by("size", "split").len("groups")
        for size in (2, 3, 4):
            of_size = dict(sizes.filter(pl.col("size") == size).select("split", "groups").iter_rows())
            assert of_size == pytest.approx({"train": 70, "val": 20, "test": 10}, abs=2)
        assert result.shortfalls == ()

    @pytest.mark.parametrize(
        ("claims", "expected"),
        [  # quotients (2 k + 1) / share of Sainte-Laguë, by hand
            (2, {"train": 2}),
            (3, {"train": 2, "val": 1}),
            (10, {"train": 7, "val": 2, "test": 1}),
        ],
    )
    def test_groups_alike_are_apportioned_by_sainte_lague(self, make_photos, claims, expected):
        rows = [{"photo": f"a/{claim}-{n}.jpg", "claim": f"c{claim}"} for claim in range(claims) for n in range(2)]
        table = split(make_photos(rows)).table
        assert dict(table.unique("group").group_by("split").len().iter_rows()) == expected

    def test_another_seed_places_groups_elsewhere(self, make_photos):
        rows = [{"photo": f"a/{claim:02}-{n}.jpg", "claim": f"c{claim}"} for claim in range(40) for n in range(2)]
        photos = make_photos(rows)
        assert split_of(split(photos, seed=0)) != split_of(split(photos, seed=1))

    def test_groups_that_mix_types_keep_every_type_near_its_share(self, make_photos):
        rows = [
            {"photo": f"a/{claim:03}-{kind}.jpg", "claim": f"c{claim}", "damage_types": [kind]}
            for claim in range(200)
            for position, kind in enumerate(DAMAGE_TYPES)
            if (claim + position) % 4 != 0 or claim % 7 == 0
        ]
        assert split(make_photos(rows)).shortfalls == ()

    def test_a_group_too_large_for_its_stratum_is_admitted(self, make_photos):
        rows = singles(50, "a", claim="one") + singles(10, "b")
        result = split(make_photos(rows), SplitSettings(train=0.5, val=0.25, test=0.25))
        table = result.table.with_columns(source=pl.col("photo").str.slice(0, 1))
        assert set(table.filter(pl.col("source") == "a").get_column("split")) == {"train"}
        assert dict(table.filter(pl.col("source") == "b").group_by("split").len().iter_rows()) == {
            "val": 5,
            "test": 5,
        }
        assert result.shortfalls == (
            "train has 50 of 60 damaged photos, its share is 30.0; groups stay whole",
            "val has 5 of 60 damaged photos, its share is 15.0; groups stay whole",
            "test has 5 of 60 damaged photos, its share is 15.0; groups stay whole",
        )

    def test_a_split_without_a_role_is_admitted(self, make_photos):
        rows = singles(30, "a") + singles(2, "b", role="background")
        result = split(make_photos(rows))
        assert [line for line in result.shortfalls if "background" in line]
        empty = set(SPLITS) - set(result.table.filter(pl.col("photo").str.starts_with("b")).get_column("split"))
        assert list(result.shortfalls) == [
            f"{name} has no background photo (the study has 2)" for name in SPLITS if name in empty
        ]

    def test_a_share_of_zero_is_no_shortfall(self, make_photos):
        result = split(make_photos(singles(10)), SplitSettings(train=0.8, val=0.2, test=0.0))
        assert set(split_of(result).values()) == {"train", "val"}
        assert result.shortfalls == ()

    def test_nothing_in_nothing_out(self, make_photos):
        result = split(make_photos([]))
        assert result.table.schema == SPLIT_SCHEMA
        assert len(result.table) == 0
        assert result.shortfalls == ()

    def test_groups_must_cover_the_photos(self, make_photos):
        photos = make_photos(singles(2))
        groups = assign_groups(photos)
        with pytest.raises(ValueError, match="exactly one group"):
            split_photos(photos, groups.head(1), SHARES, seed=0)
        with pytest.raises(ValueError, match="exactly one group"):
            split_photos(photos, pl.concat([groups, groups]), SHARES, seed=0)


class TestPins:
    def test_pinned_photos_do_not_count_against_the_shares(self, make_photos):
        rows = singles(100, "free") + singles(40, "pinned", pinned="test")
        result = split(make_photos(rows))
        table = result.table.with_columns(source=pl.col("photo").str.extract("^([a-z]+)/"))
        counts = {(s, n): c for s, n, c in table.group_by("source", "split").len().iter_rows()}
        assert counts == {
            ("free", "train"): 70,
            ("free", "val"): 20,
            ("free", "test"): 10,
            ("pinned", "test"): 40,
        }

    def test_everything_pinned_and_a_share_of_zero(self, make_photos):
        rows = singles(3, "a", pinned="train") + singles(2, "b", pinned="test")
        result = split(make_photos(rows), SplitSettings(train=0.8, val=0.2, test=0.0))
        assert list(split_of(result).values()) == ["train"] * 3 + ["test"] * 2
        assert result.shortfalls == ("val has no damaged photo (the study has 5)",)

    def test_a_pinned_test_set_without_backgrounds_is_admitted_though_its_share_is_zero(self, make_photos):
        rows = singles(10, "a", role="background") + singles(2, "b", pinned="test")
        result = split(make_photos(rows), SplitSettings(train=0.8, val=0.2, test=0.0))
        assert "test has no background photo (the study has 10)" in result.shortfalls

    @pytest.mark.parametrize("pin", ["train", "val"])
    def test_a_free_photo_follows_its_group_into_training(self, make_photos, pin):
        rows = [{"photo": "a/1.jpg", "claim": "x", "pinned": pin}, {"photo": "b/2.jpg", "claim": "x"}]
        result = split(make_photos(rows))
        assert split_of(result) == {"a/1.jpg": pin, "b/2.jpg": pin}
        assert result.held_back == ()

    def test_a_free_photo_beside_a_pinned_test_photo_is_held_back(self, make_photos):
        rows = [{"photo": "a/1.jpg", "claim": "x", "pinned": "test"}, {"photo": "b/2.jpg", "claim": "x"}]
        result = split(make_photos(rows))
        assert split_of(result) == {"a/1.jpg": "test", "b/2.jpg": "held_back"}
        assert result.held_back == ("b/2.jpg",)
        assert result.excluded == ()


class TestLeaks:
    @pytest.mark.parametrize(("lower", "upper"), [("train", "test"), ("val", "test"), ("train", "val")])
    def test_a_group_pinned_to_both_sides_stops(self, make_photos, lower, upper):
        rows = [
            {"photo": "a/1.jpg", "sha256": "same", "pinned": lower},
            {"photo": "b/2.jpg", "sha256": "same", "pinned": upper},
            {"photo": "c/3.jpg", "sha256": "same"},
            {"photo": "d/4.jpg", "pinned": "test"},
        ]
        with pytest.raises(LeakError) as caught:
            split(make_photos(rows))
        assert caught.value.photos == ("a/1.jpg", "b/2.jpg")
        assert caught.value.exit_code == 1
        assert f"a/1.jpg ({lower}), b/2.jpg ({upper})" in str(caught.value)
        assert "on_leak: exclude" in str(caught.value)

    def test_exclude_drops_the_training_side_and_counts_it(self, make_photos):
        rows = [
            {"photo": "a/1.jpg", "claim": "x", "pinned": "train"},
            {"photo": "a/2.jpg", "claim": "x", "pinned": "val"},
            {"photo": "b/3.jpg", "claim": "x", "pinned": "test"},
            {"photo": "c/4.jpg", "claim": "x"},
            {"photo": "a/5.jpg", "claim": "y", "pinned": "train"},
            {"photo": "a/6.jpg", "claim": "y", "pinned": "val"},
            {"photo": "c/7.jpg", "claim": "y"},
        ]
        result = split(make_photos(rows), SplitSettings(on_leak="exclude"))
        assert result.excluded == ("a/1.jpg", "a/2.jpg", "a/5.jpg")
        assert result.held_back == ("c/4.jpg",)
        assert split_of(result) == {
            "a/1.jpg": "held_back",
            "a/2.jpg": "held_back",
            "a/5.jpg": "held_back",
            "a/6.jpg": "val",
            "b/3.jpg": "test",
            "c/4.jpg": "held_back",
            "c/7.jpg": "val",
        }

    def test_a_long_list_is_cut_in_the_text_and_whole_in_the_error(self, make_photos):
        rows = singles(20, "a", claim="x", pinned="train") + singles(20, "b", claim="x", pinned="test")
        with pytest.raises(
            LeakError, match=r"20 of them on the training side, in 1 group: .* and 30 more"
        ) as caught:
            split(make_photos(rows))
        assert len(caught.value.photos) == 40


@st.composite
def group_sizes(draw):
    """Photos of groups of one to five, some over several strata."""
    groups = draw(
        st.lists(
            st.lists(st.sampled_from([*DAMAGE_TYPES, "normal", "background"]), min_size=1, max_size=5), max_size=25
        )
    )
    return [
        {"photo": f"src/{number:02}-{n}.jpg", "claim": f"c{number}"}
        | ({"role": kind} if kind in ROLES else {"damage_types": [kind]})
        for number, group in enumerate(groups)
        for n, kind in enumerate(group)
    ]


class TestGroups:
    @LAW
    @given(rows=group_sizes(), shares=shares, seed=st.integers(0, 3))
    def test_every_cell_off_its_share_is_said_and_no_group_straddles(self, make_photos, rows, shares, seed):
        photos = make_photos(rows)
        result = split(photos, shares, seed)
        table = result.table.join(photos, on="photo")
        assert (table.group_by("group").agg(pl.col("split").n_unique())["split"] == 1).all()
        assert_frame_equal(result.table, split(photos, shares, seed).table)
        stratum = pl.concat_str("role", pl.col("damage_types").list.first(), separator="/", ignore_nulls=True)
        counts = table.with_columns(stratum=stratum).group_by("stratum", "split").len()
        for (name,), cells in counts.group_by("stratum"):
            total = cells["len"].sum()
            for split_name in SPLITS:
                found = cells.filter(split=split_name)["len"].sum()
                off = abs(found - total * getattr(shares, split_name)) > max(1, 0.01 * total) + 1e-9
                said = [
                    line
                    for line in result.shortfalls
                    if line.startswith(f"{split_name} has {found} of {total} {name} ")
                ]
                assert len(said) == off

    @pytest.mark.parametrize("seed", range(5))
    def test_many_groups_of_one_to_five_meet_every_share(self, make_photos, seed):
        rng = np.random.default_rng(seed)
        kinds = [*DAMAGE_TYPES, "normal", "background"]
        rows = []
        for claim in range(600):
            main = rng.choice(6)
            for n in range(rng.integers(1, 6)):
                kind = kinds[main if rng.random() < 0.7 else rng.choice(6)]
                what = {"role": kind} if kind in ROLES else {"damage_types": [kind]}
                rows.append({"photo": f"a/{claim:03}-{n}.jpg", "claim": f"c{claim}"} | what)
        assert split(make_photos(rows), seed=seed).shortfalls == ()

    def test_a_group_with_half_the_photos_leaves_the_rest_to_the_other_splits(self, make_photos):
        rows = singles(100, "a", claim="one") + singles(100, "b")
        result = split(make_photos(rows))
        counts = dict(result.table.group_by("split").len().iter_rows())
        assert counts == {"train": 140, "val": 40, "test": 20}
        assert result.shortfalls == ()

    def test_three_photos_in_a_role(self, make_photos):
        result = split(make_photos(singles(40, "a") + singles(3, "b", role="background")))
        assert [line for line in result.shortfalls if "background" in line]
        assert split(make_photos(singles(40, "a"))).shortfalls == ()


class TestLocked:
    """A split beside a test set that stands."""

    def lock_in(self, make_photos, rows, later, shares=SHARES, seed=0):
        photos = make_photos(rows)
        first = split(photos, shares, seed)
        locked = frozenset(first.table.filter(split="test")["photo"])
        photos = make_photos(rows + later)
        groups = assign_groups(photos)
        return (
            first,
            split_photos(photos, groups, shares, seed=seed, locked=locked),
            beside_lock(photos, groups, locked),
        )

    def test_photos_that_come_later_train_or_validate(self, make_photos):
        first, result, beside = self.lock_in(make_photos, singles(100, "a"), singles(100, "b"))
        before, after = split_of(first), split_of(result)
        assert {photo for photo, where in after.items() if where == "test"} == {
            photo for photo, where in before.items() if where == "test"
        }
        assert beside == result.excluded == result.held_back == ()
        counts = dict(result.table.group_by("split").len().iter_rows())
        assert counts == {"train": 148, "val": 42, "test": 10}  # 190 photos by 7 : 2
        moved = [photo for photo, where in before.items() if after[photo] != where]
        assert len(moved) <= 5

    def test_a_photo_that_shares_a_group_with_a_locked_one_is_kept_out(self, make_photos):
        rows = [row | {"claim": f"c{n}"} for n, row in enumerate(singles(20, "a"))]
        first = split(make_photos(rows))
        test = next(photo for photo, where in split_of(first).items() if where == "test")
        claim = next(row["claim"] for row in rows if row["photo"] == test)
        later = [{"photo": "b/1.jpg", "claim": claim}, {"photo": "b/2.jpg", "claim": claim, "pinned": "train"}]
        _, result, beside = self.lock_in(make_photos, rows, later)
        assert beside == result.excluded == ("b/1.jpg", "b/2.jpg")
        assert split_of(result)["b/1.jpg"] == split_of(result)["b/2.jpg"] == "held_back"
        assert split_of(result)[test] == "test"

    def test_a_photo_beside_pinned_test_photos_is_held_back_as_ever(self, make_photos):
        rows = [
            *singles(20, "a"),
            {"photo": "p/1.jpg", "claim": "x", "pinned": "test"},
            {"photo": "q/1.jpg", "claim": "x"},
        ]
        first, result, beside = self.lock_in(make_photos, rows, singles(20, "b"))
        assert first.held_back == result.held_back == ("q/1.jpg",)
        assert beside == ()

    def test_a_role_that_comes_later_is_missing_in_the_test_set(self, make_photos):
        _, result, _ = self.lock_in(make_photos, singles(30, "a"), singles(30, "b", role="background"))
        assert "test has no background photo (the study has 30)" in result.shortfalls

    def test_shares_that_leave_nothing_to_train_and_val(self, make_photos):
        photos = make_photos(singles(10))
        settings = SplitSettings(train=0.0, val=0.0, test=1.0)
        with pytest.raises(UsageError, match="the test set is locked"):
            split_photos(photos, assign_groups(photos), settings, seed=0, locked=frozenset({"a/00000.jpg"}))

    @LAW
    @given(rows=catalogs(), count=st.integers(0, 40), shares=shares, seed=st.integers(0, 3))
    def test_no_group_straddles_and_no_free_photo_becomes_test(self, make_photos, rows, count, shares, seed):
        first, later = rows[:count], rows[count:]
        before, result, beside = self.lock_in(make_photos, first, later, shares, seed)
        locked = {photo for photo, where in split_of(before).items() if where == "test"}
        pins = {row["photo"]: row["pinned"] for row in rows}
        after = split_of(result)
        for photo, where in after.items():
            if pins[photo] is None and where == "test":
                assert photo in locked
            if photo in locked and pins[photo] is None:
                assert where == "test"
        assert set(beside) <= set(result.excluded)
        used = result.table.filter(pl.col("split") != "held_back")
        assert (used.group_by("group").agg(pl.col("split").n_unique())["split"] == 1).all()
        assert result.table.height == len(rows)
