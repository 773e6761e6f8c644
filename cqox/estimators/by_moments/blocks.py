"""Synthetic controls of tables of which only sums are known.

A panel of theirs has one row for each unit and period, and few enough of them (`block_panel`): sums say whether it has,
then its rows are read, and the code for rows in memory takes it from there.
"""

from typing import Never

import numpy as np

from cqox.contract.messages import Message, of
from cqox.errors import UnusableData
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.repeated import repeated_rows
from cqox.estimators.by_moments.rounds import Steps
from cqox.estimators.by_moments.summed import ONE, Complete
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.catalog import run
from cqox.estimators.estimate import Estimate
from cqox.estimators.estimator import Estimator
from cqox.estimators.numerics.moments import GroupSum, Is, Quotient, times
from cqox.estimators.panel.block_panel import MOST_CELLS, MOST_DONORS, block_panel
from cqox.estimators.plan import Plan
from cqox.estimators.synthetic.synthetic_control import ESTIMATORS

__all__ = ["ALL_ROWS", "of_read_rows", "synthetic"]

_BY_NAME = {each.name: each for each in ESTIMATORS}
ALL_ROWS = 2.0**53
"""More than the number of any row."""
_COMPLETE = ("y", "treatment", "unit_id", "time", "post")
_ROLES = ("y", "treatment", "unit_id", "time", "cohort", "post", "intervention_time", "cluster")
"""The roles of a panel; placebos are drawn by cluster, where one is mapped, else by unit."""


def synthetic(tables: Tables, *, name: str) -> Steps:
    """Return the estimate of a synthetic control.

    Args:
        tables: the request's shared computations; the plan of its sample gets the panel of all rows.
        name: of the estimator.
    """
    yield from ()
    return of_read_rows(_BY_NAME[name], _plan(tables))


def of_read_rows(estimator: Estimator, plan: Plan) -> Estimate:
    """Return the estimate of rows that have been read; one that fails says so, and the others stand.

    Raises:
        UnusableData: the rows do not support it.
    """
    found = run(estimator, plan)
    if found.status == "skipped" and found.reason is not None:
        raise UnusableData(found.reason)
    return found


def _plan(tables: Tables) -> Plan:
    """Return the plan of the panel's rows."""

    def make() -> Plan | Exception:
        try:
            return _read(tables)
        except (UnusableData, NotByMoments) as error:
            return error

    found = tables.once("block panel", make)
    if isinstance(found, Plan):
        return found
    if isinstance(found, UnusableData):
        reason = of(found.detail)
        tables.pilot.share("block panel", lambda: reason)
    raise found


def _read(tables: Tables) -> Plan:
    pilot, stored = tables.pilot, tables.encoded.stored
    if pilot.has("weights"):
        raise UnusableData(Message("panel.no-sampling-weights", weights=pilot.label("weights")))
    if stored is None or tables.encoded.unit is None or tables.encoded.time is None:
        raise NotByMoments(Message("by_moments.not-summed"))
    rows = tables.complete(*_COMPLETE)
    _check_size(tables, rows)
    numbers = rows.source.fetch({"row": stored.number}, stored.number, ALL_ROWS)["row"]
    plan = Plan(stored.read(numbers.astype(np.int64), _ROLES), pilot.settings)
    panel = block_panel(plan)
    if isinstance(panel, Message) and panel.code == "panel.repeated-rows":
        # That message counts the rows that were read.
        _refuse_repeated(tables)
    pilot.share("block panel", lambda: panel)
    return plan


def _check_size(tables: Tables, rows: Complete) -> None:
    """Refuse more rows, or more untreated units, than the panel of a synthetic control has.

    Raises:
        UnusableData: there are too many, or units have several rows in a period.
    """
    encoded, (unit,), (time,) = tables.encoded, tables.encoded.of("unit_id"), tables.encoded.of("time")
    size = GroupSum(ONE, (unit,))
    untreated = Is(GroupSum(times(encoded.treatment, encoded.post), (unit,)), "=", 0.0)
    found = rows.source.sums([ONE, Quotient(ONE, size), Quotient(untreated, size)]).sums
    count, units, donors = (round(float(each)) for each in found)
    if count <= MOST_CELLS and donors <= MOST_DONORS:
        return
    periods = rows.source.squares([ONE], [time])[1]
    if units * periods > MOST_CELLS:
        raise UnusableData(
            Message("panel.too-many-cells-keep-units", units=units, periods=periods, limit=MOST_CELLS)
        )  # fmt: skip
    if donors == units:
        raise UnusableData(Message("panel.no-treated-row"))
    if donors > MOST_DONORS:
        raise UnusableData(Message("panel.too-many-untreated-units", limit=MOST_DONORS, untreated=donors))
    _refuse_repeated(tables)


def _refuse_repeated(tables: Tables) -> Never:
    """Raise an error that names the rows of units with several rows in one period."""
    rows = repeated_rows(tables, *_COMPLETE)
    if rows is None:
        raise NotByMoments(Message("by_moments.repeated-rows"))
    raise UnusableData(Message("panel.repeated-rows", rows=rows))
