from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Plan, Settings
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.panels import PanelSums, Periods, less_means
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.numerics.absorb import absorb
from cqox.estimators.numerics.moments import Column, times
from tests.estimators.by_moments.tables_of import encoded, panel, replaced, tables

ROLES = ("y", "treatment", "unit_id", "time")
Y = Column("y")


def test_periods_are_counted_and_numbered_in_their_order() -> None:
    data = replaced(panel(missing=False), time=panel(missing=False).time ** 2)
    made = tables(data)
    rows = made.complete(*ROLES)
    found = Periods.of(made, rows)
    assert found.values.tolist() == [place**2 for place in range(9)]
    assert found.rows.tolist() == [400] * 9
    np.testing.assert_array_equal(found.treated, np.bincount(data.time, data.treatment)[np.arange(9) ** 2])
    largest = rows.source.sums([found.code, found.among(np.arange(9.0))], [found.code])
    assert largest.sums.tolist() == [400 * 36] * 2
    assert largest.largest.tolist() == [8]


def test_a_table_without_periods_has_none() -> None:
    data = panel()
    made = Tables(replace(encoded(data), time=None), Plan(data, Settings()))
    with pytest.raises(NotByMoments):
        Periods.of(made, made.complete(*ROLES))


@pytest.mark.parametrize("weights", [False, True])
def test_what_is_left_without_effects_is_that_of_absorption(weights: bool) -> None:
    data = panel(weights=weights)
    made = tables(data)
    rows = made.complete(*ROLES)
    sums = PanelSums.of(made, rows, Periods.of(made, rows), [Y])
    known = ~np.isnan(data.y)
    codes = [data.unit[known], data.time[known]]
    left = data.y[known][None, :].copy()
    absorption = absorb(left, codes, None if data.weights is None else data.weights[known])
    assert (sums.units, len(sums.periods.values)) == absorption.levels
    sizes = np.bincount(codes[0])
    assert sums.once == np.count_nonzero(sizes == 1)
    assert sums.alone == sums.once
    within = sums.without_effects(Y, 0)
    found = rows.source.sums([times(sums.weight, within, within), times(sums.weight, within, Y)]).sums
    weight = 1.0 if data.weights is None else data.weights[known]
    assert found == pytest.approx(float((weight * left[0] ** 2).sum()), rel=1e-10)


def test_without_its_means_a_column_sums_to_nothing_in_each_unit() -> None:
    made = tables(panel(weights=True))
    source = made.complete(*ROLES).source
    column = times(Column("w"), less_means(Y, Column("u"), Column("w")))
    assert np.abs(source.grouped([column], [Column("u")])[:, 2]).max() < 1e-10
