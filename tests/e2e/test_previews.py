"""Previews through a gateway and an engine."""

import httpx
import pytest

from cqox.contract import Preview
from tests.e2e.test_main_job import analyze, upload

PREVIEW = "/api/analyze/preview"
MAPPING = {"y": "y", "treatment": "w", "unit_id": "id", "covariates": ["x1", "x2", "x3", "x4"]}


def previewed(api: httpx.Client, dataset_id: str, mapping: dict[str, object], **options: object) -> httpx.Response:
    return api.post(PREVIEW, json={"dataset_id": dataset_id, "mapping": mapping, "options": options})


def test_a_preview_agrees_with_the_report_and_stores_nothing(api: httpx.Client) -> None:
    before = api.get("/api/analyses").json()
    answer = previewed(api, "test", MAPPING, minimum_effect=0.5, seed=77)
    assert answer.status_code == 200, answer.text
    found = Preview.model_validate(answer.json())
    (contrast,) = found.contrasts
    assert (contrast.rows.read, contrast.rows.kept, contrast.rows.dropped) == (1500, 1500, 0)
    assert contrast.power.minimum_detectable is True
    assert api.get("/api/analyses").json() == before
    report = analyze(api, "test", MAPPING, minimum_effect=0.5, seed=77)
    primary = next(each for each in report["estimates"] if each["name"] == contrast.primary)  # type: ignore[attr-defined]
    assert primary["n"] == contrast.rows.kept
    assert list(found.findings) == report["findings"]


def test_the_language_is_chosen_at_the_read(api: httpx.Client) -> None:
    body = {"dataset_id": "test", "mapping": MAPPING}
    japanese = api.post(PREVIEW, json=body, params={"lang": "ja"})
    assert japanese.headers["Content-Language"] == "ja"
    (contrast,) = japanese.json()["contrasts"]
    assert contrast["statement"].startswith("処置ありの756行と処置なしの744行の比較である")
    assert "検出力" in contrast["power"]["headline"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"dataset_id": "nowhere", "mapping": MAPPING}, 404),
        ({"dataset_id": "test", "mapping": {**MAPPING, "y": "yy"}}, 400),
        ({"dataset_id": "test", "mapping": MAPPING, "options": {"alpha": 2}}, 400),
        ({"mapping": MAPPING}, 400),
    ],
)
def test_what_the_analysis_refuses_is_refused_with_the_same_words(
    api: httpx.Client, body: dict[str, object], status: int
) -> None:
    answer, later = api.post(PREVIEW, json=body), api.post("/api/analyze/comprehensive", json=body)
    assert (answer.status_code, later.status_code) == (status, status)
    for name in ("type", "detail", "field", "choices"):
        assert answer.json().get(name) == later.json().get(name)


def test_rows_without_an_outcome_are_dropped_for_that_reason(api: httpx.Client) -> None:
    lines = ["y,w", *(f"{'' if number % 10 == 0 else number * 37 % 11},{number % 2}" for number in range(100))]
    dataset_id = str(upload(api, "\n".join(lines).encode(), "gaps.csv")["dataset_id"])
    (contrast,) = previewed(api, dataset_id, {"y": "y", "treatment": "w"}).json()["contrasts"]
    (reason,) = contrast["rows"]["reasons"]
    assert (reason["code"], reason["columns"], reason["rows"]) == ("missing_value", ["y"], 10)
