from dataclasses import replace

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings
from cqox.estimators.panel.comparisons import Comparisons, comparisons, counted, effects_on, named
from tests.estimators.designs import rows
from tests.estimators.staggering import staggered


def found_in(data: Data, **settings: object) -> Comparisons:
    return comparisons(Plan(data, Settings(**settings)))


def refusal(data: Data, **settings: object) -> str:
    with pytest.raises(UnusableData) as caught:
        found_in(data, **settings)
    return caught.value.args[0].code


def pairs(found: Comparisons) -> dict[float, list[tuple[int, int]]]:
    """Period and base of each comparison, by the start of the treated."""
    cells, result = found.cells, {}
    for cohort, period, base in zip(cells.cohort, cells.period, cells.base, strict=True):
        result.setdefault(found.panel.cohorts[cohort].onset.value, []).append((int(period), int(base)))
    return result


def test_a_varying_base_is_the_period_before_until_treatment_and_a_universal_one_is_fixed() -> None:
    data = staggered(60, covariates=False)
    assert pairs(found_in(data))[2004.0] == [(1, 0), (2, 1), (3, 2), (4, 2), (5, 2)]
    universal = found_in(data, base_period="universal")
    assert pairs(universal)[2004.0] == [(now, 2) for now in range(6)]
    assert universal.cells.event[universal.cells.reference].tolist() == [-1, -1, -1]


def test_anticipation_moves_the_base_back() -> None:
    assert pairs(found_in(staggered(60, covariates=False), anticipation=1))[2004.0] == [
        (1, 0), (2, 1), (3, 1), (4, 1), (5, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("anticipation", [0, 1])
@pytest.mark.parametrize("base", ["varying", "universal"])
def test_controls_are_those_not_treated_in_either_period(base: str, anticipation: int) -> None:
    found = found_in(staggered(60, covariates=False), control_group="not_yet_treated", base_period=base,
                     anticipation=anticipation)  # fmt: skip
    starts = np.array([cohort.onset.value for cohort in found.panel.cohorts])
    for at in range(len(found.cells.cohort)):
        latest = 2001 + max(found.cells.period[at], found.cells.base[at])
        expected = starts - anticipation > latest
        expected[found.cells.cohort[at]] = False
        assert found.cells.controls[at].tolist() == expected.tolist()
    assert found.compared_with == "not_yet_treated"
    assert not found_in(staggered(60, covariates=False)).cells.controls[:, :-1].any()


@pytest.mark.parametrize("dropped", [0.0, 0.2])
def test_units_seen_in_both_periods_are_counted(dropped: float) -> None:
    data = staggered(60, dropped=dropped, covariates=False)
    found = found_in(data, control_group="not_yet_treated", base_period="universal")
    seen = np.zeros((60, 6), dtype=bool)
    seen[data.unit, data.time] = True
    start = np.full(60, np.inf)
    start[data.unit] = np.nan_to_num(data.cohort, nan=np.inf)
    values = [cohort.onset.value for cohort in found.panel.cohorts]
    for at, (treated, controls) in enumerate(counted(found.panel, found.cells).tolist()):
        both = seen[:, found.cells.period[at]] & seen[:, found.cells.base[at]]
        against = [value for value, used in zip(values, found.cells.controls[at], strict=True) if used]
        assert treated == np.count_nonzero(both & (start == values[found.cells.cohort[at]]))
        assert controls == np.count_nonzero(both & np.isin(start, against))
    np.testing.assert_array_equal(found.rows, counted(found.panel, found.cells))


def test_rows_of_cross_sections_are_counted_in_the_period_with_fewer() -> None:
    data = replace(staggered(60, dropped=0.3, covariates=False), unit=None)
    found = found_in(data)
    start = np.nan_to_num(data.cohort, nan=np.inf)
    values = [cohort.onset.value for cohort in found.panel.cohorts]
    for at, both in enumerate(found.rows.tolist()):
        for count, wanted in zip(both, (values[found.cells.cohort[at]], np.inf), strict=True):
            each = [np.count_nonzero((start == wanted) & (data.time == when))
                    for when in (found.cells.period[at], found.cells.base[at])]  # fmt: skip
            assert count == min(each)


def test_without_never_treated_units_the_last_cohort_serves_until_it_starts() -> None:
    found = found_in(staggered(60, never=False, covariates=False))
    assert found.panel.periods == 5
    assert found.panel.cohorts[-1].onset.name == "never"
    assert "panel.last-treated-serve" in [note.code for note in found.notes]
    assert refusal(staggered(60, never=False, covariates=False), control_group="never_treated") == (
        "panel.no-never-treated-set-control-group"
    )


def test_designs_without_a_comparison_are_refused() -> None:
    data = staggered(60, covariates=False)
    one = rows(data, np.flatnonzero(data.cohort == 2004))
    assert refusal(one) == "panel.no-comparison-group"
    lone = rows(data, np.flatnonzero((data.cohort == 2004) | (data.unit == data.unit[np.isnan(data.cohort)][0])))
    # A single comparison unit is too few, so that every effect is named and left out.
    assert refusal(lone) == "text.sentences"
    assert refusal(rows(data, np.flatnonzero(np.isnan(data.cohort)))) == "panel.no-unit-treated-later"


def test_too_many_effects_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cqox.estimators.panel.comparisons._MOST_CELLS", 14)
    assert refusal(staggered(60, covariates=False)) == "panel.too-many-effects"


def test_few_gaps_are_a_note_and_many_a_warning() -> None:
    few, many, none = (found_in(staggered(120, dropped=share, covariates=False)) for share in (0.05, 0.3, 0.0))
    assert [note.code for note in few.notes] == ["panel.some-gaps"]
    assert [doubt.code for doubt in many.warnings] == ["panel.many-gaps"]
    assert (none.notes, none.warnings) == ((), ())


def test_some_cells_keep_their_order_and_are_named_by_start_and_period() -> None:
    found = found_in(staggered(60, covariates=False))
    late = found.cells.of(found.cells.event >= 1)
    assert (late.event >= 1).all()
    names = [named(found.panel, late, at) for at in range(2)]
    assert [dict(name.params) for name in names] == [
        {"start": "2003", "period": "2004"},
        {"start": "2003", "period": "2005"},
    ]
    assert effects_on(names).params["effects"] == 2
