import pytest

from tests.estimators.by_moments.tables_of import both, same, study


@pytest.mark.parametrize("name", ["aipw", "ipwra"])
@pytest.mark.parametrize(
    "design", [{}, {"weights": True}, {"clusters": 300}, {"clusters": 20, "weights": True}, {"collinear": True}]
)
def test_the_numbers_are_those_of_the_rows_in_memory(design: dict[str, bool], name: str) -> None:
    same(*both(name, study(**design)))
