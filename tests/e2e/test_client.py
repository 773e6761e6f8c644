"""`cqox.Client` and `cqox.AsyncClient` against real services."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pandas as pd
import pytest

import cqox
from cqox.contract import EXPORT_TYPES, AuditEntryDescription, ExportFormat
from cqox.contract.messages import LANGUAGES
from cqox.errors import DeadlineExceeded, InvalidRequest, JobInterrupted, NotFound, UnusableData
from tests.e2e.engines import LONG
from tests.e2e.stack import Stack, running_stack
from tests.e2e.test_processes import children
from tests.waiting import PATIENCE_SECONDS, wait_until

ROLES: Any = {"y": "sales", "treatment": "campaign", "covariates": ["age", "region"]}
LONG_ROLES = {**LONG["mapping"], **LONG["options"]}


def trial(rows: int) -> pd.DataFrame:
    """Return a randomized trial with an effect of 2 and the awkward kinds of columns."""
    rng = np.random.default_rng(rows)
    age, arm = rng.normal(40.0, 10.0, rows), rng.integers(0, 2, rows)
    sales = 2.0 * arm + age / 10 + rng.normal(size=rows)
    region = pd.Categorical(rng.choice(["北", "南", "east"], rows), categories=["北", "南", "east", "unused"])
    return pd.DataFrame({"sales": sales, "campaign": arm, "age": age, "region": region})


@pytest.fixture
def client(stack: Stack) -> Iterator[cqox.Client]:
    with cqox.Client(stack.gateway.url) as made:
        yield made


def comparable(report: cqox.Report) -> dict[str, Any]:
    """Return a report without its seconds, trace id, cache, and addresses of figures."""
    document: Any = report.to_dict()
    for name in ("seconds", "trace_id", "cache", "stored"):
        document["provenance"].pop(name)
    for estimate in (*document["estimates"], *document["results"]):
        estimate.pop("seconds", None)
    return {**document, "figures": list(document["figures"])}


def test_a_report_is_that_of_a_local_call_in_numbers_and_bytes(client: cqox.Client) -> None:
    frame = trial(2000)
    here = cqox.analyze(frame, **ROLES, assignment="randomized")
    there = client.analyze(frame, **ROLES, assignment="randomized")
    assert (there.dataset_id, there.analysis_id) == (here.dataset_id, here.analysis_id)
    # Numbers are compared by their bytes.
    assert json.dumps(comparable(there)) == json.dumps(comparable(here))
    assert comparable(there.in_language("ja")) == comparable(here.in_language("ja"))
    pd.testing.assert_frame_equal(there.to_frame(), here.to_frame())
    assert repr(there) == repr(here)
    assert there.figures == here.figures
    for name in ("forest", there.figures[-1]):
        assert there.draw(name, "json") == here.draw(name, "json")
    for suffix in ("svg", "png"):
        drawn = there.in_language("ja").draw("forest", suffix)  # type: ignore[arg-type]
        assert drawn == here.in_language("ja").draw("forest", suffix)  # type: ignore[arg-type]
    assert client.roles(frame) == cqox.roles(frame)
    assert client.preview(frame, **ROLES, language="ja") == cqox.preview(frame, **ROLES, language="ja")
    assert comparable(client.report(there.analysis_id)) == comparable(there)


@pytest.mark.parametrize("suffix", EXPORT_TYPES)
def test_a_document_is_that_of_a_local_call_byte_for_byte(client: cqox.Client, suffix: ExportFormat) -> None:
    frame, roles = trial(60), {"y": "sales", "treatment": "campaign", "estimators": ["difference_in_means"]}
    here, there = cqox.analyze(frame, **roles), client.analyze(frame, **roles)
    language: Any = LANGUAGES[list(EXPORT_TYPES).index(suffix) % 2]
    written = there.in_language(language)._export(suffix)
    assert written == here.in_language(language)._export(suffix)
    assert client.export(there.analysis_id, suffix, language=language) == written


def test_a_large_frame_is_sent_once(client: cqox.Client) -> None:
    frame, sent = trial(100_000), list[Mapping[str, object]]()
    first = client.upload(frame, name="large", progress=sent.append)
    assert (first.rows, first.name) == (100_000, "large")
    assert sent[-1]["sent_bytes"] == sent[-1]["size_bytes"] == first.size_bytes
    assert first.dataset_id in [each.dataset_id for each in client.datasets()]
    steps: list[object] = []
    report = client.analyze(
        frame, **ROLES, estimators=["difference_in_means"], progress=lambda step: steps.append(step["step"])
    )
    assert report["difference_in_means"].estimate == pytest.approx(2.0, abs=0.05)
    assert "upload" not in steps
    assert {"file", "read", "estimate.difference_in_means"} <= set(steps)
    assert [each.analysis_id for each in client.reports(dataset_id=first.dataset_id)] == [report.analysis_id]
    client.delete_report(report.analysis_id)
    client.delete_dataset(first.dataset_id, reports=True)
    with pytest.raises(NotFound):
        client.report(report.analysis_id)


def test_a_file_is_read_as_asked(client: cqox.Client, tmp_path: Path) -> None:
    path = tmp_path / "表.csv"
    path.write_bytes("売上,施策\n".encode("cp932") + b"".join(b"%d.5,%d\n" % (n % 7, n % 2) for n in range(40)))
    roles: Any = {"y": "売上", "treatment": "施策", "estimators": ["difference_in_means"]}
    sent: list[object] = []
    for _ in range(2):
        report = client.analyze(
            path, **roles, read={"encoding": "cp932", "na": ["-"]}, progress=lambda step: sent.append(step["step"])
        )
        assert report.mapping["y"] == "売上"
    assert sent.count("upload") == 2  # at its beginning and its end, of the first call
    with pytest.raises(InvalidRequest) as caught:
        client.upload(path, read={"encodign": "cp932"})
    assert "encoding" in caught.value.choices


def test_mistakes_are_the_errors_of_a_local_call(client: cqox.Client) -> None:
    frame = trial(60)
    with pytest.raises(InvalidRequest, match="Did you mean sales") as caught:
        client.analyze(frame, y="salse", treatment="campaign")
    assert (caught.value.field, caught.value.choices[0]) == ("mapping.y", "sales")
    assert len(caught.value.request_id) == 32
    with pytest.raises(InvalidRequest, match="alpha"):
        client.analyze(frame, **ROLES, alpha=2)
    with pytest.raises(UnusableData, match="campaign"):
        client.analyze(frame.assign(campaign=1), **ROLES)
    with pytest.raises(NotFound, match="Did you mean test"):
        client.analyze("tset", **ROLES)
    with pytest.raises(NotFound):
        client.job("nothing").wait()
    with pytest.raises(NotFound, match="figure"):
        client.figure(client.analyze("test", **LONG["mapping"]).analysis_id, "nothing")


class LosingAnswers(httpx.AsyncHTTPTransport):
    """A network that loses the first answer to every analysis, after the server has given it."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        key = request.headers.get("Idempotency-Key", "")
        if key and key not in self.lost:
            self.lost.add(key)
            await response.aread()
            await response.aclose()
            raise httpx.ReadError("lost")
        return response


def test_a_request_whose_answer_is_lost_starts_no_second_job(stack: Stack) -> None:
    frame = trial(80)
    network = LosingAnswers()
    with cqox.Client(stack.gateway.url, transport=network) as client:
        report = client.analyze(frame, **ROLES, estimators=["difference_in_means"])
        again = client.submit(frame, **ROLES, key="mine").job_id
        assert client.submit(frame, **ROLES, key="mine").job_id == again
        client.job(again).wait()
    assert len(network.lost) == 2
    with stack.client() as api:
        jobs = api.get("/api/jobs", params={"dataset_id": report.dataset_id}).json()["jobs"]
    assert len(jobs) == 2


def computing(stack: Stack) -> bool:
    return "cqox:analyze" in children(stack.engine.process.pid).values()


def test_a_job_is_cancelled_by_hand_by_a_timeout_and_by_an_interrupt(client: cqox.Client, stack: Stack) -> None:
    job = client.submit("test", **LONG_ROLES)
    first = next(job.events())
    assert (first.number, job.status().status) == (1, "running")
    with pytest.raises(DeadlineExceeded):
        job.wait(timeout=0.2)
    assert job.status().status == "running"
    assert job.cancel().status == "cancelled"
    with pytest.raises(JobInterrupted, match="was cancelled"):
        job.wait()
    wait_until(lambda: not computing(stack))
    with pytest.raises(DeadlineExceeded):
        client.analyze("test", **LONG_ROLES, seed=1, timeout=1.0)
    wait_until(lambda: not computing(stack))

    def interrupt(step: Mapping[str, object]) -> None:
        if step["step"] == "estimate.aipw":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        client.analyze("test", **LONG_ROLES, seed=2, progress=interrupt)
    wait_until(lambda: not computing(stack))
    assert client.analyze("test", **LONG["mapping"]).status == "ok"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_loop_runs_several_analyses_at_once(stack: Stack, anyio_backend: str) -> None:
    found: list[cqox.Report] = []
    async with cqox.AsyncClient(stack.gateway.url) as client:

        async def ask(seed: int) -> None:
            found.append(await client.analyze("test", **LONG["mapping"], seed=seed, estimators=["aipw"]))

        async with anyio.create_task_group() as group:
            for seed in range(4):
                group.start_soon(ask, seed)
        assert {report.options["seed"] for report in found} == {0, 1, 2, 3}
        identity = found[0].analysis_id
        assert await client.figure(identity, "forest") == found[0].draw("forest")
        assert identity in [each.analysis_id async for each in client.reports(dataset_id="test")]
        assert len(await client.catalog()) > 50
        assert (await client.definitions(language="ja"))[0].name == "GO"
        assert (await client.health()).status == "ok"
        job = await client.submit("test", **LONG_ROLES)
        with anyio.move_on_after(0.3):
            await job.wait()
        assert (await job.cancel()).status == "cancelled"


def test_the_command_line_prints_the_report_of_the_server(stack: Stack, client: cqox.Client, tmp_path: Path) -> None:
    roles = ["--y", "y", "--treatment", "w", "--unit-id", "id", "--covariates", "x1,x2,x3,x4"]
    command = [sys.executable, "-c", "from services.cli import main; main()", "analyze", "test", *roles]
    done = subprocess.run(
        [*command, "--figures", str(tmp_path / "figures"), "--format", "json", "--json", "--option", "seed=3"],
        env={**os.environ, "CQOX_URL": stack.gateway.url}, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    printed = json.loads(done.stdout)
    report = client.report(printed["analysis_id"])
    assert printed["estimates"] == report.to_dict()["estimates"]
    assert (tmp_path / "figures" / "forest.json").read_bytes() == report.draw("forest", "json")


def in_background(client: cqox.Client, steps: list[object], **options: Any) -> tuple[threading.Thread, list[object]]:
    found: list[object] = []

    def ask() -> None:
        try:
            roles = {**LONG["mapping"], **LONG["options"], "repetitions": 1_000, **options}
            found.append(client.analyze("test", **roles, progress=lambda step: steps.append(step["step"])))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, found


def test_an_analysis_survives_a_killed_engine_and_a_drained_gateway(own_stack: Stack) -> None:
    engine, gateway = own_stack.engine, own_stack.gateway
    gateway.environment["CQOX_DRAIN_SECONDS"] = "0.2"
    for service in (engine, gateway):
        service.start()
    for service in (engine, gateway):
        service.wait_ready()
    with cqox.Client(gateway.url) as client:
        for seed, service, end in ((1, engine, engine.kill), (2, gateway, gateway.stop)):
            steps: list[object] = []
            thread, found = in_background(client, steps, seed=seed)
            wait_until(lambda steps=steps: "estimate.aipw" in steps, failure=lambda found=found: found)
            end()
            service.start()
            thread.join(PATIENCE_SECONDS)
            assert isinstance(found[0], cqox.Report), found
            assert found[0].options["seed"] == seed
            # A drain lets a quick machine finish the analysis; only the report is asked for again then.
            assert "reconnecting" in steps or service is gateway
    with own_stack.client() as api:
        jobs = api.get("/api/jobs", params={"dataset_id": "test"}).json()["jobs"]
    assert [job["status"] for job in jobs] == ["succeeded", "succeeded"]


def test_a_data_set_is_erased_with_a_receipt_and_the_log_says_so_page_by_page(tmp_path: Path) -> None:
    with running_stack(tmp_path, CQOX_AUDIT="on") as audited, cqox.Client(audited.gateway.url) as client:
        dataset = client.upload(trial(200), name="to-be-erased.arrow")
        report = client.analyze(dataset, y="sales", treatment="campaign")
        for _ in range(120):
            client.report(report.analysis_id)
        receipt = client.erase_dataset(dataset.dataset_id)
        assert (receipt.status, receipt.what, receipt.object_id) == ("finished", "dataset", dataset.dataset_id)
        assert receipt.counts["reports"] == 1
        assert report.analysis_id in receipt.digests["reports"]
        assert client.erasure(receipt.erasure_id) == receipt
        with pytest.raises(NotFound):
            client.report(report.analysis_id)

        def entries() -> list[AuditEntryDescription]:
            return list(client.audit(about=f"dataset:{dataset.dataset_id}"))

        wait_until(lambda: {entry.action for entry in entries()} >= {"request_erasure", "finish_erasure"})
        everything = list(client.audit())
        assert len(everything) > 100, "more than a page"
        numbers = [entry.seq for entry in everything]
        assert numbers == sorted(set(numbers), reverse=True)
        assert {entry.subject for entry in everything} == {"local"}
        # What came while the pages were read is on none of them, and the refused look is there.
        wait_until(lambda: len(list(client.audit(action="read_analysis"))) > 120)
        wait_until(lambda: {entry.outcome for entry in client.audit(action="read_analysis")} == {"done", "failed"})
        assert list(client.audit(until=datetime(2020, 1, 1, tzinfo=UTC))) == []


@pytest.mark.anyio
async def test_the_log_is_read_by_an_asynchronous_client_too(tmp_path: Path) -> None:
    with running_stack(tmp_path, CQOX_AUDIT="on") as audited:
        async with cqox.AsyncClient(audited.gateway.url) as client:
            dataset = await client.upload(trial(50), name="small.arrow")
            begun = await client.erase_dataset(dataset.dataset_id, wait=False)
            assert begun.what == "dataset"
            actions = [entry.action async for entry in client.audit(about=f"dataset:{dataset.dataset_id}")]
            assert "request_erasure" in actions
