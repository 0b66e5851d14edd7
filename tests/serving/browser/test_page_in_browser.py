"""The page as people use it."""

import base64
import csv
import io
import json
import re

import pytest
from running import Running

pytest.importorskip("playwright.sync_api", reason="needs the extra [dev]")
from playwright.sync_api import expect

expect.set_options(timeout=20_000)
pytestmark = pytest.mark.slow

DROP = """([files]) => {
    const given = new DataTransfer();
    for (const [name, data] of files)
        given.items.add(new File([Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0))], name));
    document.querySelector("#pick").dispatchEvent(new DragEvent("drop", {dataTransfer: given, bubbles: true}));
}"""
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def drop(page, files):
    """Drop files of these names; ``files``: name -> path."""
    page.evaluate(DROP, [[[name, base64.b64encode(path.read_bytes()).decode()] for name, path in files.items()]])


def give(page, *files):
    page.set_input_files("#files", [str(file) for file in files])


def give_named(page, files):
    """Give files under other names."""
    page.set_input_files(
        "#files", [{"name": n, "mimeType": "image/jpeg", "buffer": p.read_bytes()} for n, p in files.items()]
    )


def verdict(page):
    return page.locator("#detail .verdict strong")


def rows(page):
    return page.locator("#table tbody tr")


def test_a_dropped_photo_gets_its_verdict_and_its_boxes(service, visit, photos):
    page = visit(service.url)
    drop(page, {"car.jpg": photos["vehicle"]})
    expect(verdict(page)).to_have_text("Vehicle")
    expect(page.get_by_role("img", name=re.compile(r"car\.jpg: Vehicle, \d box"))).to_be_visible()
    expect(page.locator("#detail svg.boxes rect.mark").first).to_be_visible()
    photo, box = page.locator("#detail .frame img").bounding_box(), page.locator("svg.boxes rect.mark").first
    drawn = box.bounding_box()
    assert photo["x"] - 4 <= drawn["x"]
    assert drawn["x"] + drawn["width"] <= photo["x"] + photo["width"] + 4
    expect(page.get_by_role("status")).to_contain_text("car.jpg: Vehicle, score")
    expect(page.locator("#all")).to_be_hidden()
    drop(page, {"street.jpg": photos["place"]})
    expect(verdict(page)).to_have_text("No vehicle")
    expect(rows(page)).to_have_count(2)


def test_a_photo_that_is_stored_sideways_has_its_boxes_where_they_are_seen(service, visit, photos):
    places = []
    for kind in ("vehicle", "turned"):
        page = visit(service.url)
        give(page, photos[kind])
        expect(verdict(page)).to_have_text("Vehicle")
        drawn = page.locator("#detail svg.boxes rect.mark").first
        expect(drawn).to_be_visible()
        photo, box = page.locator("#detail .frame img").bounding_box(), drawn.bounding_box()
        places.append(
            [
                photo["width"] / photo["height"],
                (box["x"] - photo["x"]) / photo["width"],
                (box["y"] - photo["y"]) / photo["height"],
                box["width"] / photo["width"],
            ]
        )
    assert places[0] == pytest.approx(places[1], abs=0.05)


def test_a_phone_has_a_button_for_its_camera(service, visit, photos):
    page = visit(service.url, **PHONE)
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Take a photo").tap()
    assert chosen.value.element.get_attribute("capture") == "environment"
    assert not chosen.value.is_multiple()
    chosen.value.set_files(photos["vehicle"])
    expect(verdict(page)).to_have_text("Vehicle")
    expect(verdict(page)).to_be_in_viewport(ratio=0)
    assert page.evaluate(SIDEWAYS) == 0
    desk = visit(service.url)
    expect(desk.locator("#camera")).to_be_hidden()


def test_a_file_that_is_no_photo_is_said_in_plain_words(service, visit, photos):
    page = visit(service.url)
    give(page, photos["text"])
    expect(verdict(page)).to_have_text("Not a photo")
    expect(page.locator("#detail")).to_contain_text("A PDF or a video has to be turned into photos first")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)  # it would end the same way
    half = photos["text"].with_name("half.jpg")
    half.write_bytes(photos["vehicle"].read_bytes()[:1500])
    give(page, half)
    expect(verdict(page)).to_have_text("The photo is damaged")
    expect(page.locator("#retry")).to_be_hidden()


def test_a_photo_that_the_browser_cannot_show_has_a_verdict_and_boxes_in_figures(service, visit, photos):
    page = visit(service.url)
    give(page, photos["heic"])
    expect(verdict(page)).to_have_text("Vehicle")
    expect(page.get_by_text("Your browser cannot show this kind of photo")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile(r"phone\.heic: Vehicle"))).to_be_visible()
    table = page.get_by_role("table", name=re.compile("where, in pixels"))
    expect(table.get_by_role("rowheader", name="Box 1")).to_be_visible()


def test_a_batch_is_sorted_and_goes_into_a_file_that_a_spreadsheet_opens(service, visit, photos):
    page = visit(service.url)
    names = {
        "=1+1.jpg": "vehicle",
        "@a,b.jpg": "place",
        "사진 10.jpg": "vehicle",
        "사진 9.jpg": "place",
        "-x.pdf": "text",
    }
    give_named(page, {name: photos[kind] for name, kind in names.items()})
    expect(page.locator("#table .tag")).to_have_count(5)
    expect(page.locator("#counts")).to_have_text("4 of 5 photos have an answer; 1 could not be judged")
    expect(page.locator("#table td.picture img")).to_have_count(4)
    head = page.get_by_role("button", name="File")
    head.click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("File")
    shown = rows(page).locator("bdi").all_inner_texts()
    assert shown.index("사진 9.jpg") < shown.index("사진 10.jpg"), "as people count"
    page.get_by_role("button", name="Score").click()
    page.get_by_role("button", name="Score").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Score")
    scores = rows(page).locator("td.amount:nth-of-type(3)").all_inner_texts()
    assert [float(one) for one in scores[:4]] == sorted((float(one) for one in scores[:4]), reverse=True)
    assert scores[4] == "–"

    with page.expect_download() as download:
        page.get_by_role("button", name="Download as a table").click()
    content = download.value.path().read_bytes()
    assert download.value.suggested_filename.endswith(".csv")
    assert content.startswith(b"\xef\xbb\xbf")
    table = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert table[0][:4] == ["File", "Answer", "Score", "Vehicle from score"]
    assert {row[0] for row in table[1:]} == {"'=1+1.jpg", "'@a,b.jpg", "사진 10.jpg", "사진 9.jpg", "'-x.pdf"}
    assert [row[0] for row in table[1:]] == [
        name if name[0] == "사" else f"'{name}" for name in rows(page).locator("bdi").all_inner_texts()
    ]
    found = {row[0]: dict(zip(table[0], row, strict=True)) for row in table[1:]}
    assert found["사진 9.jpg"]["Answer"] == "No vehicle"
    assert found["'-x.pdf"]["Why there is no answer"] == "Not a photo"
    assert found["사진 10.jpg"]["Detector"] == "drawn-starter"
    assert float(found["사진 10.jpg"]["Score"]) >= 0.3

    page.get_by_role("button", name="한국어").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="표로 내려받기").click()
    table = list(csv.reader(io.StringIO(download.value.path().read_text("utf-8-sig"), newline="")))
    assert table[0][:3] == ["파일", "판정", "점수"]
    assert "차량 있음" in {row[1] for row in table[1:]}


def test_the_language_is_the_browsers_at_first_and_then_what_was_chosen(service, visit):
    page = visit(service.url, locale="ko-KR")
    expect(page.get_by_role("heading", level=1)).to_have_text("사진에 차량이 있습니까?")
    assert page.evaluate("[document.documentElement.lang, document.title]") == [
        "ko",
        "사진에 차량이 있습니까? · Wreckognize",
    ]
    expect(page.locator("#card")).to_contain_text("그림 차량만 압니다.")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Is there a vehicle in the photo?")
    expect(page.locator("#card")).to_contain_text("It knows drawn vehicles only.")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Is there a vehicle in the photo?")
    expect(page.get_by_role("button", name="English")).to_have_attribute("aria-pressed", "true")
    other = visit(service.url, locale="de-DE")
    expect(other.get_by_role("heading", level=1)).to_have_text("Is there a vehicle in the photo?")


def focused(page):
    return page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")


def tab_to(page, wanted, most=40):
    """Press Tab until what is wanted has the focus; its outline must be seen."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if re.search(wanted, focused(page)):
            style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert style == "solid", f"{wanted} has the focus, and nobody sees it"
            return
    raise AssertionError(f"{wanted} is never reached; the focus is at {focused(page)!r}")


def test_the_keyboard_is_enough_from_the_photo_to_the_report(service, visit, photos, kept):
    page = visit(service.url)
    page.on("filechooser", lambda _: None)  # from now on; else a chooser that opens at once may be missed
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the photos"
    tab_to(page, "^pick$")
    with page.expect_file_chooser() as chosen:
        page.keyboard.press("Enter")
    chosen.value.set_files([photos["place"], photos["vehicle"]])
    expect(page.locator("#table .tag")).to_have_count(2)
    tab_to(page, "^Show$")
    page.keyboard.press("Enter")
    assert focused(page).startswith("detail")
    tab_to(page, "^This is wrong$")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Report a wrong answer")).to_be_visible()
    page.keyboard.press("Space")  # the first thing in the dialog has the focus: "a vehicle"
    expect(page.get_by_role("radio", name=re.compile("^A vehicle"))).to_be_checked()
    tab_to(page, "^Add a box$")
    page.keyboard.press("Enter")
    left = page.get_by_role("spinbutton", name="Left edge")
    expect(left).to_be_focused()
    page.keyboard.press("Shift+Tab")  # to the buttons, and on to the drawn box
    for _ in range(4):
        if page.evaluate("document.activeElement.tagName") == "g":
            break
        page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name=re.compile(r"Box 1: from 20 to 80 % across"))).to_be_focused()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    assert [field.input_value() for field in page.get_by_role("spinbutton").all()] == ["22", "21", "81", "81"]
    tab_to(page, "^consent$")
    page.keyboard.press("Space")
    tab_to(page, "^Send the report$")
    page.keyboard.press("Enter")
    thanks = page.get_by_text("The report is kept under the number")
    expect(thanks).to_be_visible()
    number = re.search(r"\d{8}T\d{6}Z-[0-9a-f]{12}", thanks.inner_text())[0]
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#detail")).to_contain_text(f"Reported: {number}")
    said = json.loads((kept / "corrections" / f"{number}.json").read_text())
    assert said["said"]["verdict"] == "vehicle"
    [box] = said["said"]["boxes"]
    shares = [box["x1"] / said["width"], box["y1"] / said["height"], box["x2"] / said["width"]]
    assert shares == pytest.approx([0.22, 0.21, 0.81], abs=0.001)


def test_nothing_leaves_the_report_without_consent_and_boxes_are_drawn_with_a_pointer(
    service, visit, photos, kept
):
    page = visit(service.url)
    give(page, photos["vehicle"])
    page.get_by_role("button", name="This is wrong").click()
    page.get_by_role("button", name="Send the report").click()
    expect(page.get_by_role("alert")).to_have_text("Please choose the right answer.")
    page.get_by_role("radio", name=re.compile("^A vehicle")).check()
    layer = page.locator("svg.draw")
    layer.scroll_into_view_if_needed()
    place = layer.bounding_box()
    for x1, y1, x2, y2 in ((0.9, 0.8, 0.1, 0.2), (0.5, 0.5, 0.5005, 0.5005)):
        page.mouse.move(place["x"] + x1 * place["width"], place["y"] + y1 * place["height"])
        page.mouse.down()
        page.mouse.move(place["x"] + x2 * place["width"], place["y"] + y2 * place["height"], steps=4)
        page.mouse.up()
    edges = page.get_by_role("spinbutton").all()
    assert [int(edge.input_value()) for edge in edges] == pytest.approx([10, 20, 90, 80], abs=1)
    before = sorted(kept.rglob("*.json"))
    page.get_by_role("button", name="Send the report").click()
    expect(page.get_by_role("alert")).to_have_text(re.compile("only be sent if you agree"))
    expect(page.get_by_role("checkbox", name="I agree")).to_be_focused()
    assert sorted(kept.rglob("*.json")) == before
    page.get_by_label("Comment").fill("<b>bold</b> 문")
    page.get_by_role("radio", name="Damaged", exact=True).check()
    page.get_by_role("checkbox", name="I agree").check()
    page.get_by_role("button", name="Send the report").click()
    expect(page.get_by_text("Thank you")).to_be_visible()
    [new] = set(kept.rglob("*.json")) - set(before)
    said = json.loads(new.read_text())["said"]
    assert (said["verdict"], said["damaged"], said["comment"]) == ("vehicle", True, "<b>bold</b> 문")
    assert len(said["boxes"]) == 1


def test_a_service_that_goes_away_is_said_and_nothing_is_lost(bundle, visit, photos):
    with Running(bundle) as service:
        page = visit(service.url)
        expect(page.locator("#about")).to_be_visible()
        give(page, photos["vehicle"])
        expect(verdict(page)).to_have_text("Vehicle")
        expect(page.get_by_role("button", name="This is wrong")).to_have_count(0)
        service.stop()
        give_named(page, {"a.jpg": photos["vehicle"], "b.jpg": photos["place"]})
        notice = page.get_by_role("alert")
        expect(notice).to_contain_text("The service cannot be reached")
        expect(notice).to_contain_text("Photos that wait are not lost")
        expect(page.locator("#table .tag")).to_have_count(1)
        page.get_by_role("button", name="Try again", exact=True).click()
        expect(notice).to_be_visible()
        with Running(bundle, port=service.port):
            page.get_by_role("button", name="Try again", exact=True).click()
            expect(page.locator("#table .tag")).to_have_count(3)
            expect(notice).to_be_hidden()


def test_a_busy_service_is_asked_again_when_it_said(service, visit, photos):
    page = visit(service.url)
    answers = [(503, "busy"), (429, "rate")]

    def handle(route):
        if not answers:
            route.continue_()
            return
        status, code = answers.pop(0)
        body = json.dumps({"error": {"code": code, "reason": "full", "remedy": "wait"}})
        route.fulfill(status=status, headers={"Retry-After": "2"}, body=body, content_type="application/json")

    page.route("**/v1/inspect", handle)
    give(page, photos["vehicle"])
    expect(page.locator("#detail")).to_contain_text(re.compile(r"The service is busy; next try in \d second"))
    expect(verdict(page)).to_have_text("Vehicle")
    assert answers == []
    expect(page.get_by_role("alert")).to_be_hidden()


def test_every_refusal_has_plain_words(service, visit, photos):
    page = visit(service.url)
    answer = {}
    page.route("**/v1/inspect", lambda route: route.fulfill(content_type="application/json", **answer))
    for status, code, title in (
        (413, "too_many_bytes", "The photo is too large"),
        (422, "too_many_pixels", "The photo has too many pixels"),
        (500, "internal", "Something went wrong"),
    ):
        body = json.dumps({"error": {"code": code, "reason": "r", "remedy": "d"}})
        answer.update(status=status, body=body)
        give(page, photos["vehicle"])
        expect(verdict(page)).to_have_text(title)
    page.get_by_role("button", name="한국어").click()
    expect(verdict(page)).to_have_text("문제가 생겼습니다")


def test_a_photo_that_is_too_large_is_not_even_sent(service, visit, photos):
    page = visit(service.url)
    expect(page.locator("#about")).to_be_visible()
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "inspect" in request.url else None)
    large = photos["text"].with_name("scan.jpg")
    large.write_bytes(photos["vehicle"].read_bytes() + bytes(20 * 1024 * 1024))
    give(page, large)
    expect(verdict(page)).to_have_text("The photo is too large")
    assert asked == []


def test_what_waits_can_be_cancelled(service, visit, photos):
    page = visit(service.url)
    held = []
    page.route("**/v1/inspect", lambda route: held.append(route))
    give_named(page, {f"{n}.jpg": photos["vehicle"] for n in range(6)})
    expect(rows(page)).to_have_count(6)
    expect(page.locator("#progress")).to_be_visible()
    page.get_by_role("button", name="Cancel 1.jpg").click()
    expect(rows(page).nth(1)).to_contain_text("Cancelled")
    page.get_by_role("button", name="Cancel the rest").click()
    expect(page.locator("#table td.state", has_text="Cancelled")).to_have_count(6)
    assert len(held) <= 4, "three at once, and one for the first that was cancelled"
    page.unroute("**/v1/inspect")
    page.get_by_role("button", name="Try those without an answer again").click()
    expect(page.locator("#table .tag")).to_have_count(6)


def test_a_files_name_is_text_and_nothing_else(service, visit, photos):
    page = visit(service.url)
    names = ["<img src=x onerror=alert(1)>.jpg", '"><script>alert(2)<\\script>.jpg', "{n} \u202egpj.exe"]
    give_named(page, dict.fromkeys(names, photos["vehicle"]))
    expect(page.locator("#table .tag")).to_have_count(3)
    assert rows(page).locator("bdi").all_inner_texts() == names
    page.get_by_role("button", name="This is wrong").click()
    expect(page.get_by_role("dialog")).to_contain_text(names[0])
    assert page.locator("main img:not([src^='blob:'])").count() == 0
    assert page.locator("body script").count() == 0


@pytest.mark.parametrize("language", ["en-US", "ko-KR"])
def test_nothing_makes_a_narrow_page_scroll_sideways(service, visit, photos, language):
    page = visit(service.url, locale=language, viewport={"width": 390, "height": 800})
    long = "a-very-long-name-without-any-space-in-it-" * 4
    give_named(page, {f"{long}.jpg": photos["vehicle"], "b.jpg": photos["place"], "c.pdf": photos["text"]})
    expect(page.locator("#table .tag")).to_have_count(3)
    expect(page.locator("#about")).to_be_visible()
    for details in page.locator("details").all():
        details.evaluate("(one) => one.open = true")
    widths = (320, 390, 600)  # 600: 1200 at 200 %
    for width in widths:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(SIDEWAYS) == 0, width
    page.locator("button.wrong").click()
    page.locator("input[value=vehicle]").check()
    page.locator(".editor .row button").first.click()
    dialog = page.locator("dialog")
    for width in widths:
        page.set_viewport_size({"width": width, "height": 800})
        assert dialog.evaluate("(one) => one.scrollWidth - one.clientWidth") == 0, width
        assert dialog.bounding_box()["width"] <= width


def unnamed(page):
    """Controls, pictures and tables that a screen reader has no name for."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    roles = {
        "button",
        "link",
        "textbox",
        "checkbox",
        "radio",
        "spinbutton",
        "image",
        "dialog",
        "progressbar",
        "region",
    }
    named = {"columnheader", "rowheader", "heading", "navigation", "group", "radiogroup"}
    return [
        (node["role"]["value"], node.get("name", {}).get("value"))
        for node in nodes
        if not node["ignored"]
        and node["role"]["value"] in roles | (named - {"group", "radiogroup"})
        and not node.get("name", {}).get("value", "").strip()
    ]


def test_a_screen_reader_has_a_name_for_everything(service, visit, photos):
    page = visit(service.url)
    expect(page.locator("#about")).to_be_visible()
    assert unnamed(page) == []
    give_named(page, {"a.jpg": photos["vehicle"], "b.jpg": photos["place"], "c.pdf": photos["text"]})
    expect(page.locator("#table .tag")).to_have_count(3)
    assert unnamed(page) == []
    for role in ("banner", "main", "navigation", "table"):
        expect(page.get_by_role(role).first).to_be_visible()
    table = page.get_by_role("table").first
    expect(table.get_by_role("rowheader", name="a.jpg")).to_be_visible()
    expect(page.get_by_role("button", name="Show a.jpg")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile(r"Score 0\.\d+"))).to_be_visible()
    page.get_by_role("button", name="This is wrong").click()
    page.get_by_role("radio", name=re.compile("^A vehicle")).check()
    page.get_by_role("button", name="Add a box").click()
    assert unnamed(page) == []
    expect(page.get_by_role("group", name="The right answer")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="This is wrong")).to_be_focused()


def test_a_key_is_asked_for_and_kept_for_this_tab_only(bundle, visit, photos, tmp_path):
    from wreckognize.serving.keys import add_line, new_key

    key, line = new_key("desk-1")
    add_line(tmp_path / "keys", line)
    with Running(bundle, "--keys", str(tmp_path / "keys")) as service:
        page = visit(service.url)
        field = page.get_by_label("Access key", exact=True)
        expect(field).to_be_focused()
        expect(page.get_by_role("alert")).to_be_hidden()
        give(page, photos["vehicle"])
        field.fill("wk_wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("The access key was not accepted")
        page.get_by_label("Access key", exact=True).fill(key)
        page.get_by_role("button", name="Use this key").click()
        expect(verdict(page)).to_have_text("Vehicle")
        expect(page.get_by_role("alert")).to_be_hidden()
        expect(page.locator("#about")).to_be_visible()
        assert page.evaluate("Object.values(sessionStorage)") == [key]
        assert key not in page.evaluate(
            "JSON.stringify(Object.values(localStorage)) + document.cookie + location.href"
        )


def test_many_photos_hold_little_and_give_it_back(service, visit, photos):
    page = visit(service.url)
    count = 24
    give_named(page, {f"{n:03}.jpg": photos["vehicle"] for n in range(count)})
    expect(page.locator("#table .tag")).to_have_count(count)
    expect(page.locator("#table td.picture img")).to_have_count(count)
    assert page.evaluate("held.size") == count + 1, "a thumbnail each, and the one that is shown"
    longest = page.locator("#table td.picture img").evaluate_all(
        "(all) => Math.max(...all.map((one) => Math.max(one.naturalWidth, one.naturalHeight)))"
    )
    assert longest <= 96
    page.get_by_role("button", name="Clear the list").click()
    expect(rows(page)).to_have_count(0)
    assert page.evaluate("held.size") == 0
    expect(page.locator("#pick")).to_be_focused()


def test_dark_and_calm_where_the_person_wants_it(service, visit):
    page = visit(service.url, color_scheme="dark", reduced_motion="reduce")
    style = "(name) => getComputedStyle(document.querySelector(name))"
    assert page.evaluate(f"({style})('body').backgroundColor") == "rgb(18, 23, 28)"
    assert page.evaluate(f"({style})('html').scrollBehavior") == "auto"
    bright = visit(service.url)
    assert bright.evaluate(f"({style})('body').backgroundColor") == "rgb(246, 247, 249)"
