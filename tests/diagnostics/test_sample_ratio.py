"""The sample ratio test."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cqox.contract import Options
from cqox.diagnostics.sample_ratio import sample_ratio
from cqox.errors import UnusableData
from cqox.estimators import Data, Json, Plan, Settings
from tests.diagnostics.looking import observed, trial
from tests.estimators.designs import cross_section, instrumented


def result_of(data: Data, share: float | None) -> dict[str, Json]:
    return sample_ratio(Plan(data, Settings()), Options(expected_share=share))  # type: ignore[call-arg]


def treated(n: int, number: int) -> Data:
    return observed(np.random.default_rng(0).standard_normal((n, 1)), (np.arange(n) < number).astype(float))


@pytest.mark.parametrize(("n", "number", "share"), [(200, 100, 0.5), (200, 60, 0.5), (1000, 40, 0.05), (50, 49, 0.9)])
def test_the_count_is_compared_by_an_exact_binomial_test(n: int, number: int, share: float) -> None:
    found = result_of(treated(n, number), share)
    tails = [stats.binomtest(number, n, share, side).pvalue for side in ("less", "greater")]
    assert found["p_value"] == pytest.approx(min(1.0, 2 * min(tails)))
    assert (found["treated"], found["total"], found["counted"]) == (number, n, "rows")


def test_clusters_count_once() -> None:
    codes = np.repeat(np.arange(20), np.arange(1, 21))
    x = np.zeros((len(codes), 1))
    data = replace(observed(x, (codes < 10).astype(float)), clusters=(codes,))
    found = result_of(data, 0.5)
    assert (found["treated"], found["total"], found["counted"], found["p_value"]) == (10, 20, "clusters", 1.0)


def test_an_instrument_takes_the_place_of_the_treatment() -> None:
    data = instrumented(300)
    data = replace(data, instruments=(data.instruments > 0).astype(float))
    assert result_of(data, 0.5)["treated"] == int(data.instruments.sum())


def test_without_a_plan_or_two_levels_nothing_is_tested() -> None:
    with pytest.raises(UnusableData):
        result_of(trial(60), None)
    with pytest.raises(UnusableData):
        result_of(cross_section(60, continuous=True), 0.5)
