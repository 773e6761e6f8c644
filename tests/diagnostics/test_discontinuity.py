from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics.discontinuity import jump_p_value
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.rd.study import study
from tests.diagnostics.looking import judged
from tests.estimators.designs import EFFECT, cross_section, discontinuity

RD = ("rd_local_linear", "rd_fuzzy", "rd_density_test")


def found(data: Data, **settings: object) -> dict[str, object]:
    return judged(data, only=RD, settings=Settings(**settings)).diagnostics["discontinuity"]


def moved(share: float, seed: int = 0) -> Data:
    """Some of those just below the cutoff have come to stand just above it."""
    data = discontinuity(4000, seed)
    rng = np.random.default_rng(seed)
    close = (data.running < data.cutoff) & (data.running > data.cutoff - 0.06) & (rng.random(data.n) < share)
    return replace(data, running=np.where(close, 2 * data.cutoff - data.running, data.running))


def test_a_design_without_a_score_has_no_such_table() -> None:
    reported = judged(cross_section(200)).diagnostics["discontinuity"]
    assert list(reported) == ["reason"]


def test_the_density_test_is_run_where_it_was_not_asked_for() -> None:
    data = discontinuity()
    asked = found(data)["manipulation"]
    other = judged(data, only=["rd_local_linear"]).diagnostics["discontinuity"]["manipulation"]
    assert asked == other
    assert 0 < asked["p_value"] < 1


def test_a_score_without_an_outcome_is_tested_all_the_same() -> None:
    data = replace(discontinuity(), y=np.full(900, np.nan), y_kind="none")
    reported = found(data)
    assert reported["manipulation"]["p_value"] > 0
    assert "No regression discontinuity" in reported["reason"]


def test_each_covariate_is_the_outcome_of_a_study_of_its_own() -> None:
    data = discontinuity()
    reported = found(data)["covariates"]
    plan = Plan(data, Settings())
    sample = plan.sample("y", "running", "covariates")
    for place, row in enumerate(reported["jumps"]):
        alone = study(plan, sample, data.covariates[:, place])
        assert row["covariate"] == f"x{place}"
        assert row["estimate"] == pytest.approx(alone.effect(alone.jump).value, rel=1e-9)
        assert row["h"] == pytest.approx(alone.bandwidths.h * alone.score.unit, rel=1e-9)
    assert reported["adjusted_p_value"] == pytest.approx(min(1.0, 2 * reported["smallest_p_value"]))


def test_a_covariate_that_never_varies_says_so() -> None:
    data = discontinuity()
    data = replace(data, covariates=np.column_stack([data.covariates, np.ones(data.n)]))
    reported = found(replace(data, names={**data.names, "covariates": ("a", "b", "c")}))["covariates"]
    assert reported["jumps"][2] == {"covariate": "c", "reason": "The covariate is constant."}
    assert (reported["tested"], reported["not_tested"]) == (2, 1)
    assert "reason" in found(discontinuity(covariates=False))["covariates"]


def test_the_tables_of_a_fuzzy_design_are_of_the_ratio() -> None:
    judgement = judged(discontinuity(2500, fuzzy=True), only=RD)
    reported = judgement.diagnostics["discontinuity"]
    assert reported["of"] == "rd_fuzzy"
    assert reported["bandwidths"][2]["estimate"] == judgement.estimate("rd_fuzzy").estimate
    assert reported["donut"][0]["estimate"] == pytest.approx(EFFECT, abs=1.0)


def test_treatment_below_the_cutoff_turns_the_tables_too() -> None:
    data = discontinuity()
    data = replace(
        data, treatment=(data.running < data.cutoff).astype(float), treatment_kind="binary",
        names={**data.names, "treatment": ("t",)},
    )  # fmt: skip
    reported = found(data)
    assert reported["bandwidths"][2]["estimate"] < 0
    assert reported["donut"][0]["estimate"] < 0


def test_heavy_manipulation_fails_the_gate_and_holds_the_decision() -> None:
    judgement = judged(moved(0.9), only=RD)
    gate = judgement.gates["manipulation"]
    assert gate.status == "fail"
    assert "just above the cutoff" in gate.reason
    assert judgement.decision.verdict == "HOLD"


def test_rows_that_heap_up_on_the_value_at_the_cutoff_are_found_and_may_be_rounded() -> None:
    data = discontinuity(6000, covariates=False)
    rounded = np.random.default_rng(1).random(data.n) < 0.4
    heaped = replace(data, running=np.where(rounded, np.round(2 * data.running) / 2, np.round(data.running, 3)))
    judgement = judged(heaped, only=RD)
    gate = judgement.gates["manipulation"]
    # The density test takes all rows at the cutoff into an intercept.
    assert judgement.diagnostics["discontinuity"]["manipulation"]["p_value"] > 0.05
    assert gate.status == "fail"
    assert gate.reason.startswith("There is a heap in the score at the cutoff (")
    assert "or of a score that is rounded" in gate.reason
    assert "rounded" not in str(judged(moved(0.9), only=RD).gates["manipulation"].reason)


@pytest.mark.parametrize(
    ("cutoff", "treated", "heap"),
    [(30, "at or above", 30), (30, "above", 31), (30, "at or below", 30), (30, "below", 29)],
)
def test_a_heap_is_looked_for_where_treatment_begins_and_its_rows_are_named(
    cutoff: int, treated: str, heap: int
) -> None:
    rng = np.random.default_rng(5)
    score = np.round(rng.normal(32, 10, 6000))
    inside = {"at or above": score.__ge__, "above": score.__gt__, "at or below": score.__le__, "below": score.__lt__}
    side = 1 if "above" in treated else -1
    moved = np.flatnonzero(np.isin(score, [heap - side, heap - 2 * side]) & (rng.random(6000) < 0.5))
    assert not inside[treated](cutoff)[moved].any()
    score[moved] = heap
    base = discontinuity(6000, covariates=False)
    t = inside[treated](cutoff).astype(float)
    reported = judged(replace(base, running=score, cutoff=float(cutoff), treatment=t, treatment_kind="binary"), only=RD)
    found = reported.diagnostics["discontinuity"]["manipulation"]["heap"]
    counts = [int((score == value).sum()) for value in (heap - 1, heap, heap + 1)]
    assert (found["value"], found["rows"]) == (heap, counts)
    gate = reported.gates["manipulation"]
    assert gate.status == "fail"
    if "heap in" in gate.reason:
        assert f"({counts[1]} rows at the value {heap}, {counts[0]} at the previous value" in gate.reason


def test_a_score_of_too_few_values_for_the_density_test_is_looked_at_all_the_same() -> None:
    rng = np.random.default_rng(2)
    score = rng.integers(0, 14, 3000).astype(float)
    data = replace(discontinuity(3000, covariates=False), running=score, cutoff=7.0)
    assert judged(data, only=RD).gates["manipulation"].status == "pass"
    jumped = np.where((score == 6) & (rng.random(3000) < 0.6), 7.0, score)
    gate = judged(replace(data, running=jumped), only=RD).gates["manipulation"]
    assert gate.status == "fail"
    assert "at the previous value" in gate.reason


def test_a_clean_score_of_many_mass_points_can_go() -> None:
    data = discontinuity(4000)
    # Rounded down, so that no untreated row comes to stand at the cutoff.
    judgement = judged(replace(data, running=np.floor(100 * data.running) / 100), only=RD, assignment="unknown")
    assert judgement.gates["primary_warnings"].status == "pass"
    assert judgement.decision.verdict == "GO", judgement.decision.reasons


def test_rounding_that_puts_untreated_rows_at_the_cutoff_is_noticed() -> None:
    data = discontinuity(4000)
    judgement = judged(replace(data, running=np.round(data.running, 2)), only=RD, assignment="unknown")
    assert judgement.gates["bandwidth_sensitivity"].status == "warn"
    assert judgement.diagnostics["discontinuity"]["donut"][0]["outside"] is True
    assert judgement.decision.verdict == "CANARY"


def test_a_clean_score_of_few_values_cannot() -> None:
    data = discontinuity(4000)
    judgement = judged(replace(data, running=np.round(data.running * 10) / 10), only=RD)
    assert judgement.gates["primary_warnings"].status == "warn"
    assert "between few points" in str(judgement.gates["primary_warnings"].reason)
    assert judgement.decision.verdict == "CANARY"


def test_an_honest_score_rarely_sets_off_the_gates() -> None:
    fired = {"manipulation": 0, "covariate_continuity": 0}
    for seed in range(60):
        gates = judged(discontinuity(800, seed), only=RD).gates
        for name in fired:
            fired[name] += gates[name].status != "pass"
    assert max(fired.values()) <= 9, fired


def test_a_covariate_that_jumps_fails_its_gate_by_name() -> None:
    data = discontinuity(2000)
    x = data.covariates.copy()
    x[:, 1] += 2.0 * (data.running >= data.cutoff)
    gate = judged(replace(data, covariates=x), only=RD).gates["covariate_continuity"]
    assert gate.status == "fail"
    assert gate.reason.startswith("'x1' jumps")


def test_the_gates_of_a_cutoff_do_not_speak_of_other_primaries() -> None:
    gates = judged(cross_section(200)).gates
    assert {gates[name].status for name in ("manipulation", "covariate_continuity")} == {"not_applicable"}
    data = discontinuity(fuzzy=True)
    other = judged(data, requested="difference_in_means").gates["manipulation"]
    assert other.status == "not_applicable"
    assert "is not a regression discontinuity" in other.reason


def test_manipulation_is_judged_where_there_is_no_outcome_and_the_decision_says_why_it_holds() -> None:
    data = replace(moved(0.9), y=np.full(4000, np.nan), y_kind="none")
    judgement = judged(data)
    assert judgement.primary.name is None
    assert judgement.gates["manipulation"].status == "fail"
    assert judgement.decision.verdict == "HOLD"
    none, gate = judgement.decision.reasons
    assert none == "No effect was estimated that could be decided on. No estimator of an effect applies to these data."
    assert gate.startswith("The gate manipulation fails: The density of the score jumps")
    computed = [estimate.name for estimate in judgement.estimates if estimate.estimate is not None]
    assert computed == ["rd_density_test"]
    assert all(estimate.reason for estimate in judgement.estimates if estimate.name not in computed)


def test_the_jump_of_a_column_is_tested_at_its_own_bandwidth() -> None:
    data = discontinuity(2_000)
    plan = Plan(data, Settings())
    rng = np.random.default_rng(0)
    smooth = data.running + rng.standard_normal(2_000)
    assert jump_p_value(plan, smooth) > 0.01
    assert jump_p_value(plan, smooth + 2.0 * (data.running >= data.cutoff)) < 1e-4
    assert jump_p_value(plan, np.where(rng.random(2_000) < 0.3, np.nan, smooth)) > 0.01
    assert jump_p_value(plan, np.full(2_000, np.nan)) is None
