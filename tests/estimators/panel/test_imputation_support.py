from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.panel.imputation_support import Cell, Support
from cqox.estimators.panel.layout import Panel, staggered_panel

PERIODS = 6


def design(sizes: tuple[int, ...] = (1, 3, 5), starts: tuple[int, ...] = (2, 4, 99), **changes: object) -> Data:
    start = np.repeat(starts, sizes)
    unit, time = np.repeat(np.arange(len(start)), PERIODS), np.tile(np.arange(PERIODS), len(start))
    first = start[unit].astype(float)
    data = Data(
        n=len(unit), y=np.random.default_rng(0).standard_normal(len(unit)), unit=unit, time=time,
        time_values=np.arange(float(PERIODS)), cohort=np.where(first < PERIODS, first, np.nan),
        row_key=unit.astype(np.uint64),
    )  # fmt: skip
    return replace(data, **changes)


def ready(data: Data, **settings: object) -> tuple[Panel, Support, np.ndarray, list[Cell]]:
    plan = Plan(data, Settings(**settings))
    panel = staggered_panel(plan)
    untreated = np.ones((PERIODS, panel.units), dtype=bool)
    cells = []
    for cohort in panel.treated:
        untreated[cohort.start :, cohort.units] = False
        cells += [Cell(cohort=cohort, period=at, event=at - cohort.start) for at in range(cohort.start, PERIODS)]
    return panel, Support(plan, panel, untreated), untreated, cells


def codes(found: list[object]) -> list[str | None]:
    return [None if each is None else each.code for each in found]


def effects(data: Data, **settings: object) -> list[str | None]:
    """Reasons of the mean effect, then those of events 0 to 3."""
    _, support, untreated, cells = ready(data, **settings)
    v = np.where(untreated, 0.0, 1.0 / np.count_nonzero(~untreated))
    return codes(support.of_effects(v, cells, [0, 1, 2, 3]))


def leads(data: Data) -> list[str | None]:
    panel, support, _, _ = ready(data)
    return codes(support.of_leads([(each, np.arange(PERIODS) - each.start) for each in panel.treated], [-1, -2, -3]))


def test_only_events_of_a_single_treated_unit_have_no_standard_error() -> None:
    assert effects(design()) == [None, None, None, "panel.only-one-treated", "panel.only-one-treated"]
    assert effects(design((2, 3, 5))) == [None] * 5


def test_a_single_untreated_unit_is_too_few_as_well() -> None:
    # From period 4 on only the never-treated unit is left to compare with.
    assert effects(design((3, 3, 1)))[3:] == ["panel.only-one-untreated"] * 2


@pytest.mark.parametrize(("first", "reason"), [(3, "panel.mostly-one-untreated"), (9, None)])
def test_a_mean_has_none_if_most_of_its_variance_is_of_such_effects(first: int, reason: str | None) -> None:
    # Event 0: so many units against 4, and 3 units against 1; squared shares over these numbers are 9/4 (81/4) to 9.
    assert effects(design((first, 3, 1)))[1] == reason


def test_an_error_that_is_asked_for_by_name_needs_no_second_unit() -> None:
    assert effects(design(), se="CRV1") == [None] * 5


def test_mapped_clusters_are_counted_instead_of_units() -> None:
    data = design((3, 3, 4))
    together = np.where(data.unit < 3, 0, data.unit)
    one = effects(replace(data, clusters=(together,)))
    assert one[3:] == ["panel.only-one-treated"] * 2
    assert effects(replace(data, clusters=(data.unit, together))) == one
    assert effects(data) == [None] * 5


def test_leads_need_two_units_on_both_sides_before_treatment() -> None:
    assert leads(design()) == [None, None, None]
    assert leads(design((4, 1, 5))) == [None, None, "panel.only-one-treated"]
    assert leads(design((4, 4, 1), (3, 3, 99))) == ["panel.only-one-untreated"] * 3


def test_clusters_that_change_over_time_are_refused() -> None:
    with pytest.raises(UnusableData) as caught:
        ready(design(clusters=(np.tile(np.arange(PERIODS), 9),)))
    assert caught.value.args[0].code == "panel.cluster-changes"
