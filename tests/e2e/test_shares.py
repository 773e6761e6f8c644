"""Share links and annotations through both services, and no token in what either of them logs, traces or measures."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

import cqox
from cqox.errors import InvalidRequest, NotFound
from tests.e2e.stack import Stack, running_stack
from tests.telemetry.receiver import Receiver
from tests.waiting import wait_until

ASKED = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture
def sharing(tmp_path: Path, receiver: Receiver) -> Iterator[Stack]:
    with running_stack(
        tmp_path,
        CQOX_SHARE_LINKS="on",
        CQOX_LOG_LEVEL="debug",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_url,
        OTEL_BSP_SCHEDULE_DELAY="100",
    ) as made:
        yield made


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


def test_the_clients_name_share_and_count_reports(sharing: Stack) -> None:
    with cqox.Client(sharing.gateway.url) as client:
        report = client.analyze("test", y="y", treatment="w")
        assert client.annotation(report.analysis_id).title is None
        assert client.annotate(report.analysis_id, title="Spring", notes="for May").title == "Spring"
        assert client.annotate(report.analysis_id, notes="").title == "Spring"
        assert client.looks("test").analyses == 1
        made = client.share(report.analysis_id, days=1)
        assert made.path.endswith(made.token)
        listed = client.shares(report.analysis_id)
        assert (listed.allowed, [each.share_id for each in listed.shares]) == (True, [made.share_id])

    async def withdraw() -> None:
        async with cqox.AsyncClient(sharing.gateway.url) as there:
            assert (await there.annotation(report.analysis_id)).notes is None
            await there.withdraw_share(report.analysis_id, made.share_id)
            assert not (await there.shares(report.analysis_id)).shares
            with pytest.raises(NotFound):
                await there.withdraw_share(report.analysis_id, made.share_id)

    anyio.run(withdraw)


def test_the_clients_read_a_file_again(sharing: Stack, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("made in May,,\n,,\ny,w,x\n" + "".join(f"{row % 7},{row % 2},{row}\n" for row in range(40)))
    with cqox.Client(sharing.gateway.url) as client:
        first = client.upload(path, read={"header_row": 3})
        found = client.sheets(first.dataset_id)
        assert (found.original, found.sheets[0].cells[2][:2]) == (True, ["y", "w"])
        again = client.read_again(first.dataset_id, {"header_row": 3, "na": ["6"]})
        assert again.dataset_id == client.upload(path, read={"header_row": 3, "na": ["6"]}).dataset_id
        assert again.dataset_id != first.dataset_id
        with pytest.raises(InvalidRequest):
            client.read_again(first.dataset_id, {"header_rwo": 3})
