from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import yaml

from wreckognize.catalog import PREDICTION_SCHEMA, QUARANTINE_SCHEMA
from wreckognize.errors import UsageError
from wreckognize.reporting.inputs import ReportInput
from wreckognize.reporting.page import MAX_BYTES, render, write_figures

HOSTILE = "x/<script>alert(1)</script>\"' onload=alert(2) \n‮한국.jpg"


@pytest.fixture(scope="session")
def html(full_report: ReportInput) -> str:
    return render(full_report)


@pytest.fixture(scope="session")
def page(html: str, parse):
    return parse(html)


def test_the_page_stands_alone(html: str, page):
    assert page.open == []
    assert not page.all("script")
    assert not page.all("link")
    assert not page.all("iframe")
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/jpeg;base64,"))
        assert not [name for name in attributes if name.startswith("on")]
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
    assert policy.startswith("default-src 'none'")


def test_every_link_and_every_drawing_finds_its_target(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {
        attributes["href"][1:]
        for tag, attributes in page.elements
        if (attributes.get("href") or "").startswith("#") and tag in ("a", "use")
    }
    assert targets <= set(ids)
    labelled = {
        attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes
    }
    assert labelled <= set(ids)


def test_every_system_is_named_in_every_part(full_report: ReportInput, page):
    for system in full_report.systems:
        # ranking, comparison, matrix, found table, gallery
        assert page.text.count(system.name) >= 5


def test_the_numbers_on_the_page_are_those_of_the_comparison(full_report: ReportInput, page):
    best = max(full_report.comparison.systems, key=lambda own: own.found_at_false_alarms["0.05"].damaged)
    share = best.found_at_false_alarms["0.05"].damaged
    assert f"{best.name} finds the most damaged cars" in page.text
    assert f"{round(share * 60)} of 60" in page.text
    for own in full_report.comparison.systems:
        assert f"{own.fn} missed, {own.fp} false alarm" in page.text
        assert f"AUC {own.auc_damaged:.3f}" in page.text


def test_every_picture_can_be_read_aloud_and_every_table_by_keyboard(page):
    for _, attributes in page.elements:
        if attributes.get("role") in ("img", "region"):
            assert attributes["aria-label"]
        if attributes.get("role") == "region":
            assert attributes["tabindex"] == "0"
    viewport = next(meta for meta in page.all("meta") if meta.get("name") == "viewport")
    assert "width=device-width" in viewport["content"]


def test_a_photo_is_embedded_once_however_often_it_is_shown(page):
    embedded = [attributes["href"] for attributes in page.all("image")]
    assert len(embedded) == len(set(embedded))
    assert len(page.all("use")) > len(embedded)
    assert all(base64.b64decode(href.split(",")[1])[:2] == b"\xff\xd8" for href in embedded)


def test_what_must_be_known_first_comes_first(page):
    order = ["The photos in this study are drawn.", "finds the most", "No single threshold", "Confusion matrices"]
    places = [page.text.index(text) for text in order]
    assert places == sorted(places)
    assert "ver4 stopped after 30 of 50 epochs: patience." in page.text


def test_without_findings_only_counts_are_told(page):
    assert "without intervals or significance tests" in page.text
    assert not [own for own in page.all("section") if own.get("id") in ("verdicts", "thresholds", "truth")]


def test_the_quarantine_and_the_tally_are_told(page):
    for text in ("label without photo", "and 10 more, in quarantine.csv", "1,234", "largest box below min_area"):
        assert text in page.text


def test_no_folder_of_this_machine_is_on_the_page(full_report: ReportInput, html: str):
    folder = str(Path(full_report.photos["path"][0]).parent)
    assert folder not in html
    assert "jane" not in html
    assert "한국" in html


def hostile(report: ReportInput) -> ReportInput:
    """The same report with markup wherever a name or a free text can hold it."""
    first = report.test_photos().filter(pl.col("role") == "background")["photo"][0]

    def renamed(table: pl.DataFrame) -> pl.DataFrame:
        return table.with_columns(pl.col("photo").replace(first, HOSTILE))

    systems = tuple(replace(own, test_predictions=renamed(own.test_predictions)) for own in report.systems)
    loud = pl.DataFrame([(HOSTILE, 0.0, 0.0, 9.0, 9.0, 1.0)], schema=PREDICTION_SCHEMA, orient="row", strict=False)
    rest = systems[0].test_predictions.filter(pl.col("photo") != HOSTILE)
    systems = (replace(systems[0], test_predictions=pl.concat([rest, loud])), *systems[1:])
    return replace(
        report,
        study=HOSTILE,
        notice=HOSTILE,
        systems=systems,
        photos=renamed(report.photos),
        boxes=renamed(report.boxes),
        split=renamed(report.split),
        shortfalls=(HOSTILE,),
        environment=((HOSTILE, HOSTILE),),
        settings_yaml=yaml.safe_dump({"study": HOSTILE}),
        quarantine=pl.DataFrame([(HOSTILE,) * 4], schema=QUARANTINE_SCHEMA, orient="row"),
    )


def test_names_are_text_and_never_markup(full_report: ReportInput, parse):
    page = parse(render(hostile(full_report)))
    assert not page.all("script")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert page.text.count("<script>alert(1)</script>") >= 8
    # In a gallery the name stands apart from the direction of the text around it, its newline made visible.
    assert any("␊" in (attributes.get("title") or "") for attributes in page.all("bdi"))


def test_a_vanished_photo_is_said_and_ends_nothing(make_report, parse):
    report = make_report(["baseline"], (30, 0, 30))
    for path in report.photos["path"]:
        Path(path).unlink()
    page = parse(render(report))
    assert not page.all("image")
    assert "Not shown: file is not there." in page.text
    assert [attributes for attributes in page.all("rect") if attributes.get("class") == "gone"]


@pytest.mark.parametrize(
    ("counts", "settings", "said", "unsaid"),
    [
        ((30, 20, 40), {}, "baseline finds", "None of these"),
        ((30, 20, 0), {}, "The test set has 0 backgrounds", "ROC: damaged"),
        ((0, 20, 40), {}, "The test set has no damaged car.", "By damage type"),
        ((30, 20, 40), {"boxes": False}, "no person drew whole vehicles", "box by box"),
    ],
    ids=["one untrained system", "no background", "no damaged car", "no human boxes"],
)
def test_a_study_that_lacks_something_has_a_page_too(make_report, counts, settings, said, unsaid, parse):
    html = render(make_report(["baseline"], counts, **settings))
    page = parse(html)
    assert said in page.text or f'title="{said}' in html
    assert unsaid not in page.text
    assert "Training" not in page.text
    assert "could not be used 0" in page.text


def test_no_mistake_is_said_too(make_report, parse):
    report = make_report(["baseline"], (20, 10, 20))
    test = report.test_photos()
    vehicles = test.filter("has_vehicle")["photo"]
    perfect = pl.DataFrame(
        [(photo, 1.0, 1.0, 50.0, 50.0, 0.9) for photo in vehicles],
        schema=PREDICTION_SCHEMA,
        orient="row",
        strict=False,
    )
    systems = (replace(report.systems[0], test_predictions=perfect),)
    text = parse(render(replace(report, systems=systems))).text
    assert "Missed vehicles (false negatives) 0 None." in text
    assert "False alarms (false positives) 0 None." in text


def test_a_large_test_set_stays_below_the_limit(make_report, parse):
    report = make_report(["baseline", "ver1"], (2500, 500, 2000), test_every=1, size=(32, 24))
    html = render(report)
    assert len(html.encode()) < MAX_BYTES
    missed = report.comparison.systems[0].fn
    assert f"and {missed - 24:,} more that are not shown" in parse(html).text


def test_galleries_are_shortened_to_keep_the_limit(make_report):
    report = make_report(["baseline", "ver1"], noise=True)
    whole = render(report)
    limit = len(whole.encode()) * 2 // 3
    shorter = render(report, max_bytes=limit)
    assert len(shorter.encode()) < limit
    assert "shortened so that this page stays below" in shorter
    assert "shortened so that" not in whole
    for text in ("Missed vehicles", "False alarms"):
        assert text in shorter


def test_a_page_too_large_without_photos_says_so(full_report: ReportInput):
    with pytest.raises(UsageError, match="without a single photo"):
        render(full_report, max_bytes=20_000)


def test_rendering_twice_gives_the_same_page(full_report: ReportInput, html: str):
    assert render(full_report) == html


def test_the_figures_are_written_as_pictures(make_report):
    files = write_figures(make_report(["ver1"], (20, 10, 20), on_disk=False))
    assert {"roc.png", "roc-low.png", "training-0-losses.png"} <= set(files)
    assert all(content.startswith(b"\x89PNG") for content in files.values())


def test_a_search_in_the_folder_is_told(full_report: ReportInput, html: str):
    assert "search/index.html" not in html
    told = render(replace(full_report, search="The settings of <ver6> were searched here."))
    assert "The settings of &lt;ver6&gt; were searched here. Its page is search/index.html" in told


def test_a_report_is_of_the_systems_that_were_compared(full_report: ReportInput):
    with pytest.raises(ValueError, match="expected the same"):
        replace(full_report, systems=full_report.systems[:2])
    with pytest.raises(ValueError, match="no system to report"):
        replace(full_report, systems=(), comparison=replace(full_report.comparison, systems=()))
