import pytest

from services.config.settings import Settings
from services.http.endpoints.metrics import add_metrics
from services.http.server.app import App


class Exposition:
    """The telemetry of an app that shows the format that it was asked for."""

    def exposition(self, accept: str) -> tuple[bytes, str]:
        return f"# {accept}\n".encode(), "text/plain; version=1.0.0"


@pytest.mark.trio
async def test_metrics_come_in_the_format_that_is_accepted_and_are_not_stored() -> None:
    app = App(__name__, title="Gateway", settings=Settings())
    add_metrics(app)
    app.telemetry = Exposition()
    client = app.test_client()
    answer = await client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert await answer.get_data() == b"# application/openmetrics-text\n"
    assert answer.headers["Content-Type"] == "text/plain; version=1.0.0"
    assert answer.headers["Cache-Control"] == "no-store"
    assert (await client.post("/metrics")).status_code == 405
