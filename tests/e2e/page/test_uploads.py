"""Files of people: odd workbooks and their remedies, uploads that stall, stop and go on, and what is no table."""

import json
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Request, Route, expect

from tests.e2e.page.conftest import Visitors
from tests.e2e.page.workbooks import ENGLISH, JAPANESE, sales_workbook, ten_sheets
from tests.e2e.stack import Stack

MOST_CLICKS = 12
PIECES = 3
MEBI = 2**20


@pytest.mark.parametrize("language", ["en", "ja"])
def test_an_odd_workbook_becomes_a_slide(page_stack: Stack, visitors: Visitors, tmp_path: Path, language: str) -> None:
    visitor = visitors.enter(page_stack.gateway.url, language)
    words = {"en": ENGLISH, "ja": JAPANESE}[language]
    visitor.upload(sales_workbook(tmp_path / "売上.xlsx", words))
    visitor.page.wait_for_url("**/d/*")
    visitor.page.locator("#data .findings").wait_for()
    visitor.shoot("1-findings")
    visitor.apply_remedies()
    visitor.shoot("2-remedied")
    analysis_id = visitor.answer()
    with page_stack.client() as api:
        report = api.get(f"/api/analyses/{analysis_id}").json()
    outcome, store, week, campaign = words[:4]
    assert report["mapping"] == {"y": outcome, "treatment": campaign, "unit_id": store, "time": week}
    assert report["effect"]["lower"] < 40 < report["effect"]["upper"]
    assert report["provenance"]["rows_used"] == 240
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("button", name="PowerPoint", exact=True).click()
    visitor.clicks += 1
    assert download.value.path().read_bytes().startswith(b"PK")
    visitor.shoot("3-answer")
    assert visitor.clicks <= MOST_CLICKS, visitor.clicks


def test_another_sheet_and_header_row_are_read_without_another_upload(
    page_stack: Stack, visitors: Visitors, tmp_path: Path
) -> None:
    visitor = visitors.enter(page_stack.gateway.url, "ja")
    sent: list[str] = []
    visitor.page.on("request", lambda request: sent.append(request.method) if "/api/uploads/" in request.url else None)
    visitor.upload(ten_sheets(tmp_path / "表.xlsx"))
    visitor.page.wait_for_url("**/d/*")
    visitor.page.get_by_text(visitor.text("read-otherwise")).click()
    visitor.choose("sheet", "第3表")
    uploads = len(sent)
    visitor.page.get_by_role("radio", name="4", exact=True).check()
    visitor.shoot("sheets")
    before = visitor.page.url
    visitor.click("read-again")
    visitor.page.wait_for_url(lambda url: url != before)
    visitor.page.get_by_role("columnheader", name="購入額").wait_for()
    assert len(sent) == uploads
    visitor.choose("role-y", "購入額")
    visitor.choose("role-treatment", "広告")
    visitor.page.get_by_role("radio", name=visitor.text("assignment-randomized")).check()
    visitor.answer()
    expect(visitor.page.locator(".verdict .badge")).to_contain_text("GO")


def big_file(folder: Path) -> Path:
    rows = PIECES * 8 * MEBI // 30
    path = folder / "big.csv"
    with path.open("w") as file:
        file.write("unit,treated,outcome,padding\n")
        file.writelines(f"{row},{row % 2},{row % 97}.{row % 7},{'x' * 12}\n" for row in range(rows))
    assert path.stat().st_size > 2 * 8 * MEBI
    return path


def test_a_stopped_upload_goes_on_after_a_reload_when_the_file_is_chosen_again(
    page_stack: Stack, visitors: Visitors, tmp_path: Path
) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.expected = "ERR_FAILED"
    path = big_file(tmp_path)
    offsets: list[int] = []

    def second_piece_is_lost(route: Route) -> None:
        offset = int(route.request.headers["upload-offset"])
        offsets.append(offset)
        if offset:
            route.abort("failed")
        else:
            route.continue_()

    visitor.page.route(
        "**/api/uploads/*",
        lambda route: second_piece_is_lost(route) if route.request.method == "PATCH" else route.continue_(),
    )
    visitor.upload(path)
    expect(visitor.page.get_by_text(visitor.text("upload-retrying"))).to_be_visible()
    visitor.shoot("retrying")
    visitor.page.unroute_all()
    visitor.page.on("dialog", lambda dialog: dialog.accept())
    visitor.goto("/")
    notice = visitor.page.locator(".note")
    expect(notice).to_contain_text("big.csv")
    visitor.shoot("stopped")
    resumed: list[int] = []
    digests: list[str] = []

    def note(request: Request) -> None:
        if request.method == "PATCH":
            resumed.append(int(request.headers["upload-offset"]))
            digests.append(request.headers.get("content-digest", ""))

    visitor.page.on("request", note)
    visitor.upload(path)
    visitor.page.wait_for_url("**/d/*")
    assert offsets[0] == 0
    assert resumed[0] == offsets[1] > 0
    assert all(digest.startswith("sha-256=:") for digest in digests)
    dataset_id = visitor.page.url.rsplit("/", 1)[1]
    with page_stack.client() as api:
        with path.open("rb") as file:
            direct = api.post("/api/datasets", files={"file": ("big.csv", file)}).json()
        assert dataset_id == direct["dataset_id"]
    visitor.goto("/")
    assert visitor.page.locator(".note").count() == 0


def test_a_piece_that_stalls_is_sent_again(page_stack: Stack, visitors: Visitors, tmp_path: Path) -> None:
    path = tmp_path / "trial.csv"
    path.write_text("y,w\n" + "".join(f"{number % 7},{number % 2}\n" for number in range(200)))
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.page.clock.install()
    stalled: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == "PATCH" and not stalled:
            stalled.append(route)
        else:
            route.continue_()

    visitor.page.route("**/api/uploads/*", hold)
    visitor.upload(path)
    statement = visitor.page.locator("#preview .statement")
    for _ in range(60):
        if statement.count():
            break
        # Half a minute without a byte, and the pause before the next try.
        visitor.page.clock.run_for(1000)
        visitor.page.wait_for_timeout(100)
    assert stalled
    visitor.preview()


def test_a_cancelled_upload_leaves_nothing(page_stack: Stack, visitors: Visitors, tmp_path: Path) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    path = big_file(tmp_path)
    visitor.page.route("**/api/uploads/*", lambda route: None if route.request.method == "PATCH" else route.continue_())
    with visitor.page.expect_response("**/api/uploads") as begun:
        visitor.upload(path)
    upload_id = begun.value.json()["upload_id"]
    visitor.button("cancel").wait_for()
    visitor.click("cancel")
    visitor.page.locator("#file").wait_for()
    assert visitor.page.locator(".failure, .note").count() == 0
    answer = httpx.get(f"{page_stack.gateway.url}/api/uploads/{upload_id}", trust_env=False)
    assert answer.status_code == 404


@pytest.mark.parametrize("language", ["en", "ja"])
def test_what_is_no_table_is_refused_with_a_sentence(
    page_stack: Stack, visitors: Visitors, tmp_path: Path, language: str
) -> None:
    visitor = visitors.enter(page_stack.gateway.url, language)
    visitor.expected = "status of 4"
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(5000))
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"")
    page = tmp_path / "page.pdf"
    page.write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 20)
    for path in (picture, empty, page):
        visitor.upload(path)
        failure = visitor.page.locator(".failure")
        expect(failure).to_be_visible()
        said = visitor.plain(failure)
        assert len(said) > 20, said
        visitor.shoot(f"refused-{path.stem}")
        visitor.goto("/")
        assert visitor.page.locator(".note").count() == 0


def test_names_of_columns_are_shown_as_they_are(page_stack: Stack, visitors: Visitors, tmp_path: Path) -> None:
    script = "<img src=x onerror=alert(1)>"
    arabic = "المبيعات"
    path = tmp_path / "odd.csv"
    rows = [f"{row % 2},{row % 2 + row % 5},{row}" for row in range(60)]
    path.write_text("\n".join([f"{script},{arabic},{{x}}", *rows]), encoding="utf-8")
    visitor = visitors.enter(page_stack.gateway.url)
    visitor.upload(path)
    visitor.page.wait_for_url("**/d/*")
    visitor.choose("role-y", arabic)
    visitor.choose("role-treatment", script)
    visitor.preview()
    visitor.answer()
    assert visitor.page.locator("img[src=x]").count() == 0
    shown = visitor.plain(visitor.page.locator("main"))
    assert arabic in shown
    visitor.draw()
    visitor.shoot("odd-names")


def test_four_hundred_columns_stay_usable(page_stack: Stack, visitors: Visitors, tmp_path: Path) -> None:
    names = ["outcome", "treated", *(f"column_{number:03}" for number in range(400))]
    rows = [[row % 7 + row % 2, row % 2, *((row * k) % 11 for k in range(1, 401))] for row in range(300)]
    path = tmp_path / "wide.json"
    path.write_text("\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows))
    visitor = visitors.enter(page_stack.gateway.url, "ja")
    visitor.upload(path)
    visitor.page.wait_for_url("**/d/*")
    visitor.choose("role-y", "outcome")
    visitor.choose("role-treatment", "treated")
    assert visitor.page.locator("#data td").count() <= 24 * 8
    covariates = visitor.page.locator("#role-covariates")
    covariates.get_by_role("searchbox").fill("column_399")
    covariates.get_by_role("checkbox", name="column_399").wait_for()
    expect(covariates.get_by_role("checkbox")).to_have_count(1)
    visitor.preview()
    visitor.shoot("wide")


def test_one_file_at_a_time_can_be_dropped(page_stack: Stack, visitors: Visitors) -> None:
    visitor = visitors.enter(page_stack.gateway.url)
    drop = """() => {
        const files = new DataTransfer();
        for (const name of ["a.csv", "b.csv"]) files.items.add(new File(["y,w\\n1,0\\n"], name));
        document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true }));
    }"""
    visitor.page.evaluate(drop)
    expect(visitor.page.locator(".failure")).to_contain_text(visitor.text("one-file"))
    visitor.page.evaluate(drop.replace(', "b.csv"', ""))
    visitor.page.wait_for_url("**/d/*")
