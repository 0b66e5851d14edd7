from __future__ import annotations

from dataclasses import replace

import polars as pl

from wreckognize.catalog import QUARANTINE_SCHEMA, SPLIT_SCHEMA, TALLY_SCHEMA
from wreckognize.reporting.dataset import (
    QUARANTINE_SHOWN,
    dataset_table,
    label_table,
    quarantine_counts,
    quarantined_files,
    tally,
)


def rows(table) -> dict[tuple[str, str], list[str]]:
    return {
        (group.title, row.label): [cell.text for cell in row.cells] for group in table.groups for row in group.rows
    }


def test_photos_are_counted_by_role_source_and_split(full_report):
    table = dataset_table(full_report)
    assert table.columns == ("train", "val", "test", "all")
    counted = rows(table)
    assert counted["damaged", "damaged-photos"] == ["60", "0", "60", "120"]
    assert counted["all roles", "all sources"] == ["150", "0", "150", "300"]


def test_photos_held_back_and_in_no_split_have_columns_of_their_own(full_report):
    first, second = full_report.photos["photo"][:2]
    split = full_report.split.filter(pl.col("photo") != second).with_columns(
        pl.when(pl.col("photo") == first).then(pl.lit("held_back")).otherwise(pl.col("split")).alias("split")
    )
    table = dataset_table(replace(full_report, split=split.cast(dict(SPLIT_SCHEMA))))
    assert table.columns == ("train", "val", "test", "held back", "in no split", "all")
    assert rows(table)["all roles", "all sources"][3:] == ["1", "1", "300"]


def test_labels_are_counted_by_origin_and_photos_by_outcome(full_report):
    table = label_table(full_report)
    assert table is not None
    assert table.columns == ("ver1", "ver4", "ver5", "ver6")
    system = full_report.systems[1]
    counted = rows(table)
    assert counted["Boxes by origin", "teacher"][0] == str((system.labels["origin"] == "teacher").sum())
    assert counted["Photos", "background, empty label"][0] == "60"
    assert counted["Photos", "left out: no teacher box"][0] == str(
        (system.label_photos["outcome"] == "left_out").sum()
    )
    assert [label for group, label in counted if group == "Photos"] == [
        "with labels",
        "background, empty label",
        "left out: no teacher box",
    ]


def test_labels_without_an_account_of_the_photos_are_counted_alone(full_report):
    one = replace(full_report.systems[1], label_photos=None)
    comparison = replace(full_report.comparison, systems=(one.figures,))
    table = label_table(replace(full_report, systems=(one,), comparison=comparison))
    assert table is not None
    assert [group.title for group in table.groups] == ["Boxes by origin"]


def test_without_a_trained_system_there_is_no_label_table(make_report):
    assert label_table(make_report(["baseline"], (4, 4, 4), on_disk=False)) is None


def test_the_quarantine_is_counted_by_reason_and_shown_in_part(full_report):
    assert [(row.reason, row.count) for row in quarantine_counts(full_report)] == [
        ("truncated or damaged photo", "40"),
        ("label without photo", "20"),
    ]
    files = quarantined_files(full_report)
    assert len(files) == QUARANTINE_SHOWN
    assert files[0].what_to_do == "fetch the photo again, or take it away"


def test_no_folder_of_this_machine_is_shown(full_report):
    quarantine = [
        ("a", "/home/jane doe/photos/x y.jpg", "cannot open /srv/data/x.jpg", "chmod +r /srv/data/x.jpg"),
        ("a", "D:\\jane\\photos\\z.jpg", "empty file", ""),
        ("a", "sub/한국 'quoted'\n.jpg", "empty file", ""),
    ]
    report = replace(full_report, quarantine=pl.DataFrame(quarantine, schema=QUARANTINE_SCHEMA, orient="row"))
    first, second, third = quarantined_files(report)
    assert (first.file, first.reason, first.what_to_do) == (
        "…/photos/x y.jpg",
        "cannot open …/x.jpg",
        "chmod +r …/x.jpg",
    )
    assert second.file == "…/photos/z.jpg"
    assert third.file == "sub/한국 'quoted'␊.jpg"


def test_the_tally_reads_source_by_source_in_the_order_of_work(full_report):
    lines = [(row.source, row.outcome, row.count) for row in tally(full_report)]
    assert lines[0] == ("aihub", "used", "80")
    assert lines[-1] == ("coco", "not wanted", "1,234")
    assert [outcome for _, outcome, _ in lines[1:5]] == [
        "quarantined",
        "quarantined",
        "used, noted",
        "boxes clipped",
    ]


def test_an_outcome_that_is_not_known_is_shown_as_it_is(full_report):
    odd = pl.DataFrame([("aihub", "melted", None, 2)], schema=TALLY_SCHEMA, orient="row")
    [row] = tally(replace(full_report, tally=odd))
    assert (row.outcome, row.reason) == ("melted", "")
