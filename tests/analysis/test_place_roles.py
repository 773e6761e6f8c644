"""Roles of tables in place, against those of the same rows as an upload: Parquet, CSV, and a real PostgreSQL server."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import psycopg
import pytest

from cqox.analysis import engine_sample, place_roles, place_sample
from cqox.analysis.inferred_roles import inferred_on_disk
from cqox.analysis.place_roles import roles_in_place
from cqox.analysis.workers.asking import asking
from cqox.contract import Inference, parse_model
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.engines.place_table import PlaceTable
from cqox.errors import UnusableData
from cqox.sources import Place, PostgresSession
from tests.servers import Postgres, running

pytestmark = pytest.mark.xdist_group("in place")
UNITS, PERIODS = 700, 6
ROWS = UNITS * PERIODS
HOSTILE = 'a"b; drop table sales; --'
"""A name that ends a quoted one, as SQL reads it."""


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """A panel whose treatment starts and stays, with copies of the outcome and of the treatment."""
    rng = np.random.default_rng(5)
    unit, period = np.repeat(np.arange(UNITS), PERIODS), np.tile(np.arange(PERIODS), UNITS)
    opened = ((unit % 2 == 1) & (period >= 3)).astype(int)
    sales = np.round(rng.normal(size=ROWS) + 2 * opened + unit % 5, 6)
    return pl.DataFrame(
        {
            "store_id": unit + 100, "year": period + 2019, "opened": opened, "sales": sales,
            "visits": rng.normal(size=ROWS), "sales_in_cents": sales * 100,
            "was_open": np.where(opened == 1, "yes", "no"), HOSTILE: rng.normal(size=ROWS),
            "flat": np.ones(ROWS, dtype=int), "region": np.array(["north", "南", "it's"])[unit % 3],
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def uploaded(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, object]:
    """The roles of the rows as an upload."""
    folder = tmp_path_factory.mktemp("uploaded")
    frame.write_parquet(folder / "t.parquet")
    stored = folder / "stored.parquet"
    table = read_table(folder / "t.parquet", name="t", limits=Limits(), options=ReadOptions())
    write_parquet(table, stored)
    return inferred_on_disk(stored, table.description).to_json()


@pytest.fixture(scope="module")
def folder(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for number, start in enumerate(range(0, ROWS, 1_500)):
        frame.slice(start, 1_500).write_parquet(folder / f"{number}.parquet", row_group_size=700)
        frame.slice(start, 1_500).write_csv(folder / f"{number}.csv")
    return folder


@pytest.fixture(scope="module")
def server(frame: pl.DataFrame) -> Iterator[Postgres]:
    with running(Postgres()) as started, psycopg.connect(started.url) as connection:
        kinds = ("int", "int", "int", "float8", "float8", "float8", "text", "float8", "int", "text")
        quoted = ['"' + name.replace('"', '""') + '"' for name in frame.columns]
        columns = ", ".join(f"{name} {kind}" for name, kind in zip(quoted, kinds, strict=True))
        connection.execute(f"create table sales ({columns})".encode())
        connection.execute(b"create table wide as select 1 as y, '{}'::jsonb as extra, '{1}'::int[] as list")
        connection.execute(b"create table only_json (extra jsonb)")
        with (
            connection.cursor() as cursor,
            cursor.copy(f"copy sales ({', '.join(quoted)}) from stdin csv".encode()) as to,
        ):
            to.write(frame.write_csv(include_header=False).encode())
        connection.commit()
        yield started


@pytest.fixture
def a_small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at about 1,200 rows of tables of more than 3,000."""
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", 3_000)
    monkeypatch.setattr(place_sample, "LOOKED_AT", 1_200)


def in_files(folder: Path, suffix: str, **about: object) -> Inference:
    files = sorted(str(path) for path in folder.glob(f"*{suffix}"))
    place: dict[str, object] = {"source": "lake", "table": "t", "files": files, "key": None, "snapshot": "s", **about}
    return answered(roles_in_place({**place, "format": suffix.removeprefix(".")}, folder, threads=2))


def in_postgres(server: Postgres, folder: Path, table: str = "public.sales", key: str | None = None) -> Inference:
    place: dict[str, object] = {"source": "shop", "table": table, "key": key, "snapshot": None}
    session = PostgresSession.opened(Place(name="shop", kind="postgres", address=server.url, tables=()))
    try:
        with asking(partial(session.answer, seconds=60.0)):
            return answered(roles_in_place(place, folder, threads=2))
    finally:
        session.close()


def answered(found: Mapping[str, object]) -> Inference:
    return parse_model(Inference, {"dataset_id": "d", **found})  # type: ignore[arg-type]


def roles_of(found: Inference) -> dict[str, object]:
    return {role: column if isinstance(column, str) else set(column) for role, column in found.mapping.items()}


def test_a_table_that_is_read_whole_has_the_roles_of_an_upload(
    uploaded: Mapping[str, object], folder: Path, server: Postgres
) -> None:
    for found in (in_files(folder, ".parquet"), in_files(folder, ".csv"), in_postgres(server, folder)):
        document = found.model_dump(mode="json")
        assert {name: document[name] for name in ("mapping", "candidates", "missing", "notes")} == uploaded
        assert found.sample is None
        assert HOSTILE in {each.column for each in found.candidates["y"]}


@pytest.mark.usefixtures("a_small_sample")
def test_the_sample_of_a_larger_table_gives_the_roles_and_says_what_it_is(
    uploaded: Mapping[str, object], folder: Path, server: Postgres
) -> None:
    found = [in_files(folder, ".parquet"), in_files(folder, ".csv"), in_postgres(server, folder, key="visits")]
    wanted = parse_model(Inference, {"dataset_id": "d", **uploaded})  # type: ignore[arg-type]
    for each in found:
        assert roles_of(each) == roles_of(wanted)
        assert each.sample is not None
        assert each.sample.of == ROWS
        # Whole units, about as many rows as were asked for.
        assert 600 <= each.sample.rows <= 1_800
        assert each.sample.rows % PERIODS == 0
        assert f"The table has {ROWS:,} rows" in each.notes[0]
        assert f"a sample of {each.sample.rows:,} rows, chosen by a hash of store_id" in each.notes[0]


@pytest.mark.usefixtures("a_small_sample")
def test_a_worker_holds_no_more_rows_than_the_sample(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heights: list[int] = []
    opened = place_roles.opened_table

    def counted(*given: object, **named: object) -> object:
        return Counted(opened(*given, **named), heights)  # type: ignore[arg-type]

    monkeypatch.setattr(place_roles, "opened_table", counted)
    found = in_files(folder, ".parquet")
    assert found.sample is not None
    assert heights == [found.sample.rows]
    # Of a wide table fewer rows are read.
    monkeypatch.setattr(place_sample, "_MOST_CELLS", 3_000)
    monkeypatch.setattr(place_sample, "_FEWEST_ROWS", 100)
    narrow = in_files(folder, ".parquet")
    assert narrow.sample is not None
    assert narrow.sample.rows <= 450


def test_rows_are_drawn_where_no_name_says_what_the_units_are(
    folder: Path, a_small_sample: None, tmp_path: Path
) -> None:
    frame = pl.read_parquet(folder / "*.parquet").rename({"store_id": "amount", "year": "level"})
    frame.write_parquet(tmp_path / "t.parquet")
    found = in_files(tmp_path, ".parquet")
    assert found.sample is not None
    assert 900 <= found.sample.rows <= 1_500
    assert "chosen by a hash of the number of the row" in found.notes[0]


def test_columns_that_cannot_be_analysed_are_named_and_have_no_role(server: Postgres, folder: Path) -> None:
    found = in_postgres(server, folder, "public.wide")
    assert {each.column for role in found.candidates.values() for each in role} <= {"y"}
    assert found.notes[0] == "Without a role, as values of their types cannot be analysed: extra, list."
    none = in_postgres(server, folder, "public.only_json")
    assert (dict(none.mapping), set(none.missing)) == ({}, {"y", "treatment"})


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_table_without_rows_has_roles_by_name_alone(frame: pl.DataFrame, tmp_path: Path, suffix: str) -> None:
    (frame.clear().write_parquet if suffix == ".parquet" else frame.clear().write_csv)(tmp_path / f"t{suffix}")
    found = in_files(tmp_path, suffix)
    assert set(found.missing) == {"y", "treatment"}
    assert found.sample is None


def test_files_that_are_no_parts_of_one_table_are_refused(frame: pl.DataFrame, tmp_path: Path) -> None:
    frame.write_parquet(tmp_path / "0.parquet")
    frame.drop("sales").write_parquet(tmp_path / "1.parquet")
    with pytest.raises(UnusableData, match="has no column 'sales'"):
        in_files(tmp_path, ".parquet")


class Counted:
    """A context that opens a table and notes how many rows are read of it."""

    def __init__(self, opened: object, heights: list[int]) -> None:
        self._opened, self._heights = opened, heights

    def __enter__(self) -> PlaceTable:
        from dataclasses import replace

        table: PlaceTable = self._opened.__enter__()  # type: ignore[attr-defined]

        def read(rows, names):
            found = table.read(rows, names)
            self._heights.append(found.height)
            return found

        return replace(table, read=read)

    def __exit__(self, *exc_info: object) -> None:
        self._opened.__exit__(*exc_info)  # type: ignore[attr-defined]
