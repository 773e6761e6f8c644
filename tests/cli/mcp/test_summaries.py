import json

from cqox.api.report import Report
from cqox.cli.mcp.summaries import MOST_BYTES, of_dataset, of_estimators, of_report, of_roles


def size(document: object) -> int:
    return len(json.dumps(document, ensure_ascii=False).encode())


def column(name: str) -> dict[str, object]:
    rest = dict.fromkeys(("distinct", "minimum", "maximum", "mean"), 1 / 3)
    return {
        "name": name,
        "kind": "category",
        "missing": 0,
        "notes": [],
        "levels": [f"水準{n}" for n in range(50)],
        **rest,
    }


def test_a_report_keeps_what_a_decision_needs(report: Report):
    document = report.to_dict()
    found = of_report(document)
    assert found["headline"] == report.headline
    assert found["verdict"] == report.verdict
    assert found["primary"]["name"] == report.decision.primary  # type: ignore[index,call-overload]
    assert [each["name"] for each in found["identification"]["assumptions"]] == [  # type: ignore[index,call-overload,union-attr]
        each.name
        for each in report.identification.assumptions  # type: ignore[union-attr]
    ]
    asking = [name for name, gate in report.gates.items() if gate.status in ("warn", "fail")]
    gates = found["gates"]
    assert [each["name"] for status in ("fail", "warn") for each in gates.get(status, [])] == sorted(  # type: ignore[union-attr,index,call-overload]
        asking, key=lambda name: report.gates[name].status
    )
    assert found["options"] == {"estimators": ["aipw"]}
    assert size(found) < 12_000 < len(report.to_json())


def test_numbers_are_short_and_what_says_nothing_is_left_out(report: Report):
    primary = of_report(report.to_dict())["primary"]
    assert len(repr(primary["estimate"])) <= 8  # type: ignore[index,call-overload]
    assert "contrast" not in primary  # type: ignore[operator]


def test_a_wide_data_set_is_cut_and_says_how_much():
    columns = [column(f"列{number}") for number in range(1_000)]
    described = {
        "rows": 5, "columns": columns, "format": "csv", "encoding": None, "notes": [], "findings": [],
        "preview": [{f"列{number}": "値" * 10 for number in range(1_000)}] * 20,
    }  # fmt: skip
    found = of_dataset(described)
    assert found["more_columns"] == 850
    assert "encoding" not in found
    assert size(found) < MOST_BYTES


def test_candidates_of_a_role_are_few_and_covariates_many():
    candidates = [{"column": f"c{number}", "confidence": 0.5, "reasons": ["A.", "B."]} for number in range(30)]
    inference = {
        "mapping": {"y": "c1"}, "candidates": {"y": candidates, "covariates": candidates}, "missing": ["treatment"],
        "notes": [], "findings": [],
    }  # fmt: skip
    found = of_roles(inference, "en")
    assert [len(each) for each in found["candidates"].values()] == [4, 30]  # type: ignore[union-attr]
    assert found["candidates"]["y"][0]["reasons"] == "A. B."  # type: ignore[index,call-overload]
    assert found["missing"] == ["treatment"]
    inference["candidates"]["y"] = [{"column": "売上", "confidence": 0.5, "reasons": ["甲。", "乙。"]}]  # type: ignore[index]
    assert of_roles(inference, "ja")["candidates"]["y"][0]["reasons"] == "甲。乙。"  # type: ignore[index,call-overload]


def test_estimators_have_no_references_to_papers():
    entry = {"name": "aipw", "family": "f", "estimand": "ATE", "summary": "s", "requires": ["y"], "optional": [],
        "on_request": False, "paper": "P", "doi": "d", "checked_against": "c", "standard_error": "e"}  # fmt: skip
    assert of_estimators([entry]) == {
        "estimators": [
            {"name": "aipw", "family": "f", "estimand": "ATE", "summary": "s", "requires": ["y"], "on_request": False}
        ]
    }
    assert of_estimators([]) == {"estimators": []}
