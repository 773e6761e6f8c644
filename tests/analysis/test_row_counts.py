from dataclasses import replace

import numpy as np
import pytest

from cqox.analysis.row_counts import counted_rows, rows_of
from cqox.estimators import Data, Estimator, Plan, Settings, catalog, run
from cqox.estimators.sample import ROLE_ARRAYS
from tests.estimators.designs import cross_section, design_for, panel, rows

_WHOLE = ("unit", "time", "in_source", "cohort")
"""Arrays that a gap would give another design."""


def with_gaps(data: Data, entry: Estimator) -> Data:
    """Data of which some rows are missing, and some values of every role of an estimator."""
    rng = np.random.default_rng(1)
    # A gap in the first treated period would be another start of treatment.
    early = np.arange(data.n) if data.time is None else np.flatnonzero(data.time == 0)
    data = rows(data, np.setdiff1d(np.arange(data.n), early[:3]))
    early = np.arange(data.n) if data.time is None else np.flatnonzero(data.time == 0)
    changed: dict[str, object] = {}
    done: dict[int, object] = {}
    for role in (*entry.requires, *entry.optional, "propensity_covariates"):
        name = ROLE_ARRAYS.get(role)
        array = None if name is None else getattr(data, name)
        if name is None or name in _WHOLE or not isinstance(array, np.ndarray) or not array.size:
            continue
        if name == "treatment" and entry.family in ("did", "did_staggered", "synthetic_control"):
            continue
        if id(array) not in done:
            done[id(array)] = gappy = array.copy()
            places = rng.permutation(early if entry.name == "did_2x2_block" else data.n)
            gappy[places[:6]] = -1 if np.issubdtype(array.dtype, np.integer) else np.nan
        changed[name] = done[id(array)]
    return replace(data, **changed)


@pytest.mark.parametrize(
    "entry", [entry for entry in catalog() if entry.name != "did_imputation"], ids=lambda e: e.name
)
def test_rows_are_those_that_the_estimate_uses(entry: Estimator) -> None:
    plan = Plan(with_gaps(design_for(entry), entry), Settings())
    found = run(entry, plan)
    assert found.n is not None, found.reason
    assert found.n < plan.data.n
    counted = counted_rows(entry, plan, [], read=plan.data.n)
    assert (counted.kept, counted.dropped) == (found.n, plan.data.n - found.n)


def test_an_imputation_uses_no_more_rows_than_its_panel() -> None:
    entry = next(entry for entry in catalog() if entry.name == "did_imputation")
    plan = Plan(panel(staggered=True, dropped=0.1), Settings())
    assert run(entry, plan).n <= rows_of(entry, plan).n


def test_each_column_without_values_is_a_reason_with_the_rows_that_it_alone_costs() -> None:
    data = cross_section(n=200)
    y, x = data.y.copy(), data.covariates.copy()
    y[:10] = np.nan
    x[5:20, 0] = np.nan
    data = replace(data, y=y, covariates=x, propensity_covariates=x)
    entry = next(entry for entry in catalog() if entry.name == "aipw")
    found = counted_rows(entry, Plan(data, Settings()), [], read=200)
    assert [(each.role, each.rows, each.alone) for each in found.reasons] == [("y", 10, 5), ("covariates", 15, 10)]
    assert [list(each.columns) for each in found.reasons] == [list(data.names["y"]), [data.names["covariates"][0]]]
    assert (found.kept, found.dropped) == (180, 20)


def test_rows_that_a_layout_cannot_use_are_a_reason() -> None:
    entry = next(entry for entry in catalog() if entry.name == "did_callaway_santanna")
    data = panel(staggered=True)
    assert data.unit is not None
    assert data.treatment is not None
    early = np.where(data.unit == 0, 1.0, data.treatment)
    found = counted_rows(entry, Plan(replace(data, treatment=early), Settings()), [], read=data.n)
    assert found.reasons[-1].code == "layout"
    assert found.reasons[-1].rows == found.dropped > 0


def test_without_an_estimator_rows_have_an_outcome_and_a_treatment() -> None:
    data = cross_section(n=200)
    y = data.y.copy()
    y[3] = np.nan
    assert rows_of(None, Plan(replace(data, y=y), Settings())).n == 199
