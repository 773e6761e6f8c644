import numpy as np
import pytest

from cqox.diagnostics.holm import holm, smallest


def test_adjusted_values_are_those_of_statsmodels_in_the_order_given() -> None:
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(0)
    for count in (1, 2, 7):
        values = rng.random(count) ** 3
        assert holm(list(values)) == pytest.approx(multipletests(values, method="holm")[1])
    assert holm([]) == []


def test_the_smallest_is_adjusted_for_the_tests_that_there_are() -> None:
    assert smallest(0.2, None, 0.03, 0.04) == pytest.approx(0.09)
    assert smallest(None, 0.02) == 0.02
    assert smallest(None) == smallest() == 1.0
