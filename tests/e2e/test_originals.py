"""From a workbook with ten sheets and a header in row 4 to a data set, with one upload, over HTTP."""

import io

import httpx
import xlsxwriter

from cqox.contract import FileSheets

ROWS = [[("渋谷", "梅田")[number % 2], number // 2, 10.5 + number**2 % 7, number % 2] for number in range(20)]


def workbook() -> bytes:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content) as book:
        for number in range(1, 11):
            sheet = book.add_worksheet(f"第{number}表")
            sheet.write_row(0, 0, ["作成日", f"2025-04-{number:02}"])
            sheet.write_row(1, 0, ["担当", "山田"])
            for row, cells in enumerate([["店舗", "週", "売上", "施策"], *ROWS], start=3):
                sheet.write_row(row, 0, cells)
    return content.getvalue()


def uploaded(api: httpx.Client, content: bytes, **fields: str) -> dict[str, object]:
    answer = api.post("/api/datasets", files={"file": ("売上.xlsx", content)}, data=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_remedy_is_applied_without_another_upload(api: httpx.Client) -> None:
    content = workbook()
    dataset = uploaded(api, content)
    (finding,) = dataset["findings"]
    assert finding["code"] == "header-row"
    sheets = api.get(f"/api/datasets/{dataset['dataset_id']}/sheets").json()
    FileSheets.model_validate(sheets)
    assert (sheets["original"], sheets["format"], sheets["read"], len(sheets["sheets"])) == (True, "workbook", {}, 10)
    second = sheets["sheets"][1]
    assert (second["name"], second["header_row"], second["rows"]) == ("第2表", 4, 24)
    assert second["cells"][3] == ["店舗", "週", "売上", "施策"]
    asked = {"sheet": second["name"], "header_row": second["header_row"]}
    answer = api.post(f"/api/datasets/{dataset['dataset_id']}/read", json=asked)
    assert answer.status_code == 201, answer.text
    again = answer.json()
    assert [column["name"] for column in again["columns"]] == ["店舗", "週", "売上", "施策"]
    assert (again["findings"], again["name"]) == ([], "売上.xlsx")
    assert uploaded(api, content, sheet="第2表", header_row="4")["dataset_id"] == again["dataset_id"]
    shown = api.get(f"/api/datasets/{again['dataset_id']}/sheets", params={"sheet": "第2表"}).json()
    assert (shown["read"], len(shown["sheets"])) == ({"sheet": "第2表", "header_row": "4"}, 1)
    report = api.post(
        "/api/analyze/comprehensive",
        json={"dataset_id": again["dataset_id"], "mapping": {"y": "売上", "treatment": "施策"}},
    )
    assert report.status_code == 200


def test_what_cannot_be_read_again_is_refused_by_its_field_in_both_languages(api: httpx.Client) -> None:
    dataset_id = uploaded(api, workbook())["dataset_id"]
    path = f"/api/datasets/{dataset_id}/read"
    answer = api.post(path, json={"sheet": "売上"})
    assert (answer.status_code, answer.json()["field"], len(answer.json()["choices"])) == (400, "sheet", 10)
    assert api.post(path, json={"delimiter": "x"}).json()["choices"] == [",", "\t", ";", "|"]
    assert api.post(path, json={"header_row": 3}).json()["field"] == "header_row"
    assert api.get(f"/api/datasets/{dataset_id}/sheets?sheet=%00").status_code == 400
    for given, field in (("test", "original"), ("%00", "dataset_id")):
        answer = api.post(f"/api/datasets/{given}/read", json={}, params={"lang": "ja"})
        assert (answer.status_code, answer.json()["field"]) == (404, field)
    sample = api.get("/api/datasets/test/sheets", params={"lang": "ja"}).json()
    assert (sample["original"], sample["sheets"]) == (False, [])
    assert sample["note"].startswith("組み込み")
