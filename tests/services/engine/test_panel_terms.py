"""An engine gives the terms of a panel to a gateway."""

import pytest

from cqox import clock
from cqox.dashboards.history import History, Sample
from services.config.settings import Settings
from services.engine.panel_terms import reading_terms
from services.http.contract.dashboard_operations import READ_TERMS, PanelTerms
from services.http.contract.registration import add_operation
from services.http.endpoints.own_panels import OwnPanels
from services.http.server.app import App


@pytest.mark.trio
async def test_the_terms_are_those_of_its_samples_at_the_times_that_were_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clock, "wall_time", lambda: 2000.0)
    history = History()
    history.add(1990.0, [Sample("up", {"job": "cqox-engine", "instance": "here:1"}, 1.0)])
    app = App(__name__, title="Engine", settings=Settings())
    add_operation(app, READ_TERMS, reading_terms(OwnPanels(history)))
    client = app.test_client()
    answer = await client.get("/api/internal/panels/answering?from=1900&to=2000&step=10")
    terms = PanelTerms.model_validate_json(await answer.get_data())
    assert terms.times == 11
    assert terms.values()[0][0]["cqox-engine",][9:] == [1.0, 1.0]
    assert (await client.get("/api/internal/panels/nothing")).status_code == 404
