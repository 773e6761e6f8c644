"""Share links and annotations through both services, and no token in what either of them logs, traces or measures."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import Stack, build
from tests.telemetry.receiver import Receiver
from tests.waiting import wait_until

ASKED = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture
def sharing(tmp_path: Path, receiver: Receiver) -> Iterator[Stack]:
    made = build(
        tmp_path,
        CQOX_SHARE_LINKS="on",
        CQOX_LOG_LEVEL="debug",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_url,
        OTEL_BSP_SCHEDULE_DELAY="100",
    )
    for service in (made.engine, made.gateway):
        service.start()
    try:
        for service in (made.engine, made.gateway):
            service.wait_ready()
        yield made
    finally:
        for service in (made.gateway, made.engine):
            service.kill()


def test_a_link_works_through_the_gateway_and_its_token_is_in_no_log_trace_or_metric(
    sharing: Stack, receiver: Receiver, tmp_path: Path
) -> None:
    with sharing.client() as client:
        report = client.post("/api/analyze/comprehensive", json=ASKED).json()
        path = f"/api/analyses/{report['analysis_id']}"
        written = client.patch(f"{path}/annotation", json={"title": "Spring"})
        stale = client.patch(f"{path}/annotation", json={"title": "late"}, headers={"If-Match": '"none"'})
        assert (written.status_code, written.headers["etag"][0], stale.status_code) == (200, '"', 412)

        made = client.post(f"{path}/shares", json={})
        assert made.status_code == 201
        assert len(client.get(f"{path}/shares").json()["shares"]) == 1
        token = made.json()["token"]
        header = {"Share-Token": token}
        name = next(iter(report["figures"]))
        for address in ("", "/annotation", f"/figures/{name}.svg", "/export.csv", "/export.html"):
            answer = client.get(f"/api/shared{address}", headers=header)
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store"), address
            assert token not in answer.text
        assert client.get("/api/shared", headers=header).json()["analysis_id"] == report["analysis_id"]
        # Mistakes that put the token where logs look, and an engine that fails on the way.
        assert client.get("/api/shared", params={"token": token}).status_code == 400
        assert client.get("/api/shared", params={"q": token}).status_code == 400
        assert client.get(f"/s/{token}").status_code == 404
        assert client.get("/api/shared", headers={"Share-Token": token + "x"}).status_code == 404
        metrics = client.get("/metrics").text
        sharing.engine.kill()
        assert client.get("/api/shared", headers=header, timeout=90).status_code == 503
    names = {"GET /api/shared", "GET /api/shared/figures/{name}.{suffix}", "POST /api/analyses/{analysis_id}/shares"}
    wait_until(lambda: names <= {span.name for span in receiver.received.spans})
    assert token not in metrics
    assert token not in repr(receiver.received)
    for log in (sharing.gateway.log, sharing.engine.log):
        assert "/api/shared" in log
        assert token not in log
        assert token.removeprefix("cqox_share_") not in log
    for file in (tmp_path / "data").glob("results.sqlite*"):
        assert token.encode() not in file.read_bytes()
