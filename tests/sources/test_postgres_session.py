import json
import threading
from collections.abc import Iterator

import numpy as np
import psycopg
import pytest

from cqox.errors import SourceDown, UnusableData
from cqox.sources import NULL, Place, PostgresSession
from tests.servers import Postgres, running
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("postgres session")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running(Postgres()) as started:
        started.execute('create table "T" (a int, b numeric, "c d" text, e jsonb, f timestamptz, g uuid, h boolean)')
        started.execute("""insert into "T" values (1, 0.1, 'x,"y')""")
        started.execute("""insert into "T" values (null, 'NaN', '')""")
        started.execute("create table growing (a int)")
        started.execute("create table part (a int) partition by range (a)")
        started.execute("create table parent (a int)")
        started.execute("create table child () inherits (parent)")
        started.execute("create domain number as bigint")
        started.execute("create domain id as number")
        started.execute("create table kinds (a id, b money, c oid, d float4)")
        yield started


@pytest.fixture
def session(server: Postgres) -> Iterator[PostgresSession]:
    opened = PostgresSession.opened(place(server.url))
    yield opened
    opened.close()


def place(address: str) -> Place:
    return Place(name="shop", kind="postgres", address=address, tables=("public.T",))


def test_columns_have_kinds_and_those_that_cannot_be_used_their_types(session: PostgresSession) -> None:
    found = json.loads(session.answer({"schema": "public.T"}, seconds=60))
    assert found["engine"] == session.engine
    assert found["table"] == '"public"."T"'
    assert found["columns"] == [
        ["a", "whole", "int4"], ["b", "real", "numeric"], ["c d", "word", "text"], ["e", "", "jsonb"],
        ["f", "zoned", "timestamptz"], ["g", "word", "uuid"], ["h", "word", "bool"],
    ]  # fmt: skip


def test_a_domain_has_the_kind_of_its_type_and_numbers_that_are_no_doubles_none(session: PostgresSession) -> None:
    found = json.loads(session.answer({"schema": "public.kinds"}, seconds=60))
    assert found["columns"] == [
        ["a", "whole", "int8"], ["b", "", "money"], ["c", "", "oid"], ["d", "real", "float4"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "reason"), [("public.t", "no data"), ("t", "no data"), ("part", "is partitioned"), ("parent", "inherit")]
)
def test_a_table_that_cannot_be_summed_is_named(session: PostgresSession, table: str, reason: str) -> None:
    with pytest.raises(SourceDown, match=reason):
        session.answer({"schema": table}, seconds=60)


def test_sums_are_doubles_and_rows_are_texts_with_their_gaps(session: PostgresSession) -> None:
    sums = session.answer({"sums": 'select a, 0.1::float8 from "T" order by a'}, seconds=60)
    np.testing.assert_array_equal(np.frombuffer(sums), [2.0, 1.0, 0.1, np.nan, 0.1])
    rows = session.answer({"rows": 'select a, "c d" from "T" order by a'}, seconds=60)
    assert rows.decode() == f'"1","x,""y"\n{NULL},""\n'


def test_all_statements_see_the_rows_of_one_moment_and_change_none(server: Postgres, session: PostgresSession) -> None:
    count = {"sums": "select count(*) from growing"}
    before = session.answer(count, seconds=60)
    server.execute("insert into growing values (1)")
    assert session.answer(count, seconds=60) == before
    with pytest.raises(SourceDown, match="ReadOnlySqlTransaction 25006"):
        session.answer({"sums": "delete from growing returning a"}, seconds=60)


@pytest.mark.parametrize("question", ["rows", "sums"])
def test_values_that_cannot_be_computed_with_are_no_failure_of_the_source(
    session: PostgresSession, question: str
) -> None:
    with pytest.raises(UnusableData, match="22003"):
        session.answer({question: "select (10::numeric ^ 400)::float8"}, seconds=60)


@pytest.mark.parametrize("question", ["rows", "sums"])
def test_a_question_is_one_statement(server: Postgres, session: PostgresSession, question: str) -> None:
    others = "rollback; begin read write; create table taken (a int); commit"
    statement = f"select 1) to stdout; {others}; copy (select 2" if question == "rows" else f"select 1; {others}"
    with pytest.raises(SourceDown, match="SyntaxError 42601"):
        session.answer({question: statement}, seconds=60)
    assert server.execute("select to_regclass('taken')") == [(None,)]


@pytest.mark.parametrize("ends", ["by its time", "by a cancellation"])
def test_a_statement_is_ended(server: Postgres, ends: str) -> None:
    session = PostgresSession.opened(place(server.url))
    failures: list[Exception] = []

    def wait() -> None:
        try:
            session.answer({"sums": 'select count(*) from "T"'}, seconds=1 if ends == "by its time" else 600)
        except SourceDown as error:
            failures.append(error)

    with psycopg.connect(server.url, application_name="test") as locker:
        locker.execute('lock table "T" in access exclusive mode')
        thread = threading.Thread(target=wait)
        thread.start()
        if ends == "by a cancellation":
            waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
            wait_until(lambda: server.execute(waiting))
            session.cancel()
        thread.join()
    session.close()
    assert "QueryCanceled 57014" in str(failures[0])


@pytest.mark.parametrize("password", ["'xyzzy plugh'", "xyzzy"])
def test_a_server_that_is_away_is_named_without_its_address(password: str) -> None:
    with pytest.raises(SourceDown, match="'shop' cannot be read: ") as caught:
        PostgresSession.opened(place(f"host=127.0.0.1 port=1 user=me password={password}"))
    shown = f"{caught.value} {caught.value.__cause__} {caught.value!r}"
    assert not any(part in shown for part in ("xyzzy", "plugh", "127.0.0.1"))
