"""Spark on this machine: `make engines` runs this."""

from collections.abc import Iterator
from threading import Thread
from typing import TYPE_CHECKING

import polars as pl
import pytest

from cqox.engines import SparkEngine
from cqox.estimators import Settings
from cqox.estimators.numerics.moments import Moments
from tests.engines import opened
from tests.engines.contract import CUTOFFS, ESTIMATES, PANELS, MomentsContract, table
from tests.engines.opened import Store
from tests.engines.stored import in_spark
from tests.estimators.by_moments.tables_of import around_cutoff, both, panel_for, same, study
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="module")
def session() -> "Iterator[SparkSession]":
    with opened.spark() as session:
        yield session


@pytest.fixture(scope="module")
def engine(session: "SparkSession") -> SparkEngine:
    return SparkEngine.of(session)


@pytest.fixture(scope="module")
def store(engine: SparkEngine, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return lambda frame: in_spark(frame, tmp_path_factory.mktemp("stored") / "rows.parquet", engine)


class TestSpark(MomentsContract):
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


@pytest.mark.parametrize("setting", ["spark.sql.ansi.enabled", "spark.sql.parser.escapedStringLiterals"])
@pytest.mark.parametrize("value", ["true", "false"])
def test_names_words_and_numbers_are_the_same_in_every_session(
    session: "SparkSession", engine: SparkEngine, setting: str, value: str
) -> None:
    dialect, before = engine.dialect, session.conf.get(setting)
    session.conf.set(setting, value)
    try:
        for odd in ("it's", "a\\", "\\' or 1=1 --", '"', "`", "東京"):
            length, number = engine.read(
                f"select length({dialect.word(odd)}) as {dialect.quoted(odd)}, {dialect.number(0.1 + 0.2)}"
            )
            assert (length[0], number[0]) == (len(odd), 0.1 + 0.2)
    finally:
        session.conf.set(setting, before)


def test_a_canceled_statement_ends(session: "SparkSession", engine: SparkEngine) -> None:
    # Days of work.
    statement = "select sum(cast(a.id * b.id as double)) from range(10000000) a cross join range(1000000) b"
    ended: list[Exception] = []

    def read() -> None:
        try:
            engine.read(statement)
        except Exception as error:
            ended.append(error)

    tracker = session.sparkContext.statusTracker()
    Thread(target=read, daemon=True).start()
    wait_until(lambda: ended or tracker.getActiveJobsIds())
    SparkEngine.of(session).cancel()
    assert not ended
    # Between two jobs of a statement there is nothing to cancel.
    wait_until(lambda: ended or engine.cancel())
    assert "SPARK_JOB_CANCELLED" in str(ended[0])
    wait_until(lambda: not tracker.getActiveJobsIds())
