"""Columns computed from others are found, and a name that the cells contradict is not believed."""

import math
import random

import polars as pl
import pytest

from cqox.datasets import Limits, ReadOptions, read_table, structure_of

DRAW = random.Random(5)
UNITS, PERIODS = 20, 4
ROWS = range(UNITS * PERIODS)
WAGE = [round(DRAW.uniform(2, 9), 3) for _ in ROWS]
AGE = [DRAW.randint(20, 60) for _ in ROWS]
IN_PANEL = [index % PERIODS > 0 for index in ROWS]
D = [DRAW.randint(0, 1) for _ in ROWS]
LATE = [DRAW.randint(0, 1) for _ in ROWS]
BONUS = [DRAW.choice([0.0, 0.0, 1.5, 2.5]) for _ in ROWS]
LAGGED = [WAGE[i - 1] if IN_PANEL[i] else None for i in ROWS]


@pytest.fixture
def computed(tmp_path):
    def computed(**columns: object) -> dict[str, tuple[str, tuple[str, ...]]]:
        index = {"nr": [i // PERIODS for i in ROWS], "year": [2000 + i % PERIODS for i in ROWS]}
        path = tmp_path / "table.csv"
        pl.DataFrame(index | columns).write_csv(path)
        table = read_table(path, name="table", limits=Limits(), options=ReadOptions())
        found = structure_of(table.frame, table.columns).computed
        return {name: (made.how, made.bases) for name, made in found.items()}

    return computed


@pytest.mark.parametrize(
    ("name", "values", "base", "how"),
    [
        ("lwage", [math.log(wage) for wage in WAGE], "wage", "logarithm"),
        ("log_wage", [math.log1p(wage) for wage in WAGE], "wage", "logarithm"),
        ("wagesq", [wage**2 for wage in WAGE], "wage", "square"),
        ("wage_1", LAGGED, "wage", "lag"),
        ("lag_wage", LAGGED, "wage", "lag"),
        ("cwage", [WAGE[i] - WAGE[i - 1] if IN_PANEL[i] else None for i in ROWS], "wage", "difference"),
        ("dwage", [abs(WAGE[i] - WAGE[i - 1]) if IN_PANEL[i] else None for i in ROWS], "wage", "difference"),
        ("gwage", [math.log(WAGE[i] / WAGE[i - 1]) if IN_PANEL[i] else None for i in ROWS], "wage", "difference"),
    ],
)
def test_what_a_name_says_is_believed_if_the_cells_agree(computed, name, values, base, how) -> None:
    assert computed(wage=WAGE, **{name: values})[name] == (how, (base,))
    assert name not in computed(wage=WAGE, **{name: [value and value + 0.1 for value in reversed(values)]})


def test_products_are_found_by_their_cells(computed) -> None:
    both = [d * late for d, late in zip(D, LATE, strict=True)]
    paid = [d * age for d, age in zip(D, AGE, strict=True)]
    found = computed(d=D, late=LATE, both=both, age=AGE, dage=paid)
    assert found["both"] == ("product", ("d", "late"))
    assert found["dage"] == ("product", ("d", "age"))
    assert found.keys() == {"both", "dage"}


def test_indicators_of_an_amount_and_of_its_being_observed_are_found(computed) -> None:
    found = computed(
        bonus=BONUS,
        none=[int(bonus == 0) for bonus in BONUS],
        wage=[wage if d else None for wage, d in zip(WAGE, D, strict=True)],
        employed=D,
        late=LATE,
    )
    assert found == {"none": ("indicator", ("bonus",)), "employed": ("indicator", ("wage",))}


def test_a_column_is_not_defined_by_its_own_product_with_an_amount(computed) -> None:
    found = computed(d=D, wage=WAGE, extra=[d * wage for d, wage in zip(D, WAGE, strict=True)])
    assert "d" not in found
