import warnings
from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from tests.estimators.designs import EFFECT, factor_panel, panel, rows

ENTRIES = {entry.name: entry for entry in catalog()}
NAMES = ("synthetic_control", "synthetic_control_augmented", "synthetic_did")


def answer(name: str, data: Data, **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def refused(name: str, data: Data) -> str:
    result = run(ENTRIES[name], Plan(data, Settings()))
    assert result.status == "skipped", result.estimate
    return result.reason


def outcomes(data: Data, treated: int) -> tuple[np.ndarray, np.ndarray]:
    """(periods, donors), and the (periods,) mean of the treated units."""
    wide = data.y.reshape(-1, int(data.time.max()) + 1)
    return wide[treated:].T, wide[:treated].mean(axis=0)


def weights_of(result: Estimate, units: int) -> np.ndarray:
    weights = np.zeros(units)
    for row in result.diagnostics["donor_weights"]:
        weights[row["unit"]] = row["weight"]
    return weights


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("treated", [1, 3, 12])
def test_a_known_effect_is_found(name: str, treated: int):
    result = answer(name, factor_panel(40, 60, treated=treated, before=40, noise=0.2))
    assert result.estimate == pytest.approx(EFFECT, abs=0.25)
    assert result.ci_lower < EFFECT < result.ci_upper
    assert result.diagnostics["treated_units"] == treated


def test_the_weights_are_those_of_pysyncon():
    import pandas as pd
    from pysyncon import Synth

    data = factor_panel(treated=1)
    donors, own = outcomes(data, 1)
    past, target = pd.DataFrame(donors[:20]), pd.Series(own[:20], name="treated")
    # It divides each period by its standard deviation, which these importances undo.
    importance = np.column_stack([donors, own])[:20].var(axis=1, ddof=1)
    peer = Synth()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer.fit(X0=past, X1=target, Z0=past, Z1=target, custom_V=importance / importance.sum())
    result = answer("synthetic_control", data)
    ours, theirs = weights_of(result, 21)[1:], np.asarray(peer.W, dtype=float)
    # Its minimiser stops early: the weights are near each other, and ours are the better.
    np.testing.assert_allclose(ours, theirs, atol=0.02)
    assert np.sum((donors[:20] @ ours - own[:20]) ** 2) <= np.sum((donors[:20] @ theirs - own[:20]) ** 2) + 1e-6


def test_the_augmented_weights_are_those_of_pysyncon():
    import pandas as pd
    from pysyncon import AugSynth, Dataprep

    data = factor_panel(treated=1)
    table = pd.DataFrame({"y": data.y, "unit": data.unit, "time": data.time})
    prepared = Dataprep(
        foo=table, predictors=["y"], predictors_op="mean", dependent="y", unit_variable="unit", time_variable="time",
        treatment_identifier=0, controls_identifier=list(range(1, 21)), time_predictors_prior=range(20),
        time_optimize_ssr=range(20),
    )  # fmt: skip
    result = answer("synthetic_control_augmented", data)
    peer = AugSynth()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer.fit(prepared, lambda_=result.diagnostics["ridge"], use_covariates=False)
    np.testing.assert_allclose(weights_of(result, 21)[1:], np.asarray(peer.W, dtype=float), atol=3e-3)


def test_synthetic_did_and_its_jackknife_are_those_of_synthdid():
    """Stored from synthdid-py 0.1.0, a port of the R package, whose minimiser stops at 1e-3 of it."""
    result = answer("synthetic_did", factor_panel(25, 24, treated=12, before=16))
    assert result.se_method == "jackknife"
    assert result.estimate == pytest.approx(1.94759, abs=2e-4)
    assert result.standard_error == pytest.approx(0.119771, abs=2e-4)


def test_synthetic_did_with_few_treated_units_takes_its_error_from_placebos():
    result = answer("synthetic_did", factor_panel(treated=1))
    assert result.se_method == "placebo (20 groups of untreated units)"
    assert 0 < result.diagnostics["p_value_placebo"] <= 1
    times = sum(row["weight"] for row in result.diagnostics["time_weights"])
    assert times == pytest.approx(1, abs=1e-4)


def test_the_p_value_is_the_rank_among_placebos():
    result = answer("synthetic_control", factor_panel(treated=1, effect=10.0))
    space = result.diagnostics["placebo_in_space"]
    assert (space["placebos"], space["rank"], result.p_value) == (20, 1, pytest.approx(1 / 21))
    assert space["p_value_well_fitted"] == pytest.approx(1 / (1 + space["well_fitted"]))
    assert len(space["gaps"]) == 20
    assert len(space["gaps"][0]["gaps"]) == len(result.diagnostics["periods"]) == 30
    nothing = answer("synthetic_control", factor_panel(treated=1, effect=0.0))
    assert nothing.p_value > 0.1


def test_a_placebo_is_the_synthetic_control_of_the_donor_among_the_others():
    data = factor_panel(treated=1, donors=8)
    alone = data.rows(np.flatnonzero(data.unit >= 1))
    posed = replace(alone, treatment=((alone.unit == 1) & (alone.time >= 20)).astype(float))
    own = answer("synthetic_control", posed)
    placebos = answer("synthetic_control", data).diagnostics["placebo_in_space"]["gaps"]
    gaps = next(placebo["gaps"] for placebo in placebos if placebo["units"] == [1])
    np.testing.assert_allclose(gaps, [row["gap"] for row in own.diagnostics["periods"]], atol=1e-6)


def test_the_conformal_interval_holds_what_its_test_does_not_reject():
    data = factor_panel(treated=1)
    result = answer("synthetic_control", data, alpha=0.1)
    for effect, inside in ((result.ci_lower + 1e-3, True), (result.ci_lower - 1e-3, False),
                           (result.ci_upper - 1e-3, True), (result.ci_upper + 1e-3, False)):  # fmt: skip
        supposed = replace(data, y=data.y - effect * data.treatment)
        p_value = answer("synthetic_control", supposed).diagnostics["conformal"]["p_value"]
        assert (p_value > 0.1) == inside


def test_the_augmented_interval_is_what_held_out_periods_are_missed_by():
    data = factor_panel(treated=1)
    result = answer("synthetic_control_augmented", data)
    assert result.diagnostics["conformal"]["method"] == "held-out periods"
    assert result.ci_upper - result.estimate == pytest.approx(result.estimate - result.ci_lower)
    far = answer("synthetic_control_augmented", replace(data, y=data.y + 100 * data.treatment))
    assert far.diagnostics["conformal"]["p_value"] == pytest.approx(1 / 21)
    assert far.ci_upper - far.estimate == pytest.approx(result.ci_upper - result.estimate)


def test_few_periods_before_treatment_widen_the_interval_by_the_stricter_test():
    data = factor_panel(periods=16, before=10)
    result = answer("synthetic_control", data)
    assert result.diagnostics["conformal"]["method"] == "constant effect, random permutations"
    assert result.ci_lower < answer("synthetic_control", data, alpha=0.1).ci_lower


def test_an_earlier_start_shows_no_gap_where_there_is_none():
    time = answer("synthetic_control", factor_panel(treated=1)).diagnostics["placebo_in_time"]
    assert time["first_treated_period"] == 2000
    assert abs(time["average_gap"]) < 0.6


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_treated_unit_beyond_all_donors_is_said_to_have_none_that_fits(name: str):
    data = factor_panel(treated=1)
    far = replace(data, y=data.y + 12 * (data.unit == 0) * (1 + np.sin(data.time)))
    assert not any("The donors fit poorly" in warning for warning in answer(name, data).warnings)
    assert any("The donors fit poorly" in warning for warning in answer("synthetic_control", far).warnings)


def test_units_that_miss_a_period_are_left_out_and_counted():
    data = factor_panel(treated=3)
    holed = rows(data, np.flatnonzero(~((data.unit == 5) & (data.time == 3))))
    result = answer("synthetic_control", holed)
    assert result.n == data.n - 30
    assert any("1 untreated unit is not observed" in note for note in result.diagnostics["notes"])
    holed = rows(data, np.flatnonzero(~((data.unit == 1) & (data.time == 3))))
    result = answer("synthetic_control", holed)
    assert result.diagnostics["treated_units"] == 2
    assert any("1 of 3 treated units" in warning for warning in result.warnings)


def test_a_period_that_the_only_treated_unit_misses_is_left_out():
    data = factor_panel(treated=1)
    result = answer("synthetic_control", rows(data, np.flatnonzero(~((data.unit == 0) & (data.time == 3)))))
    assert result.n == data.n - 21
    assert len(result.diagnostics["periods"]) == 29


@pytest.mark.parametrize("name", NAMES)
def test_designs_that_it_cannot_read_are_refused_with_what_to_do(name: str):
    data = factor_panel()
    assert "did_callaway_santanna" in refused(name, panel(staggered=True))
    ended = replace(data, treatment=data.treatment * (data.time < 25))
    assert "stay treated" in refused(name, ended)
    everyone = replace(data, treatment=(data.time >= 20).astype(float))
    assert "never-treated units" in refused(name, everyone)
    assert "at least 2" in refused(name, rows(data, np.flatnonzero(data.unit <= 3)))
    assert "(rows 691)" in refused(name, rows(data, np.append(np.arange(data.n), 5)))
    assert "leave out 'weights'" in refused(name, replace(data, weights=np.ones(data.n)))
    assert "before" in refused(name, rows(data, np.flatnonzero(data.time >= 20)))


def test_donors_are_called_by_their_names():
    data = factor_panel()
    named = replace(data, unit_labels=tuple(f"県{code}" for code in range(23)))
    left, right = answer("synthetic_control", data), answer("synthetic_control", named)
    pairs = zip(left.diagnostics["donor_weights"], right.diagnostics["donor_weights"], strict=True)
    for code, name in pairs:
        assert name == {"unit": f"県{code['unit']}", "weight": code["weight"]}


@pytest.mark.parametrize("name", NAMES)
def test_treated_units_and_periods_after_may_be_distinguished(name: str):
    data = factor_panel()
    groups = replace(data, treatment=(data.unit < 3).astype(float), post=(data.time >= 20).astype(float))
    assert answer(name, groups).estimate == answer(name, data).estimate


def test_one_treated_row_is_enough():
    data = factor_panel(periods=25, before=24, treated=1)
    result = answer("synthetic_control", data)
    assert result.ci_lower < EFFECT < result.ci_upper


def test_covariates_that_are_mapped_are_said_not_to_be_used():
    result = answer("synthetic_control", factor_panel())
    assert any("not used" in note and "x0" in note for note in result.diagnostics["notes"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("donors", "periods", "treated"), [(1_500, 8, 300), (20, 1_200, 1), (300, 60, 2)])
def test_large_panels_take_a_bounded_time(name: str, donors: int, periods: int, treated: int):
    from time import process_time

    data = factor_panel(donors, periods, treated=treated, before=periods // 2)
    began = process_time()
    result = answer(name, data)
    assert process_time() - began < 20
    assert result.estimate == pytest.approx(EFFECT, abs=1.0)
    assert len(result.diagnostics["periods"]) <= 400


def test_more_donors_than_can_be_compared_are_refused():
    assert "at most 2000 untreated units" in refused("synthetic_control", factor_panel(2_001, 6, before=3))


def test_the_placebo_date_of_synthetic_did_is_its_estimate_on_the_periods_before() -> None:
    data = factor_panel(25, treated=1, before=20)
    past = rows(data, np.flatnonzero(data.time < 20))
    earlier = ((past.unit == 0) & (past.time >= 10)).astype(float)
    expected = answer("synthetic_did", replace(past, treatment=earlier))
    found = answer("synthetic_did", data).diagnostics["placebo_in_time"]
    assert found["average_gap"] == pytest.approx(expected.estimate, rel=1e-5)
    assert found["p_value"] == pytest.approx(expected.diagnostics["p_value_placebo"])
    assert found["first_treated_period"] == 2000.0
