"""Covariates that are the outcome once more."""

import numpy as np
import polars as pl
import pytest

from cqox.datasets.findings.outcome_as_covariate import outcome_as_covariate

RNG = np.random.default_rng(5)
Y = RNG.gamma(3, 1000, 400)


@pytest.mark.parametrize(
    "x", [Y / 1000, 5 - 2 * Y, np.log(Y), np.sqrt(Y), 1 / Y, np.exp(Y / 3000), (Y / 1000).round(3)], ids=str
)
def test_the_outcome_in_other_units_or_on_another_scale_is_found(x: np.ndarray) -> None:
    (finding,) = outcome_as_covariate(pl.DataFrame({"y": Y, "x": x}).__getitem__, "y", ["x"])
    assert (finding.code, finding.severity, finding.columns) == ("outcome-as-covariate", "caps", ["x"])
    assert finding.remedy is None


def test_last_years_value_a_trend_and_words_are_none() -> None:
    others = {"lag": Y * (1 + RNG.normal(0, 0.01, 400)), "year": np.argsort(np.argsort(Y)), "word": ["a", "b"] * 200}
    assert outcome_as_covariate(pl.DataFrame({"y": Y, **others}).__getitem__, "y", list(others)) == []
