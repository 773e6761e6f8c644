from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from cqox.estimators import Plan, Settings
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.rounds import run_rounds
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.by_moments.two_by_two import did_2x2
from tests.estimators.by_moments.tables_of import both, encoded, over_time, same, study


@pytest.mark.parametrize(
    "design", [{}, {"weights": True}, {"clusters": 300}, {"clusters": 20, "weights": True}, {"collinear": True}]
)
def test_the_numbers_are_those_of_the_rows_in_memory(design: dict[str, bool]) -> None:
    same(*both("did_2x2", over_time(study(**design))))


def test_without_a_column_of_periods_it_is_left_to_the_sample() -> None:
    data = over_time(study())
    made = Tables(replace(encoded(data), post=None), Plan(data.rows(np.arange(0, data.n, 2)), Settings()))
    found = run_rounds(made, {"did_2x2": partial(did_2x2, made)})["did_2x2"]
    assert isinstance(found, NotByMoments)
    assert found.why.code == "by_moments.periods"


def test_few_rows_are_left_to_the_sample() -> None:
    _, found = both("did_2x2", over_time(study(n=200)))
    assert isinstance(found, NotByMoments)
    assert found.why.code == "by_moments.leverages"
