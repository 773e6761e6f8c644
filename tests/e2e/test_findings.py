"""A trap in a file, from its upload over its remedy to the right number, over HTTP."""

import json

import httpx
import numpy as np
import pytest

RNG = np.random.default_rng(4)
SHOPS = [(f"店{number}", number % 2, round(100 + 47 * (number % 2) + RNG.normal(0, 5), 2)) for number in range(40)]
EFFECT = np.mean([y for _, w, y in SHOPS if w]) - np.mean([y for _, w, y in SHOPS if not w])
ROWS = "".join(f"{shop},{w},{y}\n" for shop, w, y in SHOPS)
TOTALS = f"店,施策,売上\n{ROWS}合計,1,{sum(y for _, _, y in SHOPS):.2f}\n".encode()


def uploaded(api: httpx.Client, content: bytes, **fields: str) -> dict[str, object]:
    answer = api.post("/api/datasets", files={"file": ("表.csv", content)}, data=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def analyzed(api: httpx.Client, dataset: dict[str, object], **options: object) -> dict[str, object]:
    body = {"dataset_id": dataset["dataset_id"], "mapping": {"y": "売上", "treatment": "施策"}, "options": options}
    answer = api.post("/api/analyze/comprehensive", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def difference(report: dict[str, object]) -> float:
    return next(each["estimate"] for each in report["estimates"] if each["name"] == "difference_in_means")


def test_a_remedy_at_analyze_is_sent_as_it_is(api: httpx.Client) -> None:
    dataset = uploaded(api, TOTALS)
    (finding,) = dataset["findings"]
    assert (finding["code"], finding["severity"], finding["rows"]) == ("totals-rows", "caps", [41])
    described = api.get(f"/api/datasets/{dataset['dataset_id']}", params={"lang": "ja"}).json()
    assert described["findings"][0]["message"] == "「店」の 1 行（'合計'）は、ほかの行の合計であり、観測値ではない。"
    inferred = api.post("/api/roles/infer", json={"dataset_id": dataset["dataset_id"]}).json()
    assert inferred["findings"] == dataset["findings"]
    before = analyzed(api, dataset)
    assert before["findings"] == [finding]
    assert difference(before) > 5 * EFFECT
    after = analyzed(api, dataset, **finding["remedy"]["parameters"])
    assert (after["findings"], difference(after)) == ([], pytest.approx(EFFECT))


def test_a_remedy_at_upload_is_sent_with_the_file_once_more(api: httpx.Client) -> None:
    content = f"店,2024年,\n,施策,売上\n{ROWS}".encode()
    dataset = uploaded(api, content)
    (finding,) = dataset["findings"]
    assert (finding["code"], finding["remedy"]["at"]) == ("header-rows", "upload")
    again = uploaded(api, content, **finding["remedy"]["parameters"])
    assert again["dataset_id"] != dataset["dataset_id"]
    assert again["findings"] == []
    assert [column["name"] for column in again["columns"]] == ["店", "2024年 施策", "2024年 売上"]


def test_what_is_no_remedy_is_refused_with_the_choices(api: httpx.Client) -> None:
    for fields in ({"header_rows": "0"}, {"fill_down": "商品"}, {"unpivot": json.dumps({"columns": ["店", "売上"]})}):
        answer = api.post("/api/datasets", files={"file": ("表.csv", TOTALS)}, data=fields)
        assert answer.status_code == 400, answer.text
        assert answer.json()["field"].partition(".")[0] == next(iter(fields))
    body = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}, "options": {"accept": ["totals"]}}
    answer = api.post("/api/analyze/comprehensive", json=body)
    assert (answer.status_code, answer.json()["choices"][0]) == (400, "totals-rows")
