import pytest

from cqox.estimators import Settings
from tests.estimators.by_moments.tables_of import both, same, study

NAMES = ["ipw_ate", "ipw_att", "overlap_weights"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("design", [{}, {"weights": True}, {"clusters": 300}, {"clusters": 20, "weights": True}])
def test_the_numbers_are_those_of_the_rows_in_memory(design: dict[str, bool], name: str) -> None:
    same(*both(name, study(**design)))


def test_an_error_by_name_says_what_it_is() -> None:
    same(*both("ipw_ate", study(clusters=80), Settings(se="HC1")))
