from dataclasses import replace

import numpy as np
import pytest

from cqox.contract.messages import Message, of
from cqox.errors import UnusableData
from cqox.estimators import Data, Estimate, Plan, Settings
from cqox.estimators.by_moments import blocks
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.rounds import run_rounds
from cqox.estimators.by_moments.tables import Tables
from cqox.estimators.panel.block_panel import BlockPanel, block_panel
from cqox.estimators.sample import listed
from tests.estimators.by_moments.tables_of import (
    SYNTHETIC,
    block,
    both,
    encoded,
    in_arrays,
    panel,
    replaced,
    same,
    tables,
)

NAMES = sorted(SYNTHETIC)


def by_post(data: Data) -> Data:
    names = {**data.names, "post": ("p",)}
    ever = np.isin(data.unit, np.unique(data.unit[data.treatment > 0])).astype(float)
    return replaced(data, treatment=ever, post=(data.time >= 8).astype(float), names=names)


def gaps_of_the_treated(data: Data) -> Data:
    y = np.where((data.unit == 0) & (data.time == 3), np.nan, data.y)
    return replaced(data, y=y)


def shuffled(data: Data) -> Data:
    return data.rows(np.random.default_rng(1).permutation(data.n))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("design", [{}, {"treated": 11}, {"treated": 2, "missing": False}])
def test_the_numbers_are_those_of_the_rows_in_memory(name: str, design: dict[str, int]) -> None:
    memory, found = both(name, block(**design))
    same(memory, found)
    assert found.diagnostics["donor_weights"] == memory.diagnostics["donor_weights"]


def test_placebos_that_are_drawn_are_those_of_memory() -> None:
    memory, found = both("synthetic_did", block(units=130))
    same(memory, found)
    assert found.diagnostics["placebos"] == 100
    assert found.diagnostics["placebo_gaps"] == memory.diagnostics["placebo_gaps"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("odd", [by_post, gaps_of_the_treated, shuffled])
def test_odd_panels_have_the_numbers_of_memory(name: str, odd: object) -> None:
    same(*both(name, odd(block(treated=3)), Settings(seed=5)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "data",
    [
        panel(missing=False),
        replaced(block(), weights=np.ones(block().n), names={**block().names, "weights": ("w",)}),
        replaced(block(), treatment=np.zeros(block().n)),
        replaced(block(), treatment=np.ones(block().n)),
        replaced(block(), treatment=block().treatment * (block().time < 10)),
        replaced(block(), y=np.ones(block().n)),
        block(start=1),
    ],
)
def test_what_memory_refuses_is_refused(name: str, data: Data) -> None:
    memory, found = both(name, data)
    assert isinstance(found, UnusableData)
    assert memory.reason == of(found.detail)


def test_the_panel_of_all_rows_is_that_of_the_samples_plan() -> None:
    data = replaced(block(), unit=block().unit + 1, unit_labels=None)
    made = tables(data)
    assert not (made.pilot.data.treatment > 0).any()
    run_rounds(made, {"synthetic_did": lambda: blocks.synthetic(made, name="synthetic_did")})
    mine, theirs = block_panel(made.pilot), block_panel(Plan(data, Settings()))
    assert isinstance(mine, BlockPanel)
    assert isinstance(theirs, BlockPanel)
    np.testing.assert_array_equal(mine.donors, theirs.donors)


def test_the_reason_of_all_rows_is_that_of_the_samples_plan() -> None:
    made = tables(panel(missing=False))
    found = run_rounds(made, {"synthetic_did": lambda: blocks.synthetic(made, name="synthetic_did")})["synthetic_did"]
    assert isinstance(found, UnusableData)
    assert block_panel(made.pilot) == of(found.detail)


class Watched:
    """Rows whose reading is counted."""

    def __init__(self, data: Data) -> None:
        self.data, self.times, self.numbers = data, 0, np.empty(0)

    def __call__(self, numbers: np.ndarray, _: object) -> Data:
        self.times, self.numbers = self.times + 1, numbers
        return self.data.rows(numbers)


def watched(data: Data) -> tuple[Tables, Watched]:
    read, roles = Watched(data), encoded(data, in_arrays)
    assert roles.stored is not None
    return Tables(replace(roles, stored=replace(roles.stored, read=read)), Plan(data, Settings())), read


def found_in(made: Tables) -> list[object]:
    started = {name: (lambda name=name: blocks.synthetic(made, name=name)) for name in NAMES}
    return list(run_rounds(made, started).values())


def test_rows_are_read_once_for_all_estimates_and_only_those_that_are_complete() -> None:
    data = block()
    made, read = watched(data)
    found_in(made)
    assert read.times == 1
    assert read.numbers.tolist() == np.flatnonzero(~np.isnan(data.y)).tolist()


@pytest.mark.parametrize(
    ("limits", "treated"),
    [
        ({"MOST_DONORS": 22}, 1),
        ({"MOST_CELLS": 250}, 1),
        ({"MOST_DONORS": 22, "MOST_CELLS": 250}, 1),
        ({"MOST_DONORS": 22}, 0),
        ({"MOST_DONORS": 22, "MOST_CELLS": 288}, 0),
    ],
)
def test_larger_panels_are_refused_before_a_row_is_read(
    monkeypatch: pytest.MonkeyPatch, limits: dict[str, int], treated: int
) -> None:
    for module in ("cqox.estimators.by_moments.blocks", "cqox.estimators.panel.block_panel"):
        for limit, value in limits.items():
            monkeypatch.setattr(f"{module}.{limit}", value)
    data = block(treated=treated)
    made, read = watched(data)
    (reason,) = {of(each.detail) for each in found_in(made)}
    assert block_panel(Plan(data, Settings())) == reason
    assert read.times == 0


def repeated(data: Data) -> Data:
    return data.rows(np.append(np.arange(data.n), data.n - 1))


def test_units_that_repeat_within_a_period_are_refused_with_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in (4_000_000, 288):
        monkeypatch.setattr(blocks, "MOST_CELLS", limit)
        data = repeated(block(missing=False))
        assert data.n == 289
        made, _ = watched(data)
        for each in found_in(made):
            assert isinstance(each, UnusableData)
            assert of(each.detail) == Message("panel.repeated-rows", rows=listed(["289"]))


def test_rows_that_cannot_be_read_are_left_to_the_sample() -> None:
    made = Tables(replace(encoded(block()), stored=None), Plan(block(), Settings()))
    for each in found_in(made):
        assert isinstance(each, NotByMoments)
        assert each.why.code == "by_moments.not-summed"


def test_an_estimate_that_fails_says_so_and_the_others_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Plan) -> Estimate:
        raise ZeroDivisionError("planted")

    entry = replace(blocks._BY_NAME["synthetic_did"], compute=broken)
    monkeypatch.setitem(blocks._BY_NAME, "synthetic_did", entry)
    made, _ = watched(block())
    found = dict(zip(NAMES, found_in(made), strict=True))
    failed = found.pop("synthetic_did")
    assert isinstance(failed, Estimate)
    assert failed.status == "failed"
    assert all(isinstance(each, Estimate) and each.estimate is not None for each in found.values())
