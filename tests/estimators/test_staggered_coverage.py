"""Do intervals and bands of staggered designs hold the truth? 1,000 replications, seeds 20240 + replication.

Effects grow with time since treatment and differ between cohorts; errors are correlated over time; few units are never
treated, so that two-way fixed effects weight some effects negatively.
"""

import math

import numpy as np
import pytest

from cqox.diagnostics.event_study import event_study
from cqox.estimators import Data, Plan, Settings, catalog, run
from tests.estimators.staggering import in_band
from tests.validation import Validated, half_width, record

pytestmark = pytest.mark.slow

FIRST_SEED = 20_240
REPLICATIONS = 1_000
PERIODS = 10
STARTS = (2, 4, 7)
SHARES = (0.25, 0.25, 0.25, 0.25)
ENTRIES = {entry.name: entry for entry in catalog()}


def effect(start: int, period: int) -> float:
    return 1.0 + 0.3 * (period - start) + (0.4 if start == STARTS[0] else 0.0)


CELLS = [(start, period) for start in STARTS for period in range(start, PERIODS)]
ATT = float(np.mean([effect(*cell) for cell in CELLS]))
"""Cohorts are equally large, so that the effects by cohort and period count alike."""

BY_EVENT = {
    event: float(np.mean([effect(start, period) for start, period in CELLS if period - start == event]))
    for event in range(PERIODS - STARTS[0])
}


def draw(seed: int, units: int, *, drawn_cohorts: bool, trend: float = 0.0) -> Data:
    """A panel; cohorts are drawn at random, or all as large as expected."""
    rng = np.random.default_rng(seed)
    choices = np.asarray([*STARTS, 99])
    start = rng.choice(choices, units, p=SHARES) if drawn_cohorts else choices[np.arange(units) % 4]
    unit, time = np.repeat(np.arange(units), PERIODS), np.tile(np.arange(PERIODS), units)
    errors = rng.standard_normal((units, PERIODS))
    for period in range(1, PERIODS):
        errors[:, period] += 0.4 * errors[:, period - 1]
    first = start[unit]
    after = time >= first
    grown = 1.0 + 0.3 * (time - first) + 0.4 * (first == STARTS[0])
    y = 2 * rng.standard_normal(units)[unit] + np.sin(time) + np.where(after, grown, 0.0) + errors.ravel()
    return Data(
        n=len(unit), y=y + trend * (first < 99) * time, treatment=after.astype(float), treatment_kind="binary",
        unit=unit, time=time, time_values=np.arange(float(PERIODS)), row_key=unit.astype(np.uint64),
    )  # fmt: skip


@pytest.mark.timeout(900)
@pytest.mark.parametrize("units", [60, 200])
@pytest.mark.parametrize(("name", "drawn_cohorts"), [("did_callaway_santanna", True), ("did_imputation", False)])
def test_intervals_and_bands_cover_at_their_nominal_rate(name: str, drawn_cohorts: bool, units: int, capsys):
    values, errors, covered, held = [], [], 0, 0
    for replication in range(REPLICATIONS):
        data = draw(FIRST_SEED + replication, units, drawn_cohorts=drawn_cohorts)
        result = run(ENTRIES[name], Plan(data, Settings()))
        values.append(result.estimate)
        errors.append(result.standard_error)
        covered += result.ci_lower <= ATT <= result.ci_upper
        held += in_band(result, BY_EVENT)
    rate, band, sd = covered / REPLICATIONS, held / REPLICATIONS, np.std(values, ddof=1)
    bias, ratio = np.mean(values) - ATT, np.mean(errors) / sd
    with capsys.disabled():
        print(
            f"\n{name:22} {units:4} units  coverage {rate:.3f}  band {band:.3f}  bias {bias:+.4f}  sd {sd:.4f}  "
            f"se/sd {ratio:.3f}"
        )
    found = Validated(
        design="Staggered treatment, dynamic effects", estimator=f"{name}, {units} units", replications=REPLICATIONS,
        rows=data.n, truth=ATT, bias=float(bias), sd=float(sd), se_ratio=float(ratio), coverage=rate,
        note=f"uniform band {band:.3f}",
    )  # fmt: skip
    record(found)
    assert rate + half_width(rate, REPLICATIONS) >= 0.93
    assert rate - half_width(rate, REPLICATIONS) <= 0.97
    assert band + half_width(band, REPLICATIONS) >= 0.93
    assert band - half_width(band, REPLICATIONS) <= 0.98
    assert abs(bias) <= 3 * sd / math.sqrt(REPLICATIONS) + 0.02 * sd
    assert ratio == pytest.approx(1.0, abs=0.07)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["did_callaway_santanna", "did_imputation"])
def test_intervals_by_clusters_cover_where_whole_clusters_start_and_share_their_errors(name: str, capsys):
    values, errors, covered = [], [], 0
    for replication in range(REPLICATIONS):
        groups, members = draw(FIRST_SEED + replication, 52, drawn_cohorts=False), 5
        rng = np.random.default_rng(FIRST_SEED + replication)
        unit = np.repeat(groups.unit, members) * members + np.tile(np.arange(members), groups.n)
        data = Data(
            n=groups.n * members, y=np.repeat(groups.y, members) + rng.standard_normal(groups.n * members),
            treatment=np.repeat(groups.treatment, members), treatment_kind="binary", unit=unit,
            time=np.repeat(groups.time, members), time_values=groups.time_values, row_key=unit.astype(np.uint64),
            clusters=(np.repeat(groups.unit, members),),
        )  # fmt: skip
        result = run(ENTRIES[name], Plan(data, Settings()))
        values.append(result.estimate)
        errors.append(result.standard_error)
        covered += result.ci_lower <= ATT <= result.ci_upper
    rate, sd = covered / REPLICATIONS, np.std(values, ddof=1)
    ratio = np.mean(errors) / sd
    with capsys.disabled():
        print(f"\n{name:22}   52 clusters  coverage {rate:.3f}  sd {sd:.4f}  se/sd {ratio:.3f}")
    found = Validated(
        design="Staggered treatment, dynamic effects", estimator=f"{name}, 52 mapped clusters",
        replications=REPLICATIONS, rows=data.n, truth=ATT, bias=float(np.mean(values) - ATT), sd=float(sd),
        se_ratio=float(ratio), coverage=rate,
    )  # fmt: skip
    record(found)
    assert rate + half_width(rate, REPLICATIONS) >= 0.93
    assert rate - half_width(rate, REPLICATIONS) <= 0.97
    assert ratio == pytest.approx(1.0, abs=0.07)


@pytest.mark.timeout(600)
def test_two_way_fixed_effects_miss_and_say_so(capsys):
    covered = warned = 0
    for replication in range(200):
        data = draw(FIRST_SEED + replication, 200, drawn_cohorts=False)
        result = run(ENTRIES["twfe"], Plan(data, Settings()))
        covered += result.ci_lower <= ATT <= result.ci_upper
        warned += any("negative weight" in warning for warning in result.warnings)
    with capsys.disabled():
        print(f"\ntwfe, staggered        coverage {covered / 200:.3f}  warned {warned / 200:.3f}")
    note = f"not consistent here: covers {covered / 200:.3f}, warned of negative weights in {warned / 200:.1%}"
    found = Validated(
        design="Staggered treatment, dynamic effects", estimator="twfe", replications=200, rows=data.n, truth=ATT,
        note=note,
    )  # fmt: skip
    record(found)
    assert covered / 200 < 0.5
    assert warned == 200


@pytest.mark.timeout(900)
def test_the_joint_test_keeps_its_level_and_finds_the_trend_that_it_says_it_would(capsys):
    entry = ENTRIES["did_callaway_santanna"]
    slopes, rejected = [], 0
    for replication in range(REPLICATIONS):
        plan = Plan(draw(FIRST_SEED + replication, 200, drawn_cohorts=True), Settings())
        reported = event_study(plan, [run(entry, plan)])["pre_trends"]
        slopes.append(reported["detectable_slope"])
        rejected += reported["p_value"] < 0.05
    slope = float(np.median(slopes))
    found = 0
    for replication in range(REPLICATIONS):
        plan = Plan(draw(FIRST_SEED + replication, 200, drawn_cohorts=True, trend=slope), Settings())
        found += event_study(plan, [run(entry, plan)])["pre_trends"]["p_value"] < 0.05
    level, power = rejected / REPLICATIONS, found / REPLICATIONS
    with capsys.disabled():
        print(f"\njoint test: level {level:.3f}, found {power:.3f} of trends of {slope:.4f} a period, said 0.8")
    note = f"pre-trend test: level {level:.3f}; found {power:.3f} of the trends of which it said .8"
    design = "Staggered treatment, trends that part before it"
    name, rows = "did_callaway_santanna, pre-trends", plan.data.n
    record(Validated(design=design, estimator=name, replications=REPLICATIONS, rows=rows, note=note))
    assert level <= 0.08
    assert power == pytest.approx(0.8, abs=0.08)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("trend", [0.0, 0.15])
def test_honest_intervals_hold_the_first_effect_where_trends_part_no_more_than_before(trend: float, capsys):
    entry, truth = ENTRIES["did_callaway_santanna"], BY_EVENT[0]
    covered = {"relative": 0, "smooth": 0, "plain": 0}
    for replication in range(REPLICATIONS):
        plan = Plan(draw(FIRST_SEED + replication, 200, drawn_cohorts=True, trend=trend), Settings())
        reported = event_study(plan, [run(entry, plan)])["honest"]["first"]
        at = {row["m"]: row for row in reported["relative_magnitudes"]}
        for name, row in (("relative", at[1.0]), ("smooth", reported["smoothness"][0]), ("plain", at[0.0])):
            covered[name] += row["lower"] <= truth <= row["upper"]
    rates = {name: count / REPLICATIONS for name, count in covered.items()}
    with capsys.disabled():
        print(f"\nhonest intervals, trend {trend}: {rates}")
    assert rates["relative"] + half_width(rates["relative"], REPLICATIONS) >= 0.95
    assert rates["smooth"] + half_width(rates["smooth"], REPLICATIONS) >= 0.93
    assert (rates["plain"] < 0.9) == (trend > 0)
