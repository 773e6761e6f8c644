"""Facts of a report: what it says, and nothing that could be data."""

import json
from dataclasses import asdict, fields, replace

import pytest

from cqox.storage import Item, StoredReport
from cqox.storage.report_facts import facts_of
from tests.storage.records import a_report

SECRET = "zanzibar"
CONTENT: dict[str, object] = {
    "mapping": {"y": f"{SECRET} y", "treatment": "w", "covariates": ["a", "b"], "cutoff": 3.0},
    "options": {"assignment": "unknown", "refute": 40},
    "estimates": [
        {"name": "aipw", "family": "doubly_robust", "estimand": "ATE", "contrast": SECRET, "status": "ok",
         "estimate": 1.5, "standard_error": 0.1, "ci_lower": 1.3, "ci_upper": 1.7, "p_value": 0.01, "n": 400,
         "seconds": 0.5, "warnings": [SECRET]},
        {"name": "ols", "family": "regression", "estimand": "ATE", "contrast": SECRET, "status": "ok", "estimate": 1.2},
        {"name": "ols", "family": "regression", "estimand": "ATE", "contrast": "another", "status": "ok",
         "estimate": 9.0},
        {"name": "iv_2sls", "family": "instruments", "estimand": "LATE", "status": "skipped", "reason": SECRET},
        {"name": "did", "family": "panel", "estimand": "ATT", "status": "failed", "reason": SECRET},
    ],
    "messages": {
        "/estimates/3/reason": {"code": "estimators.missing-role", "params": {"role": "instrument"}},
        "/estimates/4/reason": {"code": "panel.other", "params": {"role": SECRET}},
    },
    "gates": {"overlap": {"status": "fail", "value": 0.3, "threshold": 0.25, "reason": SECRET}},
    "decision": {"minimum_effect": 0.5, "better": "higher", "headline": SECRET},
    "effect": {"outcome": SECRET, "baseline": 10.0, "relative": 0.15},
    "identification": {
        "design": "comparison",
        "assumptions": [{"name": "unconfounded", "status": "untested", "caps": True, "evidence": [SECRET]}],
    },
    "diagnostics": {"refutations": {
        "of": "aipw",
        "placebo_treatment": {"computed": 40, "mean": 0.1, "sd": 0.2, "p_value": 0.5, "stands": True},
        "data_subset": {"computed": 40, "mean": 3.0, "sd": 0.2, "p_value": 0.01, "stands": False},
        "dummy_outcome": {"reason": SECRET},
    }},
    "findings": [
        {"code": "arms-differ", "severity": "caps", "columns": [SECRET], "accepted": False},
        {"code": "totals", "severity": "caps", "accepted": True},
    ],
}  # fmt: skip
DESCRIPTION = json.dumps(
    {
        "roles": {
            "y": [{"column": "sales", "confidence": 0.9}],
            "treatment": [{"column": "w", "confidence": 0.9}, {"column": "v", "confidence": 0.8}],
            "covariates": [{"column": "b", "confidence": 0.9}, {"column": "a", "confidence": 0.6}],
            "unit_id": [{"column": "id", "confidence": 0.9}],
            "time": [{"column": "day", "confidence": 0.2}],
        }
    }
).encode()


def a_study(content: object = CONTENT) -> StoredReport:
    provenance = {"rows": 400, "rows_used": 390, "seconds": {"read": 0.5, "plan": 1.5}, "code_version": "1"}
    report = a_report(1, body=json.dumps(content).encode(), created_at="2026-01-01T00:00:05.900000+00:00")
    return replace(
        report,
        primary="aipw",
        estimate=1.5,
        provenance=json.dumps(provenance).encode(),
        outcome=SECRET,
        headline=SECRET,
    )


def test_the_facts_of_a_report_are_its_figures() -> None:
    facts = facts_of(a_study(), DESCRIPTION)
    found = {each.name: getattr(facts, each.name) for each in fields(facts) if each.name != "items"}
    assert found == {
        "analysis_id": a_report(1).analysis_id, "created_second": 1_767_225_605, "status": "ok", "verdict": "GO",
        "primary_name": "aipw", "family": "doubly_robust", "design": "comparison", "assignment": "unknown",
        "dataset_rows": 400, "rows_used": 390, "mapped_columns": 4, "seconds": 2.0, "estimate": 1.5,
        "standard_error": 0.1, "ci_lower": 1.3, "ci_upper": 1.7, "minimum_effect": 0.5, "better": "higher",
        "position": "beyond", "baseline": 10.0, "relative": 0.15, "replications": 40, "lowest": 1.2, "highest": 1.5,
        "code_version": "1",
    }  # fmt: skip
    skipped = {"kind": "estimator", "part": "instruments", "detail": "LATE", "status": "skipped"}
    assert facts.items == (
        Item(kind="gate", name="overlap", status="fail", value=0.3, threshold=0.25),
        Item(kind="assumption", name="unconfounded", status="untested", amount=1),
        Item(
            kind="refuter", name="placebo_treatment", status="stands", value=0.1, standard_error=0.2, p_value=0.5,
            amount=40,
        ),
        Item(kind="refuter", name="dummy_outcome", status="not_run"),
        Item(
            kind="refuter", name="data_subset", status="contradicted", value=3.0, standard_error=0.2, p_value=0.01,
            amount=40,
        ),
        Item(kind="role", name="y", status="other", amount=1),
        Item(kind="role", name="treatment", status="same", amount=1),
        Item(kind="role", name="unit_id", status="left_out", amount=0),
        Item(kind="role", name="covariates", status="same", amount=2),
        Item(kind="finding", name="arms-differ", part="caps", status="open"),
        Item(kind="finding", name="totals", part="caps", status="accepted"),
        Item(
            kind="estimator", name="aipw", part="doubly_robust", detail="ATE", status="ok", value=1.5,
            standard_error=0.1, lower_end=1.3, upper_end=1.7, p_value=0.01, amount=400, seconds=0.5,
        ),
        Item(kind="estimator", name="ols", part="regression", detail="ATE", status="ok", value=1.2),
        Item(kind="estimator", name="ols", part="regression", detail="ATE", status="ok", value=9.0),
        Item(name="iv_2sls", reason="estimators.missing-role", about="instrument", **skipped),  # type: ignore[arg-type]
        Item(kind="estimator", name="did", part="panel", detail="ATT", status="failed", reason="panel.other"),
    )  # fmt: skip


def test_no_column_no_level_and_no_text_of_a_report_becomes_a_fact() -> None:
    assert SECRET not in json.dumps(asdict(facts_of(a_study(), DESCRIPTION)))


def test_roles_are_not_compared_without_the_data_set() -> None:
    roles = {each.name: each.status for each in facts_of(a_study()).items if each.kind == "role"}
    assert set(roles.values()) == {"unknown"}
    assert "unit_id" not in roles


@pytest.mark.parametrize(
    "content",
    [
        [], {}, None, "text", {"estimates": 3, "gates": [], "decision": "x", "messages": [1], "findings": {}},
        {"estimates": [1, {"name": 3}], "gates": {"a": 1}, "mapping": {"y": None}, "diagnostics": {"refutations": 1}},
    ],
)  # fmt: skip
def test_a_report_of_another_form_has_fewer_facts(content: object) -> None:
    facts = facts_of(a_study(content), b"[]")
    assert (facts.verdict, facts.estimate, facts.position) == ("GO", 1.5, None)
    assert facts_of(replace(a_study(), report=b"\xff", provenance=b"", created_at="?")).created_second == 0


@pytest.mark.parametrize(
    ("lower", "upper", "better", "position"),
    [
        (0.6, 0.9, "higher", "beyond"),
        (0.4, 0.9, "higher", "around"),
        (0.1, 0.4, "higher", "short"),
        (0.6, None, "higher", "beyond"),
        (None, 0.9, "higher", "unbounded"),
        (-0.9, -0.6, "lower", "beyond"),
        (-0.4, 0.9, "lower", "short"),
        (-0.9, 0.0, "lower", "around"),
        (0.6, 0.9, "lower", "short"),
    ],
)
def test_the_position_of_an_interval_is_in_the_direction_that_is_better(
    lower: float | None, upper: float | None, better: str, position: str
) -> None:
    estimates = [{"name": "aipw", "ci_lower": lower, "ci_upper": upper}]
    content = {"estimates": estimates, "decision": {"minimum_effect": 0.5, "better": better}}
    assert facts_of(a_study(content)).position == position


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"decision": {"minimum_effect": 1' + b"0" * 400 + b"}}",
        b'{"gates": {"\\ud800": {"status": "fail"}}, "identification": {"design": "\\ud800"}}',
    ],
)
def test_what_no_figure_and_no_database_holds_costs_no_report(content: bytes) -> None:
    found = facts_of(replace(a_report(1), report=content))
    assert (found.minimum_effect, found.design, found.items) == (None, None, ())
