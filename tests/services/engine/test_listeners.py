import pytest

from cqox.analysis.jobs import Job
from cqox.errors import TooManyListeners
from services.engine.events import event_stream
from services.engine.listeners import Listeners
from tests.services.http.request.test_language import asked


def test_each_job_has_a_bound_of_its_own():
    listeners = Listeners(most=3)
    kept = [listeners.join("a") for _ in range(3)]
    with pytest.raises(TooManyListeners, match="The limit of 3 listeners is reached for job a"):
        listeners.join("a")
    other = listeners.join("b")
    kept.pop().leave()
    assert (listeners.count("a"), listeners.count("b")) == (2, 1)
    again = listeners.join("a")
    for one in (*kept, other, again):
        one.leave()
        one.leave()
    assert not listeners._count


def test_what_is_refused_leaves_no_trace():
    listeners = Listeners(most=1)
    held = listeners.join("a")
    for number in range(100):
        with pytest.raises(TooManyListeners):
            listeners.join("a")
        listeners.join(str(number)).leave()
    held.leave()
    assert not listeners._count


@pytest.mark.trio
async def test_a_stream_counts_until_it_ends_or_is_dropped_before_it_began():
    listeners, job = Listeners(), Job("test")
    answer = event_stream(job, asked(), listener=listeners.join(job.job_id))
    assert listeners.count(job.job_id) == 1
    del answer
    assert listeners.count(job.job_id) == 0
    answer = event_stream(job, asked(), listener=listeners.join(job.job_id))
    job.add_step({"step": "read"})
    async with answer.response as body:
        assert b"read" in await anext(aiter(body))
        assert listeners.count(job.job_id) == 1
    assert listeners.count(job.job_id) == 0
