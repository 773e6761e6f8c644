from dataclasses import replace

import numpy as np
import pytest

from cqox.analysis.report import ContrastResult, assemble
from cqox.contract import Decision, Gate, Options
from cqox.estimators import Data, Estimate, Plan, Settings


def estimate(name: str, status: str = "ok", **more: object) -> Estimate:
    numbers = {"estimate": 1.0, "standard_error": 0.5} if status in ("ok", "warning") else {}
    return Estimate(**{"name": name, "family": "f", "estimand": "ATE", "status": status, **numbers, **more})


def contrast(*estimates: Estimate, rows: int = 10, label: str | None = None, verdict: str = "HOLD") -> ContrastResult:
    data = Data(n=rows, y=np.zeros(rows), row_key=np.arange(rows, dtype=np.uint64))
    decision = Decision(
        verdict=verdict, primary="aipw", primary_rule="r", better="higher", minimum_effect=0.0, estimates_computed=1,
        note="n",
    )  # fmt: skip
    gates = {"overlap": Gate(status="pass", rule="r")}
    return ContrastResult(
        label=label, rows=rows, plan=Plan(data, Settings()), estimates=estimates, diagnostics={"rows": rows},
        gates=gates, decision=decision, identification=None,
    )  # fmt: skip


def report(*results: ContrastResult, notes: tuple[str, ...] = ()) -> dict[str, object]:
    return assemble({"y": "y", "covariates": ("a", "b")}, Options(seed=3), results, notes=notes)


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        (("ok", "ok"), "ok"), (("ok", "skipped"), "ok"), (("ok", "failed"), "warning"), (("ok", "warning"), "warning"),
        (("warning",), "warning"), (("failed", "skipped"), "failed"), (("skipped",), "failed"), ((), "failed"),
    ],
)  # fmt: skip
def test_a_report_fails_without_any_number_and_warns_where_one_is_in_doubt(
    statuses: tuple[str, ...], status: str
) -> None:
    assert report(contrast(*(estimate(f"e{at}", each) for at, each in enumerate(statuses))))["status"] == status


def test_the_request_is_repeated_as_json() -> None:
    made = report(contrast(estimate("aipw")))
    assert made["mapping"] == {"y": "y", "covariates": ["a", "b"]}
    assert made["options"] == Options(seed=3).model_dump(mode="json")


def test_estimates_come_in_order_with_their_numbers_under_the_old_names_too() -> None:
    one = estimate("aipw", ci_lower=0.1, ci_upper=None, diagnostics={"k": 1}, warnings=("w",), n=9)
    made = report(contrast(one, estimate("ols", "failed", reason="singular")))
    first, second = made["estimates"]
    assert (first["name"], first["estimate"], first["n"], first["contrast"]) == ("aipw", 1.0, 9, None)
    assert (first["diagnostics"], first["warnings"]) == ({"k": 1}, ["w"])
    assert (second["status"], second["reason"], second["estimate"]) == ("failed", "singular", None)
    assert "influence" not in first
    assert made["results"][0] == {
        "name": "aipw", "tau_hat": 1.0, "se": 0.5, "ci_lower": 0.1, "ci_upper": None, "status": "ok",
    }  # fmt: skip


def test_warnings_and_errors_are_named_by_their_estimator_each_once() -> None:
    made = report(
        contrast(estimate("aipw", "warning", warnings=("w", "w")), estimate("ols", "failed", reason="singular")),
    )
    assert made["warnings"] == ["aipw: w"]
    assert made["errors"] == ["ols: singular"]


def test_of_several_contrasts_the_one_with_the_most_rows_decides_and_the_others_are_kept() -> None:
    small = contrast(estimate("aipw"), rows=5, label="b - a", verdict="GO")
    large = contrast(estimate("aipw"), rows=50, label="c - a", verdict="CANARY")
    made = report(small, large)
    assert made["decision"]["verdict"] == "CANARY"
    assert made["diagnostics"]["rows"] == 50
    assert list(made["diagnostics"]["contrasts"]) == ["b - a"]
    assert made["diagnostics"]["contrasts"]["b - a"]["decision"]["verdict"] == "GO"
    assert made["diagnostics"]["contrasts"]["b - a"]["diagnostics"] == {"rows": 5}
    assert [each["contrast"] for each in made["estimates"]] == ["b - a", "c - a"]
    assert any("c - a" in note for note in made["notes"])
    assert "contrasts" not in report(large)["diagnostics"]


def test_of_contrasts_of_equal_size_the_first_decides() -> None:
    first, second = contrast(estimate("aipw"), label="1", verdict="GO"), contrast(estimate("aipw"), label="2")
    assert report(first, second)["decision"]["verdict"] == "GO"


def test_notes_are_given_once_with_those_of_the_primary_estimate_behind_them() -> None:
    primary = estimate("aipw", diagnostics={"notes": ["from here", 3, "from here"]})
    other = estimate("ols", diagnostics={"notes": ["not this"]})
    assert report(contrast(primary, other), notes=("a", "b", "a"))["notes"] == ["a", "b", "aipw: from here"]
    without = replace(contrast(primary), estimates=(other,))
    assert report(without, notes=("a",))["notes"] == ["a"]
