"""ClickHouse in this process: `make engines` runs this."""

import math
from collections.abc import Iterator

import httpx
import polars as pl
import pytest

from cqox.engines import ClickHouseEngine, SourceColumn, SqlMoments
from cqox.estimators import Settings
from cqox.estimators.numerics.moments import Column, Is, Known, Moments
from tests.engines import opened
from tests.engines.contract import CUTOFFS, ESTIMATES, PANELS, MomentsContract, table
from tests.engines.opened import Store
from tests.engines.stored import in_clickhouse
from tests.estimators.by_moments.tables_of import around_cutoff, both, panel_for, same, study

COLUMNS = {
    "x": SourceColumn(name="x", kind="number", floating=True),
    "day": SourceColumn(name="day", kind="day"),
    "word": SourceColumn(name="word", kind="word"),
    "flag": SourceColumn(name="flag", kind="truth"),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[ClickHouseEngine]:
    with opened.clickhouse() as engine:
        yield engine


@pytest.fixture(scope="module")
def store(engine: ClickHouseEngine, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return lambda frame: in_clickhouse(frame, tmp_path_factory.mktemp("stored") / "rows.parquet", engine)


class TestClickHouse(MomentsContract):
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


def test_columns_without_nulls_are_read_as_those_with_them(engine: ClickHouseEngine) -> None:
    rows = "select arrayJoin([1., nan, 3.]) as x, toDate('2020-01-02') as day, 'a' as word, true as flag"
    source = SqlMoments(engine=engine, table=f"({rows}) r", columns=COLUMNS)
    x, day, word, flag = (Column(name) for name in COLUMNS)
    known = source.where(Known((x, word)))
    assert known.sums([x, day, flag, Is(word, "=", "a")], [x]).sums.tolist() == [4.0, 2 * 18263.0, 2.0, 2.0]
    assert source.sums([Known((x,))]).sums.tolist() == [2.0]
    nothing = source.where(Is(day, ">", 1e6)).sums([flag], [flag, day])
    assert nothing.sums.tolist() == [0.0]
    assert [math.isnan(each) for each in nothing.largest] == [True, True]


def test_names_and_words_cannot_end_their_quotation(engine: ClickHouseEngine) -> None:
    dialect = engine.dialect
    for odd in ("it's", "a\\", "\\' or 1=1 --", '"', '\\"', "`"):
        (count,) = engine.read(f"select length({dialect.word(odd)}) as {dialect.quoted(odd)}")
        assert count[0] == len(odd)


def test_sums_keep_their_digits(engine: ClickHouseEngine) -> None:
    rows = "select arrayJoin(arrayWithConstant(100000, .1)) as x"
    source = SqlMoments(engine=engine, table=f"({rows}) r", columns=COLUMNS)
    assert source.sums([Column("x")]).sums.tolist() == [math.fsum([0.1] * 100_000)]


def test_statements_over_http_only_read(engine: ClickHouseEngine) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        statement = request.content.decode()
        return httpx.Response(500) if "no such" in statement else httpx.Response(200, content=engine.run(statement))

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        remote = ClickHouseEngine.over_http(client, "http://server:8123/?database=study", statement_seconds=30.0)
        assert remote.name == engine.name
        assert remote.read("select 1.5 as x, null as y")[0].tolist() == [1.5]
        with pytest.raises(httpx.HTTPStatusError):
            remote.read("select x from no_such where word = 'no such'")
    parameters = asked[1].url.params
    assert asked[1].method == "POST"
    assert (parameters["database"], parameters["readonly"], parameters["max_execution_time"]) == ("study", "2", "30.0")
    assert parameters["cancel_http_readonly_queries_on_client_close"] == "1"
