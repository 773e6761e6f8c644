"""The query of a request has the parameters of its operation and no other."""

import pytest

from cqox.errors import InvalidRequest
from services.config.settings import Settings
from services.http.contract.api import operation
from services.http.contract.queries import query_of
from services.http.server.app import App


@pytest.mark.trio
async def test_a_parameter_that_the_operation_does_not_have_is_refused() -> None:
    app = App(__name__, title="Gateway", settings=Settings())
    async with app.test_request_context("/api/jobs?limit=3&lang=ja"):
        assert query_of("list_jobs")["limit"] == "3"
        assert query_of(operation("list_jobs"))["limit"] == "3"
        with pytest.raises(InvalidRequest, match="does not accept a query") as refused:
            query_of("list_dashboards")
    assert refused.value.field == "limit"
