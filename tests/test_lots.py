import polars as pl

from wreckognize.lots import lot, lots, number


def test_a_lot_is_the_same_everywhere():
    # sha256("s:a"), known from coreutils.
    assert lot("s", "a").hex().startswith("d4315d83")
    assert number("s", "a") == int("d4315d83" + lot("s", "a").hex()[8:16], 16)


def test_it_depends_on_seed_purpose_and_name():
    assert len({lot(0, "a"), lot(1, "a"), lot(0, "b"), lot(0, "purpose", "a")}) == 4


def test_a_column_has_the_lots_of_its_names():
    column = lots(["a", "b"], 0, "limit")
    assert column.name == "lot"
    assert column.dtype == pl.Binary
    assert column.to_list() == [lot(0, "limit", "a"), lot(0, "limit", "b")]


def test_no_names_give_an_empty_column():
    assert lots([], 0).dtype == pl.Binary
