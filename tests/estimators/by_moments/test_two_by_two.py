from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings, run
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.rounds import run_rounds
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.by_moments.two_by_two import did_2x2
from cqox.estimators.numerics.moments import Column
from tests.estimators.by_moments.tables_of import ESTIMATORS, columns_of, encoded, in_arrays, replaced, same, study


def over_time(**design: bool | int) -> Data:
    data = study(**design)
    post = (np.random.default_rng(9).random(data.n) < 0.5).astype(float)
    post[::301] = np.nan
    return replaced(
        data, post=post, y=data.y + 0.7 * np.nan_to_num(post) * data.treatment, names={**data.names, "post": ("p",)}
    )


def by_moments(data: Data, settings: Settings, *, post: bool = True):
    roles = replace(
        encoded(data), source=in_arrays({**columns_of(data), "p": data.post}), post=Column("p") if post else None
    )
    made = Tables(roles, Plan(data.rows(np.arange(0, data.n, 2)), settings))
    return run_rounds(made, {"did_2x2": partial(did_2x2, made)})["did_2x2"]


@pytest.mark.parametrize(
    "design", [{}, {"weights": True}, {"clusters": 300}, {"clusters": 20, "weights": True}, {"collinear": True}]
)
def test_the_numbers_are_those_of_the_rows_in_memory(design: dict[str, bool]) -> None:
    data = over_time(**design)
    same(run(ESTIMATORS["did_2x2"], Plan(data, Settings())), by_moments(data, Settings()))


def test_without_a_column_of_periods_it_is_left_to_the_sample() -> None:
    found = by_moments(over_time(), Settings(), post=False)
    assert isinstance(found, NotByMoments)
    assert found.why.code == "by_moments.periods"


def test_few_rows_are_left_to_the_sample() -> None:
    found = by_moments(over_time(n=200), Settings())
    assert isinstance(found, NotByMoments)
    assert found.why.code == "by_moments.leverages"
