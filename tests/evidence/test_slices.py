import json

import numpy as np
import polars as pl
import pytest
from scipy.stats import chi2_contingency, fisher_exact

from wreckognize.errors import UsageError
from wreckognize.evaluation.image_level import SCORE_SCHEMA
from wreckognize.evidence.slices import SliceTable, as_frame, difference_p, slice_table
from wreckognize.evidence.slicing import SLICE_SCHEMA


def study(*parts):
    """Parts of role, photos, photos called a vehicle, and the slices all of them are in."""
    rows, slices = [], []
    for number, (role, count, found, names) in enumerate(parts):
        for index in range(count):
            photo = f"{number}/{index:04}"
            score = 0.9 if index < found else 0.05
            rows.append((photo, "s", role, [], "", role != "background", score))
            slices += [(photo, trait, name) for trait, name in ({"role": role} | names).items()]
    scores = pl.DataFrame(rows, schema=SCORE_SCHEMA, orient="row")
    return scores, pl.DataFrame(slices, schema=SLICE_SCHEMA, orient="row")


def table_of(*parts, groups=None, threshold=0.1):
    scores, slices = study(*parts)
    own = scores.select("photo", group="photo") if groups is None else groups(scores)
    return slice_table("s", scores, own, slices, threshold=threshold, level=0.95)


def row(table, trait, name, role):
    (found,) = [each for each in table.rows if (each.trait, each.slice, each.role) == (trait, name, role)]
    return found


def test_a_weak_slice_comes_first_and_is_called_worse():
    table = table_of(
        ("damaged", 100, 99, {"brightness": "bright"}), ("damaged", 60, 30, {"brightness": "dark"}),
        ("normal", 100, 100, {"brightness": "bright"}), ("background", 100, 4, {"brightness": "bright"}),
    )  # fmt: skip
    first = table.rows[0]
    assert (first.trait, first.slice, first.role, first.verdict) == ("brightness", "dark", "damaged", "worse")
    assert (first.photos, first.hits, first.share, first.rest) == (60, 30, 0.5, 0.99)
    assert first.low < 0.5 < first.high
    assert first.p_adjusted >= first.p_value
    assert row(table, "brightness", "bright", "damaged").verdict == "better"
    assert row(table, "role", "damaged", "damaged").verdict == "worse"  # than the other vehicles
    background = row(table, "role", "background", "background")
    assert (background.figure, background.verdict, background.rest) == (
        "false alarms",
        "nothing to compare with",
        None,
    )


def test_false_alarms_are_worse_where_there_are_more():
    table = table_of(
        ("background", 80, 40, {"background": "hard"}), ("background", 200, 4, {"background": "other"}),
        ("damaged", 50, 50, {}),
    )  # fmt: skip
    assert row(table, "background", "hard", "background").verdict == "worse"
    assert row(table, "background", "other", "background").verdict == "better"
    assert table.rows[0].slice == "hard"


def test_ranked_by_how_sure_it_is_that_a_slice_is_bad():
    table = table_of(
        ("damaged", 10, 7, {"source": "few"}), ("damaged", 400, 300, {"source": "many"}),
        ("damaged", 400, 400, {"source": "rest"}),
    )  # fmt: skip
    order = [each.slice for each in table.rows if each.trait == "source"]
    assert order == ["many", "few", "rest"]  # 25 % missed of 400 is surer than 30 % of 10
    assert row(table, "source", "few", "damaged").share < row(table, "source", "many", "damaged").share


def test_few_photos_are_too_few_and_stand_last():
    table = table_of(
        ("damaged", 9, 0, {"source": "few"}), ("damaged", 100, 99, {"source": "many"}), ("background", 20, 0, {})
    )
    few = row(table, "source", "few", "damaged")
    assert (few.verdict, few.share, few.low, few.p_value) == ("too few to say", None, None, None)
    assert (few.photos, few.hits) == (9, 0)
    assert table.rows[-1] == few
    assert table.too_few == 1
    assert "1 slice of fewer than 10" in table.note


def test_a_slice_of_just_the_same_photos_is_shown_once():
    table = table_of(("damaged", 40, 30, {"source": "claims"}), ("normal", 40, 40, {"source": "shop"}))
    assert [each.trait for each in table.rows] == ["role", "role"]
    assert set(table.repeated) == {
        "source claims: its damaged photos are all the damaged photos",
        "source shop: its normal photos are all the normal photos",
    }


def test_the_worst_of_many_equal_slices_is_rarely_called_worse():
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(40):
        parts = [("damaged", 30, int(rng.binomial(30, 0.8)), {"source": f"s{number}"}) for number in range(12)]
        called += any(each.verdict in ("worse", "better") for each in table_of(*parts).rows)
    assert called <= 5  # two are expected at most


def test_shots_of_one_claim_count_as_one():
    parts = (("damaged", 60, 42, {"source": "a"}), ("damaged", 60, 54, {"source": "b"}))

    def of_six(scores):
        return scores.select(
            "photo", group=pl.col("photo").str.head(2) + (pl.int_range(pl.len()) // 6).cast(pl.String)
        )

    alone, together = table_of(*parts), table_of(*parts, groups=of_six)
    assert row(alone, "source", "a", "damaged").verdict == "worse"
    assert row(together, "source", "a", "damaged").verdict == "no difference shown"
    assert row(together, "source", "a", "damaged").groups == 10
    narrow, wide = (row(table, "source", "a", "damaged") for table in (alone, together))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_photos_without_a_group_are_groups_of_their_own():
    parts = (("damaged", 60, 42, {"source": "a"}), ("damaged", 60, 54, {"source": "b"}))
    nobody = table_of(*parts, groups=lambda scores: scores.select("photo", group="photo").head(0))
    assert nobody == table_of(*parts)


def test_with_independent_photos_fisher_decides():
    members = np.arange(80) < 20
    for hits, of_rest in ((10, 50), (18, 59), (3, 3)):
        called = np.concatenate([np.arange(20) < hits, np.arange(60) < of_rest])
        counts = [[hits, 20 - hits], [of_rest, 60 - of_rest]]
        p = difference_p(called, members, ~members, np.arange(80))
        pearson = chi2_contingency(counts, correction=False).pvalue
        assert p == pytest.approx(max(fisher_exact(counts).pvalue, pearson))


@pytest.mark.parametrize("straddling", [0, 30])
def test_claims_do_not_make_differences_out_of_chance(straddling):
    """Within a claim all photos are alike; some claims have photos on both sides."""
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(60), 4)
    members = np.where(groups < straddling, np.arange(240) % 2 == 0, groups < straddling + 15)
    rejected = sum(
        difference_p((rng.random(60) < 0.7)[groups], members, ~members, groups) <= 0.05 for _ in range(400)
    )
    assert rejected / 400 <= 0.075


@pytest.mark.parametrize("share", [0, 1])
def test_where_nothing_differs_nothing_is_shown(share):
    members = np.arange(30) < 12
    assert difference_p(np.full(30, bool(share)), members, ~members, np.arange(30)) == 1.0


def test_one_group_on_each_side_shows_nothing():
    members = np.arange(30) < 12
    assert difference_p(members, members, ~members, members.astype(int)) > 0.1


def test_scores_that_are_not_numbers_are_refused():
    scores, slices = study(("damaged", 20, 10, {}))
    with pytest.raises(ValueError, match="NaN"):
        slice_table(
            "s", scores.with_columns(score=pl.lit(np.nan, pl.Float32)), scores.select("photo", group="photo"),
            slices, threshold=0.1, level=0.95,
        )  # fmt: skip


def test_an_empty_test_set_has_no_slices():
    table = table_of()
    assert table.rows == ()
    assert table.tested == 0
    assert as_frame([table]).is_empty()


def test_tables_go_to_json_and_to_one_frame():
    table = table_of(("damaged", 30, 20, {"source": "a"}), ("damaged", 5, 5, {"source": "b"}))
    assert SliceTable.from_dict(json.loads(json.dumps(table.to_dict(), allow_nan=False))) == table
    with pytest.raises(UsageError, match="not a table of slices"):
        SliceTable.from_dict({"rows": 1})
    frame = as_frame([table, table])
    assert frame.height == 2 * len(table.rows)
    assert frame["rank"].to_list() == [1, 2, 3, 1, 2, 3]
    assert frame.row(0, named=True)["share"] == table.rows[0].share
