"""The widest of the justified errors of a contrast."""

import numpy as np
import pytest

from cqox.estimators.numerics.quantiles import critical_value
from cqox.estimators.time_series.contrast_errors import series_errors
from tests.estimators.inference.test_segment_errors import BEFORE, lines, residuals


@pytest.mark.parametrize("louder", [0.3, 1.0, 3.0])
def test_the_widest_interval_is_chosen(louder: float) -> None:
    basis, weights = lines()
    errors = series_errors(residuals(louder=louder), basis, BEFORE)
    assert errors is not None
    halves = [critical_value(0.05, each.degrees) * each.standard_error for each in errors.justified(weights)]
    widest = errors.widest(weights, 0.05)
    assert len(halves) == 2
    assert critical_value(0.05, widest.degrees) * widest.standard_error == max(halves)
    assert errors.ratio == pytest.approx(louder, rel=0.5)


def test_the_alternates_name_every_error() -> None:
    basis, weights = lines()
    errors = series_errors(residuals(), basis, BEFORE)
    assert errors is not None
    names = list(errors.alternates(weights))
    assert names[-3:] == ["Newey-West (3 lags)", "HC1", "iid"]
    assert all(name.startswith("autoregressive errors") for name in names[:-3])


def test_an_exact_fit_has_no_errors() -> None:
    basis, _ = lines()
    assert series_errors(np.zeros(len(basis)), basis, BEFORE) is None
