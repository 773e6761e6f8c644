"""Questions to views check their names when they are made."""

from collections.abc import Callable

import pytest

from cqox.dashboards.views import LOOKED_UP, SEALED, VIEWS, Measure, ViewQuery

COUNT = (Measure(name="number", how="count"),)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: ViewQuery(view="reports"), "there is no view"),
        (lambda: ViewQuery(view="dashboard_gates", columns=("outcome",)), "no column outcome"),
        (lambda: ViewQuery(view="dashboard_gates", columns=("dataset_name",)), "no column dataset_name"),
        (lambda: ViewQuery(view="dashboard_gates", where=(("1=1", ()),)), "no column"),
        (lambda: ViewQuery(view="dashboard_gates", order=("-name; DROP",)), "no column"),
        (
            lambda: ViewQuery(view="dashboard_gates", measures=(Measure(name="x", how="sum", column="y"),)),
            "no column y",
        ),
        (lambda: ViewQuery(view="dashboard_gates", measures=(Measure(name="a b", how="count"),)), "by letters"),
        (
            lambda: ViewQuery(view="dashboard_analyses", columns=("analysis_id", "outcome"), measures=COUNT),
            "cannot be grouped",
        ),
        (
            lambda: ViewQuery(view="dashboard_analyses", columns=("analysis_id",), where=(("outcome", ("y",)),)),
            "cannot be grouped or selected",
        ),
        (lambda: ViewQuery(view="dashboard_analyses", columns=("outcome",)), "opened by its analysis_id"),
    ],
)
def test_a_question_with_a_wrong_name_is_refused(make: Callable[[], ViewQuery], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make()


def test_what_can_be_encrypted_is_a_column_with_the_id_that_opens_it() -> None:
    columns = {**VIEWS["dashboard_analyses"], **LOOKED_UP}
    assert SEALED.keys() <= columns.keys()
    assert {of for _, of in SEALED.values()} <= columns.keys()


def test_every_view_has_tenant_id_and_time() -> None:
    for columns in VIEWS.values():
        assert list(columns)[:3] == ["tenant_id", "analysis_id", "created_second"]
        assert all(column.meaning for column in columns.values())
