from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from cqox.contract.messages import Message
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.by_moments.repeated import repeated_rows
from cqox.estimators.data import Vector
from cqox.estimators.numerics.moments import ArrayMoments, Expr
from cqox.estimators.panel.did import ESTIMATORS
from tests.estimators.by_moments.tables_of import panel, replaced, tables

ROLES = ("y", "treatment", "unit_id", "time", "covariates")


def in_memory(data: Data) -> Message | None:
    (two_way,) = [each for each in ESTIMATORS if each.name == "twfe"]
    return two_way.applies(Plan(data, Settings()))


def again(data: Data, rows: list[int], seed: int = 0) -> Data:
    """The rows and some of them again, shuffled."""
    return data.rows(np.random.default_rng(seed).permutation(np.append(np.arange(data.n), rows)))


@pytest.mark.parametrize("rows", [[4], [4, 4, 6], list(range(10, 17)), list(range(200, 260)), [4, 40] * 30])
@pytest.mark.parametrize("missing", [False, True])
def test_the_rows_are_those_that_memory_names(rows: list[int], missing: bool) -> None:
    data = again(panel(units=60, missing=missing), rows)
    found = repeated_rows(tables(data), *ROLES)
    assert found is not None
    assert Message("panel.repeated-rows-or-fixed-effects", rows=found) == in_memory(data)


@pytest.mark.parametrize("at", [0, 1_900])
def test_only_the_first_rows_are_read_where_they_hold_enough(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    monkeypatch.setattr("cqox.estimators.by_moments.repeated._FIRST_ROWS", 20.0)
    base = panel(units=500, missing=False)
    data = base.rows(np.insert(np.arange(base.n), at, np.full(30, at)))
    made = tables(data)
    read: list[int] = []
    fetch = ArrayMoments.fetch

    def counted(self: ArrayMoments, columns: Mapping[str, Expr], key: Expr, below: float) -> Mapping[str, Vector]:
        found = fetch(self, columns, key, below)
        read.append(len(found["row"]))
        return found

    monkeypatch.setattr(ArrayMoments, "fetch", counted)
    found = repeated_rows(made, *ROLES)
    assert found is not None
    assert Message("panel.repeated-rows-or-fixed-effects", rows=found) == in_memory(data)
    assert read == ([20] if at == 0 else [0, 0, 31])


def test_a_panel_without_such_rows_has_none() -> None:
    assert repeated_rows(tables(panel(units=60)), *ROLES) is None


def test_a_row_without_an_outcome_repeats_no_other() -> None:
    data = panel(units=60, missing=False)
    data = data.rows(np.append(np.arange(data.n), 5))
    data = replaced(data, y=np.where(np.arange(data.n) == 5, np.nan, data.y))
    assert repeated_rows(tables(data), *ROLES) is None


def test_rows_that_cannot_be_numbered_are_not_named() -> None:
    made = tables(again(panel(units=60), [5]))
    made.encoded = replace(made.encoded, stored=None)
    assert repeated_rows(made, *ROLES) is None
