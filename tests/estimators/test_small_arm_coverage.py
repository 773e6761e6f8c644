"""Do 95% intervals hold the truth where an arm is small, where the arms' variances differ, and does the gate on tails
warn where they do not?

The seeds are 20240 + replication. An interval fails where the 99.9% interval of its coverage lies outside [.93, .97].
"""

from dataclasses import dataclass

import numpy as np
import pytest

from cqox.contract.messages import Message
from cqox.diagnostics.primary import Primary
from cqox.diagnostics.tails import tails, tails_gate
from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings, catalog, run
from tests.estimators.designs import names_for
from tests.validation import Validated, half_width, record

pytestmark = pytest.mark.slow

FIRST_SEED = 20_240
REPLICATIONS = 800
EFFECT = 1.0
ENTRIES = {entry.name: entry for entry in catalog()}
ESTIMATORS = (
    "difference_in_means", "ols_adjustment", "lin_interacted", "g_computation_ate", "g_computation_att", "ipw_ate",
    "ipw_att", "overlap_weights", "entropy_balancing_ate", "entropy_balancing_att", "ipwra", "aipw",
)  # fmt: skip
MATCHING = ("psm_ate", "psm_att", "nn_mahalanobis_ate", "nn_mahalanobis_att")
CONSERVATIVE = ("psm_ate",)
"""Estimators whose degrees of freedom are too few rather than too many where few rows are matches of many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A trial of two arms: its rows, treated rows, and the standard deviation of the treated by the others'."""

    rows: int
    treated: int
    spread: float = 1.0

    def __str__(self) -> str:
        spread = "" if self.spread == 1 else f", treated spread {self.spread:g} times as far"
        return f"Trial with {self.treated} of {self.rows:,} rows treated{spread}, three covariates"

    def draw(self, seed: int) -> Data:
        """A sample whose effects differ by a covariate."""
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((self.rows, 3))
        t = np.zeros(self.rows)
        t[rng.permutation(self.rows)[: self.treated]] = 1.0
        noise = rng.standard_normal(self.rows) * np.where(t > 0, self.spread, 1.0)
        y = x @ [1.0, 0.5, -0.5] + (EFFECT + 0.5 * x[:, 2]) * t + noise
        return Data(
            n=self.rows, y=y, treatment=t, treatment_kind="binary", covariates=x, propensity_covariates=x,
            row_key=rng.integers(0, 2**63, self.rows).astype(np.uint64), names=names_for(x),
        )  # fmt: skip


@pytest.mark.timeout(900)
@pytest.mark.parametrize("names", [ESTIMATORS, MATCHING], ids=["models", "matching"])
@pytest.mark.parametrize(
    "trial",
    [
        Trial(rows=60, treated=30), Trial(rows=60, treated=30, spread=2.0), Trial(rows=200, treated=100),
        Trial(rows=500, treated=30), Trial(rows=500, treated=30, spread=2.0), Trial(rows=500, treated=20),
        Trial(rows=1_000, treated=60),
    ],
    ids=str,
)  # fmt: skip
def test_intervals_of_small_arms_cover_at_their_nominal_rate(names: tuple[str, ...], trial: Trial):
    covered = dict.fromkeys(names, 0)
    values: dict[str, list[float]] = {name: [] for name in names}
    errors: dict[str, list[float]] = {name: [] for name in names}
    for replication in range(REPLICATIONS):
        plan = Plan(trial.draw(FIRST_SEED + replication), Settings())
        for name in names:
            result = run(ENTRIES[name], plan)
            covered[name] += result.ci_lower <= EFFECT <= result.ci_upper
            values[name].append(result.estimate)
            errors[name].append(result.standard_error)
    for name in names:
        rate, sd = covered[name] / REPLICATIONS, float(np.std(values[name], ddof=1))
        found = Validated(
            design=str(trial), estimator=name, replications=REPLICATIONS, rows=trial.rows, truth=EFFECT,
            bias=float(np.mean(values[name])) - EFFECT, sd=sd, se_ratio=float(np.mean(errors[name])) / sd,
            coverage=rate,
        )  # fmt: skip
        record(found)
    for name in names:
        rate = covered[name] / REPLICATIONS
        half = half_width(rate, REPLICATIONS)
        assert rate + half >= 0.93, name
        assert rate - half <= (0.99 if name in CONSERVATIVE else 0.97), name


def _lognormal(sigma: float):
    return lambda rng, size: rng.lognormal(0.0, sigma, size)


def _pareto(alpha: float):
    return lambda rng, size: rng.pareto(alpha, size) + 1.0


OUTCOMES = {
    "normal": (lambda rng, size: rng.standard_normal(size), 0.0),
    "exponential": (lambda rng, size: rng.exponential(size=size), 1.0),
    "5% of 1": (lambda rng, size: (rng.random(size) < 0.05).astype(float), 0.05),
    "lognormal, sigma 1.5": (_lognormal(1.5), float(np.exp(1.5**2 / 2))),
    "lognormal, sigma 2": (_lognormal(2.0), float(np.exp(2.0))),
    "Pareto, alpha 1.5": (_pareto(1.5), 3.0),
    "Pareto, alpha 2.5": (_pareto(2.5), 2.5 / 1.5),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("rows", [300, 1_000])
@pytest.mark.parametrize("share", [0.5, 0.1])
@pytest.mark.parametrize("outcome", list(OUTCOMES))
def test_the_gate_on_tails_warns_where_the_interval_does_not_cover(outcome: str, share: float, rows: int):
    draw, _ = OUTCOMES[outcome]
    covered = warned = 0
    primary = Primary(name="difference_in_means", rule=Message("verdict.requested"))
    for replication in range(REPLICATIONS):
        rng = np.random.default_rng(FIRST_SEED + replication)
        data = Data(
            n=rows, y=draw(rng, rows), treatment=(np.arange(rows) < share * rows).astype(float),
            treatment_kind="binary", row_key=np.arange(rows, dtype=np.uint64), names={"y": ("y",), "treatment": ("t",)},
        )  # fmt: skip
        plan = Plan(data, Settings())
        result = run(ENTRIES["difference_in_means"], plan)
        if result.ci_lower is None:
            continue
        covered += result.ci_lower <= 0.0 <= result.ci_upper
        try:
            found = tails(plan, [result], primary)
        except UnusableData:  # an arm is constant, which is a warning of the estimate
            warned += bool(result.warnings)
            continue
        warned += tails_gate({"tails": found}, result).status == "warn"
    rate = covered / REPLICATIONS
    validated = Validated(
        design=f"No effect, outcome {outcome}, {share:.0%} treated", estimator="difference_in_means",
        replications=REPLICATIONS, rows=rows, truth=0.0, coverage=rate,
        note=f"`tails` warns in {warned / REPLICATIONS:.1%}",
    )  # fmt: skip
    record(validated)
    if rate < 0.92:
        assert warned > 0.5 * REPLICATIONS
    if outcome == "normal" or (outcome in ("exponential", "5% of 1") and share == 0.5):
        assert warned < 0.05 * REPLICATIONS
