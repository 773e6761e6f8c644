"""The audit log of a running engine, and its recorder over stores that fail."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import trio

from cqox.analysis.retention import Expired
from cqox.analysis.stores import RESULTS_FILE
from cqox.contract import AuditListing
from cqox.errors import StoreUnavailable
from cqox.security import LOCAL, AuditEvent, parse_line, verified_chain
from cqox.storage import DEFAULT_TENANT, SqliteStore
from services.engine.audit import EngineRecorder
from services.http.security.audited import Action, Audited
from services.http.security.requester import set_principal
from tests.storage.records import a_report, an_erasure
from tests.waiting import wait_until

TABLE = b"y,w\n" + b"".join(b"%d,%d\n" % (number % 7, number % 2) for number in range(60))
CHANGE, READING = Action("rename_dataset", Audited.STORED), Action("read_dataset", Audited.QUEUED)


@pytest.fixture
def audited(start) -> Iterator[httpx.Client]:
    with start("-m", "services.engine", CQOX_LOG_FORMAT="json", CQOX_AUDIT="on").ready_client() as client:
        yield client


def entries(client: httpx.Client, **wanted: str | int) -> list[dict[str, Any]]:
    answer = client.get("/api/audit", params=wanted)
    assert answer.status_code == 200, answer.text
    return cast("list[dict[str, Any]]", answer.json()["entries"])


def test_changes_and_readings_are_in_one_chain_without_any_data(audited: httpx.Client) -> None:
    made = audited.post("/api/datasets", files={"file": ("Planted Name.csv", TABLE)}).json()["dataset_id"]
    # A change is stored before its answer.
    (first,) = entries(audited, action="upload_dataset")
    assert (first["object"], first["outcome"], first["subject"]) == (f"dataset:{made}", "done", "local")
    audited.patch(f"/api/datasets/{made}", json={"name": "Planted Title"})
    audited.get(f"/api/datasets/{made}")
    audited.get("/api/datasets/Planted-Name")
    mapping = {"y": "y", "treatment": "w"}
    asked = {"dataset_id": made, "mapping": mapping, "options": {"estimators": ["difference_in_means"]}}
    report = audited.post("/api/analyze/comprehensive", json=asked).json()["analysis_id"]
    audited.get(f"/api/analyses/{report}/export.csv")
    audited.get("/api/estimators")
    audited.get("/health/live")
    wait_until(lambda: entries(audited, action="export_analysis"))
    listing = audited.get("/api/audit?limit=200")
    found = AuditListing.model_validate_json(listing.content)
    chain = [parse_line(entry.model_dump_json()) for entry in reversed(found.entries)]
    assert verified_chain("default", chain).digest == chain[-1].digest
    said = [(entry.action, entry.object, entry.outcome) for entry in chain if entry.action != "list_audit"]
    assert said == [
        ("upload_dataset", f"dataset:{made}", "done"),
        ("rename_dataset", f"dataset:{made}", "done"),
        ("read_dataset", f"dataset:{made}", "done"),
        ("read_dataset", "dataset:?", "failed"),
        ("analyze", f"dataset:{made}", "done"),
        ("export_analysis", f"analysis:{report}", "done"),
    ]
    assert "Planted" not in listing.text
    assert entries(audited, object=f"analysis:{report}")[0]["action"] == "export_analysis"
    assert entries(audited, subject="key:nobody") == []


def test_a_page_ends_with_the_cursor_of_the_next_and_times_have_a_zone(audited: httpx.Client) -> None:
    for number in range(3):
        audited.patch("/api/datasets/4f0c4f0c4f0c4f0c", json={"name": f"n{number}"})
    wait_until(lambda: len(entries(audited, action="rename_dataset")) >= 3)
    page = audited.get("/api/audit", params={"limit": 2, "action": "rename_dataset"}).json()
    rest = audited.get("/api/audit", params={"before": page["next"], "action": "rename_dataset"}).json()
    assert page["entries"][-1]["seq"] > rest["entries"][0]["seq"]
    at = page["entries"][-1]["at"]
    assert page["entries"][-1] in entries(audited, since=at)
    assert page["entries"][-1] not in entries(audited, until=at)
    for wrong, field in (
        ({"since": "2026-01-01"}, "since"),
        ({"until": "soon"}, "until"),
        ({"before": "2026-01-01|x"}, "before"),
        ({"before": "x"}, "before"),
        ({"limit": "0"}, "limit"),
        ({"who": "x"}, "who"),
    ):
        refused = audited.get("/api/audit", params=wrong)
        assert (refused.status_code, refused.json()["field"]) == (400, field), wrong


def test_without_a_login_nothing_is_recorded(engine: httpx.Client) -> None:
    engine.post("/api/datasets", files={"file": ("t.csv", TABLE)})
    assert engine.get("/api/audit").json() == {"entries": [], "next": None}


class Store:
    """A store of the log that may be away."""

    def __init__(self) -> None:
        self.taken: list[AuditEvent] = []
        self.error: Exception | None = None
        self.hangs = False

    async def append_audit(self, events: Sequence[AuditEvent]) -> int:
        if self.hangs:
            await trio.sleep_forever()
        if self.error is not None:
            raise self.error
        self.taken += events
        return len(events)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def recorder(store: Store) -> EngineRecorder:
    analyses = SimpleNamespace(within=lambda _: SimpleNamespace(store=store))
    return EngineRecorder(cast("Any", SimpleNamespace(analyses=analyses)))


def a_request() -> Any:
    scope: dict[str, Any] = {}
    set_principal(scope, LOCAL)
    return SimpleNamespace(scope=scope, view_args={"dataset_id": "4f0c" * 8}, request_id="r")


@pytest.mark.trio
async def test_a_change_is_answered_once_its_entry_is_stored(store: Store, recorder: EngineRecorder) -> None:
    assert await recorder.answered(a_request(), CHANGE, 200, "") is None
    assert [event.action for event in store.taken] == ["rename_dataset"]
    assert len(recorder.queue) == 0


@pytest.mark.trio
async def test_a_change_fails_while_the_store_is_away_and_its_entry_waits(
    store: Store, recorder: EngineRecorder
) -> None:
    store.error = StoreUnavailable("away")
    assert await recorder.answered(a_request(), CHANGE, 204, "") is store.error
    assert len(recorder.queue) == 1
    # A reading is answered, and so is a change that failed itself.
    assert await recorder.answered(a_request(), READING, 200, "") is None
    assert await recorder.answered(a_request(), CHANGE, 503, "") is None
    store.error = None
    await recorder.queue.close()
    assert [event.outcome for event in store.taken] == ["done", "done", "failed"]


@pytest.mark.trio
async def test_the_entry_of_a_change_whose_client_leaves_is_not_lost(store: Store, recorder: EngineRecorder) -> None:
    store.hangs = True
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(recorder.answered, a_request(), CHANGE, 200, "")
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    recorder.cut(a_request(), CHANGE, "interrupted")
    store.hangs = False
    await recorder.queue.close()
    assert [event.outcome for event in store.taken] == ["done", "interrupted"]


@pytest.mark.trio
async def test_the_end_of_an_erasure_is_in_the_logs_of_both_tenants(store: Store, recorder: EngineRecorder) -> None:
    for what, object_id in (("dataset", "d"), ("tenant", "acme"), ("tenant", "default")):
        record = replace(an_erasure(finished_at="2026-01-02"), object_id=object_id, what=cast("Any", what))
        recorder.finished("default", record)
    await recorder.queue.close()
    said = sorted((event.tenant, event.object) for event in store.taken)
    assert said == [
        ("acme", "tenant:acme"),
        ("default", "dataset:d"),
        ("default", "tenant:acme"),
        ("default", "tenant:default"),
    ]
    assert {event.event_id for event in store.taken} == {an_erasure().erasure_id}


@pytest.mark.trio
async def test_a_batch_that_expires_has_an_entry_with_its_size_and_each_object_one(
    store: Store, recorder: EngineRecorder
) -> None:
    await recorder.expired("acme", Expired(kind="analysis", count=2, ids=["a1", "a2"]))
    await recorder.expired("acme", Expired(kind="dataset", count=1, ids=["d1"]))
    await recorder.expired("acme", Expired(kind="job", count=7))
    assert [(event.action, event.object) for event in store.taken] == [
        ("expire_analysis", "analyses:2"),
        ("expire_analysis", "analysis:a1"),
        ("expire_analysis", "analysis:a2"),
        ("expire_dataset", "dataset:d1"),
        ("expire_job", "jobs:7"),
    ]
    assert {(event.tenant, event.subject, event.kind, event.outcome) for event in store.taken} == {
        ("acme", "retention", "retention", "done")
    }
    batches = [event.request_id for event in store.taken]
    assert batches[0] == batches[1] == batches[2]
    assert len(set(batches)) == 3
    assert len({event.event_id for event in store.taken}) == 5


@pytest.mark.trio
async def test_a_batch_that_the_store_does_not_take_waits_in_the_queue(store: Store, recorder: EngineRecorder) -> None:
    store.error = StoreUnavailable("away")
    await recorder.expired("acme", Expired(kind="dataset", count=1, ids=["d1"]))
    assert store.taken == []
    store.error = None
    await recorder.queue.close()
    assert [event.object for event in store.taken] == ["dataset:d1"]


def test_what_expires_at_the_start_of_an_engine_is_in_its_chain(start, tmp_path: Path) -> None:
    async def keep() -> None:
        async with SqliteStore.open(tmp_path / RESULTS_FILE) as database:
            for number in range(3):
                await database.within(DEFAULT_TENANT).save(
                    a_report(number, created_at="2020-01-01T00:00:00.000000+00:00")
                )

    trio.run(keep)
    settings = {"CQOX_DATA_DIR": str(tmp_path), "CQOX_AUDIT": "on", "CQOX_KEEP_REPORTS_DAYS": "30"}
    with start("-m", "services.engine", **settings).ready_client() as client:
        found = wait_until(lambda: entries(client, subject="retention"))
        assert [entry["object"] for entry in found][-1] == "analyses:3"
        assert len(found) == 4
        listing = AuditListing.model_validate_json(client.get("/api/audit?limit=200").content)
    chain = [parse_line(entry.model_dump_json()) for entry in reversed(listing.entries)]
    assert verified_chain("default", chain).digest == chain[-1].digest
    program = [sys.executable, "-c", "from services.cli import main; main()", "audit", "verify"]
    checked = subprocess.run(program, env={**os.environ, **settings}, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
