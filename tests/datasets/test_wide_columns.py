"""Names of columns that are a measure and a period."""

import pytest

from cqox.datasets.wide_columns import is_regular, measures_of


@pytest.mark.parametrize(
    ("name", "measure", "period"),
    [
        ("y2001", "y", "2001"),
        ("sales_2024-04", "sales", "2024-04"),
        ("売上_1月", "売上", "1"),
        ("売上（2024年度）", "売上", "2024"),
        ("2024年売上", "売上", "2024"),
        ("pop199002", "pop", "1990-02"),
        ("Q2 2025", "", "2025Q2"),
        ("sales week 3", "sales", "3"),
        ("visits_w12", "visits", "12"),
        ("Sep", "", "9"),
        ("第2四半期", "", "2"),
        ("売上 第3週", "売上", "3"),
        ("第3週", "", "3"),
    ],
)
def test_a_name_is_divided_into_measure_and_period(name: str, measure: str, period: str) -> None:
    (found,) = measures_of([name])
    assert (found.name, found.columns) == (measure, {period: name})


@pytest.mark.parametrize("name", ["x1", "re74", "market", "age", "id_123456", "w12"])
def test_a_name_without_a_period_is_none(name: str) -> None:
    assert measures_of([name]) == []


def test_periods_are_regular_if_each_is_as_far_from_the_one_before() -> None:
    for names, regular in (
        (["y2001", "y2003", "y2005"], True),
        (["y2001", "y2002"], False),
        (["y2001", "y2002", "y2009"], False),
    ):
        (measure,) = measures_of(names)
        assert is_regular(measure) is regular
