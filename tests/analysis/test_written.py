"""Parts of a finished analysis that a worker writes, and what the engine reads of them."""

import json

import pytest

from cqox.analysis.key import canonical_json
from cqox.analysis.workers import Reply
from cqox.analysis.written import Written, read, write

REPORT: dict[str, object] = {
    "status": "warning",
    "estimates": [{"name": "ols", "estimate": 1}, {"name": "aipw", "estimate": 2.5, "label": "効果"}],
    "gates": {"overlap": {"status": "pass", "value": 0.5}},
    "decision": {"verdict": "GO", "primary": "aipw"},
    "mapping": {"y": "売上", "treatment": "w"},
}


def through(report: dict[str, object], specs: dict[str, object]) -> Written:
    body, payload = write(report, specs, rows=3, rows_used=2, seconds={"read": 0.25})
    return read(Reply(body=json.loads(json.dumps(body)), payload=payload))


def test_the_complete_report_is_the_canonical_json_of_ids_report_and_figures() -> None:
    ids, figures = {"analysis_id": "a", "dataset_id": "\u00e4"}, {"forest": "/forest.svg"}
    written = through(REPORT, {"forest": {"mark": "bar"}})
    assert written.with_ids(ids, figures) == canonical_json({**ids, **REPORT, "figures": figures})
    assert written.specs == canonical_json({"forest": {"mark": "bar"}})
    assert written.figures == ("forest",)


def test_a_report_without_figures_has_an_empty_object_of_them() -> None:
    written = through(REPORT, {})
    assert (written.figures, written.specs) == ((), b"{}")
    assert json.loads(written.with_ids({"analysis_id": "a"}, {}))["figures"] == {}


def test_the_engine_reads_status_verdict_primary_gates_and_durations_without_the_report() -> None:
    written = through(REPORT, {})
    assert written.summary == {
        "status": "warning", "verdict": "GO", "primary": "aipw", "estimate": 2.5,
        "gates": {"overlap": {"status": "pass"}}, "outcome": "売上", "treatment": "w", "headline": None,
    }  # fmt: skip
    assert (written.rows, written.rows_used, written.seconds) == (3, 2, {"read": 0.25})


def test_the_headline_is_read_with_its_code_and_parameters_and_a_scalar_is_no_column() -> None:
    decision = {"verdict": "GO", "primary": "aipw", "headline": "It rose."}
    message = {"code": "headline.rose", "params": {}}
    report = {**REPORT, "decision": decision, "mapping": {"y": "y", "treatment": 3.0}}
    assert through(report, {}).summary["headline"] == '{"text":"It rose.","message":null}'
    summary = through({**report, "messages": {"/decision/headline": message}}, {}).summary
    assert json.loads(str(summary["headline"])) == {"text": "It rose.", "message": message}
    assert (summary["outcome"], summary["treatment"]) == ("y", None)


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        write({**REPORT, "diagnostics": float("nan")}, {}, rows=1, rows_used=1, seconds={})


@pytest.mark.parametrize("size", [0, 1, None, 10**6])
def test_a_reply_whose_parts_are_no_objects_is_refused(size: int | None) -> None:
    body, payload = write(REPORT, {}, rows=3, rows_used=2, seconds={})
    with pytest.raises(TypeError, match="no report"):
        read(Reply(body={**body, "report_bytes": size}, payload=payload))
