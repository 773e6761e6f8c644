"""Panels whose units have several rows in one period, of estimators that a sample of the table may make.

The rows of all of a table are few enough to be read for most staggered designs, which then say so themselves.
"""

from collections.abc import Sequence

from cqox.contract.messages import Message, of
from cqox.errors import UnusableData
from cqox.estimators.by_moments.repeated import repeated_rows
from cqox.estimators.by_moments.staggered import MOST_ROWS
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.estimator import Estimator
from cqox.estimators.panel.cohorts import complete_sample
from cqox.estimators.panel.layout import REPEATED_LATER
from cqox.estimators.sample import Sample

__all__ = ["refused_layouts"]

_MATCHING = "panel_matching"
_STAGGERED = ("did_callaway_santanna", "did_imputation")


def refused_layouts(tables: Tables, chosen: Sequence[Estimator]) -> dict[str, UnusableData]:
    """Return the estimators that all rows do not support because units have several rows in one period.

    The plan of the sample learns the rows.

    Args:
        tables: the request's shared computations.
        chosen: the estimators to run whose roles are mapped.
    """
    plan, encoded = tables.pilot, tables.encoded
    if encoded.unit is None or encoded.time is None:
        return {}
    refused: dict[str, UnusableData] = {}
    matching = [each for each in chosen if each.name == _MATCHING]
    if matching:
        roles = ("y", "unit_id", "time", "treatment")
        refined = ("covariates",) if plan.settings.match_refinement != "none" else ()
        refused |= _refused(tables, matching, plan.sample(*roles, *refined), *roles, *refined)
    staggered = [each for each in chosen if each.name in _STAGGERED]
    if staggered and plan.has("unit_id") and encoded.source.count() > MOST_ROWS:
        try:
            sample = complete_sample(plan, "unit_id")
        except UnusableData:
            return refused
        design = () if plan.data.cohort is not None else ("treatment", "post")
        refused |= _refused(tables, staggered, sample, "y", "unit_id", "time", "covariates", *design)
    return refused


def _refused(tables: Tables, chosen: Sequence[Estimator], sample: Sample, *roles: str) -> dict[str, UnusableData]:
    rows = repeated_rows(tables, *roles, later=True)
    if rows is None:
        return {}
    reason = Message("panel.repeated-rows-or-cluster", rows=rows)
    tables.pilot.share(REPEATED_LATER, lambda: reason, sample)
    return {each.name: UnusableData(reason) for each in chosen if _reason(each, tables) == reason}


def _reason(estimator: Estimator, tables: Tables) -> Message | None:
    """Return why the sample does not support an estimate, if its layout says so."""
    try:
        return estimator.applies(tables.pilot)
    except UnusableData as error:
        return of(error.detail)
