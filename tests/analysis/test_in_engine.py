import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cqox.analysis import engine_sample, in_engine
from cqox.analysis.run import Finished, analyze
from cqox.contract import AnalyzeRequest, parse_model
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.errors import InvalidRequest
from cqox.estimators.by_moments.catalog import BY_MOMENTS
from tests.analysis.engine_runs import ROWS, STORED, both, run, same_estimate, sampled, stored
from tests.estimators.by_moments.tables_of import numbers

COVARIATES = ["x0", "x1", "region"]
FIELDS = ("estimate", "standard_error", "ci_lower", "ci_upper", "n", "n_effective", "diagnostics")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(ROWS, 2))
    region = np.array(["north", "南", "it's"])[rng.integers(0, 3, ROWS)]
    arm = rng.integers(0, 3, ROWS)
    treated = rng.random(ROWS) < 1 / (1 + np.exp(-0.5 * x[:, 0]))
    y = treated + x[:, 0] + 0.4 * (region == "南") + 0.5 * (arm == 2) + rng.normal(size=ROWS)
    x[::97, 1] = np.nan
    region[17] = "rare"
    frame = pl.DataFrame(
        {
            "y": y,
            "t": treated.astype(int),
            "arm": np.array(["control", "a", "b"])[arm],
            "region": region,
            "x0": x[:, 0],
            "x1": x[:, 1],
            "unit": np.arange(ROWS) // 2 - 500,
            "name": [f"u{number // 3}" for number in range(ROWS)],
            "day": pl.Series(np.arange(ROWS) // 4).cast(pl.Date),
            "w": rng.uniform(0.0, 2.0, ROWS).round(1),
            "z": (rng.random(ROWS) < 0.5).astype(int),
            "dose": rng.normal(size=ROWS) + x[:, 0],
            "month": np.array([202311, 202312, 202401])[np.arange(ROWS) % 3],
            "week": np.array(["W2", "W10", "W11"])[np.arange(ROWS) % 3],
            "quarter": 2018 + np.arange(ROWS) % 20 // 4 + np.arange(ROWS) % 4 / 4,
            "turn": [f"W{number % 20 + 1}" for number in range(ROWS)],
            "late": (np.arange(ROWS) % 20 >= 12).astype(int),
            "chance": rng.uniform(0.2, 0.5, ROWS),
            "offer": np.where(np.arange(ROWS) == 4_321, 5, 1 + arm % 2),
            "log_chance": np.log(rng.uniform(0.3, 0.7, ROWS)),
            "to_1": np.full(ROWS, 0.5),
            "to_2": np.full(ROWS, 0.25),
            "to_5": np.full(ROWS, 0.25),
            "share": rng.uniform(0.5, 2.0, ROWS),
            "score": np.floor(40 * x[:, 0]),
            "passed": (np.floor(40 * x[:, 0]) >= 7).astype(int),
            "asked": np.where(rng.random(ROWS) < 0.8, np.floor(40 * x[:, 0]) >= 7, rng.random(ROWS) < 0.5).astype(int),
            "population": np.where(x[:, 0] + rng.logistic(size=ROWS) > -0.5, "trial", "target"),
            "on": ((np.arange(ROWS) % 3 == 2) & (np.arange(ROWS) // 6 % 2 == 1)).astype(int),
        }
    )
    folder = tmp_path_factory.mktemp("in-engine")
    # Of the target neither is known, as is usual.
    in_trial = pl.when(pl.col("population") == "trial")
    frame = frame.with_columns(given=in_trial.then(pl.col("t")), seen=in_trial.then(pl.col("y")))
    frame.write_csv(folder / "t.csv")
    read = read_table(folder / "t.csv", name="t", limits=Limits(), options=ReadOptions())
    write_parquet(read, folder / "t.parquet")
    return folder / "t.parquet"


@pytest.fixture(autouse=True)
def a_small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", 3_000)


def of_all_rows(found: Finished) -> list[dict[str, object]]:
    return [each for each in found.report["estimates"] if each["estimate"] is not None and not sampled(each)]


MAPPINGS = {
    "rows": {"y": "y", "treatment": "t", "covariates": COVARIATES},
    "rows of three arms": {"y": "y", "treatment": "arm", "covariates": ["x0", "x1"], "weights": "w"},
    "rows with an instrument": {"y": "y", "treatment": "t", "covariates": ["x0", "x1"], "instrument": ["z"]},
    "fractions as clusters": {"y": "y", "treatment": "t", "covariates": ["x0", "x1"], "cluster": ["dose"]},
    "units": {"y": "y", "treatment": "t", "covariates": COVARIATES, "unit_id": "unit"},
    "words as units": {"y": "y", "treatment": "t", "covariates": ["x0", "x1"], "unit_id": "name", "weights": "w"},
    "days as clusters": {"y": "y", "treatment": "t", "covariates": ["x0", "x1"], "cluster": ["day"]},
    "instrument": {"y": "y", "treatment": "t", "covariates": ["x0", "x1"], "instrument": ["z"], "unit_id": "unit"},
    "three arms": {"y": "y", "treatment": "arm", "covariates": ["x0", "x1"], "unit_id": "unit"},
    "periods": {"y": "y", "treatment": "on", "covariates": ["x0"], "unit_id": "unit", "time": "month"},
    "words as periods": {"y": "y", "treatment": "on", "covariates": ["x1"], "unit_id": "name", "time": "week"},
    "a series": {"y": "y", "covariates": ["x0"], "time": "quarter", "intervention_time": 2021, "weights": "w"},
    "a series of words": {"y": "y", "treatment": "late", "unit_id": "unit", "time": "turn"},
    "a score": {"y": "y", "running": "x0", "cutoff": 0.2, "covariates": ["x1", "region"], "weights": "share"},
    "a score of whole numbers": {"y": "y", "treatment": "passed", "running": "score", "cutoff": 7, "cluster": ["name"]},
    "a score that some follow": {"y": "y", "treatment": "asked", "running": "x0", "cutoff": 0.175, "unit_id": "unit"},
    "a log": {"y": "y", "action": "arm", "pscore": "chance", "covariates": COVARIATES, "unit_id": "unit"},
    "a log of numbers": {
        "reward": "y",
        "action": "offer",
        "log_propensity": "log_chance",
        "covariates": ["x0"],
        "weights": "w",
        "target_policy": ["to_1", "to_2", "to_5"],
    },
    "two populations": {"y": "y", "treatment": "t", "covariates": ["x0", "x1"], "sample": "z", "unit_id": "unit"},
    "a target without outcomes": {
        "y": "seen",
        "treatment": "given",
        "covariates": COVARIATES,
        "sample": "population",
        "pscore": "chance",
        "weights": "w",
    },
    "an amount": {"y": "y", "treatment": "dose", "covariates": ["x0", "x1"], "unit_id": "unit"},
}


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_report_has_the_numbers_of_the_one_in_memory(table: Path, name: str) -> None:
    memory, engine = both(table, MAPPINGS[name])
    assert memory.engine == "memory"
    assert engine.engine.startswith("duckdb ")
    theirs = {(each["name"], each["contrast"]): each for each in memory.report["estimates"]}
    found = of_all_rows(engine)
    expected = {key for key, each in theirs.items() if key[0] in BY_MOMENTS and each["estimate"] is not None}
    assert {(each["name"], each["contrast"]) for each in found} == expected
    for each in found:
        other = theirs[each["name"], each["contrast"]]
        left, right = (dict(numbers({field: one[field] for field in FIELDS})) for one in (each, other))
        assert left.keys() <= right.keys()
        for place, value in left.items():
            assert value == pytest.approx(right[place], rel=1e-7, abs=1e-9), (each["name"], place)
        assert each["warnings"] == other["warnings"]
    assert engine.rows == memory.rows == ROWS
    assert engine.report["decision"]["primary"] == memory.report["decision"]["primary"]


def test_what_sums_cannot_give_says_that_it_is_of_a_sample_and_why(table: Path) -> None:
    found = run(table, {"y": "y", "treatment": "t", "covariates": ["x0", "x1"]}, engine="duckdb")
    rest = {each["name"]: sampled(each) for each in found.report["estimates"] if sampled(each)}
    assert {"psm_ate", "psm_att"} <= rest.keys()
    assert "needs the values of single rows" in rest["psm_ate"][0]
    (note,) = [note for note in found.report["notes"] if note.startswith("Estimates of all")]
    assert f"all {ROWS:,} rows" in note
    assert "the number of the row" in note


def test_folds_of_version_1_are_of_a_sample_and_say_so(table: Path) -> None:
    mapping = {"y": "y", "treatment": "t", "covariates": ["x0", "x1"]}
    found = run(table, mapping, engine="duckdb", estimators=["dml_plr", "ols_adjustment"], folds_version=1)
    notes = {each["name"]: sampled(each) for each in found.report["estimates"]}
    assert "folds_version 2" in notes["dml_plr"][0]
    assert not notes["ols_adjustment"]


def test_a_level_of_one_row_is_in_every_estimate(table: Path) -> None:
    memory, engine = both(table, {"y": "y", "treatment": "t", "covariates": ["region"]}, estimators=["ols_adjustment"])
    left, right = (each.report["estimates"][0] for each in (engine, memory))
    assert left["diagnostics"]["parameters"] == right["diagnostics"]["parameters"] == 5
    assert left["estimate"] == pytest.approx(right["estimate"], rel=1e-10)


def test_columns_whose_names_differ_in_case_alone_are_two_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    path = stored(tmp_path, X=rng.normal(size=ROWS), Y=rng.normal(size=ROWS))
    same_estimate(*both(path, {**STORED, "covariates": ["x", "X", "Y"]}, estimators=["ols_adjustment"]))


@pytest.mark.parametrize("unit", [{"unit_id": "unit"}, {}])
def test_columns_that_are_called_what_the_engine_adds_are_analysed(tmp_path: Path, unit: dict[str, object]) -> None:
    rng = np.random.default_rng(10)
    own = ["fold key", "row key", "row number", "row", "key", "Fold Key_"]
    x = rng.normal(size=(len(own), ROWS))
    path = stored(tmp_path, **dict(zip(own, x, strict=True)), z=rng.normal(size=ROWS) + x.sum(axis=0))
    mapping = {"y": "z", "treatment": "t", "covariates": ["x", *own], **unit}
    for name in ("ols_adjustment", "dml_plr"):
        same_estimate(*both(path, mapping, estimators=[name]))


def test_a_column_with_the_name_of_the_row_number_is_analysed_in_memory(tmp_path: Path) -> None:
    path = stored(tmp_path, File_Row_Number=np.arange(ROWS) % 7)
    found = run(path, STORED, engine="duckdb", estimators=["ols_adjustment"])
    assert found.engine == "memory"
    assert [note for note in found.report["notes"] if "File_Row_Number" in note and "ran in memory" in note]


@pytest.mark.parametrize(("role", "values"), [("weights", [1.0, -1.0]), ("pscore", [0.5, 1.2])])
def test_a_value_out_of_range_is_refused_wherever_it_is(tmp_path: Path, role: str, values: list[float]) -> None:
    for row in (1, 2001, 4001):
        path = stored(tmp_path, v=np.where(np.arange(ROWS) == row, *values[::-1]))
        with pytest.raises(InvalidRequest, match="1 "):
            run(path, {**STORED, role: "v"}, engine="duckdb", estimators=["ols_adjustment"])


def test_small_tables_stay_in_memory_unless_asked(table: Path) -> None:
    assert run(table, MAPPINGS["units"], estimators=["ols_adjustment"]).engine == "memory"


def test_auto_takes_the_engine_beyond_its_cells(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_engine, "CELLS_IN_MEMORY", 5 * ROWS)
    assert run(table, MAPPINGS["units"], estimators=["ols_adjustment"]).engine.startswith("duckdb")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"drop_rows": [{"column": "region", "values": ["rare"]}]}, "options change rows or values"),
        ({}, "no larger than the sample"),
    ],
)
def test_an_engine_that_is_not_used_says_why(
    table: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], why: str
) -> None:
    if not options:
        monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", ROWS)
    found = run(table, MAPPINGS["units"], engine="duckdb", estimators=["ols_adjustment"], **options)
    assert found.engine == "memory"
    assert [note for note in found.report["notes"] if "ran in memory although" in note and why in note]


def test_an_engine_that_is_not_installed_is_refused(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_engine, "find_spec", lambda _: None)
    with pytest.raises(InvalidRequest, match=r"cqox\[scale\]"):
        run(table, MAPPINGS["units"], engine="duckdb")


def test_nothing_is_left_next_to_the_table(table: Path) -> None:
    before = sorted(table.parent.iterdir())
    run(table, MAPPINGS["units"], engine="duckdb", estimators=["ols_adjustment"])
    assert sorted(table.parent.iterdir()) == before


@pytest.mark.parametrize("name", ["units", "rows"])
def test_an_encrypted_table_is_read_through_its_link_and_spills_nothing(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    nameless = os.open(tmp_path, os.O_TMPFILE | os.O_RDWR, 0o600)
    os.write(nameless, table.read_bytes())
    (tmp_path / table.name).symlink_to(f"/proc/{os.getpid()}/fd/{nameless}")
    for file in table.parent.glob(f"{table.name}.*"):
        shutil.copy(file, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    opened: list[Path | None] = []
    files: list[Path] = []
    start = in_engine.DuckDBEngine.opened

    def watched(**given: object) -> object:
        opened.append(given["spill"])
        return start(**given)

    def read(engine: object, statement: str) -> list[object]:
        (spill,) = tmp_path.glob("cqox-spill-*")
        files.extend(spill.iterdir())
        return statements(engine, statement)

    statements = in_engine.DuckDBEngine.read
    monkeypatch.setattr(in_engine.DuckDBEngine, "opened", watched)
    monkeypatch.setattr(in_engine.DuckDBEngine, "read", read)
    try:
        found = run(tmp_path / table.name, MAPPINGS[name], engine="duckdb", estimators=["ols_adjustment", "dml_plr"])
    finally:
        os.close(nameless)
    assert found.engine.startswith("duckdb")
    assert opened == [None]
    assert files == []
    assert sorted(tmp_path.rglob("*")) == before
    assert not [each for each in found.report["estimates"] if sampled(each)]
    same_estimate(run(table, MAPPINGS[name], engine="memory", estimators=["ols_adjustment", "dml_plr"]), found)


def test_an_estimate_that_the_sample_does_not_support_says_so(table: Path) -> None:
    found = run(table, MAPPINGS["periods"], engine="duckdb", estimators=["interrupted_series"])
    (reason,) = [each["reason"] for each in found.report["estimates"]]
    assert reason.startswith(f"In a sample of 2,968 of {ROWS:,} rows: In some period, some rows are treated")
    assert reason.in_language("ja").startswith(f"{ROWS:,}行のうち2,968行の標本では、次のとおり。")


@pytest.mark.parametrize(
    ("mapping", "name", "english", "japanese"),
    [
        ("instrument", "iv_wald", "The estimator does not support covariates", "共変量"),
        ("instrument", "twfe", "The estimator needs the role 'time'", "役割'time'"),
        ("rows", "dose_curve", "The estimator needs a treatment that is an amount", "処置"),
        ("a score of whole numbers", "ipw_ate", "The estimator needs 'covariates'", "'covariates'"),
    ],
)
def test_a_reason_that_no_row_could_change_names_no_sample(
    table: Path, mapping: str, name: str, english: str, japanese: str
) -> None:
    found = run(table, MAPPINGS[mapping], engine="duckdb", estimators=[name])
    assert found.engine.startswith("duckdb")
    (reason,) = [each["reason"] for each in found.report["estimates"]]
    assert reason.startswith(english)
    assert japanese in reason.in_language("ja")
    assert "標本" not in reason.in_language("ja")


def test_an_estimate_by_sums_has_no_time_of_its_own(table: Path) -> None:
    steps: list[dict[str, object]] = []
    options = {"engine": "duckdb", "estimators": ["ols_adjustment", "psm_ate"]}
    asked = parse_model(AnalyzeRequest, {"dataset_id": "d", "mapping": MAPPINGS["rows"], "options": options})
    found = analyze(table, asked, threads=1, on_step=lambda step: steps.append(dict(step)))
    summed, in_memory = found.report["estimates"]
    assert not sampled(summed)
    assert summed["seconds"] is None
    assert in_memory["seconds"] > 0
    assert {"sums", "estimate.psm_ate"} < found.seconds.keys()
    assert "estimate.ols_adjustment" not in found.seconds
    times = {step["step"]: step["seconds"] for step in steps}
    assert times["estimate.ols_adjustment"] is None
    assert times["estimate.psm_ate"] > 0


@pytest.mark.parametrize("roles", [{}, {"covariates": ["x0", "region"]}, {"propensity_covariates": ["x0"]}])
def test_indicators_of_missing_values_change_nothing_where_no_covariate_has_a_gap(
    table: Path, roles: dict[str, object]
) -> None:
    mapping = {"y": "y", "treatment": "t", **roles}
    names = ["difference_in_means", "ols_adjustment", "ipw_ate"]
    memory, engine = both(table, mapping, missing="indicator", estimators=names)
    assert not [each for each in engine.report["estimates"] if sampled(each)]
    ours, theirs = (
        {each["name"]: each["estimate"] or each["reason"] for each in found.report["estimates"]}
        for found in (engine, memory)
    )
    assert isinstance(ours["difference_in_means"], float)
    for name, found in ours.items():
        expected = theirs[name]
        assert found == (pytest.approx(expected, rel=1e-8) if isinstance(expected, float) else expected)


@pytest.mark.parametrize("role", ["covariates", "propensity_covariates"])
def test_indicators_of_missing_values_leave_a_covariate_with_gaps_to_the_sample(table: Path, role: str) -> None:
    mapping = {"y": "y", "treatment": "t", role: ["x1"]}
    found = run(table, mapping, engine="duckdb", missing="indicator", estimators=["difference_in_means"])
    assert "a covariate has missing values" in sampled(found.report["estimates"][0])[0]
