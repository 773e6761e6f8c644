"""Staggered designs of tables of which only sums are known.

What they compare is one number for each unit and period: the sums by both are the rows themselves. A table with few
enough of them is read, and the code for rows in memory takes it from there.
"""

import numpy as np

from cqox.contract.messages import Message, of
from cqox.errors import UnusableData
from cqox.estimators.by_moments.blocks import ALL_ROWS, of_read_rows
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.rounds import Steps
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.panel.cohorts import complete_sample
from cqox.estimators.panel.did_staggered import ESTIMATORS, rule_of
from cqox.estimators.plan import Plan

__all__ = ["MOST_ROWS", "staggered"]

MOST_ROWS = 4_000_000
"""Number of rows up to which they are read."""

_BY_NAME = {each.name: each for each in ESTIMATORS}
_ROLES = frozenset(role for each in ESTIMATORS for role in (*each.requires, *each.optional)) | {"intervention_time"}


def staggered(tables: Tables, *, name: str) -> Steps:
    """Return the estimate of a staggered design.

    Args:
        tables: the request's shared computations; the plan of its sample learns whether all rows support the estimate.
        name: of the estimator.
    """
    yield from ()
    plan, estimator = tables.once("staggered rows", lambda: _read(tables)), _BY_NAME[name]
    if isinstance(plan, NotByMoments):
        raise plan
    try:
        reason = estimator.rule(plan)
    except UnusableData as error:
        reason = of(error.detail)
    tables.pilot.share(rule_of(name), lambda: reason)
    return of_read_rows(estimator, plan)


def _read(tables: Tables) -> Plan | NotByMoments:
    """Return the plan of all rows, or why they are not read."""
    pilot, stored, source = tables.pilot, tables.encoded.stored, tables.encoded.source
    if pilot.data.cohort is None and (pilot.data.treatment is None or pilot.data.treatment_kind != "binary"):
        # No row says more than the roles, which are refused here.
        complete_sample(pilot)
    if stored is None:
        return NotByMoments(Message("by_moments.not-summed"))
    if source.count() > MOST_ROWS:
        return NotByMoments(Message("by_moments.many-rows", most=MOST_ROWS))
    numbers = source.fetch({"row": stored.number}, stored.number, ALL_ROWS)["row"]
    return Plan(stored.read(numbers.astype(np.int64), _ROLES), pilot.settings)
