"""The statement of a question, and what becomes of its rows."""

from cqox.dashboards.views import Measure, ViewQuery
from cqox.storage.tenant_ids import TenantKeys
from cqox.storage.view_sql import asked, create_views, plain_rows, values_of


def test_a_question_is_one_statement_with_named_parameters() -> None:
    query = ViewQuery(
        view="dashboard_gates",
        columns=("name",),
        measures=(Measure(name="number", how="count"), Measure(name="typical", how="mean", column="value")),
        where=(("status", ("fail", "warn")), ("value", ())),
        each_step=True,
        order=("-number", "name"),
        most_rows=7,
    )
    assert asked(query) == (
        "SELECT (created_second / :step) * :step AS step_second, name, count(*) AS number, "
        "CAST(avg(value) AS double precision) AS typical FROM dashboard_gates WHERE tenant_id = :tenant "
        "AND created_second >= :start AND created_second < :end AND status IN (:wanted_0_0, :wanted_0_1) "
        "AND value IS NOT NULL GROUP BY 1, 2 "
        "ORDER BY step_second ASC NULLS LAST, number DESC NULLS LAST, name ASC NULLS LAST LIMIT :most_rows"
    )
    assert values_of(query, TenantKeys("acme"), start=1, end=2, step=60) == {
        "tenant": "acme", "start": 1, "end": 2, "step": 60, "most_rows": 8, "wanted_0_0": "fail", "wanted_0_1": "warn",
    }  # fmt: skip


def test_a_name_of_a_data_set_is_looked_up() -> None:
    query = ViewQuery(view="dashboard_analyses", columns=("dataset_id", "dataset_name"))
    assert "(SELECT name FROM datasets WHERE datasets.tenant_id = dashboard_analyses.tenant_id" in asked(query)


def test_ids_are_shown_without_their_tenant_and_no_more_rows_than_asked() -> None:
    query = ViewQuery(view="dashboard_analyses", columns=("verdict", "analysis_id"), each_step=True, most_rows=1)
    rows = [(0, "GO", "acme/a"), (0, None, "acme/b")]
    assert plain_rows(query, rows, TenantKeys("acme")) == [(0, "GO", "a")]


def test_no_view_reads_a_table_that_an_earlier_release_restores() -> None:
    for statement in create_views():
        assert not any(f" {table}" in statement for table in ("reports", "datasets", "jobs", "turns")), statement
