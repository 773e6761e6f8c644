"""Starts of treatment, at periods and between them, on the scale that the periods are counted in."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from cqox.estimators.panel.onsets import onsets

pytestmark = pytest.mark.filterwarnings("ignore")
ENTRIES = {entry.name: entry for entry in catalog()}
GROUP_TIME, IMPUTED = "did_callaway_santanna", "did_imputation"
YEARS = np.array([2001.0, 2002, 2004, 2005, 2008])


def starting(values: np.ndarray, starts: list[float], units: int = 120, seed: int = 0) -> Data:
    """Units that start treatment at these times, in turn, with an effect that grows by a quarter each year."""
    rng = np.random.default_rng(seed)
    unit, time = np.repeat(np.arange(units), len(values)), np.tile(np.arange(len(values)), units)
    first = np.asarray(starts)[np.arange(units) % len(starts)][unit]
    since = np.where(np.isfinite(first), values[time] - first, -1.0)
    y = rng.standard_normal(units)[unit] + rng.standard_normal(len(unit)) + np.where(since >= 0, 1 + since / 4, 0.0)
    return Data(
        n=len(unit), y=y, unit=unit, time=time, time_values=values, cohort=np.where(np.isfinite(first), first, np.nan),
        row_key=unit.astype(np.uint64),
    )  # fmt: skip


def answer(name: str, data: Data, **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def cells(result: Estimate) -> dict[tuple[float, float], tuple[float, float | None]]:
    return {
        (row["cohort"], row["period"]): (row["estimate"], row["standard_error"])
        for row in result.diagnostics["group_time"]
    }


def events(result: Estimate) -> list[int]:
    return [row["event"] for row in result.diagnostics["dynamic"]["averages"]]


def test_starts_between_years_are_counted_in_years():
    found = onsets(YEARS, (), np.array([2003.0, 2004, np.inf, 2006, 2099, 1990]))
    assert found.steps.tolist() == [0, 1, 3, 4, 7]
    assert [(each.start, each.step, each.name) for each in found.each[:-1]] == [
        (0, 0, "2001"), (2, 2, "2003"), (2, 3, "2004"), (4, 5, "2006"),
    ]  # fmt: skip
    assert found.code.tolist() == [1, 2, 4, 3, 4, 0]
    assert found.each[-1].start == 5
    assert found.early(0).tolist() == [False] * 5 + [True]
    assert found.early(2).tolist() == [True, False, False, False, False, True]
    assert found.notes == ("Treatment starts between periods in 2003, 2006; event time is counted from there.",)


def test_every_second_year_is_a_step_where_treatment_starts_in_such_years_alone():
    waves = np.array([2001.0, 2003, 2005, 2007])
    found = onsets(waves, (), np.array([2003.0, 2005, np.inf]))
    assert (found.steps.tolist(), found.notes) == ([0, 1, 2, 3], ())
    found = onsets(waves, (), np.array([2002.0, 2005, np.inf]))
    assert found.steps.tolist() == [0, 2, 4, 6]
    assert [(each.start, each.step) for each in found.each[:-1]] == [(1, 1), (2, 4)]


def test_months_that_are_skipped_may_hold_a_start():
    months = [f"2010-0{month}-01" for month in (1, 2, 4, 5)]
    values = np.asarray(months, dtype="datetime64[D]").astype(float)
    march = float(np.datetime64("2010-03-01", "D").astype(int))
    found = onsets(values, months, np.array([march, np.inf]))
    assert found.steps.tolist() == [0, 1, 3, 4]
    assert (found.each[0].start, found.each[0].step, found.each[0].name) == (2, 2, "2010-03-01")


@pytest.mark.parametrize(
    ("labels", "values", "start"),
    [
        (("2010-01-01", "2010-02-01", "2010-03-01"), [14610.0, 14641, 14669], 14650.0),
        (("2010-01-01", "2010-01-04", "2010-01-09"), [14610.0, 14613, 14618], 14615.0),
        (("spring", "summer", "winter"), [0.0, 1, 2], 1.5),
        ((), [0.5, 1.25, 2.0], 1.5),
        ((), [2001.0, 2002, 2003], 2002.5),
    ],
)
def test_a_start_that_no_whole_unit_counts_is_at_the_next_period(labels, values, start):
    found = onsets(np.asarray(values), labels, np.array([start, np.inf]))
    assert found.steps.tolist() == [0, 1, 2]
    assert (found.each[0].start, found.each[0].step, found.each[0].value) == (2, 2, values[2])
    assert found.notes == ()


def csdid_of(data: Data, **options: object):
    """csdid's effects and overall averages."""
    import pandas as pd
    from csdid.att_gt import ATTgt

    frame = pd.DataFrame(
        {"y": data.y, "id": data.unit, "t": data.time_values[data.time].astype(int),
         "g": np.nan_to_num(data.cohort).astype(int)}
    )  # fmt: skip
    model = ATTgt(
        yname="y", tname="t", idname="id", gname="g", data=frame, control_group=[options["control_group"]],
        anticipation=options["anticipation"],
    )  # fmt: skip
    fit = model.fit(est_method="reg", base_period=options["base_period"], bstrap=False)
    return fit.results, {kind: fit.aggte(kind, na_rm=True).atte for kind in ("simple", "dynamic", "group", "calendar")}


@pytest.mark.parametrize("anticipation", [0, 1])
@pytest.mark.parametrize("base", ["varying", "universal"])
@pytest.mark.parametrize(
    ("values", "starts"),
    [
        (YEARS, [2003, 2004, 2006, np.inf]),
        (YEARS, [2004, 2005, 2006, 2003]),
        (np.array([2001.0, 2003, 2005, 2007]), [2002, 2003, 2006, np.inf]),
        (np.arange(2001.0, 2008), [2003, 2005, 2006, 2007]),
    ],
)
def test_cohorts_between_periods_have_the_effects_that_csdid_gives_them(
    values: np.ndarray, starts: list[float], base: str, anticipation: int
):
    data = starting(values, starts)
    peer, overall = csdid_of(data, control_group="notyettreated", base_period=base, anticipation=anticipation)
    result = answer(
        GROUP_TIME, data, control_group="not_yet_treated", base_period=base, anticipation=anticipation, se="HC0"
    )
    mine = cells(result)
    assert set(mine) == {(float(g), float(t)) for g, t in zip(peer["group"], peer["year"], strict=True)}
    for cohort, period, value, error in zip(peer["group"], peer["year"], peer["att"], peer["se"], strict=True):
        own, own_error = mine[float(cohort), float(period)]
        assert own == pytest.approx(value, abs=1e-9)
        assert own_error is None if not error > 0 else own_error == pytest.approx(error, rel=1e-8)
    assert result.estimate == pytest.approx(float(np.ravel(overall["simple"]["overall_att"])[0]), abs=1e-9)
    for kind in ("dynamic", "group", "calendar"):
        reported, found = result.diagnostics[kind], overall[kind]
        assert reported["overall"] == pytest.approx(float(np.ravel(found["overall_att"])[0]), abs=1e-9)
        assert reported["overall_standard_error"] == pytest.approx(float(np.ravel(found["overall_se"])[0]), rel=1e-8)
    assert events(result) == sorted({int(period - cohort) for cohort, period in mine})


def test_who_may_react_to_a_treatment_to_come_is_not_compared_with():
    data = starting(np.arange(2001.0, 2008), [2003, 2006, 2007])
    reacting = replace(data, y=data.y + 50 * ((data.cohort == 2006) & (data.time == 4)))
    for reported in (reacting, replace(reacting, unit=None)):
        result = answer(GROUP_TIME, reported, anticipation=1)
        assert max(period for _, period in cells(result)) == 2005
        assert result.estimate == pytest.approx(1.4, abs=0.8)
        assert cells(result)[2006.0, 2005.0][0] == pytest.approx(50, abs=2)


def test_imputed_effects_are_counted_from_there_too_and_anticipation_with_them():
    data = starting(YEARS, [2003, np.inf], units=400)
    rows = answer(IMPUTED, data).diagnostics["dynamic"]["averages"]
    assert [row["event"] for row in rows] == [1, 2, 5]
    for row in rows:
        assert row["estimate"] == pytest.approx(1 + row["event"] / 4, abs=0.5)
    # A year of anticipation of a start in 2003 touches 2002.
    assert answer(IMPUTED, data, anticipation=1).n == answer(IMPUTED, data).n - 200


def test_the_base_of_a_start_between_periods_is_the_last_that_anticipation_does_not_touch():
    result = answer(GROUP_TIME, starting(YEARS, [2003, 2004, np.inf]), anticipation=1, base_period="universal")
    bases = {row["cohort"]: row["base"] for row in result.diagnostics["group_time"]}
    assert bases == {2003.0: 2001.0, 2004.0: 2002.0}


def test_repeated_cross_sections_count_from_there_too():
    data = starting(YEARS, [2003, 2004, np.inf], units=300)
    once = replace(data, unit=None)
    left, right = answer(GROUP_TIME, data), answer(GROUP_TIME, once)
    assert events(left) == events(right)
    assert right.estimate == pytest.approx(left.estimate, rel=1e-10)
    assert any("between periods in 2003" in note for note in right.diagnostics["notes"])
