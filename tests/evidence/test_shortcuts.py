import json

import numpy as np
import polars as pl
import pytest

from wreckognize.catalog import PHOTO_SCHEMA
from wreckognize.errors import UsageError
from wreckognize.evaluation.image_level import SCORE_SCHEMA
from wreckognize.evidence.altering import effective, forms_of, plan_alterations
from wreckognize.evidence.shortcuts import ShortcutCheck, check_shortcuts
from wreckognize.inference.traits import TRAIT_SCHEMA

SIZES = {"damaged": (640, 640, 75), "normal": (512, 512, 80), "background": (640, 480, 96)}


def make_forms(**counts):
    rows = [
        (f"{role}/{number:03}.jpg", f"/p/{role}/{number:03}.jpg", role, *SIZES[role])
        for role, count in counts.items()
        for number in range(count)
    ]
    names = ("photo", "path", "role", "width", "height", "quality")
    types = (pl.String, pl.String, pl.String, pl.Int32, pl.Int32, pl.Int32)
    return pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row").sort("photo")


def make_scores(forms, score_of):
    return pl.DataFrame(
        [(photo, role, role, [], "", role != "background", score_of(photo, role))
         for photo, role in forms.select("photo", "role").iter_rows()],
        schema=SCORE_SCHEMA, orient="row",
    )  # fmt: skip


def no_groups(forms):
    return forms.select("photo", group="photo")


def check(forms, before, after, **options):
    """``before(photo, role)`` and ``after(photo, alteration)`` give scores."""
    alterations, notes = plan_alterations(forms, seed=0)
    altered = []
    for each in alterations:
        photos = each.photos["photo"]
        scores = pl.Series([after(photo, each) for photo in photos], dtype=pl.Float32)
        altered.append((each, pl.DataFrame({"photo": photos, "score": scores})))
    scores = make_scores(forms, before)
    return check_shortcuts(
        "s", scores, no_groups(forms), forms, altered, notes, threshold=0.1, level=0.95, **options
    )


def knows_vehicles(photo, role):
    return 0.2 + int(photo[-7:-4]) / 1000 if role != "background" else 0.0


def test_forms_come_from_the_catalog_and_the_traits():
    photos = pl.DataFrame({name: [None, None] for name in PHOTO_SCHEMA}, schema=PHOTO_SCHEMA).with_columns(
        photo=pl.Series(["b", "a"]), width=pl.lit(8, pl.Int32), height=pl.lit(9, pl.Int32)
    )
    traits = pl.DataFrame([("a", 1.0, 75), ("b", 2.0, None)], schema=TRAIT_SCHEMA, orient="row")
    forms = forms_of(photos, traits)
    assert forms.select("photo", "width", "quality").rows() == [("a", 8, 75), ("b", 8, None)]


def test_vehicles_become_like_backgrounds_and_backgrounds_like_damaged_photos():
    alterations, notes = plan_alterations(make_forms(damaged=12, normal=11, background=14), seed=0)
    assert [(each.name, each.like) for each in alterations] == [
        ("damaged-stretched", "background"), ("damaged-padded", "background"), ("damaged-recompressed", "background"),
        ("normal-stretched", "background"), ("normal-padded", "background"), ("normal-recompressed", "background"),
        ("background-stretched", "damaged"), ("background-padded", "damaged"), ("background-recompressed", "damaged"),
    ]  # fmt: skip
    assert notes == ()
    of_background = alterations[6].photos
    assert set(of_background.select("like_width", "like_height", "like_quality").rows()) == {(640, 640, 75)}
    assert of_background.height == 14


def test_without_damaged_photos_backgrounds_become_like_normal_ones():
    alterations, _ = plan_alterations(make_forms(normal=11, background=14), seed=0)
    assert {each.like for each in alterations if each.role == "background"} == {"normal"}


@pytest.mark.parametrize(("counts", "missing"), [({"damaged": 12}, "background"), ({"background": 12}, "vehicle")])
def test_with_one_side_alone_nothing_can_be_tried(counts, missing):
    alterations, notes = plan_alterations(make_forms(**counts), seed=0)
    assert alterations == ()
    assert f"no {missing}" in notes[0]


def test_the_lot_draws_evenly_and_the_same_way_each_time():
    forms = make_forms(damaged=300, background=60)
    sizes = np.arange(forms.height, dtype=np.int32) + 100
    forms = forms.with_columns(width=pl.Series(sizes))
    alterations, notes = plan_alterations(forms, seed=3, at_most=200)
    again, _ = plan_alterations(forms, seed=3, at_most=200)
    other, _ = plan_alterations(forms, seed=4, at_most=200)
    assert alterations[0].photos.height == 200
    assert "200 of 300 damaged photos" in notes[0]
    assert alterations[0].photos.equals(again[0].photos)
    assert set(alterations[0].photos["photo"]) != set(other[0].photos["photo"])
    # 200 draws from 60 forms: nearly every form is met, none takes over.
    drawn = alterations[0].photos["like_width"].value_counts()
    assert drawn.height > 50
    assert drawn["count"].max() < 15
    assert (
        alterations[0]
        .photos.select("photo", "like_width")
        .equals(alterations[1].photos.select("photo", "like_width"))
    )  # one photo draws one form for every kind


def test_a_photo_drawn_keeps_its_draw_when_others_are_left_out():
    forms = make_forms(damaged=50, background=30).with_columns(
        width=pl.Series(np.arange(80, dtype=np.int32) + 100)
    )
    few = plan_alterations(forms, seed=0, at_most=20)[0][0].photos
    all_of_them = plan_alterations(forms, seed=0)[0][0].photos
    assert few.equals(all_of_them.join(few.select("photo"), on="photo", how="semi"))


def test_a_photo_that_is_like_the_other_already_is_left_alone():
    forms = make_forms(damaged=12, background=12).with_columns(
        width=640, height=640, quality=pl.when(pl.col("role") == "damaged").then(75).otherwise(None)
    )
    alterations, _ = plan_alterations(forms, seed=0)
    changed = {each.name: effective(each).height for each in alterations}
    assert changed == {
        "damaged-stretched": 0, "damaged-padded": 0, "damaged-recompressed": 0,
        "background-stretched": 0, "background-padded": 0, "background-recompressed": 12,
    }  # fmt: skip


def test_a_detector_of_squares_is_caught():
    forms = make_forms(damaged=40, normal=40, background=40)

    def after(photo, alteration):
        square = (
            alteration.like != "background"
            if alteration.kind != "recompressed"
            else alteration.role != "background"
        )
        return 0.9 if square else 0.0

    found = check(forms, lambda photo, role: 0.9 if role != "background" else 0.0, after)
    assert len(found.warnings) == 6  # each role stretched and padded; recompression is no shape
    assert all("photo shape, not vehicles, may have been learnt" in warning for warning in found.warnings)
    stretched = next(each for each in found.alterations if (each.role, each.kind) == ("background", "stretched"))
    assert (stretched.rate.before, stretched.rate.after) == (0.0, 1.0)
    assert stretched.rate.low > 0.8
    assert stretched.area.change == pytest.approx(-0.5)  # from certain to even: all scores are the same
    assert stretched.changed == stretched.photos == stretched.of == 40
    assert "false alarms 0.0 % before, 100.0 % after (+100.0 points" in stretched.warning
    assert "moved by up to 100.0 points" in found.conclusion


def test_a_detector_of_vehicles_is_not_accused():
    forms = make_forms(damaged=40, normal=40, background=40)
    found = check(forms, knows_vehicles, lambda photo, each: knows_vehicles(photo, each.role))
    assert found.warnings == ()
    assert found.conclusion.startswith("No figure moved by more than 2 points")
    assert found.facts[0].startswith("100 % of the damaged photos are 640 x 640 pixels; so are 0 %")
    # The interval of no change at all in 40 photos is not nothing, and the conclusion says so.
    assert "intervals reach up to" in found.conclusion


def test_compression_is_called_compression():
    forms = make_forms(damaged=40, background=40)

    def after(photo, each):
        return 0.0 if each.name == "damaged-recompressed" else knows_vehicles(photo, each.role)

    (warning,) = check(forms, knows_vehicles, after).warnings
    assert warning.startswith(
        "Damaged photos recompressed like backgrounds: vehicles found 100.0 % before, 0.0 % after"
    )
    assert "compression, not vehicles, may have been learnt." in warning


def test_two_points_are_no_warning_and_a_little_more_is():
    forms = make_forms(damaged=200, background=200)

    def missing(count):
        def after(photo, each):
            lost = each.name == "damaged-padded" and int(photo[-7:-4]) < count
            return 0.05 if lost else knows_vehicles(photo, each.role)

        return check(forms, knows_vehicles, after)

    assert missing(4).warnings == ()
    (warning,) = missing(5).warnings
    assert "vehicles found 100.0 % before, 97.5 % after (-2.5 points" in warning


def test_a_move_within_chance_is_said_to_be_so():
    forms = make_forms(damaged=20, background=20)

    def after(photo, each):
        lost = each.name == "damaged-padded" and photo.endswith("007.jpg")
        return 0.05 if lost else knows_vehicles(photo, each.role)

    (warning,) = check(forms, knows_vehicles, after).warnings
    assert "may also be chance" in warning


def test_a_move_the_other_way_is_not_called_a_shortcut():
    forms = make_forms(damaged=40, background=40)

    def before(photo, role):
        return knows_vehicles(photo, role) if role != "background" else 0.15

    def after(photo, each):
        return 0.0 if each.name == "background-stretched" else before(photo, each.role)

    (warning,) = check(forms, before, after).warnings
    assert "though not in the direction that a learnt shortcut would give" in warning


def test_few_photos_say_nothing():
    found = check(make_forms(damaged=3, background=3), knows_vehicles, lambda photo, each: 0.0)
    assert found.warnings == ()
    assert found.conclusion.startswith("Whether figures hang on photo shape cannot be said")
    assert all(each.rate.change is None and "too few" in each.rate.why for each in found.alterations)


def test_scores_of_other_photos_are_refused():
    forms = make_forms(damaged=12, background=12)
    (first, *_), notes = plan_alterations(forms, seed=0)
    scores = make_scores(forms, knows_vehicles)
    after = first.photos.select("photo", score=pl.lit(0.5, pl.Float32)).head(5)
    with pytest.raises(ValueError, match="damaged-stretched: 5 scores for 12 photos"):
        check_shortcuts("s", scores, no_groups(forms), forms, [(first, after)], notes, threshold=0.1, level=0.95)


def test_photos_of_one_group_widen_the_interval():
    forms = make_forms(damaged=60, background=60)
    alterations, notes = plan_alterations(forms, seed=0)
    scores = make_scores(forms, knows_vehicles)

    def after(each):
        lost = [each.role == "damaged" and int(photo[-7:-4]) < 12 for photo in each.photos["photo"]]
        scores = pl.Series([0.0 if gone else 0.5 for gone in lost], dtype=pl.Float32)
        return each.photos.select("photo", score=scores)

    def width(groups):
        found = check_shortcuts(
            "s", scores, groups, forms, [(each, after(each)) for each in alterations], notes, threshold=0.1,
            level=0.95,
        ).alterations[0].rate  # fmt: skip
        assert found.change == pytest.approx(-0.2)
        return found.high - found.low

    of_four = forms.select(
        "photo", group=pl.col("role") + (pl.int_range(pl.len()).over("role") // 4).cast(pl.String)
    )
    assert width(of_four) > 1.5 * width(no_groups(forms))


def test_the_check_goes_to_json_and_back():
    forms = make_forms(damaged=20, normal=3, background=20)
    found = check(forms, knows_vehicles, lambda photo, each: 0.0)
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert ShortcutCheck.from_dict(json.loads(text)) == found
    with pytest.raises(UsageError, match="not a shortcut check"):
        ShortcutCheck.from_dict({"system": 3})


def test_a_system_that_was_not_trained_here_is_a_yardstick():
    forms = make_forms(damaged=40, background=40)

    def after(photo, each):
        return 0.0 if each.name == "damaged-padded" else knows_vehicles(photo, each.role)

    found = check(forms, knows_vehicles, after, trained=False)
    (warning,) = found.warnings
    assert "may have been learnt" not in warning
    assert "this study did not train it" in warning
    assert found.conclusion.endswith("a yardstick for the others.")
    assert found.trained is False
