import math

import numpy as np
import pytest

from cqox.diagnostics.json_values import number


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, np.float64("nan")])
def test_what_json_cannot_hold_is_null(value: float | None) -> None:
    assert number(value) is None


@pytest.mark.parametrize("value", [0, -0.0, 1.5, 1e308, 5e-324, np.float32(0.5), np.int64(3)])
def test_any_other_number_is_a_float_of_the_same_value(value: float) -> None:
    found = number(value)
    assert type(found) is float
    assert found == value
