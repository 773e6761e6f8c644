from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from cqox.estimators.adjustment.stratification import stratum_weights
from tests.estimators.designs import EFFECT, cross_section, names_for, row_keys, rows

ENTRY = next(entry for entry in catalog() if entry.name == "propensity_strata")


def answer(data: Data, **settings: object) -> Estimate:
    result = run(ENTRY, Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def three_kinds(n: int = 900, seed: int = 1) -> Data:
    """A covariate of three values, each of which is a stratum of its own."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, n, p=[0.3, 0.4, 0.3])
    t = (rng.random(n) < 0.3 + 0.2 * kind).astype(float)
    y = kind + (EFFECT + 0.5 * (kind - 1)) * t + rng.standard_normal(n)
    x = (kind[:, None] == [1, 2]).astype(float)
    return Data(
        n=n, y=y, treatment=t, treatment_kind="binary", covariates=x, propensity_covariates=x,
        row_key=row_keys(x, t, y), names=names_for(x),
    )  # fmt: skip


def test_where_the_score_has_few_values_strata_are_those_of_post_stratification():
    data = three_kinds()
    kind = data.covariates @ [1, 2]
    value = variance = between = 0.0
    for each in (0, 1, 2):
        arms = [data.y[(kind == each) & (data.treatment == arm)] for arm in (0, 1)]
        share = np.mean(kind == each)
        value += share * (arms[1].mean() - arms[0].mean())
        variance += share**2 * sum(arm.var(ddof=1) / len(arm) for arm in arms)
    for each in (0, 1, 2):
        arms = [data.y[(kind == each) & (data.treatment == arm)] for arm in (0, 1)]
        between += np.mean(kind == each) * (arms[1].mean() - arms[0].mean() - value) ** 2 / data.n
    result = answer(data)
    assert result.estimate == pytest.approx(value, rel=1e-12)
    assert result.diagnostics["standard_errors"]["within strata"] == pytest.approx(np.sqrt(variance), rel=1e-10)
    assert result.standard_error == pytest.approx(np.sqrt(variance + between), rel=1e-10)
    assert len(result.diagnostics["strata"]) == 3


def test_many_strata_are_distinguished():
    data = cross_section(n=6000, weights=False)
    strata = answer(data, strata=100).diagnostics["strata"]
    assert sum(each["control"] + each["treated"] for each in strata) == data.n
    assert len(strata) > 90
    assert all(one["highest"] <= other["lowest"] for one, other in pairwise(strata))


@pytest.mark.parametrize("strata", [2, 5, 10])
def test_strata_equal_a_regression_saturated_in_them(strata: int):
    import statsmodels.api as sm

    data = cross_section(n=1000, weights=False)
    e = Plan(data, Settings()).propensity().e
    codes = np.searchsorted(np.quantile(e, np.arange(1, strata) / strata), e)
    dummies = (codes[:, None] == np.arange(strata)).astype(float)
    peer = sm.OLS(data.y, np.column_stack([dummies, dummies * data.treatment[:, None]])).fit(cov_type="HC2")
    shares = np.concatenate([np.zeros(strata), dummies.mean(axis=0)])
    result = answer(data, strata=strata)
    assert result.estimate == pytest.approx(shares @ peer.params, rel=1e-10)
    within = result.diagnostics["standard_errors"]["within strata"]
    assert within == pytest.approx(np.sqrt(shares @ peer.cov_params() @ shares), rel=1e-8)


def test_more_strata_leave_less_of_the_bias():
    data = cross_section(n=40_000, weights=False)
    naive = data.y[data.treatment == 1].mean() - data.y[data.treatment == 0].mean()
    biases = [abs(answer(data, strata=strata).estimate - EFFECT) for strata in (5, 50)]
    assert biases[1] < biases[0] < 0.15 * abs(naive - EFFECT)


@pytest.mark.parametrize("n", [801, 802, 803, 804])
def test_turning_the_score_around_keeps_every_row_in_its_company(n: int):
    data = cross_section(n=n)
    flipped = replace(data, treatment=1 - data.treatment)
    assert answer(flipped).estimate == pytest.approx(-answer(data).estimate, rel=1e-9)


def test_equal_scores_on_an_edge_of_strata_lean_to_the_middle_from_either_side():
    rng = np.random.default_rng(4)
    score = np.repeat([0.1, 0.2, 0.5, 0.8, 0.9], np.array([2, 4, 8, 4, 2]) * 10)
    t = (rng.random(200) < score).astype(float)
    x = rng.standard_normal((200, 1))
    data = replace(rows(cross_section(weights=False), np.arange(200)), treatment=t, pscore=score, covariates=x)
    turned = replace(data, treatment=1 - t, pscore=1 - score)
    assert answer(turned).estimate == pytest.approx(-answer(data).estimate, rel=1e-12)


def test_rows_of_equal_scores_are_never_parted():
    data = rows(three_kinds(), np.arange(700))
    score = np.array([0.3, 0.5, 0.7])[(data.covariates @ [1, 2]).astype(int)]
    result = answer(replace(data, pscore=score), strata=20)
    assert [(each["lowest"], each["highest"]) for each in result.diagnostics["strata"]] == [
        (0.3, 0.3), (0.5, 0.5), (0.7, 0.7),
    ]  # fmt: skip
    assert result.diagnostics["propensity"] == "given"
    assert result.status == "ok"


def test_a_stratum_without_an_arm_joins_its_neighbour_and_is_reported():
    data = cross_section(n=300, weights=False)
    e = np.linspace(0.01, 0.99, data.n)
    t = np.where(np.arange(data.n) < 60, 0.0, np.where(np.arange(data.n) >= 240, 1.0, np.arange(data.n) % 2))
    result = answer(replace(data, pscore=e, treatment=t.astype(float)))
    assert result.status == "warning"
    assert "3 strata remain" in result.warnings[0]
    sizes = [each["control"] + each["treated"] for each in result.diagnostics["strata"]]
    assert sizes == [120, 60, 120]


def test_a_score_that_never_varies_leaves_the_difference_in_means():
    data = cross_section(weights=False)
    result = answer(replace(data, pscore=np.full(data.n, 0.5)))
    plain = data.y[data.treatment == 1].mean() - data.y[data.treatment == 0].mean()
    assert result.estimate == pytest.approx(plain, rel=1e-12)


def test_the_weights_of_strata_give_the_estimate():
    data = cross_section()
    plan = Plan(data, Settings())
    sample, treated, control = stratum_weights(plan)
    assert sample.n == data.n
    assert treated.sum() == pytest.approx(1.0, rel=1e-12)
    assert control.sum() == pytest.approx(1.0, rel=1e-12)
    assert run(ENTRY, plan).estimate == pytest.approx(treated @ data.y - control @ data.y, rel=1e-12)


def test_clustered_rows_have_a_clustered_error():
    data = cross_section(n=1000, weights=False)
    clustered = replace(data, clusters=(np.arange(data.n) // 10,))
    assert answer(clustered).se_method.startswith("CRV1")


@pytest.mark.parametrize("strata", [2, 4, 6, 7])
@pytest.mark.parametrize("seed", range(4))
def test_swapping_the_arms_changes_the_sign_also_where_a_row_stands_on_the_edge_in_the_middle(strata: int, seed: int):
    data = replace(cross_section(n=301, seed=seed, weights=False), pscore=None)
    flipped = replace(data, treatment=1 - data.treatment)
    left, right = answer(data, strata=strata), answer(flipped, strata=strata)
    assert (right.estimate, right.standard_error) == pytest.approx((-left.estimate, left.standard_error), rel=1e-9)
    sizes = [[each["control"] + each["treated"] for each in found.diagnostics["strata"]] for found in (left, right)]
    assert sizes[0] == sizes[1][::-1]
