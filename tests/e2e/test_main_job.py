"""A file goes in by HTTP, honest estimates with figures come out."""

import json
from pathlib import Path

import httpx
import pytest

from cqox.contract import DatasetDescription, Inference, Report
from tests.e2e.conftest import reference_dir

EXAMPLES = Path(__file__).parents[2] / "examples"


def analyze(api: httpx.Client, dataset_id: str, mapping: dict[str, object], **options: object) -> dict[str, object]:
    body = {"dataset_id": dataset_id, "mapping": mapping, "options": options}
    answer = api.post("/api/analyze/comprehensive", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def upload(api: httpx.Client, content: bytes, name: str = "table.csv") -> dict[str, object]:
    answer = api.post("/api/datasets", files={"file": (name, content)})
    assert answer.status_code == 201, answer.text
    return answer.json()


def by_name(report: dict[str, object]) -> dict[str, dict[str, object]]:
    return {estimate["name"]: estimate for estimate in report["estimates"]}  # type: ignore[index, union-attr]


def test_the_verification_request_of_the_owner_is_answered_with_a_whole_report(api: httpx.Client) -> None:
    report = analyze(api, "test", {"y": "y", "treatment": "w", "unit_id": "id"})
    Report.model_validate(report)
    estimate = by_name(report)["difference_in_means"]
    assert estimate["status"] == "ok"
    assert report["results"][0]["tau_hat"] == estimate["estimate"]  # type: ignore[index]


def test_adjusting_for_the_covariates_of_the_sample_finds_its_known_effect(api: httpx.Client) -> None:
    body = json.loads((EXAMPLES / "request.json").read_text())
    report = api.post("/api/analyze/comprehensive", json=body).json()
    for name in ("ols_adjustment", "aipw", "dml_irm_ate", "dml_plr", "g_computation_ate"):
        estimate = by_name(report)[name]
        assert estimate["ci_lower"] < 2.0 < estimate["ci_upper"], (name, estimate)  # type: ignore[operator]


@pytest.mark.parametrize("example", ["request.json", "mini_retail_request.json"])
def test_the_shipped_requests_work_as_they_are(api: httpx.Client, example: str) -> None:
    answer = api.post(
        "/api/analyze/comprehensive",
        content=(EXAMPLES / example).read_bytes(),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 200, answer.text
    report = answer.json()
    Report.model_validate(report)
    assert any(estimate["status"] == "ok" for estimate in report["estimates"])


def test_every_figure_of_a_report_comes_as_svg_png_and_json_and_is_kept(api: httpx.Client) -> None:
    report = analyze(api, "test", {"y": "y", "treatment": "w", "covariates": ["x1", "x2", "x3", "x4"]})
    figures = report["figures"]
    assert {"forest", "overlap", "love_plot"} <= set(figures)  # type: ignore[arg-type]
    assert "replace .svg by .png or .json" in str(Report.model_fields["figures"].description)
    for address in figures.values():  # type: ignore[union-attr]
        svg = api.get(address)
        assert (svg.status_code, svg.headers["Content-Type"]) == (200, "image/svg+xml")
        assert svg.content.startswith(b"<svg")
        assert api.get(address).content == svg.content
        png = api.get(address.removesuffix("svg") + "png")
        assert png.content.startswith(b"\x89PNG\r\n")
        spec = api.get(address.removesuffix("svg") + "json").json()
        assert "vega-lite" in spec["$schema"]


@pytest.mark.skipif(
    not (reference_dir() / "data").exists(),
    reason="the reference data are not next to this checkout (CQOX_REFERENCE_DIR)",
)
def test_the_nsw_experiment_gives_its_published_numbers_over_http(api: httpx.Client) -> None:
    data = (reference_dir() / "data" / "nsw_experimental.csv").read_bytes()
    described = upload(api, data, "nsw_experimental.csv")
    DatasetDescription.model_validate(described)
    report = analyze(api, str(described["dataset_id"]), {"y": "re78", "treatment": "treat"})
    estimate = by_name(report)["difference_in_means"]
    assert estimate["estimate"] == pytest.approx(1794.3424, abs=1e-4)
    assert estimate["standard_error"] == pytest.approx(670.9965, abs=1e-4)
    assert estimate["se_method"] == "HC2"


def test_an_inferred_mapping_can_be_sent_to_analyze_as_it_is(api: httpx.Client) -> None:
    inferred = api.post("/api/roles/infer", json={"dataset_id": "test"}).json()
    Inference.model_validate(inferred)
    assert inferred["mapping"]["y"] == "y"
    assert inferred["mapping"]["treatment"] == "w"
    assert by_name(analyze(api, "test", inferred["mapping"]))["aipw"]["status"] == "ok"


def test_japanese_names_values_and_encoding_work_from_upload_to_figure(api: httpx.Client) -> None:
    rows = ["顧客ID,購入額,クーポン,年齢"]
    for number in range(200):
        treated = number % 3 == 0
        amount = 1000 + 300 * treated + 7 * (number % 40) + (number * 37 % 11)
        rows.append(f'{number:04d},"{amount:,}",{"あり" if treated else "なし"},{20 + number % 40}')
    described = upload(api, "\n".join(rows).encode("cp932"), "売上.csv")
    assert described["encoding"] == "cp932"
    assert [column["kind"] for column in described["columns"]][1:] == ["count", "binary", "count"]  # type: ignore[union-attr, index]
    report = analyze(
        api, str(described["dataset_id"]), {"y": "購入額", "treatment": "クーポン", "covariates": ["年齢"]}
    )
    estimate = by_name(report)["ols_adjustment"]
    assert estimate["estimate"] == pytest.approx(300, abs=3)
    svg = api.get(report["figures"]["love_plot"]).text  # type: ignore[index]
    assert "年齢" in svg


def test_the_same_bytes_are_the_same_data_set_and_a_deleted_one_is_gone(api: httpx.Client) -> None:
    content = b"y,w\n1,0\n2,1\n3,0\n5,1\n"
    first, second = upload(api, content, "a.csv"), upload(api, content, "b.csv")
    assert first["dataset_id"] == second["dataset_id"]
    dataset_id = first["dataset_id"]
    assert any(row["dataset_id"] == dataset_id for row in api.get("/api/datasets").json()["datasets"])
    assert api.get(f"/api/datasets/{dataset_id}").json()["preview"][0] == {"y": 1, "w": 0}
    assert api.delete(f"/api/datasets/{dataset_id}").status_code == 204
    assert api.get(f"/api/datasets/{dataset_id}").status_code == 404
    assert api.delete(f"/api/datasets/{dataset_id}").status_code == 404


def test_the_raw_body_is_an_upload_too(api: httpx.Client) -> None:
    answer = api.post("/api/upload?name=raw.csv", content=b"y,w\n1,0\n2,1\n3,1\n9,0\n")
    assert answer.status_code == 201
    assert answer.json()["name"] == "raw.csv"


def test_a_report_is_answered_from_what_is_stored_with_the_same_numbers(api: httpx.Client) -> None:
    mapping = {"y": "y", "treatment": "w", "covariates": ["x1", "x2"]}
    first = analyze(api, "test", mapping, seed=11)
    again = analyze(api, "test", {"w": "w", "outcome": "y", "x": ["x1", "x2"]}, seed=11)
    stored = api.get(f"/api/analyses/{first['analysis_id']}").json()
    assert again["provenance"]["cache"] == stored["provenance"]["cache"] == "hit"  # type: ignore[index]
    for report in (first, again, stored):
        del report["provenance"]
    assert first == again == stored
    listed = api.get("/api/analyses", params={"dataset_id": "test", "limit": 200}).json()["analyses"]
    assert first["analysis_id"] in {row["analysis_id"] for row in listed}


def test_three_levels_make_two_contrasts(api: httpx.Client) -> None:
    rows = ["y,arm"]
    for number in range(300):
        arm = ("control", "email", "call")[number % 3]
        rows.append(f"{10 + {'control': 0, 'email': 1, 'call': 4}[arm] + (number * 7 % 5) / 10},{arm}")
    dataset_id = str(upload(api, "\n".join(rows).encode())["dataset_id"])
    report = analyze(api, dataset_id, {"y": "y", "treatment": "arm"}, estimators=["difference_in_means"])
    effects = {estimate["contrast"]: estimate["estimate"] for estimate in report["estimates"]}  # type: ignore[union-attr, index]
    assert effects["email vs control"] == pytest.approx(1, abs=0.05)
    assert effects["call vs control"] == pytest.approx(4, abs=0.05)


def test_the_catalog_describes_every_estimator_that_a_report_names(api: httpx.Client) -> None:
    known = {entry["name"]: entry for entry in api.get("/api/estimators").json()["estimators"]}
    report = analyze(api, "test", {"y": "y", "treatment": "w"})
    assert set(by_name(report)) == {name for name, entry in known.items() if not entry["on_request"]}
    assert all(entry["paper"] and entry["checked_against"] for entry in known.values())
