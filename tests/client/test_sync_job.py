"""`Job` without a server behind it."""

import pytest

from cqox.client import Client, JobEvent
from cqox.errors import NotFound, UnusableData
from tests.client.scripted import URL, Scripted, answer, event, problem, stream

DESCRIBED = {"job_id": "j", "status": "running", "dataset_id": "d", "created_at": "t1", "steps": 0, "links": {}}
FAILED = event(2, "failed", {"type": "unusable-data", "status": 422, "detail": "constant"})
STREAM = stream(event(1, "step", {"step": "read"}), FAILED)


def test_events_come_one_by_one_and_a_failed_job_raises_its_error() -> None:
    client = Client(URL, transport=Scripted(answer({}), answer(DESCRIBED, 202), STREAM).transport)
    job = client.submit("test", y="y", treatment="w")
    assert repr(job) == "Job('j')"
    assert next(job.events()) == JobEvent(number=1, event="step", body={"step": "read"})
    assert [found.event for found in job.events()] == ["step", "failed"]
    steps: list[object] = []
    with pytest.raises(UnusableData, match="constant"):
        job.wait(progress=steps.append)
    assert steps == [{"step": "read"}]
    client.close()


def test_a_job_of_another_process_is_found_by_its_id() -> None:
    server = Scripted(answer(DESCRIBED), answer({**DESCRIBED, "status": "cancelled"}), problem(404, "not-found"))
    client = Client(URL, transport=server.transport)
    job = client.job("j")
    assert job.status().status == "running"
    assert job.cancel().status == "cancelled"
    with pytest.raises(NotFound):
        list(job.events())
    client.close()
