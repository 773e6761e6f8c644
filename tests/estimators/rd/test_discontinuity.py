from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Plan, Settings, run
from tests.estimators.designs import EFFECT, discontinuity, rows
from tests.estimators.rd.cutoffs import ENTRIES, answer, bare, clustered, refused, same, scored


def test_a_score_of_too_few_values_for_an_order_is_refused() -> None:
    data = bare()
    few = replace(data, running=np.where(data.running < 0.5, np.round(data.running * 10) / 10, data.running))
    assert answer(few, rd_order=1).estimate is not None
    assert run(ENTRIES["rd_local_linear"], Plan(few, Settings(rd_order=8))).status == "skipped"


def test_errors_that_a_cluster_shares_across_the_cutoff_cancel_in_the_jump() -> None:
    data = clustered(nested=False)
    shared = np.random.default_rng(4).standard_normal(60)[data.clusters[0]]
    noisy = replace(data, y=data.y + 5 * shared)
    result = answer(noisy)
    apart = result.diagnostics["standard_errors"]["CCT robust (CRV1, clusters end at the cutoff)"]
    assert result.standard_error < 0.8 * apart


def test_rows_in_no_cluster_of_their_own_are_clustered_by_unit() -> None:
    data = bare()
    result = answer(replace(data, unit=np.arange(data.n) // 3))
    assert result.se_method == "CCT robust (CRV1) by unit"
    assert answer(replace(data, unit=np.arange(data.n) // 3), se="HC1").se_method == "CCT robust (HC1)"


def test_a_score_that_runs_the_other_way_changes_the_sign() -> None:
    data = bare()
    mirrored = replace(data, running=-data.running, cutoff=-data.cutoff)
    same(answer(data), answer(mirrored), factor=-1.0)


def test_the_unit_of_the_score_changes_nothing() -> None:
    data = bare()
    for factor in (1e-120, 3.0, 1e120):
        scaled = replace(data, running=data.running * factor, cutoff=data.cutoff * factor)
        same(answer(data), answer(scaled))
        assert answer(scaled).diagnostics["h"] == pytest.approx(factor * answer(data).diagnostics["h"], rel=1e-9)


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("strict", [False, True])
def test_a_treatment_that_the_cutoff_decides_is_sharp_in_its_own_direction(below: bool, strict: bool) -> None:
    data = scored("whole numbers", 2000, 5, 3.0)
    above = data.running > 3.0 if strict else data.running >= 3.0
    treated = replace(
        data,
        treatment=(above != below).astype(float),
        treatment_kind="binary",
        names={**data.names, "treatment": ("t",)},
    )
    plain = replace(data, cutoff=3.5) if strict else data
    result = answer(treated)
    if not strict:
        same(answer(plain), result, factor=-1.0 if below else 1.0)
    assert result.estimate * (-1 if below else 1) > 0
    sign = {(False, False): ">=", (False, True): ">", (True, False): "<", (True, True): "<="}[below, strict]
    assert f"All rows with score {sign} 3 are treated." in result.diagnostics["notes"]
    assert "see rd_local_linear" in refused(treated, "rd_fuzzy")


def test_imperfect_compliance_is_fuzzy_and_says_so() -> None:
    data = discontinuity(2000, fuzzy=True)
    assert "rd_fuzzy" in refused(data)
    assert "agrees with the side for 8" in refused(data)
    result = answer(data, "rd_fuzzy")
    assert result.estimand == "LATE at the cutoff"
    reported = result.diagnostics
    jump = reported["outcome_jump"]["estimate"] / reported["treatment_jump"]
    assert result.estimate == pytest.approx(jump, rel=1e-9)
    assert reported["first_stage_f"] > 50
    (low, high), = reported["anderson_rubin_robust"]["intervals"]  # fmt: skip
    assert low < EFFECT < high
    assert abs(low - result.ci_lower) < 0.3 * result.standard_error


def test_a_treatment_that_does_not_jump_is_called_weak_and_its_set_unbounded() -> None:
    data = discontinuity(1500, fuzzy=True)
    random = replace(data, treatment=(np.random.default_rng(6).random(data.n) < 0.5).astype(float))
    result = answer(random, "rd_fuzzy")
    assert result.status == "warning"
    assert any("hardly jumps" in warning for warning in result.warnings)
    assert result.diagnostics["anderson_rubin_robust"]["kind"] in ("whole line", "two rays")


def test_the_estimate_and_its_interval_say_that_they_have_different_centres() -> None:
    result = answer(bare())
    reported = result.diagnostics
    assert (result.ci_lower + result.ci_upper) / 2 == pytest.approx(reported["bias_corrected"])
    assert sum(reported["conventional_ci"]) / 2 == pytest.approx(result.estimate)
    assert any("need not be centred" in note for note in reported["notes"])
    lines = reported["lines"]
    assert lines["above"]["at_cutoff"] - lines["below"]["at_cutoff"] == pytest.approx(result.estimate)


def test_the_lines_are_those_of_weighted_least_squares() -> None:
    import statsmodels.api as sm

    data = bare()
    reported = answer(data).diagnostics
    away = data.running - data.cutoff
    kernel = np.maximum(1 - np.abs(away) / reported["h"], 0)
    for name, side in (("below", away < 0), ("above", away >= 0)):
        fit = sm.WLS(data.y[side], sm.add_constant(away[side]), weights=kernel[side]).fit()
        assert list(reported["lines"][name].values()) == pytest.approx(list(fit.params), rel=1e-8)


def test_sides_without_enough_values_are_named() -> None:
    data = bare()
    assert "No row has 'score' at or above the cutoff 9" in refused(replace(data, cutoff=9.0))
    few = replace(data, running=np.where(data.running < 0.5, 0.0, data.running))
    assert "1 distinct value below the cutoff 0.5" in refused(few)
    assert "Only 12 rows" in refused(rows(data, np.arange(12)))
    effects = replace(data, fixed_effects=(np.arange(data.n) % 5,), names={**data.names, "fixed_effects": ("g",)})
    assert "fixed effects" in refused(effects)


def test_few_values_near_the_cutoff_lead_to_a_warning() -> None:
    rng = np.random.default_rng(9)
    age = rng.integers(0, 12, 4000).astype(float)
    data = replace(bare(n=4000), running=age, cutoff=6.0)
    data = replace(data, y=age / 5 + (age >= 6) + rng.standard_normal(4000))
    result = answer(data)
    assert result.status == "warning"
    assert any("mass points (12 distinct values" in note for note in result.diagnostics["notes"])
    assert any("extrapolation between few points" in warning for warning in result.warnings)
    assert result.ci_lower < 1.0 < result.ci_upper


def test_mass_points_are_no_warning_where_the_bandwidth_holds_many_of_them() -> None:
    data = bare()
    result = answer(replace(data, running=np.round(data.running, 2)))
    assert min(result.diagnostics["distinct_h"]) >= 10
    assert any("mass points" in note for note in result.diagnostics["notes"])
    assert (result.status, result.warnings) == ("ok", ())


def test_an_outcome_that_jumps_without_error_has_no_made_up_certainty() -> None:
    data = bare()
    result = answer(replace(data, y=1.0 + 2.0 * (data.running >= data.cutoff)))
    assert result.estimate == pytest.approx(2.0, abs=1e-9)
    assert result.standard_error is None or result.standard_error < 1e-6


def test_standard_errors_without_meaning_here_are_replaced_and_said() -> None:
    data = bare()
    for asked in ("iid", "CRV1", "CRV3"):
        result = answer(data, se=asked)
        same(answer(data), result)
        assert any(asked in note for note in result.diagnostics["notes"])
    assert any("CRV3" in note for note in answer(clustered(nested=False), se="CRV3").diagnostics["notes"])


def test_few_clusters_lead_to_a_warning_and_one_has_no_error() -> None:
    data = bare()
    few = answer(replace(data, clusters=(np.arange(data.n) % 12,)))
    assert any("12 clusters within the bandwidth" in warning for warning in few.warnings)
    one = answer(replace(data, clusters=(np.zeros(data.n, dtype=np.int64),)))
    assert one.status == "warning"
    assert (one.standard_error, one.ci_lower, one.p_value) == (None, None, None)
