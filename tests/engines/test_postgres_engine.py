import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np
import polars as pl
import psycopg
import pytest

from cqox.engines import PostgresEngine, SourceColumn
from cqox.errors import UnusableData
from cqox.estimators import Settings
from cqox.estimators.by_moments.propensity import propensity
from cqox.estimators.numerics.moments import Column, Known, Moments, linear
from cqox.estimators.numerics.portable_folds import MISSING_KEY, whole_number_keys
from tests.engines import opened
from tests.engines.contract import CUTOFFS, ESTIMATES, PANELS, MomentsContract, table
from tests.engines.opened import Store
from tests.engines.stored import in_postgres
from tests.estimators.by_moments.tables_of import around_cutoff, both, panel_for, replaced, same, study, tables
from tests.servers import Postgres, running
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("postgres engine")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running(Postgres()) as started:
        yield started


@pytest.fixture(scope="module")
def engines(server: Postgres) -> Iterator[Callable[[], PostgresEngine]]:
    with opened.postgres(server) as engines:
        yield engines


@pytest.fixture(scope="module")
def store(server: Postgres, engines: Callable[[], PostgresEngine]) -> Store:
    numbers = count()
    return lambda frame: in_postgres(frame, server.url, engines(), f"stored_{next(numbers)}")


class TestPostgres(MomentsContract):
    @pytest.fixture(scope="class")
    @classmethod
    def moments(cls, store: Store) -> Moments:
        return store(table())


@pytest.mark.parametrize(("name", "design"), ESTIMATES)
def test_estimates_are_those_of_the_rows_in_memory(store: Store, name: str, design: dict[str, int]) -> None:
    same(*both(name, study(**design), Settings(), lambda columns: store(pl.DataFrame(columns))))


@pytest.mark.parametrize(("name", "design"), PANELS)
def test_estimates_of_panels_are_those_of_the_rows_in_memory(store: Store, name: str, design: dict[str, int]) -> None:
    same(*both(name, panel_for(name, **design), Settings(), lambda columns: store(pl.DataFrame(columns))))


@pytest.mark.parametrize(("name", "design"), CUTOFFS)
def test_estimates_at_a_cutoff_are_those_of_the_rows_in_memory(store: Store, name: str, design: dict[str, int]) -> None:
    same(*both(name, around_cutoff(**design), Settings(), lambda columns: store(pl.DataFrame(columns))))


def test_more_sums_than_an_answer_has_columns(store: Store) -> None:
    x = np.arange(1.0, 5.0)
    source = store(pl.DataFrame({"x": x, "g": [0, 0, 1, 1]}))
    factors = np.arange(1.0, 1_701.0)
    values = [linear([(factor, Column("x"))]) for factor in factors.tolist()]
    found = source.sums(values, values)
    np.testing.assert_array_equal(found.sums, 10.0 * factors)
    np.testing.assert_array_equal(found.largest, 4.0 * factors)
    np.testing.assert_array_equal(source.squares(values, [Column("g")])[0], (3.0**2 + 7.0**2) * factors**2)


def test_separated_arms_are_found_though_underflow_is_an_error(store: Store) -> None:
    data = study()
    data = replaced(data, treatment=(np.nan_to_num(data.covariates[:, 0]) > 0).astype(float))
    made = tables(data, source=lambda columns: store(pl.DataFrame(columns)))
    with pytest.raises(UnusableData):
        propensity(made, made.complete("y", "treatment", "propensity_covariates"))


def test_all_passes_see_the_same_rows(server: Postgres, store: Store) -> None:
    source = store(pl.DataFrame({"x": [1.0, 2.0]}))
    assert source.count() == 2
    server.execute(f"insert into {source.table} values (3)")
    assert source.sums([Column("x")]).sums[0] == 3.0
    assert server.execute(f"select count(*) from {source.table}") == [(3,)]


def test_infinite_dates_are_missing(server: Postgres, store: Store) -> None:
    source = store(pl.DataFrame({"day": pl.Series([], dtype=pl.Date)}))
    server.execute(f"insert into {source.table} values ('infinity'), ('1970-01-03'), (null)")
    assert source.sums([Known((Column("day"),)), Column("day")]).sums.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("create table made (x int)", psycopg.errors.ReadOnlySqlTransaction),
        ("select 1; commit; create table made (x int)", psycopg.errors.SyntaxError),
        ("set transaction read write", psycopg.errors.ActiveSqlTransaction),
    ],
)
def test_a_statement_writes_nothing(
    server: Postgres, engines: Callable[[], PostgresEngine], statement: str, refusal: type[Exception]
) -> None:
    engine = engines()
    assert engine.read("select 1.5::float8")[0].tolist() == [1.5]
    with pytest.raises(refusal):
        engine.read(statement)
    assert server.execute("select to_regclass('made')") == [(None,)]


def test_a_statement_ends_in_time(engines: Callable[[float], PostgresEngine]) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        engines(0.05).read("select pg_sleep(60)")


def test_a_canceled_statement_ends_at_the_server(server: Postgres, engines: Callable[[], PostgresEngine]) -> None:
    engine = engines()
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(engine.read, "select pg_sleep(61)")
        wait_until(lambda: asleep(server, 61))
        engine.cancel()
        with pytest.raises(psycopg.errors.QueryCanceled):
            reading.result()
    assert not asleep(server, 61)


def test_the_statement_of_a_dead_client_ends_at_the_server(server: Postgres) -> None:
    program = (
        "from cqox.engines import PostgresEngine\n"
        f"PostgresEngine.opened({server.url!r}, statement_seconds=600).read('select pg_sleep(62)')"
    )
    client = subprocess.Popen([sys.executable, "-c", program])
    try:
        wait_until(lambda: asleep(server, 62))
    finally:
        client.kill()
        client.wait()
    wait_until(lambda: not asleep(server, 62))


def asleep(server: Postgres, seconds: int) -> bool:
    return bool(
        server.execute(
            "select 1 from pg_stat_activity where state = 'active' and query = %s", f"select pg_sleep({seconds})"
        )
    )


def test_dates_and_times_are_days_with_their_fractions_and_keys_as_in_memory(server: Postgres, engines) -> None:
    server.execute("create table moments (d date, m timestamp)")
    server.execute("insert into moments values ('1969-12-30', '1969-12-31 18:00:00.000001'), (null, null)")
    columns = {
        "d": SourceColumn(name="d", kind="day"),
        "m": SourceColumn(name="m", kind="day"),
        "date key": SourceColumn(name="d", kind="date key"),
        "moment key": SourceColumn(name="m", kind="moment key"),
    }
    engine = engines()
    dialect = engine.dialect
    texts = [columns["d"].value(dialect), columns["m"].value(dialect)]
    texts += [columns[name].as_it_is(dialect) for name in ("date key", "moment key")]
    found = np.stack(engine.read(f"select {', '.join(texts)} from moments order by d nulls last"), axis=1)
    keys = [*whole_number_keys(np.array([-2])), *whole_number_keys(np.array([-21_599_999_999]))]
    np.testing.assert_allclose(found[0], [-2.0, -0.25 + 1e-6 / 86_400, *keys], rtol=1e-14)
    assert np.isnan(found[1, :2]).all()
    assert (found[1, 2:] == MISSING_KEY).all()
