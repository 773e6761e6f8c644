from dataclasses import replace

import numpy as np
import pytest

from cqox.contract.messages import of
from cqox.errors import UnusableData
from cqox.estimators import Data, Estimate, Plan, Settings
from cqox.estimators.by_moments import staggered
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.rounds import run_rounds
from cqox.estimators.by_moments.tables import Tables
from tests.estimators.by_moments.tables_of import (
    ESTIMATORS,
    STAGGERED,
    both,
    encoded,
    panel,
    replaced,
    same,
    series,
    tables,
)
from tests.estimators.panel.test_did_staggered import any_panel


def once_each(data: Data) -> Data:
    """Rows of units that are observed once, whose groups start treatment."""
    group = data.unit % 20
    return replaced(
        data, unit=np.arange(data.n), clusters=(group,), treatment=None, treatment_kind="none",
        cohort=np.where(group < 8, 3.0 + group % 3, np.nan),
        names={role: words for role, words in data.names.items() if role != "treatment"} | {"cluster": ("g",)},
    )  # fmt: skip


def by_cohort(data: Data) -> Data:
    cohort = np.full(data.n, np.nan)
    for unit in np.unique(data.unit):
        on = (data.unit == unit) & (data.treatment > 0)
        if on.any():
            cohort[data.unit == unit] = data.time[on].min()
    return replaced(data, cohort=cohort, treatment=None, treatment_kind="none")


@pytest.mark.parametrize("name", STAGGERED)
@pytest.mark.parametrize("design", [{}, {"weights": True}, {"clusters": 40}, {"missing": False, "treated": 1.0}])
@pytest.mark.parametrize(
    "settings", [Settings(), Settings(control_group="not_yet_treated", base_period="universal", anticipation=1)]
)
def test_the_numbers_are_those_of_the_rows_in_memory(name: str, design: dict[str, int], settings: Settings) -> None:
    same(*both(name, panel(80, **design), settings))


@pytest.mark.parametrize("name", STAGGERED)
def test_cohorts_have_the_numbers_of_memory(name: str) -> None:
    same(*both(name, by_cohort(panel(60))))


def test_repeated_cross_sections_have_the_numbers_of_memory() -> None:
    memory, found = both("did_callaway_santanna", once_each(panel(200)))
    same(memory, found)
    assert memory.diagnostics["design"] == "repeated cross-sections"


@pytest.mark.parametrize("name", STAGGERED)
def test_any_panel_has_the_numbers_or_the_reason_of_memory(name: str) -> None:
    found = 0
    for seed in range(60):
        data, settings = any_panel(seed)
        words = {"y": ("y",), "unit_id": ("u",), "time": ("when",), "treatment": ("t",), "cohort": ("c",)}
        memory, moments = both(name, replaced(data, names=words), settings)
        if memory.estimate is None:
            assert isinstance(moments, UnusableData), seed
            assert of(moments.detail) == memory.reason
        else:
            same(memory, moments)
            found += 1
    assert found > 20


@pytest.mark.parametrize("name", STAGGERED)
@pytest.mark.parametrize(
    "data",
    [
        panel(treated=0.0),
        panel(starts=(0,), treated=1.0),
        replaced(panel(missing=False), treatment=np.arange(3_600) % 2.0),
        replaced(panel(missing=False), unit=np.zeros(3_600, dtype=np.int64)),
        replaced(panel(), treatment_kind="continuous"),
        series(),
    ],
)
def test_what_memory_refuses_is_refused(name: str, data: Data) -> None:
    memory, found = both(name, data)
    assert isinstance(found, UnusableData)
    assert memory.reason == of(found.detail)


class Watched:
    """Rows whose reading is counted."""

    def __init__(self, data: Data) -> None:
        self.data, self.times = data, 0

    def __call__(self, numbers: np.ndarray, _: object) -> Data:
        self.times += 1
        return self.data.rows(numbers)


def found_in(data: Data) -> tuple[list[Estimate | Exception], Watched]:
    made, read = tables(data), Watched(data)
    assert made.encoded.stored is not None
    made = Tables(replace(made.encoded, stored=replace(made.encoded.stored, read=read)), made.pilot)
    started = {name: (lambda name=name: staggered.staggered(made, name=name)) for name in STAGGERED}
    return list(run_rounds(made, started).values()), read


def test_rows_are_read_once_for_both() -> None:
    found, read = found_in(panel(80))
    assert read.times == 1
    assert all(isinstance(each, Estimate) for each in found)


def test_more_rows_are_left_to_the_sample_and_none_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = panel(80)
    monkeypatch.setattr(staggered, "MOST_ROWS", data.n)
    assert isinstance(found_in(data)[0][0], Estimate)
    monkeypatch.setattr(staggered, "MOST_ROWS", data.n - 1)
    found, read = found_in(data)
    for each in found:
        assert isinstance(each, NotByMoments)
        assert dict(each.why.params) == {"most": data.n - 1}
    assert read.times == 0


@pytest.mark.parametrize("data", [replaced(panel(), treatment_kind="continuous"), series()])
def test_no_row_is_read_where_the_roles_say_enough(data: Data) -> None:
    found, read = found_in(data)
    assert all(isinstance(each, UnusableData) for each in found)
    assert read.times == 0


def test_rows_that_cannot_be_read_are_left_to_the_sample() -> None:
    made = Tables(replace(encoded(panel()), stored=None), Plan(panel(), Settings()))
    (found,) = run_rounds(made, {"a": lambda: staggered.staggered(made, name="did_imputation")}).values()
    assert isinstance(found, NotByMoments)
    assert found.why.code == "by_moments.not-summed"


@pytest.mark.parametrize("name", STAGGERED)
def test_whether_an_estimate_applies_to_the_plan_of_the_sample_follows_from_all_rows(name: str) -> None:
    data = panel(80)
    made = tables(replaced(data, treatment=data.treatment * (data.unit % 2)))
    assert not (made.pilot.data.treatment > 0).any()
    run_rounds(made, {name: lambda: staggered.staggered(made, name=name)})
    assert ESTIMATORS[name].applies(made.pilot) is None
    made = tables(replaced(data, treatment=np.where(data.unit == 1, 1.0 - data.time % 2, data.treatment)))
    run_rounds(made, {name: lambda: staggered.staggered(made, name=name)})
    reason = ESTIMATORS[name].applies(made.pilot)
    assert reason is not None
    assert reason.code == "panel.treatment-ends-in-rows"
