"""Do intervals and bands from repeated cross-sections hold the truth? 1,000 replications, seeds 20240 + replication.

Each row is seen once. Which cohort it belongs to leans on a covariate whose slope changes over time, so that trends are
parallel only given that covariate; effects grow with time since treatment.
"""

import math

import numpy as np
import pytest

from cqox.diagnostics.event_study import joint_test_before
from cqox.estimators import Data, Plan, Settings, catalog, run
from cqox.estimators.panel.did_staggered import event_study
from tests.estimators.staggering import in_band
from tests.validation import Validated, half_width, record

pytestmark = pytest.mark.slow

FIRST_SEED = 20_240
REPLICATIONS = 1_000
PERIODS = 6
STARTS = (2, 4)
ENTRY = next(entry for entry in catalog() if entry.name == "did_callaway_santanna")
CELLS = [(start, period) for start in STARTS for period in range(start, PERIODS)]
BY_EVENT = {event: 1.0 + 0.3 * event for event in range(PERIODS - STARTS[0])}
ATT = float(np.mean([BY_EVENT[period - start] for start, period in CELLS]))
"""Cohorts are equally large, so that the effects by cohort and period count alike."""


def draw(seed: int, n: int) -> Data:
    """Rows of three groups drawn alike in all periods; the covariate is binary, so that both of its models hold."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, n).astype(float)
    chosen = rng.random(n)
    # The two cohorts are equally large whatever the covariate is taken with the untreated.
    ever = chosen < np.where(x > 0, 0.7, 0.4)
    start = np.where(ever, np.where(rng.random(n) < 0.5, *STARTS), 99)
    time = rng.integers(0, PERIODS, n)
    effect = np.where(time >= start, 1.0 + 0.3 * (time - start), 0.0)
    y = np.sin(time) + (1.0 + 0.4 * time) * x + effect + rng.standard_normal(n) * (1 + 0.5 * x)
    return Data(
        n=n, y=y, covariates=x[:, None], propensity_covariates=x[:, None], time=time,
        time_values=np.arange(float(PERIODS)), cohort=np.where(start < 99, start, np.nan).astype(float),
        row_key=np.arange(n, dtype=np.uint64),
    )  # fmt: skip


def grouped(seed: int) -> Data:
    """Rows of sixty places that start treatment as a whole, and whose outcomes share a shock in each period."""
    rng = np.random.default_rng(seed)
    n, places = 3_000, 60
    place, time = rng.integers(0, places, n), rng.integers(0, PERIODS, n)
    start = np.asarray([*STARTS, 99])[np.arange(places) % 3][place]
    shocks = rng.standard_normal((places, 1)) + 0.5 * rng.standard_normal((places, PERIODS))
    effect = np.where(time >= start, 1.0 + 0.3 * (time - start), 0.0)
    return Data(
        n=n, y=np.sin(time) + shocks[place, time] + effect + rng.standard_normal(n), time=time,
        time_values=np.arange(float(PERIODS)), cohort=np.where(start < 99, start, np.nan).astype(float),
        clusters=(place,), row_key=place.astype(np.uint64),
    )  # fmt: skip


@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", ["dr", "reg", "ipw", "clusters"])
def test_intervals_and_bands_cover_at_their_nominal_rate(case: str, capsys):
    values, errors, covered, held = [], [], 0, 0
    for replication in range(REPLICATIONS):
        seed = FIRST_SEED + replication
        data, settings = (grouped(seed), Settings()) if case == "clusters" else (draw(seed, 1_500), _asking(case))
        result = run(ENTRY, Plan(data, settings))
        values.append(result.estimate)
        errors.append(result.standard_error)
        covered += result.ci_lower <= ATT <= result.ci_upper
        held += in_band(result, BY_EVENT)
    rate, band, sd = covered / REPLICATIONS, held / REPLICATIONS, np.std(values, ddof=1)
    bias, ratio = np.mean(values) - ATT, np.mean(errors) / sd
    with capsys.disabled():
        print(
            f"\nsections, {case:8}  coverage {rate:.3f}  band {band:.3f}  bias {bias:+.4f}  sd {sd:.4f}  "
            f"se/sd {ratio:.3f}"
        )
    found = Validated(
        design="Repeated cross-sections, staggered treatment", estimator=f"did_callaway_santanna, {case}",
        replications=REPLICATIONS, rows=data.n, truth=ATT, bias=float(bias), sd=float(sd), se_ratio=float(ratio),
        coverage=rate, note=f"uniform band {band:.3f}",
    )  # fmt: skip
    record(found)
    assert rate + half_width(rate, REPLICATIONS) >= 0.93
    assert rate - half_width(rate, REPLICATIONS) <= 0.97
    assert band + half_width(band, REPLICATIONS) >= 0.93
    assert band - half_width(band, REPLICATIONS) <= 0.98
    assert abs(bias) <= 3 * sd / math.sqrt(REPLICATIONS) + 0.02 * sd
    assert ratio == pytest.approx(1.0, abs=0.07)


def _asking(method: str) -> Settings:
    assert method in ("dr", "reg", "ipw")
    return Settings(did_method=method)


@pytest.mark.timeout(300)
def test_without_the_covariate_that_moves_trends_the_interval_misses():
    covered = 0
    for replication in range(200):
        data = draw(FIRST_SEED + replication, 1_500)
        plain = Data(
            n=data.n, y=data.y, time=data.time, time_values=data.time_values, cohort=data.cohort, row_key=data.row_key
        )
        result = run(ENTRY, Plan(plain, Settings()))
        covered += result.ci_lower <= ATT <= result.ci_upper
    assert covered / 200 < 0.85


@pytest.mark.timeout(600)
def test_the_joint_test_before_treatment_keeps_its_level(capsys):
    rejected = 0
    for replication in range(REPLICATIONS):
        plan = Plan(draw(FIRST_SEED + replication, 1_500), Settings())
        rejected += joint_test_before(plan, event_study(plan))["p_value"] < 0.05
    level = rejected / REPLICATIONS
    with capsys.disabled():
        print(f"\nsections, joint test: level {level:.3f}")
    design = "Repeated cross-sections, staggered treatment"
    note = f"pre-trend test: level {level:.3f}"
    name, rows = "did_callaway_santanna, pre-trends", plan.data.n
    record(Validated(design=design, estimator=name, replications=REPLICATIONS, rows=rows, note=note))
    assert level <= 0.08
