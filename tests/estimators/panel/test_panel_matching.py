"""Panel matching against sets enumerated one by one, in a block design, and against the truth."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics.primary import choose_primary
from cqox.estimators import Data, Estimate, Plan, Settings, applicable, catalog, run
from cqox.estimators.panel import matched_sets
from tests.estimators.designs import EFFECT, cross_section, panel, switching, with_covariates
from tests.validation import Validated, half_width, record

ENTRY = next(entry for entry in catalog() if entry.name == "panel_matching")


def answer(data: Data, **settings: object) -> Estimate:
    return run(ENTRY, Plan(data, Settings(**settings)))


def enumerated(data: Data, lags: int, lead: int, leads: int, refinement: str = "none") -> float:
    """The average over starts of their change less that of their set, by loops over dictionaries."""
    on = {(u, t): d for u, t, d in zip(data.unit, data.time, data.treatment, strict=True)}
    y = {(u, t): v for u, t, v in zip(data.unit, data.time, data.y, strict=True)}
    x, z = ({(u, t): v for u, t, v in zip(data.unit, data.time, column, strict=True)} for column in data.covariates.T)
    units, periods = sorted(set(data.unit)), sorted(set(data.time))

    def history(unit: int, start: int) -> tuple[float, ...] | None:
        wanted = range(start - lags, start + leads + 1)
        if any((unit, t) not in on for t in wanted):
            return None
        return tuple(on[unit, t] for t in range(start - lags, start))

    sets = []
    for t in periods:
        for i in units:
            mine = history(i, t)
            if mine is None or on[i, t] != 1 or on[i, t - 1] != 0:
                continue
            others = [j for j in units if j != i and history(j, t) == mine and on[j, t] == 0]
            if others:
                sets.append((i, t, others))
    every = [(u, t) for t, u in sorted({(t, u) for i, t, others in sets for u in (i, *others)})]
    features = np.asarray([[x[u, t - 1], z[u, t - 1]] for u, t in every])
    inverse = np.linalg.inv(np.cov(features.T, bias=True))
    effects = []
    for i, t, others in sets:
        if refinement == "mahalanobis":
            gaps = np.asarray([[x[i, t - 1] - x[j, t - 1], z[i, t - 1] - z[j, t - 1]] for j in others])
            others = [others[k] for k in np.argsort(np.einsum("ij,jk,ik->i", gaps, inverse, gaps))[:5]]
        change = np.mean([y[j, t + lead] - y[j, t - 1] for j in others])
        effects.append(y[i, t + lead] - y[i, t - 1] - change)
    return float(np.mean(effects))


def test_periods_that_are_not_evenly_spaced_are_said():
    data = switching(60, 8)
    assert not any("unevenly" in note for note in answer(data, match_lags=1).diagnostics["notes"])
    values = data.time_values + 5.0 * (np.arange(8) > 4)
    gap = answer(replace(data, time_values=values), match_lags=1)
    assert any("unevenly spaced" in note for note in gap.diagnostics["notes"])
    assert gap.estimate == answer(data, match_lags=1).estimate
    days = (np.datetime64("2020-01") + np.arange(8)).astype("datetime64[D]")
    months = replace(data, time_values=days.astype(float), time_labels=tuple(str(day) for day in days))
    assert not any("unevenly" in note for note in answer(months, match_lags=1).diagnostics["notes"])


@pytest.mark.parametrize("refinement", ["none", "mahalanobis"])
@pytest.mark.parametrize(("lags", "leads"), [(1, 0), (3, 2)])
def test_the_estimate_is_that_of_sets_enumerated_one_by_one(refinement: str, lags: int, leads: int):
    data = switching(40, 7, dropped=0.05)
    data = with_covariates(data, np.column_stack([data.covariates, np.cos(5.0 * data.covariates[:, 0] + data.time)]))
    found = answer(data, match_lags=lags, match_leads=leads, match_refinement=refinement)
    effects = [enumerated(data, lags, lead, leads, refinement) for lead in range(leads + 1)]
    assert found.estimate == pytest.approx(np.mean(effects), rel=1e-10)
    reported = [row["estimate"] for row in found.diagnostics["by_lead"]["averages"]]
    np.testing.assert_allclose(reported, effects, rtol=1e-10)


def test_in_a_block_design_it_is_the_difference_in_differences_of_the_first_periods():
    data = panel(60, 6)
    found = answer(data, match_leads=1, match_lags=2)
    block = data.rows(np.flatnonzero((data.time >= 2) & (data.time <= 4)))
    ever = np.isin(block.unit, np.unique(block.unit[block.treatment > 0]))
    change = np.asarray([[block.y[(block.unit == u) & (block.time == t)][0] for t in (2, 3, 4)] for u in range(60)])
    moved = change[:, 1:].mean(axis=1) - change[:, 0]
    group = np.asarray([ever[block.unit == u][0] for u in range(60)])
    assert found.estimate == pytest.approx(moved[group].mean() - moved[~group].mean(), rel=1e-10)
    # Two independent means: its error is theirs, but for n in the place of n - 1.
    spread = sum(moved[own].var() / own.sum() for own in (group, ~group))
    assert found.diagnostics["standard_errors"]["influence function"] == pytest.approx(np.sqrt(spread), rel=1e-10)


def test_a_common_shock_moves_neither_estimate_nor_error():
    data = switching(60)
    shocked = replace(data, y=data.y + 50.0 * np.sin(3.0 * data.time))
    for refinement in ("none", "propensity", "mahalanobis"):
        left, right = (answer(each, match_refinement=refinement, match_lags=1) for each in (data, shocked))
        assert right.estimate == pytest.approx(left.estimate, rel=1e-9)
        assert right.standard_error == pytest.approx(left.standard_error, rel=1e-9)


def test_refining_by_a_covariate_that_moves_outcomes_removes_its_bias():
    data = switching(800, 6, seed=4)
    x = data.covariates[:, 0]
    order = np.lexsort((data.unit, data.time))
    wide = x[order].reshape(6, 800)
    y = data.y.copy()
    y[order] += np.vstack([np.zeros(800), np.cumsum(2.0 * wide[:-1], axis=0)]).ravel()
    drifting = replace(data, y=y)
    plain = answer(drifting, match_lags=1)
    assert plain.estimate - EFFECT > 4 * plain.standard_error
    for refinement in ("mahalanobis", "propensity"):
        refined = answer(drifting, match_lags=1, match_refinement=refinement)
        assert abs(refined.estimate - EFFECT) < 0.6 * abs(plain.estimate - EFFECT), refinement


def test_units_that_moved_apart_before_are_reported():
    dipped = answer(switching(400, 8, dip=1.5), match_lags=2)
    assert dipped.diagnostics["before"]["p_value"] < 0.001
    assert any("already had diverging trends" in warning for warning in dipped.warnings)
    assert answer(switching(400, 8), match_lags=2).diagnostics["before"]["p_value"] > 0.001


def test_sampling_weights_count_starts_and_candidates():
    data = switching(50, 5)
    weights = np.random.default_rng(3).integers(1, 4, 50).astype(float)
    weighted = answer(replace(data, weights=weights[data.unit]), match_lags=1)
    copies = np.repeat(np.arange(50), weights.astype(int))
    rows = np.concatenate([np.flatnonzero(data.unit == unit) for unit in copies])
    repeated = replace(data.rows(rows), unit=np.repeat(np.arange(len(copies)), 5))
    assert weighted.estimate == pytest.approx(answer(repeated, match_lags=1).estimate, rel=1e-10)


def test_it_comes_first_where_treatment_ends_again_and_after_staggered_designs_else():
    entries = catalog()
    for data, wanted in ((switching(), "panel_matching"), (panel(staggered=True), "did_callaway_santanna"),
                         (panel(), "did_2x2_block")):  # fmt: skip
        plan = Plan(data, Settings())
        assert choose_primary(plan, applicable(entries, plan), None).name == wanted


def test_it_says_why_it_does_not_apply(monkeypatch: pytest.MonkeyPatch):
    assert "'unit_id' and 'time'" in answer(cross_section()).reason
    data = switching(30, 5)
    assert "never starts" in answer(replace(data, treatment=(data.unit < 10).astype(float))).reason
    assert "has a matched control" in answer(data, match_lags=5).reason
    monkeypatch.setattr(matched_sets, "MOST_CELLS", 100)
    assert "more cells than the limit of 100" in answer(data).reason


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("refinement", ["none", "mahalanobis", "propensity"])
def test_intervals_cover_the_effect_of_starting(refinement: str, capsys: pytest.CaptureFixture[str]):
    replications, units, periods = 1_000, 150, 8
    drawn = []
    for replication in range(replications):
        data = switching(units, periods, 30_240 + replication)
        found = answer(data, match_lags=2, match_refinement=refinement)
        drawn.append((found.estimate, found.standard_error, found.ci_lower <= EFFECT <= found.ci_upper))
    estimates, errors, inside = (np.asarray(each) for each in zip(*drawn, strict=True))
    rate, sd, bias = float(inside.mean()), float(estimates.std(ddof=1)), float(estimates.mean() - EFFECT)
    ratio = float(errors.mean() / sd)
    with capsys.disabled():
        print(f"\n{refinement:12} coverage {rate:.3f} bias {bias:+.4f} sd {sd:.4f} se/sd {ratio:.3f}")
    found_here = Validated(
        design="Panel whose treatment starts and ends, by its history", estimator=f"panel_matching, {refinement}",
        replications=replications, rows=units * periods, truth=EFFECT, bias=bias, sd=sd, se_ratio=ratio, coverage=rate,
    )  # fmt: skip
    record(found_here)
    half = half_width(rate, replications)
    assert rate + half >= 0.93
    assert abs(bias) <= 3 * sd / np.sqrt(replications) + 0.02 * sd
    if refinement != "mahalanobis":
        # That of the nearest is conservative: a match's noise counts with its start and by itself.
        assert rate - half <= 0.97
        assert ratio == pytest.approx(1.0, abs=0.07)
