"""Tables that stay where they are: files larger than the sample, and a real PostgreSQL server."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import psycopg
import pytest

from cqox.analysis import engine_sample
from cqox.analysis.in_place import columns_in_place
from cqox.analysis.run import Finished, analyze, analyze_in_place
from cqox.analysis.workers.asking import ask, asking
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.engines.place_opening import opened_table
from cqox.errors import CqoxError, InvalidRequest, SourceDown, UnusableData
from cqox.estimators.by_moments.catalog import BY_MOMENTS
from cqox.sources import Place, PostgresSession
from tests.analysis.in_place_runs import MAPPING, ROWS, in_files, request, sales
from tests.estimators.by_moments.tables_of import numbers
from tests.servers import Postgres, running

pytestmark = pytest.mark.xdist_group("in place")
FIELDS = ("estimate", "standard_error", "ci_lower", "ci_upper", "n", "n_effective", "diagnostics")
UNITS = {**MAPPING, "unit_id": "unit"}
SCORE = {"y": "y", "running": "x0", "cutoff": 0.2, "covariates": ["x1", "region", "flag"], "cluster": ["unit"]}

type InPlace = Callable[..., Finished]


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return sales()


@pytest.fixture(scope="module")
def uploaded(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uploaded")
    frame.write_parquet(folder / "t.parquet")
    path = folder / "stored.parquet"
    write_parquet(read_table(folder / "t.parquet", name="t", limits=Limits(), options=ReadOptions()), path)
    return path


@pytest.fixture(scope="module")
def folder(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parquet")
    for number, start in enumerate(range(0, ROWS, 2_500)):
        frame.slice(start, 2_500).write_parquet(folder / f"{number}.parquet", row_group_size=700)
    return folder


@pytest.fixture(scope="module")
def csv_folder(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("csv")
    for number, start in enumerate(range(0, ROWS, 2_500)):
        frame.slice(start, 2_500).write_csv(folder / f"{number}.csv", null_value="NA")
    return folder


@pytest.fixture(scope="module")
def server(frame: pl.DataFrame) -> Iterator[Postgres]:
    with running(Postgres()) as started:
        kinds = "y float8, t int, region varchar(9), x0 numeric, x1 float8, flag boolean, at timestamptz, unit int"
        started.execute(f'create table sales ({kinds}, id bigint, "Y" float8, extra jsonb)')
        started.execute("create view seen as select * from sales")
        names = ", ".join(f'"{name}"' for name in frame.columns)
        with psycopg.connect(started.url) as connection, connection.cursor() as cursor:
            with cursor.copy(f"copy sales ({names}) from stdin (format csv)".encode()) as copy:
                copy.write(
                    frame.with_columns(pl.col("at").dt.to_string("%Y-%m-%d %H:%M:%S%.6f+00"))
                    .write_csv(include_header=False)
                    .encode()
                )
        yield started


@pytest.fixture(autouse=True)
def a_small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", 3_000)


def in_csv(folder: Path, mapping: Mapping[str, object], *, key: str | None = None, **options: object) -> Finished:
    files = sorted(str(path) for path in folder.iterdir() if path.suffix == ".csv")
    place: dict[str, object] = {
        "source": "drop", "table": "t", "files": files, "format": "csv", "types": {"region": "word"}, "key": key,
        "snapshot": "s1",
    }  # fmt: skip
    return analyze_in_place(place, request(mapping, **options), folder, threads=2, on_step=lambda _: None)


def in_postgres(
    server: Postgres, folder: Path, mapping: Mapping[str, object], *, key: str | None = None,
    table: str = "public.sales", **options: object,
) -> Finished:  # fmt: skip
    place: dict[str, object] = {"source": "shop", "table": table, "key": key, "snapshot": None}
    with answering(server.url):
        return analyze_in_place(place, request(mapping, **options), folder, threads=2, on_step=lambda _: None)


@contextmanager
def answering(address: str) -> Iterator[None]:
    session = PostgresSession.opened(Place(name="shop", kind="postgres", address=address, tables=()))
    try:
        with asking(partial(session.answer, seconds=60.0)):
            yield
    finally:
        session.close()


@pytest.fixture(params=["parquet", "postgres", "csv"])
def run(folder: Path, csv_folder: Path, server: Postgres, request: pytest.FixtureRequest) -> InPlace:
    runs = {
        "parquet": partial(in_files, folder),
        "postgres": partial(in_postgres, server, folder),
        "csv": partial(in_csv, csv_folder),
    }
    return runs[request.param]


def sampled(estimate: Mapping[str, object]) -> list[str]:
    notes = estimate["diagnostics"].get("notes") or []
    return [note for note in notes if note.startswith("Computed from a sample of")]


def test_columns_have_kinds_and_those_that_cannot_be_analysed_come_last_with_their_types(
    folder: Path, server: Postgres, tmp_path: Path, frame: pl.DataFrame
) -> None:
    files = [str(path) for path in sorted(folder.iterdir())]
    pl.DataFrame({"many": [[1, 2]], "y": [1.5]}).write_parquet(tmp_path / "odd.parquet")
    kinds = {
        "y": "real", "t": "whole", "region": "word", "x0": "real", "x1": "real", "flag": "word", "at": "moment",
        "unit": "whole", "id": "whole", "Y": "real",
    }  # fmt: skip
    place: dict[str, object] = {"source": "lake", "table": "t", "files": files, "key": None, "snapshot": "s1"}
    found = columns_in_place(place, tmp_path)
    assert {each["name"]: each["kind"] for each in found} == kinds
    assert [each["name"] for each in found] == frame.columns
    odd = columns_in_place(place | {"files": [str(tmp_path / "odd.parquet")]}, tmp_path)
    assert [(each["name"], each["kind"]) for each in odd] == [("y", "real"), ("many", None)]
    assert "List" in str(odd[1]["type"])
    with answering(server.url):
        theirs = columns_in_place({"source": "shop", "table": "public.sales", "key": None}, tmp_path)
    assert {each["name"]: each["kind"] for each in theirs} == {**kinds, "extra": None}
    assert theirs[-1] == {"name": "extra", "kind": None, "type": "jsonb"}


@pytest.mark.parametrize("mapping", [UNITS, SCORE], ids=["units", "score"])
def test_sums_over_all_rows_are_those_in_memory_to_1e_8(
    run: InPlace, uploaded: Path, mapping: Mapping[str, object]
) -> None:
    memory = analyze(uploaded, request(mapping, engine="memory"), threads=2, on_step=lambda _: None)
    found = run(mapping)
    assert found.engine.startswith(("duckdb ", "postgresql "))
    assert found.rows == ROWS
    theirs = {each["name"]: each for each in memory.report["estimates"] if each["estimate"] is not None}
    ours = {
        each["name"]: each for each in found.report["estimates"] if each["estimate"] is not None and not sampled(each)
    }
    assert ours.keys() == theirs.keys() & BY_MOMENTS.keys()
    assert ("dml_plr" if mapping is UNITS else "rd_local_linear") in ours
    for name, each in ours.items():
        left, right = (dict(numbers({field: one[field] for field in FIELDS})) for one in (each, theirs[name]))
        assert left.keys() <= right.keys()
        for place, value in left.items():
            assert value == pytest.approx(right[place], rel=1e-8, abs=1e-9), (name, place)
    assert found.report["decision"]["primary"] == memory.report["decision"]["primary"]


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory, server: Postgres) -> Path:
    """A folder with rows of shops in years, also in the table `shops` of the server: some adopt, one changes late."""
    rng = np.random.default_rng(7)
    number, year = (each.ravel() for each in np.meshgrid(np.arange(400), np.arange(10), indexing="ij"))
    start = np.array([4, 7, 99])[np.arange(400) % 3][number]
    without = np.array([np.inf, -np.inf, np.nan])
    y = rng.normal(size=400)[number] + 0.3 * year + (year >= start) + rng.normal(size=4_000)
    frame = pl.DataFrame(
        {
            "y": pl.Series(np.where(rng.random(4_000) < 0.02, np.nan, y)).fill_nan(None),
            "shop": [f"店 {each}" for each in number],
            "year": year + 2001,
            "on": (year >= start).astype(int),
            "late": ((number == 11) & (year >= 8)).astype(int),
            "first": np.where(start < 10, start + 2001, 0),
            "ever": pl.Series(np.where(start < 10, start + 2001.0, without[number % 9 // 3])).fill_nan(None),
        }
    ).sample(fraction=0.95, shuffle=True, seed=2)
    folder = tmp_path_factory.mktemp("shops")
    frame.write_parquet(folder / "a.parquet", row_group_size=900)
    frame.write_csv(folder / "a.csv", null_value="NA")
    server.execute('create table shops (y float8, shop text, year int, "on" int, late int, first int, ever float8)')
    with psycopg.connect(server.url) as connection, connection.cursor() as cursor:
        with cursor.copy(b"copy shops from stdin (format csv)") as copy:
            copy.write(frame.write_csv(include_header=False).encode())
    stored = read_table(folder / "a.parquet", name="a", limits=Limits(), options=ReadOptions())
    write_parquet(stored, folder / "stored")
    return folder


@pytest.mark.parametrize("where", ["parquet", "csv", "postgres"])
@pytest.mark.parametrize(
    ("role", "column", "names"),
    [
        ("treatment", "on", ["did_callaway_santanna", "did_imputation"]),
        ("cohort", "first", ["did_callaway_santanna", "did_imputation", "twfe"]),
        ("cohort", "ever", ["did_callaway_santanna", "did_imputation", "twfe"]),
        ("treatment", "late", ["synthetic_did"]),
    ],
)
def test_panels_of_all_rows_are_those_in_memory_to_1e_8(
    shops: Path, server: Postgres, where: str, role: str, column: str, names: list[str]
) -> None:
    mapping = {"y": "y", "unit_id": "shop", "time": "year", role: column}
    runs = {"parquet": in_files, "csv": in_csv, "postgres": partial(in_postgres, server, table="public.shops")}
    found = runs[where](shops, mapping, estimators=names)
    memory = analyze(shops / "stored", request(mapping, engine="memory", estimators=names), threads=2, on_step=print)
    for ours, theirs in zip(found.report["estimates"], memory.report["estimates"], strict=True):
        assert ours["estimate"] is not None
        assert not sampled(ours)
        left, right = (dict(numbers({field: one[field] for field in FIELDS})) for one in (ours, theirs))
        assert left.keys() == right.keys()
        for place, value in left.items():
            assert value == pytest.approx(right[place], rel=1e-8, abs=1e-9), (ours["name"], place)
    assert found.report["decision"]["primary"] == memory.report["decision"]["primary"]


@pytest.mark.parametrize("rows", [3_000, 10_000])
@pytest.mark.parametrize("where", ["parquet", "postgres"])
def test_an_infinite_first_treated_period_means_never_and_a_note_says_so(
    shops: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch, where: str, rows: int
) -> None:
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", rows)
    mapping = {"y": "y", "unit_id": "shop", "time": "year", "cohort": "ever"}
    runs = {"parquet": in_files, "postgres": partial(in_postgres, server, table="public.shops")}
    found = runs[where](shops, mapping, estimators=["twfe"])
    memory = analyze(shops / "stored", request(mapping, engine="memory", estimators=["twfe"]), threads=2, on_step=print)
    (note,) = [note for note in memory.report["notes"] if "infinit" in note.lower()]
    assert note in found.report["notes"]
    ours, theirs = (each.report["estimates"][0]["estimate"] for each in (found, memory))
    assert ours == pytest.approx(theirs, rel=1e-8)


def test_what_sums_cannot_give_is_of_the_same_sample_in_every_run_and_says_so(run: InPlace) -> None:
    first, second = (run(MAPPING, estimators=["psm_ate", "dml_plr"], key="id").report for _ in range(2))
    matched = next(each for each in first["estimates"] if each["name"] == "psm_ate")
    assert sampled(matched)
    assert [each["estimate"] for each in first["estimates"]] == [each["estimate"] for each in second["estimates"]]


def test_cross_fitting_needs_a_key(run: InPlace) -> None:
    (without,) = run(MAPPING, estimators=["dml_plr"]).report["estimates"]
    assert "unit_id" in sampled(without)[0]
    (keyed,) = run(MAPPING, estimators=["dml_plr"], key="id").report["estimates"]
    assert keyed["estimate"] is not None
    assert not sampled(keyed)


def test_a_table_no_larger_than_the_sample_is_read(
    run: InPlace, uploaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", ROWS)
    chosen = ["ols_adjustment", "aipw", "propensity_strata"]
    found = run(UNITS, estimators=chosen)
    asked = request(UNITS, engine="memory", estimators=chosen)
    memory = analyze(uploaded, asked, threads=2, on_step=lambda _: None)
    assert found.engine == "memory"
    assert len(found.report["estimates"]) == 3
    for left, right in zip(found.report["estimates"], memory.report["estimates"], strict=True):
        assert left["estimate"] == pytest.approx(right["estimate"], rel=1e-10)


def test_the_notes_say_where_the_rows_are(folder: Path, server: Postgres) -> None:
    of_files = in_files(folder, MAPPING, estimators=["ols_adjustment"]).report["notes"]
    assert any("'t' of the source 'lake'" in note and "s1" in note for note in of_files)
    of_server = in_postgres(server, folder, MAPPING, estimators=["ols_adjustment"]).report["notes"]
    assert any("'public.sales' of the source 'shop'" in note and "computed again" in note for note in of_server)


@pytest.mark.parametrize(
    ("mapping", "options", "field"),
    [
        ({**MAPPING, "covariates": ["x9"]}, {}, "mapping.covariates"),
        (MAPPING, {"engine": "duckdb"}, "options.engine"),
        (MAPPING, {"yes_no": ["region"]}, "options.yes_no"),
        ({"y": "none", "treatment": "t"}, {"covariates": "auto"}, "mapping.y"),
    ],
)
def test_what_a_table_in_place_does_not_allow_is_named(
    run: InPlace, mapping: Mapping[str, object], options: Mapping[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        run(mapping, **options)
    assert caught.value.field == field


def test_covariates_are_chosen_by_rule_as_those_of_an_upload(run: InPlace, uploaded: Path) -> None:
    roles: dict[str, object] = {"y": "y", "treatment": "t"}
    asked: dict[str, object] = {"covariates": "auto", "estimators": ["ols_adjustment"]}
    wanted = analyze(uploaded, request(roles, **asked), threads=2, on_step=lambda _: None)
    found = run(roles, **asked)
    taken, expected = (each.report["mapping"]["covariates"] for each in (found, wanted))  # type: ignore[index]
    # Of CSV, DuckDB numbers a header that differs from another in its case alone.
    assert [name for name in taken if name != "Y_1"] == expected
    assert {"x0", "x1", "region"} <= set(expected)
    (ours,), (theirs,) = found.report["estimates"], wanted.report["estimates"]  # type: ignore[misc]
    if taken == expected:
        assert ours["estimate"] == pytest.approx(theirs["estimate"], rel=1e-8)
    # All rows were fewer than are looked at, and more than the sample of the estimates.
    said = " ".join(found.report["notes"])  # type: ignore[arg-type]
    assert "compared with the outcome and the treatment in a sample of" in said
    assert f"of the {ROWS:,} rows of the table" in said


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ({"key": "id", "mapping": {"y": "extra", "treatment": "t"}, "covariates": "auto"}, InvalidRequest, "jsonb"),
        ({"table": "public.none"}, SourceDown, "no data for the table"), ({"table": "public.seen"}, SourceDown, "view"),
        ({"key": "none"}, SourceDown, "no such column"),
        ({"mapping": {**MAPPING, "cluster": ["extra"]}}, InvalidRequest, "jsonb"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_said(
    server: Postgres, folder: Path, options: Mapping[str, object], error: type[CqoxError], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        in_postgres(server, folder, **{"mapping": MAPPING, **options})


@pytest.mark.parametrize("rows", [100, 10_000])
@pytest.mark.parametrize(("kind", "column"), [("date", "day"), ("timestamp", "moment"), ("timestamptz", "zoned")])
def test_infinite_dates_are_missing_and_those_without_a_year_of_four_digits_are_refused(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, kind: str, column: str
) -> None:
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", rows)
    name = f"of_{column}_{rows}"
    server.execute(
        f"create table {name} as select s.*, '2020-01-01'::{kind} + id * interval '1 h' as {column} from sales s"
    )
    server.execute(f"alter table {name} alter column {column} type {kind}")
    server.execute(f"update {name} set {column} = 'infinity' where id = 3")
    mapping = {"y": "y", "treatment": "t", "covariates": ["x0", column]}
    asked = partial(in_postgres, server, tmp_path, mapping, table=name, estimators=["ols_adjustment"])
    (found,) = asked().report["estimates"]
    assert found["n"] == ROWS - 1
    for year in ("0044-03-15 BC", "12000-03-15"):
        server.execute(f"update {name} set {column} = '{year}' where id = 3")
        with pytest.raises(UnusableData, match=f"'{column}' has dates before"):
            asked()


@pytest.mark.parametrize("rows", [100, 10_000])
def test_dates_of_files_beyond_four_digits_are_refused(
    frame: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", rows)
    day = pl.date(9999, 1, 1) + pl.duration(days="id")
    frame.with_columns(day=day).write_parquet(tmp_path / "0.parquet")
    with pytest.raises(UnusableData, match="'day' has dates before"):
        in_files(tmp_path, {**MAPPING, "covariates": ["x0", "day"]})


@pytest.mark.parametrize("rows", [100, 10_000])
@pytest.mark.parametrize("role", ["unit_id", "cluster", "fixed_effects"])
def test_names_of_units_that_would_lose_digits_are_refused(
    frame: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, role: str
) -> None:
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", rows)
    frame.with_columns(large=pl.col("id").cast(pl.UInt64) + 2**63).write_parquet(tmp_path / "0.parquet")
    large = ["large"] if role == "fixed_effects" else "large"
    with pytest.raises(UnusableData, match="'large' names units or groups by numbers so large"):
        in_files(tmp_path, {"y": "y", "treatment": "t", "covariates": ["x0"], role: large})


def test_words_are_compared_by_their_bytes(server: Postgres) -> None:
    with (
        answering(server.url),
        opened_table(
            {"source": "shop", "table": "public.sales"}, Path(), threads=1, after_read=lambda: None, ask=ask
        ) as table,
    ):
        rows, aliases = table.columns(["region"])
        assert table.words(f"select collation for ({aliases['region']}) from {rows} limit 1") == [('"C"',)]
