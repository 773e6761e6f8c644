import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings, catalog, run
from cqox.estimators.by_moments import layouts
from cqox.estimators.by_moments.layouts import refused_layouts
from tests.estimators.by_moments.tables_of import panel, replaced, tables

NAMES = ("panel_matching", "did_callaway_santanna", "did_imputation")
CHOSEN = [each for each in catalog() if each.name in NAMES]


def repeated(units: list[int]) -> Data:
    """A panel with a second row of the first period of some units; the sample has the even ones."""
    data = panel(units=60, missing=False)
    data = replaced(data, names={**data.names, "covariates": ()}, covariates=np.empty((data.n, 0)))
    again = np.array([9 * unit for unit in units], dtype=np.intp)
    return data.rows(np.random.default_rng(3).permutation(np.append(np.arange(data.n), again)))


@pytest.mark.parametrize("units", [[5], [4], [5, 4, 4, 31], list(range(40))])
def test_the_rows_are_those_that_memory_names(monkeypatch: pytest.MonkeyPatch, units: list[int]) -> None:
    monkeypatch.setattr(layouts, "MOST_ROWS", 100)
    data = repeated(units)
    found = refused_layouts(tables(data), CHOSEN)
    for each in CHOSEN:
        assert found[each.name].detail == run(each, Plan(data, Settings())).reason


def test_staggered_designs_whose_rows_are_read_and_panels_without_such_rows_are_left() -> None:
    assert set(refused_layouts(tables(repeated([5])), CHOSEN)) == {"panel_matching"}
    assert refused_layouts(tables(repeated([])), CHOSEN) == {}
