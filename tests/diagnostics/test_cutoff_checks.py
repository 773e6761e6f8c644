import pytest

from cqox.diagnostics import cutoff_checks as checks
from cqox.estimators import Estimate, Json
from tests.diagnostics.looking import sentence

MANIPULATED = ("gates.manipulated", {})
ROUNDED = ("gates.manipulated-or-rounded", {})
NO_PRIMARY = ("gates.no-primary", {})
OTHER = Estimate(name="aipw", family="doubly_robust", estimand="ATE", status="ok", estimate=1.0)


def estimate(value: float | None = 1.0) -> Estimate:
    return Estimate(name="rd_sharp", family="discontinuity", estimand="LATE at the cutoff", status="ok", estimate=value)


def density(p_value: float | None, heap: dict[str, Json] | None = None, **more: Json) -> dict[str, Json]:
    found: dict[str, Json] = {"p_value": p_value, "density_below": 0.25, "density_above": 0.5, **more}
    if heap is not None:
        found["heap"] = heap
    return {"discontinuity": {"manipulation": found}}


def heaped(shape: str, rows: int, *, value: float, before: int = 10, after: int = 12) -> tuple[str, dict[str, object]]:
    counts = {"rows": rows, "before": before, "after": after}
    return f"gates.{shape}-at-cutoff", {**counts, "value": value, "evidence": ROUNDED}


def covariates(**found: Json) -> dict[str, Json]:
    return {"discontinuity": {"covariates": found}}


@pytest.mark.parametrize(
    ("p_value", "status"),
    [(1.0, "pass"), (0.01, "pass"), (0.0099, "warn"), (0.001, "warn"), (0.00099, "fail"), (0.0, "fail")],
)
def test_a_jump_of_the_density_warns_below_a_hundredth_and_fails_below_a_thousandth(
    p_value: float, status: str
) -> None:
    gate = checks.manipulation(density(p_value), estimate())
    assert (gate.status, gate.value, gate.threshold) == (status, p_value, 0.01)
    assert (gate.reason is None) == (status == "pass")
    gate = checks.continuity(
        covariates(adjusted_p_value=p_value, jumps=[{"covariate": "x", "p_value": 0.1}]), estimate()
    )
    assert (gate.status, gate.value, gate.threshold) == (status, p_value, 0.01)
    assert (gate.reason is None) == (status == "pass")


def test_the_rules_name_their_level_and_where_they_fail() -> None:
    for gate in (checks.manipulation({}, None), checks.continuity({}, None)):
        assert "at least 0.01; fails below 0.001." in gate.rule


def test_a_jump_is_described_by_the_densities_of_both_sides() -> None:
    up = checks.manipulation(density(0.005), estimate())
    assert sentence(up.reason) == ("gates.density-jumps-above", {"below": 0.25, "above": 0.5, "evidence": MANIPULATED})
    down = checks.manipulation(density(0.005, density_below=0.5, density_above=0.25), estimate())
    assert sentence(down.reason) == (
        "gates.density-jumps-below", {"below": 0.5, "above": 0.25, "evidence": MANIPULATED}
    )  # fmt: skip
    unknown = checks.manipulation(density(0.005, density_below=None, density_above=None), estimate())
    assert sentence(unknown.reason) == (
        "gates.density-jumps-below", {"below": 0.0, "above": 0.0, "evidence": MANIPULATED}
    )  # fmt: skip


def test_the_sentence_about_a_jump_reads_well() -> None:
    gate = checks.manipulation(density(0.005), estimate())
    assert gate.reason == (
        "The density of the score jumps just above the cutoff (0.25 below, 0.5 above), which is evidence of "
        "manipulation."
    )


def test_two_tests_of_the_density_are_corrected_for_their_number() -> None:
    gate = checks.manipulation(density(0.4, {"p_value": 0.03}), estimate())
    assert gate.value == pytest.approx(0.06)
    assert gate.status == "pass"
    gate = checks.manipulation(density(0.9, {"p_value": 0.8}), estimate())
    assert gate.value == 1.0
    gate = checks.manipulation(density(None, {"p_value": 0.03}), estimate())
    assert gate.value == pytest.approx(0.03)


def test_the_smaller_p_value_gives_the_reason() -> None:
    heap: dict[str, Json] = {"p_value": 0.0001, "rows": [10, 90, 12], "value": 50.0}
    gate = checks.manipulation(density(0.4, heap), estimate())
    assert (gate.status, gate.value) == ("fail", pytest.approx(0.0002))
    assert sentence(gate.reason) == heaped("heap", 90, value=50.0)
    assert gate.reason == (
        "There is a heap in the score at the cutoff (90 rows at the value 50, 10 at the previous value, 12 at the "
        "next), which is evidence of manipulation, or of a score that is rounded and heaps at round values."
    )
    gate = checks.manipulation(density(0.00001, heap), estimate())
    assert sentence(gate.reason) == ("gates.density-jumps-above", {"below": 0.25, "above": 0.5, "evidence": ROUNDED})


@pytest.mark.parametrize(("at", "shape"), [(90, "heap"), (12, "heap"), (11, "gap"), (0, "gap")])
def test_units_heap_where_the_cutoff_has_more_than_the_mean_of_its_neighbours(at: int, shape: str) -> None:
    gate = checks.manipulation(density(None, {"p_value": 0.001, "rows": [10, at, 12], "value": -1.5}), estimate())
    assert sentence(gate.reason) == heaped(shape, at, value=-1.5)


def test_a_heap_without_counts_still_has_a_reason() -> None:
    gate = checks.manipulation(density(None, {"p_value": 0.001}), estimate())
    assert sentence(gate.reason) == heaped("gap", 0, value=0.0, before=0, after=0)
    gate = checks.manipulation(density(None, {"p_value": 0.001, "rows": [None, 5, None]}), estimate())
    assert sentence(gate.reason) == heaped("heap", 5, value=0.0, before=0, after=0)


def test_manipulation_is_checked_without_a_primary_where_the_test_was_computed() -> None:
    assert checks.manipulation(density(0.005), None).status == "warn"
    gate = checks.manipulation({}, None)
    assert (gate.status, sentence(gate.reason)) == ("not_applicable", NO_PRIMARY)
    gate = checks.manipulation(density(None), None)
    assert (gate.status, sentence(gate.reason)) == ("not_applicable", ("gates.no-density-test", {}))
    gate = checks.manipulation({}, estimate())
    assert (gate.status, sentence(gate.reason)) == ("not_applicable", ("gates.no-density-test", {}))
    gate = checks.manipulation(density(None, reason="Too few rows."), estimate())
    assert (gate.status, gate.reason) == ("not_applicable", "Too few rows.")


def test_checks_at_the_cutoff_do_not_matter_to_other_designs() -> None:
    for gate in (
        checks.manipulation(density(0.0), OTHER),
        checks.continuity(covariates(adjusted_p_value=0.0), OTHER),
    ):
        assert gate.status == "not_applicable"
        assert sentence(gate.reason) == ("gates.no-discontinuity", {"primary": "aipw"})


def test_a_covariate_that_jumps_is_named() -> None:
    jumps: list[Json] = [
        {"covariate": "age", "p_value": 0.02},
        {"covariate": "income", "p_value": 0.0001},
        {"covariate": "untested", "p_value": None},
        {"covariate": "height", "p_value": 0.5},
        "not a row",
    ]
    gate = checks.continuity(covariates(adjusted_p_value=0.0003, jumps=jumps), estimate())
    assert (gate.status, gate.value) == ("fail", 0.0003)
    assert sentence(gate.reason) == ("gates.covariate-jumps", {"covariate": "income"})
    gate = checks.continuity(covariates(adjusted_p_value=0.005, jumps=[{"p_value": 0.01}]), estimate())
    assert sentence(gate.reason) == ("gates.covariate-jumps", {"covariate": ("gates.some-covariate", {})})


def test_without_a_test_of_covariates_there_is_nothing_to_check() -> None:
    assert sentence(checks.continuity({}, estimate()).reason) == ("gates.no-covariate-jump", {})
    assert checks.continuity(covariates(reason="No covariate."), estimate()).reason == "No covariate."
    for without in (None, estimate(None)):
        gate = checks.continuity(covariates(adjusted_p_value=0.0), without)
        assert (gate.status, sentence(gate.reason)) == ("not_applicable", NO_PRIMARY)


def placebos(p_value: float | None) -> dict[str, Json]:
    rows: list[Json] = [{"cutoff": 3.0, "p_value": 0.2}, {"cutoff": 4.5, "p_value": 1e-6}]
    return {"discontinuity": {"placebo_cutoffs": {"adjusted_p_value": p_value, "cutoffs": rows}}}


@pytest.mark.parametrize(("p_value", "status"), [(0.01, "pass"), (0.0099, "warn"), (0.00099, "fail")])
def test_a_jump_at_a_placebo_cutoff_is_named_by_its_place(p_value: float, status: str) -> None:
    gate = checks.placebo_cutoffs(placebos(p_value), estimate())
    assert (gate.status, gate.value, gate.threshold) == (status, p_value, 0.01)
    if status != "pass":
        assert sentence(gate.reason) == ("gates.placebo-cutoff-jumps", {"cutoff": 4.5})


def differing(p_value: float | None, low: float = 0.1) -> dict[str, Json]:
    found: dict[str, Json] = {"estimate": 0.4, "ci_lower": low, "ci_upper": 0.7, "difference_p_value": p_value}
    wider: dict[str, Json] = {"times": 2.0, "difference_p_value": 1e-9, "estimate": 9.0}
    return {"discontinuity": {"curvature": found, "bandwidths": [{"times": 0.5, **found}, wider]}}


@pytest.mark.parametrize(("check", "code"), [
    (checks.polynomial_order, "gates.orders-differ"), (checks.bandwidth_sensitivity, "gates.bandwidths-differ"),
])  # fmt: skip
@pytest.mark.parametrize(("p_value", "low", "status"), [
    (0.01, -0.1, "pass"), (0.0099, -0.1, "warn"), (0.0009, 0.1, "warn"), (0.0009, -0.1, "fail"),
])  # fmt: skip
def test_another_specification_warns_where_it_differs_and_fails_where_no_effect_is_left(
    check: object, code: str, p_value: float, low: float, status: str
) -> None:
    gate = check(differing(p_value, low), estimate())
    assert (gate.status, gate.value, gate.threshold) == (status, p_value, 0.01)
    if status != "pass":
        assert sentence(gate.reason) == (code, {"estimate": 1.0, "other": 0.4})


def test_a_negative_effect_is_gone_where_the_other_interval_reaches_zero_from_below() -> None:
    found = differing(0.0001, -0.7)
    found["discontinuity"]["curvature"]["ci_upper"] = -0.1
    assert checks.polynomial_order(found, estimate(-1.0)).status == "warn"
    found["discontinuity"]["curvature"]["ci_upper"] = 0.1
    assert checks.polynomial_order(found, estimate(-1.0)).status == "fail"


@pytest.mark.parametrize("check", [checks.placebo_cutoffs, checks.polynomial_order, checks.bandwidth_sensitivity])
def test_what_was_not_computed_or_is_no_cutoff_is_not_judged(check: object) -> None:
    assert check({}, estimate()).status == "not_applicable"
    assert sentence(check({}, None).reason) == NO_PRIMARY
    assert sentence(check({}, OTHER).reason) == ("gates.no-discontinuity", {"primary": "aipw"})
