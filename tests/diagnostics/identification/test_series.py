"""Assumptions of an interrupted series."""

import pytest

from cqox.contract import Assumption
from cqox.diagnostics.identification.series import series_assumptions
from cqox.estimators import Json
from tests.diagnostics.identification.judging import judged

TREND: dict[str, Json] = {
    "placebo_dates": {"dates": 12, "p_value": 0.4},
    "breaks": {"p_value": 0.5, "detectable_bias": 0.6},
    "curvature": {"p_value": 0.2, "detectable_bias": 0.9, "largest_bias": 0.8},
}


def entries(checks: dict[str, Json] | None = None, **options: object) -> dict[str, Assumption]:
    diagnostics: dict[str, Json] = {} if checks is None else {"series_checks": checks}
    given = judged("interrupted_series", "interrupted_series", diagnostics=diagnostics, **options)
    return {entry.name: entry for entry in series_assumptions(given)}


def controls(p_value: float, detectable: float) -> dict[str, Json]:
    row: dict[str, Json] = {"column": "other", "estimate": 0.1, "p_value": p_value, "detectable_effect": detectable}
    return {"control_series": {"series": [row], "p_value": p_value, "detectable_effect": detectable}}


def test_nothing_is_backed_until_it_is_tested_or_declared() -> None:
    found = entries()
    assert [(name, entry.status) for name, entry in found.items()] == [
        ("no_concurrent_event", "untested"),
        ("stable_trend", "untested"),
    ]
    assert all(entry.remedy for entry in found.values())


def test_a_declaration_backs_what_no_test_contradicts() -> None:
    found = entries(assumes=["no_concurrent_event", "stable_trend"])
    assert [entry.status for entry in found.values()] == ["declared", "declared"]


@pytest.mark.parametrize(
    ("p_value", "detectable", "status"),
    [(0.3, 0.8, "supported"), (0.3, 1.2, "untested"), (0.03, 0.8, "untested"), (0.005, 0.8, "contradicted")],
)
def test_a_control_series_speaks_of_concurrent_events(p_value: float, detectable: float, status: str) -> None:
    found = entries(controls(p_value, detectable))["no_concurrent_event"]
    assert found.status == status
    assert "'other'" in found.evidence[0]
    declared = entries(controls(p_value, detectable), assumes=["no_concurrent_event"])["no_concurrent_event"]
    assert declared.status == ("declared" if status == "untested" else status)


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, "supported"),
        ({"curvature": {"p_value": 0.2, "detectable_bias": 1.1, "largest_bias": 0.8}}, "untested"),
        ({"curvature": {"p_value": 0.2, "detectable_bias": 0.9, "largest_bias": 1.1}}, "untested"),
        ({"breaks": {"p_value": 0.01, "detectable_bias": 0.6}}, "untested"),
        ({"breaks": {"p_value": 0.02, "detectable_bias": 0.6}}, "supported"),
        ({"placebo_dates": {"dates": 12, "p_value": 0.0002}}, "contradicted"),
        ({"placebo_dates": {}}, "untested"),
    ],
)
def test_the_trend_before_speaks_of_the_trend_after(changed: dict[str, Json], status: str) -> None:
    found = entries(TREND | changed)["stable_trend"]
    assert found.status == status
    assert any("'supported' needs" in str(sentence) for sentence in found.evidence) == (status == "untested")


def test_the_condition_that_is_not_met_is_named_with_both_numbers() -> None:
    changed: dict[str, Json] = {"curvature": {"p_value": 0.2, "detectable_bias": 1.1, "largest_bias": 0.8}}
    assert str(entries(TREND | changed)["stable_trend"].evidence[-1]) == (
        "'supported' needs a detectable or possible bias of less than 1, the distance of the estimate from the minimum "
        "effect; it is up to 1.1."
    )
    assert "'supported' needs p of 0.05 or more" in entries(controls(0.03, 0.8))["no_concurrent_event"].evidence[-1]


def test_every_test_of_the_trend_has_a_sentence() -> None:
    found = entries(TREND)["stable_trend"]
    assert [sentence.code.rpartition(".")[2] for sentence in found.evidence] == [
        "placebo-dates", "trend-breaks", "trend-curvature",
    ]  # fmt: skip
