import math
from dataclasses import replace

import numpy as np
import pytest

from cqox.contract import Gate
from cqox.diagnostics.curvature import curvature_gate
from cqox.estimators import Data, Estimate, Json
from tests.diagnostics.looking import confounded, judged, observed, sentence
from tests.estimators.designs import cross_section, names_for, row_keys
from tests.validation import Validated, half_width, record

LINEAR = ("aipw", "ols_adjustment", "lin_interacted", "g_computation_ate", "psm_ate")


def bent(n: int = 1000, seed: int = 0, *, through: str = "square", effect: float = 0.0) -> Data:
    """Confounding through the square of a covariate or the product of two, which no linear model removes."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 4))
    common = x[:, 0] ** 2 - 1 if through == "square" else x[:, 0] * x[:, 1]
    t = (rng.random(n) < 1 / (1 + np.exp(-0.8 * common))).astype(float)
    y = effect * t + x @ [1.0, 0.5, 0.5, 0.2] + common + rng.standard_normal(n)
    return Data(
        n=n, y=y, treatment=t, treatment_kind="binary", covariates=x, propensity_covariates=x,
        row_key=row_keys(x, t, y), names=names_for(x),
    )  # fmt: skip


def straight(n: int, seed: int, p: int = 4) -> Data:
    """A measured observational study whose outcome is linear and whose effect is 1."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p))
    x[:, 1], x[:, 2] = rng.exponential(size=n), (rng.random(n) < 0.3) * 1.0
    t = (rng.random(n) < 1 / (1 + np.exp(-0.6 * x[:, 0] - 0.3 * (x[:, 1] - 1)))).astype(float)
    return observed(x, t, seed=seed)


def estimate(name: str = "ols_adjustment", family: str = "regression", value: float = 1.0) -> Estimate:
    return Estimate(
        name=name, family=family, estimand="ATE", status="ok", estimate=value, standard_error=0.1,
        ci_lower=value - 0.2, ci_upper=value + 0.2, n=100,
    )  # fmt: skip


def gate(chosen: Estimate | None = None, **found: Json) -> Gate:
    table: dict[str, Json] = {"p_value": 1e-5, "change": -1.0, "estimate": 0.0, "ci_lower": -0.2, "ci_upper": 0.2}
    return curvature_gate({"curvature": {**table, **found}}, estimate() if chosen is None else chosen)


@pytest.mark.parametrize("primary", ["aipw", "lin_interacted", "ols_adjustment"])
@pytest.mark.parametrize("through", ["square", "product"])
def test_confounding_that_is_not_linear_is_never_go(primary: str, through: str) -> None:
    for seed in range(3):
        seen = judged(
            bent(seed=seed, through=through), only=LINEAR, requested=primary, assignment="unconfounded"
        )  # fmt: skip
        assert seen.estimate(primary).ci_lower > 0
        assert seen.gates["agreement"].status in {"warn", "fail"}
        assert seen.decision.verdict != "GO"
        if primary != "aipw":
            assert seen.gates["curvature"].status == "fail"


def test_a_linear_outcome_passes() -> None:
    for primary in ("aipw", "lin_interacted", "ols_adjustment"):
        seen = judged(straight(800, 3), only=LINEAR, requested=primary, assignment="unconfounded")
        assert seen.gates["agreement"].status == "pass"
        assert seen.gates["curvature"].status == ("not_applicable" if primary == "aipw" else "pass")


def test_curvature_is_no_doubt_of_a_trial() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((600, 2))
    data = observed(x, (rng.permutation(600) % 2).astype(float))
    seen = judged(replace(data, y=data.y + 2 * x[:, 0] ** 2), only=LINEAR, requested="lin_interacted")
    assert sentence(seen.diagnostics["curvature"]["reason"]) == ("diagnostics.curvature-of-trial", {})
    assert seen.gates["curvature"].status == "not_applicable"


def test_an_amount_of_treatment_is_tested_in_one_regression() -> None:
    data = cross_section(400, continuous=True)
    seen = judged(data, only=["ols_adjustment"], requested="ols_adjustment", assignment="unconfounded")
    assert seen.diagnostics["curvature"]["estimate"] is not None
    steep = replace(data, y=data.y + 5 * data.covariates[:, 0] * data.treatment)
    assert judged(
        steep, only=["ols_adjustment"], requested="ols_adjustment", assignment="unconfounded"
    ).diagnostics["curvature"]["terms"]  # fmt: skip


def test_clusters_widen_the_error_of_the_change() -> None:
    data = straight(400, 1)
    four = np.repeat(np.arange(400), 4)
    copied = replace(data.rows(four), clusters=(four,))
    one, more = (
        judged(each, only=["ols_adjustment"], requested="ols_adjustment", assignment="unconfounded").diagnostics[
            "curvature"
        ]
        for each in (data, copied)
    )  # fmt: skip
    assert more["change_standard_error"] == pytest.approx(one["change_standard_error"], rel=0.1)
    assert more["degrees"] == 399


def test_a_change_is_judged_by_its_p_value_and_its_size() -> None:
    assert gate().status == "fail"
    assert gate(p_value=0.005).status == "warn"
    assert gate(ci_lower=0.1).status == "warn"
    assert gate(p_value=0.02).status == "pass"
    assert gate(change=0.04).status == "pass"
    assert gate(estimate(value=-1.0), ci_lower=-0.2, ci_upper=0.2).status == "fail"
    assert gate(estimate(value=-1.0), ci_lower=-0.4, ci_upper=-0.2).status == "warn"
    assert sentence(gate().reason) == ("gates.curvature", {"change": -1.0, "p_value": 1e-5, "estimate": 0.0})


def test_the_gate_speaks_of_linear_regressions() -> None:
    assert curvature_gate({}, None).status == "not_applicable"
    for chosen in (estimate("aipw", "doubly_robust"), estimate("difference_in_means")):
        assert sentence(gate(chosen).reason) == ("gates.no-linear-regression", {"primary": chosen.name})
    assert gate(p_value=None, reason="Why.").reason == "Why."
    assert sentence(curvature_gate({}, estimate()).reason) == ("gates.no-curvature-test", {})


def test_nothing_is_tested_without_an_adjusted_estimate() -> None:
    seen = judged(confounded(), only=["difference_in_means"], assignment="unknown")
    assert sentence(seen.diagnostics["curvature"]["reason"])[0] == "gates.no-adjustment"


@pytest.mark.slow
@pytest.mark.parametrize(("n", "p"), [(100, 3), (400, 4), (1000, 10)])
def test_good_studies_are_rarely_stopped_for_curvature(n: int, p: int) -> None:
    replications = 300 if n < 1000 else 100
    alarms = {"curvature": 0, "agreement of aipw": 0, "agreement of lin_interacted": 0}
    for seed in range(replications):
        data = straight(n, seed, p)
        seen = judged(data, only=LINEAR, requested="lin_interacted", assignment="unconfounded")
        alarms["curvature"] += seen.gates["curvature"].status in {"warn", "fail"}
        alarms["agreement of lin_interacted"] += seen.gates["agreement"].status in {"warn", "fail"}
        other = judged(data, only=LINEAR, requested="aipw", assignment="unconfounded")
        alarms["agreement of aipw"] += other.gates["agreement"].status in {"warn", "fail"}
    for name, count in alarms.items():
        rate = count / replications
        record(
            Validated(
                design=f"Measured confounding, linear outcome, {p} covariates", estimator=f"gate {name}",
                replications=replications, rows=n, note=f"warns or fails in {rate:.1%} of good studies",
            )
        )  # fmt: skip
        assert rate <= 0.01 + half_width(0.01, replications), name


@pytest.mark.slow
@pytest.mark.parametrize("through", ["square", "product"])
@pytest.mark.parametrize("n", [400, 1000])
def test_confounding_that_is_not_linear_is_caught(n: int, through: str) -> None:
    replications, missed, misled = 100, 0, 0
    for seed in range(replications):
        seen = judged(bent(n, seed, through=through), only=LINEAR, requested="aipw", assignment="unconfounded")
        misled += math.copysign(1.0, seen.estimate("aipw").ci_lower) > 0
        missed += seen.decision.verdict == "GO"
    record(
        Validated(
            design=f"No effect; confounding through a {through} of covariates, both models linear",
            estimator="gates agreement and curvature", replications=replications, rows=n,
            note=f"the interval of aipw excludes 0 in {misled / replications:.0%}, GO in {missed / replications:.0%}",
        )
    )  # fmt: skip
    assert missed <= 0.05 * replications
