import numpy as np
import pytest
import statsmodels.api as sm

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.adjustment.series_regression import series_effect
from tests.diagnostics.looking import observed
from tests.estimators.designs import names_for, row_keys


def curved(n: int = 800, seed: int = 0, *, effect: float = 0.0) -> Data:
    """Confounding through the square of one covariate and the product of two."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2))
    index = 0.8 * (x[:, 0] ** 2 - 1) + 0.8 * x[:, 0] * x[:, 1]
    t = (rng.random(n) < 1 / (1 + np.exp(-index))).astype(float)
    y = effect * t + x.sum(axis=1) + x[:, 0] ** 2 + x[:, 0] * x[:, 1] + rng.standard_normal(n)
    return Data(
        n=n, y=y, treatment=t, treatment_kind="binary", covariates=x, propensity_covariates=x,
        row_key=row_keys(x, t, y), names=names_for(x),
    )  # fmt: skip


def terms_of(data: Data) -> np.ndarray:
    """Every square, cube and product of two standardised covariates."""
    one, two = ((data.covariates - data.covariates.mean(axis=0)) / data.covariates.std(axis=0)).T
    return np.column_stack([one, two, one**2, one**3, two**2, two**3, one * two])


def test_one_regression_equals_statsmodels() -> None:
    data = curved()
    found = series_effect(Plan(data, Settings()), "one effect")
    z = terms_of(data)
    long = sm.OLS(data.y, sm.add_constant(np.column_stack([data.treatment, z]))).fit()
    short = sm.OLS(data.y, sm.add_constant(np.column_stack([data.treatment, data.covariates]))).fit()
    assert found.value == pytest.approx(long.params[1])
    assert found.change == pytest.approx(long.params[1] - short.params[1])
    assert np.sqrt(found.contributions @ found.contributions) == pytest.approx(long.HC2_se[1])
    assert found.degrees == long.df_resid
    # Given covariates and treatment, both estimates are weighted sums of the same outcomes.
    weights = np.linalg.pinv(long.model.exog)[1] - np.linalg.pinv(short.model.exog)[1]
    leverage = long.get_influence().hat_matrix_diag
    expected = np.sqrt(np.sum((weights * long.resid / (1 - leverage)) ** 2))
    assert np.sqrt(found.of_change @ found.of_change) == pytest.approx(expected)


@pytest.mark.parametrize("target", ["ATE", "ATT", "ATC"])
def test_regressions_by_arm_equal_statsmodels(target: str) -> None:
    data = curved()
    found = series_effect(Plan(data, Settings()), target)
    design = sm.add_constant(terms_of(data))
    arms = [sm.OLS(data.y[data.treatment == arm], design[data.treatment == arm]).fit() for arm in (0, 1)]
    over = {"ATE": data.treatment >= 0, "ATT": data.treatment > 0, "ATC": data.treatment == 0}[target]
    assert found.value == pytest.approx((design @ (arms[1].params - arms[0].params))[over].mean())


def test_terms_remove_confounding_that_is_not_linear() -> None:
    values, changes = [], []
    for seed in range(20):
        found = series_effect(Plan(curved(seed=seed), Settings()), "ATE")
        values.append(found.value)
        changes.append(found.change / np.sqrt(found.of_change @ found.of_change))
    assert abs(np.mean(values)) < 0.1
    assert np.mean(np.abs(changes) > 2.58) == 1.0


def test_terms_are_chosen_without_the_outcome() -> None:
    data = curved(120)
    settings = Settings()
    one = series_effect(Plan(data, settings), "ATE")
    changed = Data(**{**{name: getattr(data, name) for name in data.__slots__}, "y": data.y[::-1].copy()})
    assert one.terms == series_effect(Plan(changed, settings), "ATE").terms


def test_few_rows_take_few_terms_and_too_few_none() -> None:
    rng = np.random.default_rng(0)
    t = (np.arange(60) % 2).astype(float)
    assert 0 < len(series_effect(Plan(observed(rng.standard_normal((60, 2)), t), Settings()), "ATE").terms) <= 4
    with pytest.raises(UnusableData, match="powers or products"):
        series_effect(Plan(observed(rng.standard_normal((60, 8)), t), Settings()), "ATE")


def test_two_indicators_of_one_category_have_neither_powers_nor_products() -> None:
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, 400)
    x = np.column_stack([group == 1, group == 2]).astype(float)
    with pytest.raises(UnusableData, match="powers or products"):
        series_effect(Plan(observed(x, (rng.random(400) < 0.5).astype(float)), Settings()), "ATE")


def test_row_order_changes_nothing_where_rows_are_chosen() -> None:
    data = curved(24_000)
    order = np.random.default_rng(5).permutation(data.n)
    one = series_effect(Plan(data, Settings()), "ATE")
    other = series_effect(Plan(data.rows(order), Settings()), "ATE")
    assert one.rows == other.rows < data.n
    assert other.value == pytest.approx(one.value, abs=1e-8)
