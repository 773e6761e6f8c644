"""Panels whose estimates need all rows: the numbers, and the choice of the primary estimate, are those of memory."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cqox.analysis import chosen, engine_sample, in_engine
from cqox.analysis.engine_sample import stored_rows
from cqox.analysis.run import Finished, analyze
from cqox.contract import AnalyzeRequest, parse_model
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.estimators import Estimate, Plan
from cqox.estimators.by_moments import blocks, staggered
from cqox.estimators.checkpoint import abandonable
from cqox.estimators.synthetic import synthetic_control
from tests.estimators.by_moments.tables_of import numbers

FIELDS = ("estimate", "standard_error", "ci_lower", "ci_upper", "p_value", "n", "n_effective", "diagnostics")
MAPPING: dict[str, object] = {"y": "y", "treatment": "t", "unit_id": "unit", "time": "when"}


@pytest.fixture(autouse=True)
def a_small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", 100)


def stored(folder: Path, *, units: int, periods: int, treated: int, **columns: object) -> Path:
    rng = np.random.default_rng(5)
    unit, time = (each.ravel() for each in np.meshgrid(np.arange(units), np.arange(periods), indexing="ij"))
    status = (unit < treated) & (time >= periods * 2 // 3)
    loading, factor = rng.normal(size=(units, 2)), rng.normal(size=(2, periods)).cumsum(axis=1)
    y = (loading @ factor)[unit, time] + 2.0 * status + 0.2 * rng.normal(size=len(unit))
    y[5::97] = np.nan
    frame = pl.DataFrame(
        {"y": y, "t": status.astype(int), "unit": [f"州 {number}" for number in unit], "when": time + 2001, **columns}
    ).sample(fraction=1.0, shuffle=True, seed=1)
    frame.write_csv(folder / "p.csv")
    write_parquet(read_table(folder / "p.csv", name="p", limits=Limits(), options=ReadOptions()), folder / "p.parquet")
    return folder / "p.parquet"


def run(path: Path, engine: str, mapping: dict[str, object], names: list[str]) -> Finished:
    request = parse_model(
        AnalyzeRequest, {"dataset_id": "d", "mapping": mapping, "options": {"engine": engine, "estimators": names}}
    )
    return analyze(path, request, threads=1, on_step=lambda _: None)


def same(path: Path, mapping: dict[str, object], names: list[str]) -> Finished:
    memory, engine = (run(path, each, mapping, names) for each in ("memory", "duckdb"))
    assert engine.engine.startswith("duckdb ")
    for left, right in zip(engine.report["estimates"], memory.report["estimates"], strict=True):
        assert left["reason"] == right["reason"]
        ours, theirs = (dict(numbers({field: one[field] for field in FIELDS})) for one in (left, right))
        # Errors that need the leverage of every row are of memory alone.
        assert {place.rpartition(".")[2] for place in theirs.keys() ^ ours.keys()} <= {"HC2", "HC3"}
        for place, value in ours.items():
            assert value == pytest.approx(theirs[place], rel=1e-8, abs=1e-10), (left["name"], place)
        assert left["warnings"] == right["warnings"]
        assert left["diagnostics"].get("notes") == right["diagnostics"].get("notes")
    assert engine.report["decision"]["primary"] == memory.report["decision"]["primary"]
    return engine


def days(count: int) -> list[str]:
    return [str(date(2021, 11, 5) + timedelta(weeks=each)) for each in range(count)]


def test_a_synthetic_control_of_words_in_years_is_of_all_rows(tmp_path: Path) -> None:
    found = same(stored(tmp_path, units=20, periods=12, treated=1), MAPPING, ["synthetic_control", "synthetic_did"])
    assert found.report["estimates"][0]["diagnostics"]["donor_weights"][0]["unit"].startswith("州")
    assert found.report["decision"]["primary"].startswith("synthetic")


def test_a_synthetic_control_of_weeks_is_of_all_rows(tmp_path: Path) -> None:
    path = stored(tmp_path, units=20, periods=12, treated=2, week=np.tile(days(12), 20))
    same(path, {**MAPPING, "time": "week"}, ["synthetic_control_augmented", "synthetic_did"])


def test_a_synthetic_control_after_an_intervention_is_of_all_rows(tmp_path: Path) -> None:
    ever = np.repeat([1, 1, *([0] * 18)], 12)
    path = stored(tmp_path, units=20, periods=12, treated=2, ever=ever)
    same(path, {**MAPPING, "treatment": "ever", "intervention_time": 2009}, ["synthetic_did"])


def test_a_synthetic_control_of_a_cohort_is_of_all_rows(tmp_path: Path) -> None:
    first = np.repeat([2009, 2009, *([0] * 18)], 12)
    path = stored(tmp_path, units=20, periods=12, treated=2, first=first)
    mapping = {"y": "y", "unit_id": "unit", "time": "when", "cohort": "first"}
    found = same(path, mapping, ["synthetic_control", "synthetic_did"])
    assert all(each["estimate"] is not None for each in found.report["estimates"])


def test_an_estimate_that_all_rows_do_not_support_is_not_said_to_be_of_a_sample(tmp_path: Path) -> None:
    found = same(stored(tmp_path, units=20, periods=12, treated=20), MAPPING, ["synthetic_control", "synthetic_did"])
    for each in found.report["estimates"]:
        assert each["status"] == "skipped"
        assert "sample" not in each["reason"]


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("number", [3, 41])
def test_units_with_two_rows_in_a_period_are_refused_although_the_sample_has_none(
    tmp_path: Path, number: int, weights: bool
) -> None:
    unit, when = np.repeat(np.arange(60), 12), np.tile(np.arange(12), 60)
    path = stored(
        tmp_path, units=60, periods=12, treated=20, when=when + 2001 - ((unit == number) & (when == 11)),
        w=when % 7,
    )  # fmt: skip
    names = ["twfe", "did_2x2_block", *([] if weights else ["synthetic_did"])]
    found = same(path, {**MAPPING, "weights": "w"} if weights else MAPPING, names)
    for each in found.report["estimates"]:
        assert each["reason"].startswith("Some units have several rows in one period (row")


class Abandoned(Exception):
    """The client is gone."""


def test_who_is_abandoned_reads_no_further_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, reads, gone = stored(tmp_path, units=20, periods=12, treated=1), list[int](), Abandoned()

    def read(path: Path, rows: np.ndarray, names: object = None) -> pl.DataFrame:
        reads.append(len(rows))
        return stored_rows(path, rows, names)

    def check() -> None:
        if reads[1:] and reads[-1] == 100:
            raise gone

    monkeypatch.setattr(in_engine, "stored_rows", read)
    with abandonable(check), pytest.raises(Abandoned):
        run(path, "duckdb", MAPPING, ["synthetic_did"])
    # The sample, the rows of which it lacks a level, and one of three parts of the panel.
    assert reads[-1] == 100
    assert sum(reads[1:]) < 237


def test_the_panel_is_computed_once_and_needs_no_other_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(tmp_path, units=20, periods=12, treated=1, x=np.arange(240.0) % 11, group=np.arange(240) // 12 % 4)
    seen: list[int] = []
    asked: list[tuple[int, list[str]]] = []

    def read(path: Path, rows: np.ndarray, names: list[str] | None = None) -> pl.DataFrame:
        found = stored_rows(path, rows, names)
        asked.append((len(rows), found.columns))
        return found

    monkeypatch.setattr(in_engine, "stored_rows", read)
    (entry,) = (each for each in synthetic_control.ESTIMATORS if each.name == "synthetic_did")
    compute = entry.compute

    def counted(plan: Plan) -> Estimate:
        seen.append(plan.data.n)
        return compute(plan)

    counting = replace(entry, compute=counted)
    monkeypatch.setitem(blocks._BY_NAME, "synthetic_did", counting)
    monkeypatch.setattr(chosen, "catalog", lambda: (counting,))
    run(path, "duckdb", {**MAPPING, "covariates": ["x"], "cluster": "group"}, ["synthetic_did"])
    assert len(seen) == 1
    assert {tuple(sorted(names)) for rows, names in asked[-3:]} == {("group", "t", "unit", "when", "y")}


def adopted(folder: Path, *, units: int = 60, periods: int = 6, **columns: object) -> Path:
    """Rows of units of which two in three start treatment in one of two years."""
    rng = np.random.default_rng(6)
    unit, time = (each.ravel() for each in np.meshgrid(np.arange(units), np.arange(periods), indexing="ij"))
    start = np.array([2, 4, periods])[np.arange(units) % 3][unit]
    y = rng.normal(size=units)[unit] + 0.3 * time + (1.0 + 0.2 * time) * (time >= start) + rng.normal(size=len(unit))
    y[7::53] = np.nan
    cohort = np.where(start < periods, start + 2001, 0)
    frame = pl.DataFrame(
        {
            "y": y, "t": (time >= start).astype(int), "unit": [f"州 {number}" for number in unit], "when": time + 2001,
            "first": cohort, "x": rng.normal(size=units)[unit], "w": rng.uniform(0.5, 2.0, units)[unit].round(2),
            "g": [f"群{number % 30}" for number in unit], **columns,
        }
    ).sample(fraction=0.9, shuffle=True, seed=1)  # fmt: skip
    frame.write_csv(folder / "a.csv")
    write_parquet(read_table(folder / "a.csv", name="a", limits=Limits(), options=ReadOptions()), folder / "a.parquet")
    return folder / "a.parquet"


STAGGERED = ["did_callaway_santanna", "did_imputation"]


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"covariates": ["x"], "weights": "w"},
        {"cluster": ["g"]},
    ],
)
@pytest.mark.parametrize("start", [{"treatment": "t"}, {"cohort": "first"}])
def test_staggered_designs_are_of_all_rows(
    tmp_path: Path, mapping: dict[str, object], start: dict[str, object]
) -> None:
    found = same(adopted(tmp_path), {"y": "y", "unit_id": "unit", "time": "when", **start, **mapping}, STAGGERED)
    assert all(each["estimate"] is not None for each in found.report["estimates"])
    assert found.report["decision"]["primary"] == "did_callaway_santanna"


def test_a_treatment_that_follows_from_cohorts_is_that_of_all_rows(tmp_path: Path) -> None:
    starts = np.repeat([days(6)[2], days(6)[4], None], 6).tolist() * 100
    path = adopted(tmp_path, units=300, day=np.tile(days(6), 300), start=starts)
    names = ["difference_in_means", "ols_adjustment", "twfe", "ipw_ate", *STAGGERED]
    for time, start in (("when", "first"), ("day", "start")):
        mapping = {"y": "y", "unit_id": "unit", "time": time, "cohort": start, "covariates": ["x"]}
        found = same(path, mapping, names)
        assert all(each["estimate"] is not None for each in found.report["estimates"])


def test_repeated_cross_sections_are_of_all_rows(tmp_path: Path) -> None:
    path = adopted(tmp_path)
    found = same(path, {"y": "y", "time": "when", "cohort": "first", "cluster": ["g"]}, STAGGERED)
    assert found.report["estimates"][0]["diagnostics"]["design"] == "repeated cross-sections"


def test_a_staggered_design_that_ends_names_the_rows_of_the_table(tmp_path: Path) -> None:
    path = adopted(tmp_path, odd=np.arange(360) % 2)
    found = same(path, {"y": "y", "unit_id": "unit", "time": "when", "treatment": "odd"}, STAGGERED)
    assert all(each["status"] == "skipped" for each in found.report["estimates"])


def test_more_rows_than_are_read_are_of_a_sample_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", 700)
    monkeypatch.setattr(staggered, "MOST_ROWS", 800)
    mapping: dict[str, object] = {"y": "y", "unit_id": "unit", "time": "when", "treatment": "t"}
    found = run(adopted(tmp_path, units=300), "duckdb", mapping, STAGGERED)
    for each in found.report["estimates"]:
        assert 500 < each["n"] < 900
        (note,) = [note for note in each["diagnostics"]["notes"] if note.startswith("Computed from a sample of")]
        assert "1,620 rows, because" in note
        assert "more than 800" in note


@pytest.mark.parametrize("name", ["did_callaway_santanna", "did_imputation", "synthetic_did", "twfe"])
def test_the_total_of_outcomes_that_are_never_negative_is_over_all_treated_rows(tmp_path: Path, name: str) -> None:
    path = stored(tmp_path, units=40, periods=12, treated=25)
    frame = pl.read_parquet(path).with_columns((pl.col("y") + 50).alias("y"))
    frame.write_parquet(tmp_path / "p2.parquet")
    table = read_table(tmp_path / "p2.parquet", name="p", limits=Limits(), options=ReadOptions())
    write_parquet(table, path)
    memory, engine = (run(path, each, MAPPING, [name]).report["effect"] for each in ("memory", "duckdb"))
    assert engine["total_rows"] == memory["total_rows"] > 0
    for field in ("estimate", "total", "total_lower", "total_upper"):
        assert engine[field] == pytest.approx(memory[field], rel=1e-8)


@pytest.mark.parametrize("start", [{"intervention_time": 10}, {"post": "after"}])
def test_the_total_of_a_series_is_over_all_rows_after_the_intervention(
    tmp_path: Path, start: dict[str, object]
) -> None:
    rng = np.random.default_rng(8)
    when = rng.integers(0, 16, 900)
    y = 20 + 0.1 * when + (when >= 10) + rng.normal(size=900)
    known = [None if at % 50 == 0 else float(each) for at, each in enumerate(y)]
    pl.DataFrame({"y": known, "after": (when >= 10).astype(int), "when": when}).write_csv(tmp_path / "p.csv")
    table = read_table(tmp_path / "p.csv", name="p", limits=Limits(), options=ReadOptions())
    write_parquet(table, tmp_path / "p.parquet")
    memory, engine = (
        run(tmp_path / "p.parquet", each, {"y": "y", "time": "when", **start}, ["interrupted_series"]).report["effect"]
        for each in ("memory", "duckdb")
    )
    after = sum(value is not None and at >= 10 for value, at in zip(known, when.tolist(), strict=True))
    assert engine["total_rows"] == memory["total_rows"] == after
    assert engine["total"] == pytest.approx(memory["total"], rel=1e-8)


@pytest.mark.parametrize(("kind", "start"), [("number", 10), ("date", "2024-01-11"), ("word", 11)])
def test_a_total_of_a_series_with_a_period_that_the_sample_lacks_is_counted_or_absent_with_a_reason(
    tmp_path: Path, kind: str, start: object
) -> None:
    rng = np.random.default_rng(8)
    drawn = rng.integers(0, 16, 900)
    # Period 12 has two rows, of which the sample has the one without an outcome.
    when = np.append(np.where(drawn == 12, 11, drawn), [12, 12])
    y = [*(20 + 0.1 * when + (when >= 10) + rng.normal(size=902)).tolist()[:-1], None]
    times = {
        "number": when.tolist(),
        "date": [date(2024, 1, 1) + timedelta(days=each) for each in when.tolist()],
        "word": [f"W{each + 1}" for each in when.tolist()],
    }
    pl.DataFrame({"y": y, "when": times[kind]}).write_csv(tmp_path / "p.csv")
    table = read_table(tmp_path / "p.csv", name="p", limits=Limits(), options=ReadOptions())
    write_parquet(table, tmp_path / "p.parquet")
    mapping: dict[str, object] = {"y": "y", "time": "when", "intervention_time": start}
    found = run(tmp_path / "p.parquet", "duckdb", mapping, ["interrupted_series"]).report
    (estimate,), effect = found["estimates"], found["effect"]
    assert "because the sample lacks a period" in estimate["diagnostics"]["notes"][0]
    if kind == "word":
        assert (effect["total"], effect["total_rows"]) == (None, None)
        assert "the sample lacks a period" in effect["total_reason"]
    else:
        assert effect["total_rows"] == np.sum(when >= 10) - 1
        assert effect["total"] == pytest.approx(effect["estimate"] * effect["total_rows"])
        assert effect["total_reason"] is None


def test_a_series_that_all_rows_refuse_is_not_the_primary_estimate(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    when = rng.integers(0, 16, 900)
    treatment = (when >= 10).astype(int)
    y = 20 + 0.1 * when + treatment + rng.normal(size=900)
    # One untreated row after the intervention, which the sample lacks.
    treatment[np.flatnonzero(when == 13)[7]] = 0
    pl.DataFrame({"y": y, "when": when, "t": treatment}).write_csv(tmp_path / "p.csv")
    table = read_table(tmp_path / "p.csv", name="p", limits=Limits(), options=ReadOptions())
    write_parquet(table, tmp_path / "p.parquet")
    mapping: dict[str, object] = {"y": "y", "time": "when", "treatment": "t"}
    names = ["interrupted_series", "interrupted_series_forecast", "difference_in_means"]
    found = same(tmp_path / "p.parquet", mapping, names)
    assert found.report["decision"]["primary"] == "difference_in_means"
    statuses = {each["name"]: each["status"] for each in found.report["estimates"]}
    assert (statuses[names[0]], statuses[names[1]]) == ("skipped", "skipped")
