import numpy as np
import pytest

from cqox.diagnostics.holm import holm


def test_adjusted_values_are_those_of_statsmodels_in_the_order_given() -> None:
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(0)
    for count in (1, 2, 7):
        values = rng.random(count) ** 3
        assert holm(list(values)) == pytest.approx(multipletests(values, method="holm")[1])
    assert holm([]) == []
