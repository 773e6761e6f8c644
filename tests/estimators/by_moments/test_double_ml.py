from dataclasses import replace

import pytest

from cqox.estimators import Settings
from cqox.estimators.by_moments.catalog import BY_MOMENTS
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.rounds import run_rounds
from cqox.estimators.by_moments.tables import Tables
from tests.estimators.by_moments.tables_of import both, same, study, tables

NAMES = ["dml_plr", "dml_irm_ate", "dml_irm_att"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("design", [{}, {"weights": True}, {"clusters": 300}, {"clusters": 20, "weights": True}])
def test_the_numbers_are_those_of_the_rows_in_memory(design: dict[str, bool], name: str) -> None:
    same(*both(name, study(**design)))


@pytest.mark.parametrize("name", NAMES)
def test_the_median_is_over_the_same_splits(name: str) -> None:
    same(*both(name, study(2_000), Settings(repetitions=3, folds=4, seed=11)))


@pytest.mark.parametrize(
    "design",
    [
        {"instruments": 1},
        {"instruments": 2, "amount": True},
        {"instruments": 2, "clusters": 300, "weights": True},
        {"instruments": 1, "clusters": 20},
    ],
)
@pytest.mark.parametrize("repetitions", [1, 3])
def test_an_instrument_is_partialled_out(design: dict[str, int], repetitions: int) -> None:
    same(*both("dml_pliv", study(**design), Settings(repetitions=repetitions)))


def test_an_amount_is_partialled_out() -> None:
    same(*both("dml_plr", study(amount=True)))


def test_without_a_key_there_are_no_folds() -> None:
    made = tables(study())
    made = Tables(replace(made.encoded, row_key=None), made.pilot)
    found = run_rounds(made, {"dml_plr": lambda: BY_MOMENTS["dml_plr"](made)})["dml_plr"]
    assert isinstance(found, NotByMoments)
    assert found.why.code == "by_moments.no-row-key"
