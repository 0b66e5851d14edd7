from __future__ import annotations

from dataclasses import replace

from wreckognize.reporting.tables import Table, comparison_table, confusions, found_table


def cells(table: Table, group: str, row: str) -> list[str]:
    """The texts of one row, found by the beginnings of its group's title and its label."""
    [found] = [
        own for of in table.groups if of.title.startswith(group) for own in of.rows if own.label.startswith(row)
    ]
    return [cell.text for cell in found.cells]


def test_the_table_says_what_the_comparison_says(full_report):
    table = comparison_table(full_report.comparison)
    for column, own in enumerate(full_report.comparison.systems):
        assert table.columns[column] == own.name
        at = own.found_at_false_alarms["0.05"]
        assert cells(table, "Damaged", "5")[column] == f"{100 * at.damaged:.1f}\xa0%"
        assert cells(table, "Intact", "5")[column] == f"{100 * at.normal:.1f}\xa0%"
        assert cells(table, "Threshold for", "5")[column] == f"{at.threshold:.3f}"
        assert cells(table, "Damaged", "AUC")[column] == f"{own.auc_damaged:.3f}"
        for key in ("0.10", "0.25"):
            for row, number in (("TP", "tp"), ("FN", "fn"), ("FP", "fp"), ("TN", "tn")):
                assert cells(table, f"At threshold {key}", row)[column] == str(getattr(own.at[key], number))
            assert cells(table, f"At threshold {key}", "recall, Non")[column] == (
                f"{100 * own.at[key].recall.non_vehicle:.1f}\xa0%"
            )
        assert cells(table, "Boxes", "mAP50-95")[column] == f"{own.map50_95:.3f}"
        assert cells(table, "Speed", "ms a photo, 95")[column] == f"{own.ms_p95:.1f}"


def test_only_the_best_of_rows_that_can_be_compared_is_marked(full_report):
    table = comparison_table(full_report.comparison)
    marked = {group.title for group in table.groups for row in group.rows for cell in row.cells if cell.best}
    assert marked == {"Damaged cars found at", "Intact cars found at"}
    aucs = [own.auc_damaged for own in full_report.comparison.systems]
    [row] = [row for row in table.groups[0].rows if row.label == "AUC"]
    assert [cell.best for cell in row.cells] == [value == max(aucs) for value in aucs]


def test_equal_values_are_not_marked(full_report):
    one = full_report.comparison.systems[0]
    twins = replace(full_report.comparison, systems=(one, replace(one, name="twin")))
    assert not any(
        cell.best for group in comparison_table(twins).groups for row in group.rows for cell in row.cells
    )


def test_own_thresholds_get_their_own_group_where_they_differ(full_report):
    shared = comparison_table(full_report.comparison)
    assert "At threshold 0.10, every system's own" in [group.title for group in shared.groups]
    first, *rest = full_report.comparison.systems
    moved = replace(full_report.comparison, systems=(replace(first, threshold=0.4), *rest))
    table = comparison_table(moved)
    assert cells(table, "At each system's own", "threshold") == ["0.40", *["0.10"] * 4]
    assert "At threshold 0.10" in [group.title for group in table.groups]


def test_what_cannot_be_said_is_a_dash_with_its_reason(make_report):
    report = make_report(["baseline"], (10, 5, 6), boxes=False, on_disk=False)
    bare = replace(
        report.comparison.systems[0], ms_per_image=None, ms_p95=None, fps=None, device=None, threads=None,
        precision_dtype=None, imgsz=None, engine=None, random_weights=True,
    )  # fmt: skip
    table = comparison_table(replace(report.comparison, systems=(bare,)))
    empty = [(row.label, row.cells[0]) for group in table.groups for row in group.rows if row.cells[0].text == "–"]
    assert {"mAP50", "ms a photo, median", "device", "image size", "epochs run", "5\xa0% false alarms"} <= {
        label for label, _ in empty
    }
    assert all(cell.why for _, cell in empty)
    assert cells(table, "How", "started from") == ["yolov8x.pt, random numbers in its shape"]


def test_confusion_matrices_hold_counts_and_shares_of_the_truth(full_report):
    own = full_report.comparison.systems[1]
    matrix = confusions(full_report.comparison)[1]
    assert (matrix.system, matrix.threshold) == (own.name, "0.10")
    assert matrix.missed == (str(own.fn), f"{100 * own.fn / (own.fn + own.tp):.1f}\xa0%")
    assert matrix.alarms == (str(own.fp), f"{100 * own.fp / (own.fp + own.tn):.1f}\xa0%")
    assert [matrix.found[0], matrix.left[0]] == [str(own.tp), str(own.tn)]


def test_found_counts_stand_by_role_damage_type_and_source(full_report):
    table = found_table(full_report.comparison)
    own = full_report.comparison.systems[2]
    kind = next(iter(own.by_damage_type))
    for group, row, found in (
        ("By role", "backgrounds", own.by_role["background"]),
        ("By damage type", kind, own.by_damage_type[kind]),
        ("By source", "normal-photos (normal)", own.by_source["normal-photos"]),
    ):
        assert cells(table, group, row)[2] == f"{found.found} ({100 * found.found / found.photos:.1f}\xa0%)"


def test_roles_and_types_without_photos_have_no_row(make_report):
    table = found_table(make_report(["baseline"], (0, 4, 4), on_disk=False).comparison)
    assert [group.title for group in table.groups] == ["By role", "By source"]
    assert [row.label for row in table.groups[0].rows] == ["intact cars, 2", "backgrounds (false alarms), 2"]
