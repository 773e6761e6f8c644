import numpy as np
import pytest

from cqox.estimators import Settings
from tests.estimators.by_moments.tables_of import both, replaced, same, study, without_covariates

NAMES = ["ipw_ate", "ipw_att", "overlap_weights"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("design", [{}, {"weights": True}, {"clusters": 300}, {"clusters": 20, "weights": True}])
def test_the_numbers_are_those_of_the_rows_in_memory(design: dict[str, bool], name: str) -> None:
    same(*both(name, study(**design)))


@pytest.mark.parametrize("name", NAMES)
def test_known_probabilities_of_zero_or_one_are_refused_outside_the_sample_too(name: str) -> None:
    data = without_covariates(study(missing=False))
    e = np.full(data.n, 0.5)
    e[[1, 3]] = 0.0, 1.0
    memory, moments = both(name, replaced(data, pscore=e, names={**data.names, "pscore": ("e",)}))
    assert isinstance(moments, Exception)
    assert str(moments) == str(memory.reason)


def test_an_error_by_name_says_what_it_is() -> None:
    same(*both("ipw_ate", study(clusters=80), Settings(se="HC1")))
