"""Balance tests of whole data sets."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cqox.contract import Options
from cqox.diagnostics.balance_tests import balance_tests
from cqox.errors import UnusableData
from cqox.estimators import Data, Json, Plan, Settings
from tests.diagnostics.looking import confounded, observed, trial
from tests.estimators.designs import instrumented, rows


def result_of(data: Data, role: str = "treatment", **options: object) -> dict[str, Json]:
    found = balance_tests(Plan(data, Settings()), Options(**options))[role]  # type: ignore[arg-type]
    assert isinstance(found, dict)
    return found


def wilcoxon(x: np.ndarray, w: np.ndarray) -> float:
    return float(stats.mannwhitneyu(x[w > 0], x[w == 0], use_continuity=False, method="asymptotic").pvalue)


def test_each_covariate_is_tested_with_holm_s_correction() -> None:
    data = trial(200)
    found = result_of(data)
    p_values = [wilcoxon(x, data.treatment) for x in data.covariates.T]
    assert [each["p_value"] for each in found["covariates"]] == pytest.approx(p_values)
    assert found["smallest"] == {
        "name": f"x{int(np.argmin(p_values))}", "p_value": pytest.approx(min(1.0, 3 * min(p_values)))
    }  # fmt: skip
    assert (found["tests"], found["rows"], found["strata"]) == (3, 200, 1)


def test_a_confounded_assignment_shows() -> None:
    assert result_of(confounded(400))["smallest"]["p_value"] < 1e-6
    assert result_of(confounded(400))["smallest"]["name"] == "x0"


def test_rows_without_an_outcome_count() -> None:
    data = trial(200)
    y = np.where(data.treatment > 0, np.nan, data.y)
    assert result_of(replace(data, y=y)) == result_of(data)


def test_columns_after_treatment_are_left_out() -> None:
    found = result_of(trial(200), post_treatment=["x1"])
    assert [each["name"] for each in found["covariates"]] == ["x0", "x2"]
    with pytest.raises(UnusableData):
        result_of(trial(200), post_treatment=["x0", "x1", "x2"])


def test_the_dummies_of_a_column_are_one_test() -> None:
    rng = np.random.default_rng(0)
    region = rng.integers(0, 4, 300)
    x = np.column_stack([rng.standard_normal(300), *(region == code for code in (1, 2, 3))]).astype(float)
    data = observed(x, (rng.random(300) < 0.5).astype(float))
    labels = ("age", "region=B", "region=C", "region=D")
    found = result_of(replace(data, names={**data.names, "covariates": labels, "propensity_covariates": labels}))
    assert [(each["name"], each["test"]) for each in found["covariates"]] == [("age", "ranks"), ("region", "levels")]
    peer = stats.chi2_contingency(np.histogram2d(region, data.treatment, (4, 2))[0], correction=False).statistic
    assert found["covariates"][1]["p_value"] == pytest.approx(stats.chi2.sf(peer * 299 / 300, 3))


def test_clusters_that_are_assigned_as_a_whole_are_compared_by_their_means() -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 24, 400)
    x = rng.standard_normal(24)[codes, None] + rng.standard_normal((400, 1))
    data = replace(observed(x, (codes % 2).astype(float)), clusters=(codes,))
    means = np.bincount(codes, x[:, 0]) / np.bincount(codes)
    found = result_of(data)
    assert found["clusters"] == 24
    assert found["covariates"][0]["p_value"] == pytest.approx(wilcoxon(means, np.arange(24) % 2))
    assert result_of(replace(data, clusters=()))["smallest"]["p_value"] < found["smallest"]["p_value"]


def test_rows_that_are_assigned_within_clusters_are_summed_by_cluster() -> None:
    data = trial(300)
    found = result_of(replace(data, clusters=(np.arange(300) % 30,)))
    assert "clusters" not in found
    assert found["covariates"] != result_of(data)["covariates"]


def test_blocks_are_strata() -> None:
    rng = np.random.default_rng(2)
    block = rng.integers(0, 4, 600)
    x = block[:, None] + rng.standard_normal((600, 1))
    data = observed(x, (rng.random(600) < 0.2 + 0.2 * block).astype(float))
    assert result_of(data)["smallest"]["p_value"] < 1e-6
    found = result_of(replace(data, fixed_effects=(block,)))
    assert found["strata"] == 4
    assert found["smallest"]["p_value"] > 0.01


def test_known_probabilities_are_those_of_the_assignment() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((500, 1))
    chance = 1 / (1 + np.exp(-x[:, 0]))
    data = observed(x, (rng.random(500) < chance).astype(float))
    assert result_of(data)["smallest"]["p_value"] < 1e-6
    assert result_of(replace(data, pscore=chance))["smallest"]["p_value"] > 0.01


def test_an_instrument_is_tested_in_place_of_the_treatment() -> None:
    data = instrumented(400)
    x = data.instruments + np.random.default_rng(4).standard_normal((400, 1))
    found = balance_tests(Plan(replace(data, covariates=x, propensity_covariates=x), Settings()), Options())
    assert set(found) == {"treatment", "instrument"}
    assert found["instrument"]["smallest"]["p_value"] < 1e-6


def test_the_order_of_the_rows_and_their_number_change_nothing() -> None:
    data = trial(30_000, p=3)
    wide = np.column_stack([data.covariates, *([data.covariates[:, 0]] * 97)])
    large = replace(data, covariates=wide, propensity_covariates=wide)
    found = result_of(large)
    assert 19_000 < found["rows"] < 21_000
    shuffled = result_of(rows(large, np.random.default_rng(1).permutation(data.n)))
    assert shuffled["smallest"]["p_value"] == pytest.approx(found["smallest"]["p_value"], rel=1e-9)
