"""Columns that could be covariates, by their values."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from cqox.analysis.suggested_covariates import Candidates, covariate_candidates, drop_redundant_covariates
from cqox.contract import RoleMapping
from cqox.datasets import ColumnsOnDisk, Limits, ReadOptions, Table, infer_roles, read_table, write_parquet

RNG = np.random.default_rng(5)
N = 200
X = RNG.standard_normal(N)
W = (X + RNG.standard_normal(N) > 0).astype(int)
Y = np.exp(0.4 * X + 0.5 * W + 0.3 * RNG.standard_normal(N))
BASE = {"y": Y, "w": W, "x": X}
ROLES: RoleMapping = {"y": "y", "treatment": "w"}


def kept(folder: Path, columns: Mapping[str, Sequence[object]]) -> tuple[Path, Table]:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    (folder / "c.csv").write_text("\n".join(lines), encoding="utf-8")
    table = read_table(folder / "c.csv", name="c", limits=Limits(), options=ReadOptions())
    write_parquet(table, folder / "c.parquet")
    return folder / "c.parquet", table


def found(folder: Path, columns: Mapping[str, Sequence[object]], roles: RoleMapping = ROLES) -> Candidates:
    path, table = kept(folder, columns)
    return covariate_candidates(ColumnsOnDisk(path=path, height=table.rows), table.columns, roles)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (1000 * Y, "correlation 1"),
        (-Y / 7 + 3, "correlation -1"),
        (np.log(Y).round(3), "the same order"),
        (1 / Y, "the opposite order"),
    ],
)
def test_the_outcome_in_other_units_is_no_covariate_and_the_reason_is_given(
    tmp_path: Path, values: Sequence[object], shown: str
) -> None:
    candidates = found(tmp_path, {**BASE, "again": values})
    assert candidates.names == ("x",)
    ((reason, columns),) = candidates.excluded.items()
    assert reason.startswith("redundant with the outcome 'y'")
    assert columns == [f"again ({shown})"]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (W, "correlation 1"),
        (5 - 2 * W, "correlation -1"),
        (["red" if w else "blue" for w in W], "the same levels"),
    ],
)
def test_the_treatment_once_more_is_no_covariate(tmp_path: Path, values: Sequence[object], shown: str) -> None:
    candidates = found(tmp_path, {**BASE, "again": values})
    assert candidates.names == ("x",)
    assert candidates.excluded == {
        "redundant with the treatment 'w'": [f"again ({shown})"],
    }


def test_what_only_goes_with_the_outcome_or_the_treatment_stays(tmp_path: Path) -> None:
    noisy, leaning = Y + 0.1 * RNG.standard_normal(N), np.where(np.arange(N) < 4, 1 - W, W)
    candidates = found(tmp_path, {**BASE, "noisy": noisy, "leaning": leaning})
    assert candidates == Candidates(names=("x", "noisy", "leaning"), excluded={})


def test_gaps_hide_no_repetition_and_a_few_rows_prove_none(tmp_path: Path) -> None:
    gaps = ["" if number % 3 else value for number, value in enumerate(2 * Y)]
    assert found(tmp_path, {**BASE, "again": gaps}).names == ("x",)
    few = ["" if number > 5 else value for number, value in enumerate(2 * Y)]
    assert found(tmp_path, {**BASE, "again": few}).names == ("x", "again")


def test_a_constant_is_named_as_one(tmp_path: Path) -> None:
    candidates = found(tmp_path, {**BASE, "flat": [7] * N})
    assert candidates.notes("taken") == ["Not taken as covariates, constant: flat."]


def panel(units: int = 30, periods: int = 6) -> dict[str, list[object]]:
    rows = [(unit, t) for unit in range(units) for t in range(1, periods + 1)]
    start = {unit: 4 + unit % 2 if unit % 3 else 99 for unit in range(units)}
    return {
        "id": [unit for unit, _ in rows],
        "t": [t for _, t in rows],
        "start": [start[unit] for unit, _ in rows],
        "since": [int(t >= start[unit]) for unit, t in rows],
        "age": [unit * 7 % 11 + t * 5 % 3 for unit, t in rows],
        "size": [unit * 5 % 13 for unit, _ in rows],
        "y": [(unit * 13 + t * 29) % 17 / 3 for unit, t in rows],
    }


def test_what_is_constant_within_units_is_no_covariate_of_a_panel(tmp_path: Path) -> None:
    candidates = found(tmp_path, panel(), {"y": "y", "treatment": "since", "unit_id": "id", "time": "t"})
    assert candidates.names == ("age",)
    ((reason, columns),) = candidates.excluded.items()
    assert reason.startswith("constant within every 'id'")
    assert "size" in columns


def test_it_is_one_where_every_row_is_a_unit_of_its_own(tmp_path: Path) -> None:
    columns = {**panel(), "id": [f"u{number}" for number in range(180)]}
    candidates = found(tmp_path, columns, {"y": "y", "treatment": "since", "unit_id": "id", "time": "t"})
    assert {"age", "size"} <= set(candidates.names)
    assert candidates.excluded == {}


def test_a_treatment_that_follows_from_the_cohort_is_no_covariate(tmp_path: Path) -> None:
    columns = panel()
    roles: RoleMapping = {"y": "y", "unit_id": "id", "time": "t", "cohort": "start"}
    candidates = found(tmp_path, columns, roles)
    assert candidates.names == ("age",)
    assert candidates.excluded["redundant with the treatment 't >= start'"] == ["since (correlation 1)"]


def test_the_side_of_the_cutoff_is_no_covariate(tmp_path: Path) -> None:
    columns = {"score": X, "above": (X >= 0.5).astype(int), "x2": X[::-1], "y": Y}
    candidates = found(tmp_path, columns, {"y": "y", "running": "score", "cutoff": 0.5})
    assert candidates.names == ("x2",)
    assert candidates.excluded == {"equivalent to the side of the cutoff of 'score'": ["above (correlation 1)"]}


def test_many_columns_are_read_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cqox.analysis.suggested_covariates._CELLS", 3 * N)
    many = {f"x{number}": np.roll(X, number) for number in range(1, 8)}
    assert found(tmp_path, {**BASE, **many}).names == ("x", *many)


def test_covariates_that_are_mapped_leave_nothing_to_suggest(tmp_path: Path) -> None:
    nothing = Candidates(names=(), excluded={})
    assert found(tmp_path, {**BASE, "again": 2 * Y}, {**ROLES, "covariates": ("x",)}) == nothing
    assert found(tmp_path, BASE, {"running": "x", "cutoff": 0.0}) == nothing


def test_a_guess_at_the_roles_maps_no_covariate_that_repeats_its_outcome(tmp_path: Path) -> None:
    path, table = kept(tmp_path, {**BASE, "again": 2 * Y, "flat": [7] * N})
    guess = drop_redundant_covariates(
        ColumnsOnDisk(path=path, height=table.rows), table.columns, infer_roles(table.columns)
    )
    assert guess.mapping == {"y": "y", "treatment": "w", "covariates": ("x",)}
    assert "again (correlation 1)" in guess.notes[-1]
    assert sum("flat" in note for note in guess.notes) == 1
